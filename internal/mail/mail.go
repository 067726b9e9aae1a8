// Package mail sends one message to one person, by SMTP or, in dev mode, to the server's log. It is the only importer
// of the mail library.
//
// It refuses plain text on the wire but to loopback, addresses that are more than an address, line breaks in anything
// that becomes a header, and to wait longer than its deadline. It keeps no queue: a code that arrives late is worth
// nothing, and the person asks for another.
package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"
)

// The errors of Send. All are wrapped with the cause, which names the recipient and is for the operator.
var (
	// ErrAddress: what was typed is no address. Nothing was sent.
	ErrAddress = errors.New("not an e-mail address")
	// ErrRefused: the recipient's server, or ours on its behalf, says for good that this address takes no mail.
	ErrRefused = errors.New("the recipient is refused")
	// ErrFailed: anything else, from a server that does not answer to a password that is wrong. Trying again may help;
	// if it does not, it is the operator's.
	ErrFailed = errors.New("mail could not be sent")
)

// Modes of Settings.TLS.
const (
	STARTTLS = "starttls" // the default; a server that does not offer it gets nothing
	Implicit = "implicit" // TLS from the first byte, usually port 465
	None     = "none"     // plain text, to loopback only
)

const (
	timeout         = 15 * time.Second // of a whole Send, unless the caller's context ends before
	maxAddressBytes = 254              // RFC 5321 §4.5.3.1.3, without its angle brackets
	maxSubjectBytes = 512
	maxBodyBytes    = 256 << 10
)

// Message is what a person gets. HTML may be empty; Text may not.
type Message struct {
	To, Subject, Text, HTML string
}

// Settings say where mail goes out.
type Settings struct {
	Host     string
	Port     int    // 0: 587, or 465 with Implicit
	Username string // empty: no AUTH
	Password string
	From     string // an address, with or without a name: "Example <no-reply@example.com>"
	TLS      string // STARTTLS (also if empty), Implicit or None

	// RootCAs are believed in place of the system's; nil: the system's.
	RootCAs *x509.CertPool
}

// String hides the password.
func (s Settings) String() string {
	return fmt.Sprintf("smtp %s:%d %s as %q from %q", s.Host, s.Port, s.TLS, s.Username, s.From)
}

// Sender sends mail. It may be used by several goroutines; every Send has a connection of its own.
type Sender struct {
	settings Settings
	from     *netmail.Address
	toLog    func(Message)
}

// New checks the settings and makes a sender. It does not connect.
func New(s Settings) (*Sender, error) {
	if s.Host == "" || strings.Contains(s.Host, "/") { // the library takes unix:// paths; we do not
		return nil, fmt.Errorf("mail: %q is no host", s.Host)
	}
	switch s.TLS {
	case "":
		s.TLS = STARTTLS
	case STARTTLS, Implicit:
	case None:
		if !loopback(s.Host) {
			return nil, fmt.Errorf("mail: TLS %q is for a server on this machine, and %s is none", None, s.Host)
		}
	default:
		return nil, fmt.Errorf("mail: TLS is %q, not %s, %s or %s", s.TLS, STARTTLS, Implicit, None)
	}
	if s.Port == 0 {
		s.Port = 587
		if s.TLS == Implicit {
			s.Port = 465
		}
	}
	if s.Port < 1 || s.Port > 65535 {
		return nil, fmt.Errorf("mail: port %d does not exist", s.Port)
	}
	if (s.Username == "") != (s.Password == "") {
		return nil, errors.New("mail: a user name needs a password, and the reverse")
	}
	from, err := netmail.ParseAddress(s.From)
	if err != nil || !bareAddress(from.Address) || !oneLine(from.Name) {
		return nil, fmt.Errorf("mail: From %q is no address", s.From)
	}
	return &Sender{settings: s, from: from}, nil
}

// ToLog makes a sender that hands every message to show and sends nothing. Dev mode uses it, and only dev mode: the
// code a person needs stands in the server's log because there is no mail server.
func ToLog(show func(Message)) *Sender { return &Sender{toLog: show} }

// Send hands one message to the mail server and waits for its word. A nil error means that the server took it, not
// that it arrived.
func (s *Sender) Send(ctx context.Context, m Message) error {
	if err := check(m); err != nil {
		return err
	}
	if s.toLog != nil {
		s.toLog(m)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return s.deliver(ctx, m)
}

// Address returns an address as it is stored and compared, if what a person typed is one: bare, ASCII, without quotes,
// comments or spaces around it. The domain's case is folded; whether the local part's counts is its server's affair.
func Address(typed string) (string, error) {
	typed = strings.TrimSpace(typed)
	if !bareAddress(typed) {
		return "", ErrAddress
	}
	at := strings.LastIndexByte(typed, '@')
	return typed[:at] + strings.ToLower(typed[at:]), nil
}

func check(m Message) error {
	switch {
	case !bareAddress(m.To):
		return ErrAddress
	case m.Subject == "" || len(m.Subject) > maxSubjectBytes || !oneLine(m.Subject):
		return errors.New("mail: the subject is empty, too long or more than a line")
	case m.Text == "" || len(m.Text)+len(m.HTML) > maxBodyBytes:
		return errors.New("mail: there is no text, or too much of it")
	case !utf8.ValidString(m.Text) || !utf8.ValidString(m.HTML):
		return errors.New("mail: the text is not UTF-8")
	}
	return nil
}

// bareAddress tells whether s is an address and nothing more. Quoted local parts are legal (RFC 5321 §4.1.2), used by
// nobody, and what SMTP parameters were smuggled in with (CVE-2025-59937): they are refused, as is all but ASCII.
func bareAddress(s string) bool {
	if len(s) > maxAddressBytes {
		return false
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"\()<>[],;:`, c) >= 0 {
			return false
		}
	}
	parsed, err := netmail.ParseAddress(s)
	if err != nil || parsed.Address != s || parsed.Name != "" {
		return false
	}
	local, domain, _ := strings.Cut(s, "@")
	return len(local) <= 64 && strings.Contains(domain, ".") && plainDomain(domain)
}

// plainDomain accepts letters, digits and inner hyphens between dots.
func plainDomain(domain string) bool {
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
		for _, c := range label {
			if c != '-' && !unicode.IsDigit(c) && !unicode.IsLetter(c) {
				return false
			}
		}
	}
	return true
}

// oneLine tells whether a text has no control character, so that it can be a header and no more.
func oneLine(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// compose writes the message as the library has it.
func (s *Sender) compose(m Message) (*gomail.Msg, error) {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(s.from)
	if err := msg.To(m.To); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	msg.Subject(m.Subject)
	msg.SetDate()
	_, domain, _ := strings.Cut(s.from.Address, "@")
	msg.SetMessageIDWithValue(messageID() + "@" + domain) // the library would tell the machine's name
	msg.SetGenHeader("Auto-Submitted", "auto-generated")  // RFC 3834 §5: no holiday notices, please
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	return msg, nil
}

func (s *Sender) tlsConfig() *tls.Config {
	return &tls.Config{ServerName: s.settings.Host, RootCAs: s.settings.RootCAs, MinVersion: tls.VersionTLS12}
}
