package main

import (
	"fmt"
	"strings"

	"github.com/countersign/countersign/internal/app"
)

type apiKeyCmd struct {
	New    apiKeyNewCmd    `cmd:"" help:"Make a key. It is shown once."`
	List   apiKeyListCmd   `cmd:"" help:"List the keys, without their secrets."`
	Revoke apiKeyRevokeCmd `cmd:"" help:"End a key at once."`
}

type apiKeyNewCmd struct {
	configured
	Name  string   `required:"" help:"What the key is for; shown in lists and in the audit trail."`
	Scope []string `required:"" help:"What it may do; give it several times."`
	JSON  bool     `help:"Print JSON, for scripts."`
}

// Help is shown below the flags.
func (apiKeyNewCmd) Help() string {
	return "Needs the database and the master key, not a running server. Scopes: " + strings.Join(app.APIKeyScopes(), ", ") + "."
}

// Run makes a key.
func (k *apiKeyNewCmd) Run(c *console) error {
	if err := k.named(); err != nil {
		return err
	}
	cfg, err := k.load(c)
	if err != nil {
		return err
	}
	text, key, err := app.NewAPIKey(c.ctx, cfg, k.Name, k.Scope)
	if err != nil {
		return err
	}
	if k.JSON {
		return printJSON(c.out, map[string]any{"id": key.ID, "name": key.Name, "scopes": key.Scopes, "api_key": text})
	}
	_, _ = fmt.Fprintf(c.err, "Made %s. This is shown once; keep it where your app server keeps its secrets:\n", key.ID)
	_, err = fmt.Fprintln(c.out, text)
	return err
}

type apiKeyListCmd struct {
	configured
	JSON bool `help:"Print JSON, for scripts."`
}

// apiKeyRow is one key as scripts read it.
type apiKeyRow struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	Scopes     []string `json:"scopes"`
	CreatedAt  string   `json:"created_at"`
	LastUsedAt string   `json:"last_used_at,omitempty"`
	RevokedAt  string   `json:"revoked_at,omitempty"`
}

// Run lists the keys.
func (k *apiKeyListCmd) Run(c *console) error {
	cfg, err := k.load(c)
	if err != nil {
		return err
	}
	keys, err := app.APIKeys(c.ctx, cfg)
	if err != nil {
		return err
	}
	rows := make([]apiKeyRow, len(keys))
	t := table{header: []string{"ID", "NAME", "SCOPES", "MADE", "LAST USED", "STATE"}}
	for i, key := range keys {
		rows[i] = apiKeyRow{
			key.ID.String(), key.Name, key.Scopes, stamp(key.CreatedAt), stamp(key.LastUsedAt), stamp(key.RevokedAt),
		}
		state := "live"
		if !key.RevokedAt.IsZero() {
			state = "revoked " + shown(key.RevokedAt)
		}
		t.add(key.ID.String(), key.Name, strings.Join(key.Scopes, " "), shown(key.CreatedAt), shown(key.LastUsedAt), state)
	}
	if k.JSON {
		return printJSON(c.out, rows)
	}
	return t.print(c.out, "No API key yet. Make one with: countersign api-key new --name NAME --scope accounts.read")
}

type apiKeyRevokeCmd struct {
	configured
	ID string `arg:"" help:"The key's id, key_...; api-key list shows it."`
}

// Run revokes a key.
func (k *apiKeyRevokeCmd) Run(c *console) error {
	cfg, err := k.load(c)
	if err != nil {
		return err
	}
	if err := app.RevokeAPIKey(c.ctx, cfg, k.ID); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "Revoked %s.\n", k.ID)
	return err
}
