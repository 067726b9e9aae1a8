package app

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"

	"github.com/countersign/countersign/internal/clientauth"
	"github.com/countersign/countersign/internal/config"
	"github.com/countersign/countersign/internal/flow"
	"github.com/countersign/countersign/internal/mail"
	"github.com/countersign/countersign/internal/pages"
	"github.com/countersign/countersign/internal/passkey"
	"github.com/countersign/countersign/internal/token"
	"github.com/countersign/countersign/internal/upstream"
)

// hosted is what the pages need beside the services that all doors share.
type hosted struct {
	look     *pages.Look
	mailer   *mail.Sender // nil: there is no mail server, and codes must not go to the log
	passkeys *passkey.Verifier
}

func newHosted(c *config.Config, log *slog.Logger) (h hosted, err error) {
	if h.look, err = pages.NewLook(c.Pages.Folder); err != nil {
		return h, err
	}
	name := c.Pages.Name
	if name == "" {
		name = "Countersign"
	}
	// Browsers make passkeys for names only: where the issuer is an address, as in a test, there are none.
	if h.passkeys, err = passkey.New(c.Issuer, name); err != nil && !errors.Is(err, passkey.ErrIssuer) {
		return h, fmt.Errorf("passkeys: %w", err)
	}
	h.mailer, err = newMailer(c, log)
	return h, err
}

// newMailer sends mail by the configured server. Where nobody beyond this machine is served there may be none: then the
// mail is written to the log, code and all.
func newMailer(c *config.Config, log *slog.Logger) (*mail.Sender, error) {
	if c.Mail.On() {
		_, port, err := net.SplitHostPort(c.Mail.Address())
		if err != nil {
			return nil, fmt.Errorf("mail: %w", err)
		}
		number, err := strconv.Atoi(port)
		if err != nil {
			return nil, fmt.Errorf("mail: %w", err)
		}
		return mail.New(mail.Settings{
			Host: c.Mail.Host, Port: number, Username: c.Mail.Username, Password: string(c.Mail.Password),
			From: c.Mail.From, TLS: c.Mail.Protection(),
		})
	}
	if !c.MailToLog() {
		return nil, nil
	}
	return mail.ToLog(func(m mail.Message) {
		log.Warn("there is no mail server: this would have been sent", "to", m.To, "subject", m.Subject)
	}), nil
}

// trips is the rule behind the pages.
func (a *App) trips(clients *clientauth.Service, tokens *token.Service) *flow.Service {
	limits := a.config.Limits
	return &flow.Service{
		Issuer: a.config.Issuer, DB: a.db, Keys: a.ring, Catalog: a.catalog.Load, Clients: clients, SignIn: a.signIn,
		Tokens: tokens, Providers: a.signIn.Providers, Passkeys: a.hosted.passkeys, Mail: a.hosted.mailer,
		Letters: a.hosted.look.Letter, MailsPerHour: limits.EmailCodesPerHour, MailsAskedPerHour: limits.EmailCodesAskedPerHour,
		GuessesPerHour: limits.DeviceGuessesPerHour, Trips: flow.NewTripLimit(limits.TripsPerMinute),
		Fetch: a.documents,
	}
}

// button says how a provider is called on the login page, and whose mark it has.
func (a *App) button(provider string) (label, typ string) {
	for i := range a.config.Providers {
		if p := &a.config.Providers[i]; p.Name == provider {
			if p.Label != "" {
				return p.Label, p.Type
			}
			return upstream.Title(p.Type), p.Type
		}
	}
	return "", ""
}
