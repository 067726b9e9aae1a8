package mail

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// helo is the name we give ourselves. The machine's own is nobody's affair, and a literal is always true enough
// (RFC 5321 §4.1.4).
const helo = "[127.0.0.1]"

// deliver opens a connection, hands over the message and closes.
func (s *Sender) deliver(ctx context.Context, m Message) error {
	msg, err := s.compose(m)
	if err != nil {
		return err
	}
	client, err := s.client(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFailed, err)
	}
	connection, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return s.failed(ctx, err)
	}
	defer func() { _ = client.CloseWithSMTPClient(connection) }()
	// The message may be accepted and the goodbye fail: sent is sent.
	if err := client.SendWithSMTPClient(connection, msg); err != nil && !msg.IsDelivered() {
		return s.failed(ctx, err)
	}
	return nil
}

func (s *Sender) client(ctx context.Context) (*gomail.Client, error) {
	options := []gomail.Option{
		gomail.WithPort(s.settings.Port), gomail.WithHELO(helo), gomail.WithTimeout(timeout),
		gomail.WithTLSConfig(s.tlsConfig()), gomail.WithDialContextFunc(s.dial), gomail.WithoutNoop(),
	}
	switch s.settings.TLS {
	case Implicit:
		options = append(options, gomail.WithSSL())
	case None:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if s.settings.Username != "" {
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthPlain),
			gomail.WithUsername(s.settings.Username), gomail.WithPassword(s.settings.Password))
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return gomail.NewClient(s.settings.Host, options...)
}

// dial connects, and ties the connection to the context: the library looks at it while dialling only, and moves its
// deadline on with every step, which a server that answers a byte at a time could use for ever.
func (s *Sender) dial(ctx context.Context, network, address string) (net.Conn, error) {
	plain, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	until, _ := ctx.Deadline()
	tied := &conn{Conn: plain, until: until}
	if s.settings.TLS != Implicit {
		err = tied.SetDeadline(until)
		return tied, err
	}
	secure := tls.Client(tied, s.tlsConfig())
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = plain.Close()
		return nil, err
	}
	return secure, nil
}

// conn is a connection whose deadline is never later than until.
type conn struct {
	net.Conn
	until time.Time
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	if t.IsZero() || t.After(c.until) {
		t = c.until
	}
	return c.Conn.SetDeadline(t)
}

// failed sorts an error: final words about the recipient, and all others.
func (s *Sender) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w: %w", ErrFailed, ctx.Err(), err)
	}
	if refused(err) {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return fmt.Errorf("%w: %w", ErrFailed, err)
}

// refused tells whether the answer to RCPT says that there is no such mailbox, or that it takes no mail: 550 to 553
// (RFC 5321 §4.2.3), 556 (RFC 7504). Where a server says more (RFC 3463), only X.1 addressing and X.2 mailbox are about
// the recipient; X.7 is most often about us, such as a relay we may not use.
func refused(err error) bool {
	var sent *gomail.SendError
	if !errors.As(err, &sent) || sent.Reason != gomail.ErrSMTPRcptTo {
		return false
	}
	switch sent.ErrorCode() {
	case 550, 551, 552, 553, 556:
	default:
		return false
	}
	more := sent.EnhancedStatusCode()
	return more == "" || strings.HasPrefix(more, "5.1.") || strings.HasPrefix(more, "5.2.")
}

func messageID() string { return rand.Text() }

// Cause says what went wrong, for a log: the class of the failure and the server's reply code. Errors about a message name
// its recipient, and servers repeat it in their words; neither is for a log.
func Cause(err error) string {
	var sent *gomail.SendError
	switch {
	case errors.Is(err, ErrAddress):
		return ErrAddress.Error()
	case !errors.As(err, &sent):
		return err.Error() // before there was a message
	}
	class := ErrFailed
	if errors.Is(err, ErrRefused) {
		class = ErrRefused
	}
	text := fmt.Sprintf("%v: %v", class, sent.Reason)
	if code := sent.ErrorCode(); code > 0 {
		text = strings.TrimSpace(fmt.Sprintf("%s: %d %s", text, code, sent.EnhancedStatusCode()))
	}
	if errors.Is(err, context.DeadlineExceeded) {
		text += ": " + context.DeadlineExceeded.Error()
	}
	return text
}

// Unsure tells whether the server may have taken the message although it failed: it had all of it and did not say.
func Unsure(err error) bool {
	var sent *gomail.SendError
	return errors.As(err, &sent) && sent.Reason == gomail.ErrSMTPDataClose && sent.ErrorCode() == 0
}
