package standin

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"time"
)

// Mail is a message the mail server took.
type Mail struct {
	From string   // of the envelope
	To   []string // of the envelope
	User string   // who had authenticated; empty: nobody
	TLS  bool     // it came encrypted
	Raw  []byte   // header and body as they came
}

// Header returns a header field, decoded; empty if there is none.
func (m Mail) Header(name string) string {
	parsed, err := mail.ReadMessage(bytes.NewReader(m.Raw))
	if err != nil {
		return ""
	}
	value, err := new(mime.WordDecoder).DecodeHeader(parsed.Header.Get(name))
	if err != nil {
		return ""
	}
	return value
}

// Subject returns the subject, decoded.
func (m Mail) Subject() string { return m.Header("Subject") }

// Text returns the plain text, decoded; empty if there is none.
func (m Mail) Text() string { return m.part("text/plain") }

// HTML returns the HTML text, decoded; empty if there is none.
func (m Mail) HTML() string { return m.part("text/html") }

func (m Mail) part(kind string) string {
	parsed, err := mail.ReadMessage(bytes.NewReader(m.Raw))
	if err != nil {
		return ""
	}
	return find(textproto.MIMEHeader(parsed.Header), parsed.Body, kind)
}

// find looks for the first part of a kind, into parts of parts.
func find(header textproto.MIMEHeader, body io.Reader, kind string) string {
	is, parameters, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	if is == kind {
		text, err := io.ReadAll(decoded(body, header.Get("Content-Transfer-Encoding")))
		if err != nil {
			return ""
		}
		return strings.ReplaceAll(string(text), "\r\n", "\n")
	}
	if !strings.HasPrefix(is, "multipart/") {
		return ""
	}
	for parts := multipart.NewReader(body, parameters["boundary"]); ; {
		p, err := parts.NextRawPart()
		if err != nil {
			return ""
		}
		if text := find(p.Header, p, kind); text != "" {
			return text
		}
	}
}

func decoded(body io.Reader, encoding string) io.Reader {
	switch strings.ToLower(encoding) {
	case "quoted-printable":
		return quotedprintable.NewReader(body)
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, body)
	}
	return body
}

// talker is one SMTP session (RFC 5321 §4.1).
type talker struct {
	server *MailServer
	conn   net.Conn
	text   *textproto.Conn
	tls    bool
	user   string
	from   string
	to     []string
}

const maxMailBytes = 1 << 20

func talk(s *MailServer, c net.Conn) {
	t := &talker{server: s, conn: c}
	if s.isSilent() {
		_, _ = io.Copy(io.Discard, c) // until the visitor leaves, or Close
		return
	}
	if s.implicit {
		t.conn, t.tls = tls.Server(c, s.tls), true
	}
	t.text = textproto.NewConn(t.conn)
	if t.say("220 stand-in mail server") != nil {
		return
	}
	for {
		line, err := t.text.ReadLine()
		if err != nil {
			return
		}
		if t.obey(line) != nil {
			return
		}
	}
}

var errOver = errors.New("the session is over")

func (t *talker) say(reply string) error { return t.text.PrintfLine("%s", reply) }

func (t *talker) obey(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO":
		return t.greet()
	case "HELO", "NOOP":
		return t.say("250 fine")
	case "RSET":
		t.from, t.to = "", nil
		return t.say("250 forgotten")
	case "STARTTLS":
		return t.startTLS()
	case "AUTH":
		return t.auth(rest)
	case "MAIL":
		return t.mail(rest)
	case "RCPT":
		return t.rcpt(rest)
	case "DATA":
		return t.data()
	case "QUIT":
		_ = t.say("221 goodbye")
		return errOver
	}
	return t.say("502 5.5.1 not known here")
}

func (t *talker) greet() error {
	lines := []string{"250-stand-in", "250-ENHANCEDSTATUSCODES", "250-8BITMIME"}
	if !t.tls && !t.server.plain {
		lines = append(lines, "250-STARTTLS")
	}
	if t.server.user != "" && (t.tls || t.server.plain) {
		lines = append(lines, "250-AUTH PLAIN")
	}
	for _, line := range append(lines, "250 SIZE 1048576") {
		if err := t.say(line); err != nil {
			return err
		}
	}
	return nil
}

func (t *talker) startTLS() error {
	if t.tls || t.server.plain {
		return t.say("502 5.5.1 not offered")
	}
	if err := t.say("220 go ahead"); err != nil {
		return err
	}
	secure := tls.Server(t.conn, t.server.tls)
	if err := secure.Handshake(); err != nil {
		return err
	}
	// What was said before is forgotten (RFC 3207 §4.2).
	*t = talker{server: t.server, conn: secure, text: textproto.NewConn(secure), tls: true}
	return nil
}

// auth is AUTH PLAIN with its initial response (RFC 4954 §4, RFC 4616).
func (t *talker) auth(rest string) error {
	mechanism, initial, _ := strings.Cut(rest, " ")
	if !strings.EqualFold(mechanism, "PLAIN") {
		return t.say("504 5.5.4 PLAIN only")
	}
	raw, err := base64.StdEncoding.DecodeString(initial)
	parts := strings.Split(string(raw), "\x00")
	if err != nil || len(parts) != 3 || !t.server.knows(parts[1], parts[2]) {
		return t.say("535 5.7.8 wrong user or password")
	}
	t.user = parts[1]
	return t.say("235 2.7.0 welcome")
}

func (t *talker) mail(rest string) error {
	if t.server.user != "" && t.user == "" {
		return t.say("530 5.7.0 who are you?")
	}
	if reply, ok := t.server.reply("MAIL"); ok {
		return t.say(reply)
	}
	from, ok := path(rest, "FROM:")
	if !ok {
		return t.say("501 5.5.4 no sender")
	}
	t.from, t.to = from, nil
	return t.say("250 2.1.0 fine")
}

func (t *talker) rcpt(rest string) error {
	to, ok := path(rest, "TO:")
	if !ok || t.from == "" {
		return t.say("503 5.5.1 no recipient, or no sender")
	}
	if reply, ok := t.server.reply(to); ok {
		return t.say(reply)
	}
	t.to = append(t.to, to)
	return t.say("250 2.1.5 fine")
}

// path reads FROM:<address> and TO:<address>; parameters behind it are passed over.
func path(rest, prefix string) (string, bool) {
	if len(rest) < len(prefix) || !strings.EqualFold(rest[:len(prefix)], prefix) {
		return "", false
	}
	rest, ok := strings.CutPrefix(strings.TrimSpace(rest[len(prefix):]), "<")
	if !ok {
		return "", false
	}
	address, _, ok := strings.Cut(rest, ">")
	return address, ok
}

func (t *talker) data() error {
	if len(t.to) == 0 {
		return t.say("503 5.5.1 no recipient")
	}
	if err := t.say("354 go on"); err != nil {
		return err
	}
	raw, err := io.ReadAll(io.LimitReader(t.text.DotReader(), maxMailBytes))
	if err != nil {
		return err
	}
	if len(raw) == maxMailBytes {
		return errOver
	}
	if reply, ok := t.server.reply("DATA"); ok {
		return t.say(reply)
	}
	t.server.take(Mail{From: t.from, To: t.to, User: t.user, TLS: t.tls, Raw: raw})
	t.from, t.to = "", nil
	return t.say("250 2.0.0 taken")
}

// loopbackCertificate makes a certificate for 127.0.0.1 and localhost, and the pool that believes it.
func loopbackCertificate() (tls.Certificate, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "stand-in"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, roots, nil
}
