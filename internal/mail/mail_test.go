package mail_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/mail"
	"github.com/countersign/countersign/standin"
)

var code = mail.Message{
	To: "someone@mail.example", Subject: "Your code für Example", Text: "Your code is 123456.\nIt is good for ten minutes – für Sie.\n.\n",
	HTML: "<p>Your code is <b>123456</b>.</p>\n",
}

func newServer(t *testing.T, options ...standin.MailOption) *standin.MailServer {
	t.Helper()
	s, err := standin.NewMailServer(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func newSender(t *testing.T, s *standin.MailServer, change func(*mail.Settings)) *mail.Sender {
	t.Helper()
	settings := mail.Settings{Host: s.Host(), Port: s.Port(), From: "Exämple <no-reply@example.com>", RootCAs: s.RootCAs()}
	if change != nil {
		change(&settings)
	}
	sender, err := mail.New(settings)
	if err != nil {
		t.Fatal(err)
	}
	return sender
}

func TestAMessageArrivesAsItWasWritten(t *testing.T) {
	user := standin.WithMailUser("robot", "secret")
	login := func(s *mail.Settings) { s.Username, s.Password = "robot", "secret" }
	tests := []struct {
		name    string
		server  []standin.MailOption
		change  func(*mail.Settings)
		tls     bool
		account string
	}{
		{"STARTTLS, which is the default", nil, nil, true, ""},
		{"STARTTLS with a password", []standin.MailOption{user}, login, true, "robot"},
		{"TLS from the first byte", []standin.MailOption{standin.WithImplicitTLS(), user}, func(s *mail.Settings) {
			login(s)
			s.TLS = mail.Implicit
		}, true, "robot"},
		{"plain text on this machine", []standin.MailOption{standin.WithoutSTARTTLS(), user}, func(s *mail.Settings) {
			login(s)
			s.TLS = mail.None
		}, false, "robot"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := newServer(t, tt.server...)
			if err := newSender(t, server, tt.change).Send(t.Context(), code); err != nil {
				t.Fatal(err)
			}
			got, err := server.WaitFor(t.Context(), code.To)
			if err != nil {
				t.Fatal(err)
			}
			if got.TLS != tt.tls || got.User != tt.account || got.From != "no-reply@example.com" || len(got.To) != 1 {
				t.Errorf("%+v", got)
			}
			if got.Subject() != code.Subject || got.Text() != code.Text || got.HTML() != code.HTML {
				t.Errorf("%q %q %q", got.Subject(), got.Text(), got.HTML())
			}
			if got.Header("From") != `Exämple <no-reply@example.com>` || got.Header("To") != "<someone@mail.example>" ||
				got.Header("Auto-Submitted") != "auto-generated" || !strings.HasSuffix(got.Header("Message-ID"), "@example.com>") {
				t.Errorf("%s", got.Raw)
			}
		})
	}
}

func TestAMessageMayBePlainTextOnly(t *testing.T) {
	server := newServer(t)
	m := code
	m.HTML = ""
	if err := newSender(t, server, nil).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got, err := server.WaitFor(t.Context(), m.To)
	if err != nil || got.Text() != m.Text || got.HTML() != "" || strings.Contains(string(got.Raw), "multipart") {
		t.Errorf("%s, %v", got.Raw, err)
	}
}

// A cause is for a log: it says what failed and where, and not to whom, whatever the server says.
func TestACauseHasTheReplyCodeAndNotTheRecipient(t *testing.T) {
	for _, tt := range []struct{ recipient, reply, want string }{
		{code.To, "550 5.1.1 <" + code.To + "> is unknown", "550 5.1.1"}, {code.To, "450 <" + code.To + "> later", "450"},
		{"MAIL", "530 5.7.0 " + code.To, "530 5.7.0"}, {"DATA", "451 4.3.0 not now, " + code.To, "451 4.3.0"},
	} {
		server := newServer(t)
		server.Answer(tt.recipient, tt.reply)
		err := newSender(t, server, nil).Send(t.Context(), code)
		if mail.Unsure(err) {
			t.Errorf("%s: it is sure that nothing was sent", tt.reply)
		}
		if got := mail.Cause(err); !strings.Contains(got, tt.want) || strings.Contains(got, "someone") || strings.Contains(got, "mail.example") {
			t.Errorf("%s: %s", tt.reply, got)
		}
	}
	m := code
	m.To = "some one@mail.example"
	if got := mail.Cause(newSender(t, newServer(t), nil).Send(t.Context(), m)); got != mail.ErrAddress.Error() {
		t.Errorf("%s", got)
	}
	server := newServer(t)
	server.Close()
	if got := mail.Cause(newSender(t, server, nil).Send(t.Context(), code)); !strings.Contains(got, "refused") || strings.Contains(got, code.To) {
		t.Errorf("a server that is not there: %s", got)
	}
}

// Only a final word about the recipient is a refusal; everything else may pass, or is the operator's to mend.
func TestAnswersOfTheServerAreSorted(t *testing.T) {
	tests := []struct {
		name, recipient, reply string
		want                   error
	}{
		{"no such mailbox", code.To, "550 5.1.1 no such mailbox", mail.ErrRefused},
		{"no such mailbox, without more", code.To, "550 no such mailbox", mail.ErrRefused},
		{"a mailbox that takes nothing", code.To, "552 5.2.2 full", mail.ErrRefused},
		{"a domain that takes nothing", code.To, "556 5.1.10 null MX", mail.ErrRefused},
		{"a mailbox that is busy", code.To, "450 4.2.1 try later", mail.ErrFailed},
		{"greylisting", code.To, "451 4.7.1 come back in five minutes", mail.ErrFailed},
		{"a relay we may not use", code.To, "554 5.7.1 relay access denied", mail.ErrFailed},
		{"a relay we may not use, said another way", code.To, "550 5.7.1 relay access denied", mail.ErrFailed},
		{"a sender it will not have", "MAIL", "550 5.1.0 who is that?", mail.ErrFailed},
		{"a message it takes for spam", "DATA", "550 5.7.1 looks like spam", mail.ErrFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := newServer(t)
			sender := newSender(t, server, nil)
			server.Answer(tt.recipient, tt.reply)
			err := sender.Send(t.Context(), code)
			if !errors.Is(err, tt.want) || errors.Is(err, mail.ErrRefused) && errors.Is(err, mail.ErrFailed) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if len(server.Messages()) != 0 {
				t.Error("it was sent all the same")
			}
			server.Answer(tt.recipient, "")
			if err := sender.Send(t.Context(), code); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestNothingIsSentToAServerThatIsNotTheOneMeant(t *testing.T) {
	user := standin.WithMailUser("robot", "secret")
	login := func(s *mail.Settings) { s.Username, s.Password = "robot", "secret" }
	other := newServer(t)
	tests := []struct {
		name   string
		server []standin.MailOption
		change func(*mail.Settings)
	}{
		{"no STARTTLS is offered", []standin.MailOption{standin.WithoutSTARTTLS()}, nil},
		{"no STARTTLS is offered, but AUTH", []standin.MailOption{standin.WithoutSTARTTLS(), user}, login},
		{"a certificate nobody vouches for", nil, func(s *mail.Settings) { s.RootCAs = nil }},
		{"another's certificate", nil, func(s *mail.Settings) { s.RootCAs = other.RootCAs() }},
		{"the same, with TLS from the first byte", []standin.MailOption{standin.WithImplicitTLS()}, func(s *mail.Settings) {
			s.TLS, s.RootCAs = mail.Implicit, other.RootCAs()
		}},
		{"a wrong password", []standin.MailOption{user}, func(s *mail.Settings) { s.Username, s.Password = "robot", "wrong" }},
		{"no password", []standin.MailOption{user}, nil},
		{"a password nobody asked for", nil, login},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := newServer(t, tt.server...)
			err := newSender(t, server, tt.change).Send(t.Context(), code)
			if !errors.Is(err, mail.ErrFailed) || len(server.Messages()) != 0 {
				t.Errorf("%v, %d messages", err, len(server.Messages()))
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the password is told: %v", err)
			}
		})
	}
}

func TestAServerThatSaysNothingIsLeftAtTheDeadline(t *testing.T) {
	for _, mode := range []string{mail.STARTTLS, mail.Implicit} {
		t.Run(mode, func(t *testing.T) {
			server := newServer(t)
			server.FallSilent()
			sender := newSender(t, server, func(s *mail.Settings) { s.TLS = mode })
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			begun := time.Now()
			err := sender.Send(ctx, code)
			if !errors.Is(err, mail.ErrFailed) || time.Since(begun) > 5*time.Second {
				t.Errorf("%v after %v", err, time.Since(begun))
			}
		})
	}
}

func TestAServerThatIsNotThereIsNoVerdictOverTheRecipient(t *testing.T) {
	server := newServer(t)
	sender := newSender(t, server, nil)
	server.Close()
	if err := sender.Send(t.Context(), code); !errors.Is(err, mail.ErrFailed) {
		t.Errorf("got %v", err)
	}
}

// What a person typed reaches headers and SMTP commands: nothing but an address may.
func TestWhatIsNoAddressIsRefusedBeforeAnythingIsSent(t *testing.T) {
	server := newServer(t)
	sender := newSender(t, server, nil)
	for _, to := range []string{
		"", "someone", "@mail.example", "someone@", "someone@localhost", "someone@mail..example", "some one@mail.example",
		"someone@mail.example\r\nBcc: other@mail.example", "someone@mail.example\nRCPT TO:<other@mail.example>", "someone@mail.example\x00",
		"Someone <someone@mail.example>", "<someone@mail.example>", "someone@mail.example, other@mail.example",
		`"someone@mail.example> ORCPT=other@mail.example"@mail.example`, `"some one"@mail.example`, `some\one@mail.example`,
		"someone(comment)@mail.example", "someone@[127.0.0.1]", "someone@mail.example:25", "someone@-mail.example", "someone@mail_x.example",
		"sömeone@mail.example", "someone@mäil.example", "a@b@mail.example", ".someone@mail.example", "someone.@mail.example",
		strings.Repeat("a", 65) + "@mail.example", "a@" + strings.Repeat("mail.", 60) + "example", "a@" + strings.Repeat("m", 64) + ".example",
	} {
		m := code
		m.To = to
		if err := sender.Send(t.Context(), m); !errors.Is(err, mail.ErrAddress) {
			t.Errorf("%q: %v", to, err)
		}
		if got, err := mail.Address(to); err == nil {
			t.Errorf("%q is taken for the address %q", to, got)
		}
	}
	if got := server.Messages(); len(got) != 0 {
		t.Errorf("%d messages were sent", len(got))
	}
}

func TestAnAddressIsKeptAsItsServerWantsIt(t *testing.T) {
	for _, tt := range []struct{ typed, want string }{
		{" someone@Mail.EXAMPLE ", "someone@mail.example"},
		{"Some.One+tag@mail.example", "Some.One+tag@mail.example"},
		{"o'brien-_@sub.mail.example", "o'brien-_@sub.mail.example"},
		{"1@2.xn--bcher-kva.example", "1@2.xn--bcher-kva.example"},
	} {
		if got, err := mail.Address(tt.typed); err != nil || got != tt.want {
			t.Errorf("%q: %q, %v", tt.typed, got, err)
		}
	}
}

func TestMessagesThatAreNoneAreRefused(t *testing.T) {
	sender := newSender(t, newServer(t), nil)
	for name, change := range map[string]func(*mail.Message){
		"a subject of two lines":     func(m *mail.Message) { m.Subject = "code\r\nBcc: other@mail.example" },
		"a subject with half a line": func(m *mail.Message) { m.Subject = "code\rx" },
		"a subject that is not text": func(m *mail.Message) { m.Subject = "\xff" },
		"an endless subject":         func(m *mail.Message) { m.Subject = strings.Repeat("a", 1000) },
		"no subject":                 func(m *mail.Message) { m.Subject = "" },
		"no text":                    func(m *mail.Message) { m.Text = "" },
		"too much text":              func(m *mail.Message) { m.Text = strings.Repeat("a", 1<<20) },
		"text that is none":          func(m *mail.Message) { m.HTML = "\xff" },
	} {
		m := code
		change(&m)
		if err := sender.Send(t.Context(), m); err == nil {
			t.Errorf("%s is sent", name)
		}
	}
}

func TestSettingsThatAreWrongAreRefused(t *testing.T) {
	good := mail.Settings{Host: "smtp.example.com", From: "no-reply@example.com"}
	if _, err := mail.New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*mail.Settings){
		"no host":                     func(s *mail.Settings) { s.Host = "" },
		"a socket for a host":         func(s *mail.Settings) { s.Host = "unix:///run/smtp" },
		"no sender":                   func(s *mail.Settings) { s.From = "" },
		"a sender of two lines":       func(s *mail.Settings) { s.From = "Example\r\n <no-reply@example.com>" },
		"two senders":                 func(s *mail.Settings) { s.From = "a@example.com, b@example.com" },
		"plain text over the network": func(s *mail.Settings) { s.TLS = mail.None },
		"a word nobody knows":         func(s *mail.Settings) { s.TLS = "opportunistic" },
		"a user without password":     func(s *mail.Settings) { s.Username = "robot" },
		"a password without user":     func(s *mail.Settings) { s.Password = "secret" },
		"a port that does not exist":  func(s *mail.Settings) { s.Port = 65536 },
		"a negative port":             func(s *mail.Settings) { s.Port = -1 },
	} {
		s := good
		change(&s)
		if _, err := mail.New(s); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	good.Username, good.Password = "robot", "secret"
	if strings.Contains(good.String(), "secret") {
		t.Errorf("%v", good)
	}
}

func TestInDevModeTheMessageIsShownAndNotSent(t *testing.T) {
	var shown []mail.Message
	sender := mail.ToLog(func(m mail.Message) { shown = append(shown, m) })
	if err := sender.Send(t.Context(), code); err != nil || len(shown) != 1 || shown[0] != code {
		t.Errorf("%v, %+v", err, shown)
	}
	m := code
	m.To = "nobody"
	if err := sender.Send(t.Context(), m); !errors.Is(err, mail.ErrAddress) || len(shown) != 1 {
		t.Errorf("%v, %+v", err, shown)
	}
}
