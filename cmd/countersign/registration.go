package main

import (
	"fmt"
	"time"

	"github.com/countersign/countersign/client"
	"github.com/countersign/countersign/internal/config"
)

type registrationTokenCmd struct {
	Create registrationTokenCreateCmd `cmd:"" help:"Make a token. It is shown once."`
	List   registrationTokenListCmd   `cmd:"" help:"List the tokens, without their secrets."`
	Delete registrationTokenDeleteCmd `cmd:"" help:"Take a token away at once. The clients it let in stay."`
}

type registrationTokenCreateCmd struct {
	remote
	Name    string          `required:"" help:"Whom the token is for; shown in lists and in the audit trail."`
	Uses    int             `default:"1" help:"How many clients may register with it, 1 to 10000."`
	Expires config.Lifetime `default:"24h" help:"How long it can be used, for example 30m, 24h or 90d; at most 366 days."`
}

// Help is shown below the flags.
func (registrationTokenCreateCmd) Help() string {
	return `Whoever holds an initial access token may register clients: POST /register with "Authorization: Bearer cs_irt_...". That
needs "registration" in the configuration. Clients that come with a token are shown to people like those of the
configuration, so give it to nobody you would not let in.`
}

// Run makes a token.
func (t *registrationTokenCreateCmd) Run(c *console) error {
	api, err := t.client("clients.write")
	if err != nil {
		return err
	}
	made, err := api.CreateRegistrationToken(c.ctx, t.Name, t.Uses, time.Duration(t.Expires))
	if err != nil {
		return t.explain(err)
	}
	if t.JSON {
		return printJSON(c.out, made)
	}
	_, _ = fmt.Fprintf(c.err, "Made %s, for %s until %s. This is shown once; hand it over on a way nobody else reads:\n",
		made.ID, count(made.UsesLeft, "client"), shown(made.ExpiresAt))
	_, err = fmt.Fprintln(c.out, made.Token)
	return err
}

type registrationTokenListCmd struct{ remote }

// Run lists the tokens.
func (l *registrationTokenListCmd) Run(c *console) error {
	api, err := l.client("clients.read")
	if err != nil {
		return err
	}
	tokens, err := api.RegistrationTokens(c.ctx)
	if err != nil {
		return l.explain(err)
	}
	if l.JSON {
		return printJSON(c.out, tokens)
	}
	t := table{header: []string{"ID", "NAME", "USES LEFT", "MADE", "EXPIRES", "STATE"}}
	for _, one := range tokens {
		t.add(one.ID, one.Name, fmt.Sprint(one.UsesLeft), shown(one.CreatedAt), shown(one.ExpiresAt), tokenState(one))
	}
	return t.print(c.out, "No initial access token. Make one with: countersign registration-token create --name NAME")
}

func tokenState(t client.RegistrationToken) string {
	switch {
	case t.Live:
		return "live"
	case t.UsesLeft == 0:
		return "used up"
	}
	return "expired"
}

type registrationTokenDeleteCmd struct {
	remote
	ID string `arg:"" help:"The token's id, irt_...; registration-token list shows it."`
}

// Run takes a token away.
func (d *registrationTokenDeleteCmd) Run(c *console) error {
	api, err := d.client("clients.write")
	if err != nil {
		return err
	}
	if err := api.DeleteRegistrationToken(c.ctx, d.ID); err != nil {
		return d.explain(err)
	}
	if d.JSON {
		return printJSON(c.out, map[string]string{"deleted": d.ID})
	}
	_, err = fmt.Fprintf(c.out, "Deleted %s. The clients that registered with it stay.\n", d.ID)
	return err
}
