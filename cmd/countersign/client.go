package main

import (
	"fmt"
	"strings"

	"github.com/countersign/countersign/client"
)

type clientCmd struct {
	List    clientListCmd    `cmd:"" help:"List the clients that registered themselves. The others are in the configuration."`
	Show    clientShowCmd    `cmd:"" help:"Show one client that registered itself."`
	Disable clientDisableCmd `cmd:"" help:"Disable any client: no sign-in, no refresh, at once."`
	Enable  clientEnableCmd  `cmd:"" help:"Undo disable."`
	Delete  clientDeleteCmd  `cmd:"" help:"Delete a client that registered itself."`
}

type clientListCmd struct {
	remote
	After string `placeholder:"ID" help:"Go on after this client."`
	Limit int    `default:"50" help:"How many, 1 to 200."`
}

// Run lists one page.
func (l *clientListCmd) Run(c *console) error {
	api, err := l.client("clients.read")
	if err != nil {
		return err
	}
	page, err := api.RegisteredClients(c.ctx, client.Page{After: l.After, Limit: l.Limit})
	if err != nil {
		return l.explain(err)
	}
	if l.JSON {
		return printJSON(c.out, page)
	}
	t := table{header: []string{"ID", "NAME", "REGISTERED BY", "SINCE", "LAST USED", "STATE"}}
	for _, one := range page.Clients {
		t.add(one.ID, one.Name, registeredBy(one), shown(one.RegisteredAt), shown(one.LastUsedAt), one.State)
	}
	if err := t.print(c.out, "No client has registered itself."); err != nil {
		return err
	}
	if page.Next != "" {
		_, err = fmt.Fprintf(c.err, "There are more: countersign client list --after %s\n", page.Next)
	}
	return err
}

// registeredBy says who answers for a client.
func registeredBy(r client.RegisteredClient) string {
	switch r.RegisteredBy {
	case "token":
		return "initial access token"
	case "anybody":
		return "itself, not checked"
	case "document":
		return "its own document, not checked"
	}
	return r.RegisteredBy
}

type clientShowCmd struct {
	remote
	ID string `arg:"" help:"The client's id: a name, or the address of its document."`
}

// Run shows one client.
func (s *clientShowCmd) Run(c *console) error {
	api, err := s.client("clients.read")
	if err != nil {
		return err
	}
	one, err := api.RegisteredClient(c.ctx, s.ID)
	if err != nil {
		return s.explain(err)
	}
	if s.JSON {
		return printJSON(c.out, one)
	}
	t := table{header: []string{one.ID, one.State}}
	t.add("name", one.Name)
	t.add("type", one.Type)
	t.add("registered by", registeredBy(*one))
	t.add("since", shown(one.RegisteredAt))
	t.add("last used", shown(one.LastUsedAt))
	t.add("redirect URIs", strings.Join(one.RedirectURIs, " "))
	t.add("scopes", strings.Join(one.Scopes, " "))
	t.add("home page", one.HomeURI)
	return t.print(c.out, "")
}

type clientDisableCmd struct {
	remote
	ID string `arg:"" help:"The client's id."`
}

// Help is shown below the flags.
func (clientDisableCmd) Help() string {
	return `Everybody who uses the client is signed out at their next refresh. It stays disabled until "client enable", whatever
the configuration says.`
}

// Run disables a client.
func (d *clientDisableCmd) Run(c *console) error {
	api, err := d.client("clients.write")
	if err != nil {
		return err
	}
	return d.told(c, d.ID, "disabled", api.DisableClient(c.ctx, d.ID))
}

type clientEnableCmd struct {
	remote
	ID string `arg:"" help:"The client's id."`
}

// Run enables a client.
func (e *clientEnableCmd) Run(c *console) error {
	api, err := e.client("clients.write")
	if err != nil {
		return err
	}
	return e.told(c, e.ID, "enabled", api.EnableClient(c.ctx, e.ID))
}

type clientDeleteCmd struct {
	remote
	ID string `arg:"" help:"The client's id."`
}

// Help is shown below the flags.
func (clientDeleteCmd) Help() string {
	return `Its sessions end with it. A client whose id is the address of its document comes back when somebody uses it again:
disable it instead.`
}

// Run deletes a client.
func (d *clientDeleteCmd) Run(c *console) error {
	api, err := d.client("clients.write")
	if err != nil {
		return err
	}
	return d.told(c, d.ID, "deleted", api.DeleteRegisteredClient(c.ctx, d.ID))
}

// told says what became of a client.
func (r *remote) told(c *console, id, what string, err error) error {
	if err != nil {
		return r.explain(err)
	}
	if r.JSON {
		return printJSON(c.out, map[string]string{what: id})
	}
	_, err = fmt.Fprintf(c.out, "%s is %s.\n", id, what)
	return err
}
