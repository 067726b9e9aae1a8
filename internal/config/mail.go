package config

import (
	"fmt"
	"net"
	"net/mail"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Mail says how codes and notices are sent. Without a host they go to the log, which is for trying out.
type Mail struct {
	Host         string `yaml:"host"`
	Port         int    `yaml:"port"` // zero: what belongs to TLS
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
	From         string `yaml:"from"`
	TLS          string `yaml:"tls"` // starttls | implicit | none; empty: starttls

	Password Secret `yaml:"-"`
}

// The ways to protect the road to the mail server. The first is the default.
const (
	MailSTARTTLS = "starttls"
	MailImplicit = "implicit" // RFC 8314 §3.3
	MailPlain    = "none"
)

// On tells whether mail is sent at all.
func (m Mail) On() bool { return m.Host != "" }

// Protection is TLS with its default.
func (m Mail) Protection() string {
	if m.TLS == "" {
		return MailSTARTTLS
	}
	return m.TLS
}

// Address is the mail server's host and port.
func (m Mail) Address() string {
	port := m.Port
	if port == 0 {
		port = map[string]int{MailSTARTTLS: 587, MailImplicit: 465, MailPlain: 25}[m.Protection()]
	}
	return net.JoinHostPort(m.Host, strconv.Itoa(port))
}

// MailToLog tells whether codes may go to the log: where nobody beyond this machine is served.
func (c *Config) MailToLog() bool { return c.Dev || c.loopbackOnly() }

func (c *Config) sendsMail() bool {
	return c.Registration.Email || slices.ContainsFunc(c.Clients, func(cl Client) bool { return cl.Email })
}

func (v check) mail() {
	m := v.Mail
	if !m.On() {
		v.noMail()
		return
	}
	if strings.ContainsFunc(m.Host, func(r rune) bool { return unicode.IsSpace(r) || r == '/' || r == '@' }) || strings.Count(m.Host, ":") == 1 {
		v.add("mail.host", fmt.Sprintf("%q is not the name of a host", m.Host), "write it like smtp.example.com; the port is a key of its own")
	}
	if m.Port < 0 || m.Port > 65535 {
		v.add("mail.port", "it is not between 1 and 65535", "leave it out for 587 (starttls), 465 (implicit) or 25 (none)")
	}
	if m.TLS != "" {
		v.oneOf("mail.tls", m.TLS, MailSTARTTLS, MailImplicit, MailPlain)
	}
	password := m.PasswordFile != "" || m.Password != ""
	switch {
	case m.Username != "" && !password:
		v.add("mail.password_file", "username is there, password_file is missing", "put the password into a file and name it, or set "+EnvMailPassword)
	case m.Username == "" && password:
		v.add("mail.username", "there is a password, but username is missing", "write who it belongs to, or remove the password")
	}
	if m.Protection() == MailPlain && !loopbackHost(m.Host) {
		v.add("mail.tls", "codes and passwords would travel in plain text", "write tls: starttls or tls: implicit; none is for a mail server on this machine")
	}
	v.mailFrom()
}

func (v check) mailFrom() {
	if v.Mail.From == "" {
		v.add("mail.from", "it is missing", `write who the mail comes from: from: "Example <login@example.com>"`)
		return
	}
	if _, err := mail.ParseAddress(v.Mail.From); err != nil || strings.ContainsAny(v.Mail.From, "\r\n") {
		v.add("mail.from", fmt.Sprintf("%q is not an address", v.Mail.From), `write from: login@example.com, or from: "Example <login@example.com>"`)
	}
}

func (v check) noMail() {
	if v.Mail != (Mail{}) {
		v.add("mail.host", "it is missing", "name the mail server, for example host: smtp.example.com")
		return
	}
	if v.MailToLog() {
		return
	}
	const text, remedy = "codes are sent by e-mail, but there is no mail server", "add it: mail: {host: smtp.example.com, username: …, password_file: …, from: …}"
	if i := slices.IndexFunc(v.Clients, func(c Client) bool { return c.Email }); i >= 0 {
		v.add(at("clients", i, "email"), text, remedy)
	}
	if v.Registration.Email && v.Registration.On() {
		v.add("registration.email", text, remedy)
	}
}

func (c *Config) mailWarnings() []string {
	if c.Mail.On() || !c.sendsMail() {
		return nil
	}
	return []string{"there is no mail server, so sign-in codes are written to this log: fit for trying out, not for real people"}
}

const maxPageName = 100 // letters

func (v check) pages() {
	name := v.Pages.Name
	if strings.TrimSpace(name) != name || strings.ContainsFunc(name, unicode.IsControl) || len([]rune(name)) > maxPageName {
		v.add("pages.name", fmt.Sprintf("it has spaces around it, a line break, or more than %d letters", maxPageName), "write the name people know you by")
	}
	if v.Pages.Folder == "" {
		return
	}
	if info, err := os.Stat(v.Pages.Folder); err != nil || !info.IsDir() {
		v.add("pages.folder", "there is no folder "+display(v.Pages.Folder), "make it and put your own files there, or remove the line for the built-in pages")
	}
}
