package main

import (
	"errors"
	"fmt"

	"github.com/countersign/countersign/client"
)

type accountCmd struct {
	List    accountListCmd    `cmd:"" help:"List accounts."`
	Show    accountShowCmd    `cmd:"" help:"Show one account: by its id, or by what a provider calls the person."`
	Disable accountDisableCmd `cmd:"" help:"Disable an account: no sign-in, no refresh, at once."`
	Enable  accountEnableCmd  `cmd:"" help:"Undo disable. Sessions that were not ended work again."`
}

type accountListCmd struct {
	remote
	After string `placeholder:"ID" help:"Go on after this account."`
	Limit int    `default:"50" help:"How many, 1 to 200."`
}

// Run lists one page.
func (l *accountListCmd) Run(c *console) error {
	api, err := l.client("accounts.read")
	if err != nil {
		return err
	}
	page, err := api.Accounts(c.ctx, client.Page{After: l.After, Limit: l.Limit})
	if err != nil {
		return l.explain(err)
	}
	if l.JSON {
		return printJSON(c.out, page)
	}
	t := table{header: []string{"ID", "STATE", "SINCE"}}
	for _, a := range page.Accounts {
		t.add(a.ID, a.State, shown(a.CreatedAt))
	}
	if err := t.print(c.out, "No account yet: the first sign-in makes one."); err != nil {
		return err
	}
	if page.Next != "" {
		_, err = fmt.Fprintf(c.err, "There are more: countersign account list --after %s\n", page.Next)
	}
	return err
}

type accountShowCmd struct {
	remote
	ID      string `arg:"" optional:"" help:"The account's id, acc_...: the sub of its tokens."`
	Issuer  string `placeholder:"URL" help:"Instead of the id: the provider's issuer, with --subject."`
	Subject string `placeholder:"SUB" help:"What that provider calls the person: the sub of its id_tokens."`
}

var errWhichAccount = errors.New("name the account: by its id, or with --issuer and --subject")

// Run shows one account with its identities.
func (s *accountShowCmd) Run(c *console) error {
	byIdentity := s.Issuer != "" && s.Subject != ""
	if (s.ID != "") == byIdentity || (s.Issuer != "") != (s.Subject != "") {
		return errWhichAccount
	}
	api, err := s.client("accounts.read")
	if err != nil {
		return err
	}
	var a *client.Account
	if byIdentity {
		a, err = api.AccountByIdentity(c.ctx, s.Issuer, s.Subject)
	} else {
		a, err = api.Account(c.ctx, s.ID)
	}
	if err != nil {
		return s.explain(err)
	}
	if s.JSON {
		return printJSON(c.out, a)
	}
	_, _ = fmt.Fprintf(c.out, "%s  %s  since %s\n\n", a.ID, a.State, shown(a.CreatedAt))
	t := table{header: []string{"IDENTITY", "PROVIDER", "SUBJECT", "E-MAIL", "NAME", "LAST USED"}}
	for _, i := range a.Identities {
		t.add(i.ID, i.Provider, i.Subject, i.Email, i.Name, shown(i.LastUsedAt))
	}
	return t.print(c.out, "No identity: nobody can sign in to it.")
}

type accountDisableCmd struct {
	remote
	ID string `arg:"" help:"The account's id, acc_..."`
}

// Run disables an account.
func (d *accountDisableCmd) Run(c *console) error {
	api, err := d.client("accounts.write")
	if err != nil {
		return err
	}
	a, err := api.DisableAccount(c.ctx, d.ID)
	return d.report(c, a, err)
}

type accountEnableCmd struct {
	remote
	ID string `arg:"" help:"The account's id, acc_..."`
}

// Run enables an account.
func (e *accountEnableCmd) Run(c *console) error {
	api, err := e.client("accounts.write")
	if err != nil {
		return err
	}
	a, err := api.EnableAccount(c.ctx, e.ID)
	return e.report(c, a, err)
}

func (r *remote) report(c *console, a *client.Account, err error) error {
	if err != nil {
		return r.explain(err)
	}
	if r.JSON {
		return printJSON(c.out, a)
	}
	_, err = fmt.Fprintf(c.out, "%s is %s.\n", a.ID, a.State)
	return err
}
