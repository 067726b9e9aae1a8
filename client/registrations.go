package client

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// RegistrationToken is an initial access token (RFC 7591 §3): whoever holds it may register clients.
type RegistrationToken struct {
	ID        string    `json:"id"` // "irt_…"
	Name      string    `json:"name"`
	UsesLeft  int       `json:"uses_left"`
	Live      bool      `json:"live"` // a client may register with it now
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	Token     string    `json:"token,omitempty"` // "cs_irt_…"; only of CreateRegistrationToken, and never to be had again
}

// CreateRegistrationToken makes an initial access token for a number of clients (1 to 10000) and a time (whole seconds, at
// most 366 days). Its Token is shown this once. Scope: clients.write.
func (c *Client) CreateRegistrationToken(ctx context.Context, name string, uses int, life time.Duration) (*RegistrationToken, error) {
	if life%time.Second != 0 {
		return nil, errors.New("countersign: the life of a registration token is in whole seconds")
	}
	in := struct {
		Name      string `json:"name"`
		Uses      int    `json:"uses"`
		ExpiresIn int64  `json:"expires_in"`
	}{name, uses, int64(life / time.Second)}
	var out RegistrationToken
	if err := c.call(ctx, http.MethodPost, path("registration-tokens"), nil, in, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// RegistrationTokens lists all, newest first, without their secrets; those that are over are kept for a week. Scope:
// clients.read.
func (c *Client) RegistrationTokens(ctx context.Context) ([]RegistrationToken, error) {
	var out struct {
		Tokens []RegistrationToken `json:"registration_tokens"`
	}
	err := c.call(ctx, http.MethodGet, path("registration-tokens"), nil, nil, &out)
	return out.Tokens, err
}

// DeleteRegistrationToken takes one away at once. The clients that registered with it stay. Scope: clients.write.
func (c *Client) DeleteRegistrationToken(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, path("registration-tokens", id), nil, nil, nil)
}

// RegisteredClient is a client that no configuration file declares.
type RegisteredClient struct {
	ID           string    `json:"id"`
	Name         string    `json:"name"`          // what it calls itself; nobody checked that
	Type         string    `json:"type"`          // "native", "browser", "web" or "service"
	RegisteredBy string    `json:"registered_by"` // "token", "anybody", or "document": its id is the address of its metadata
	Unverified   bool      `json:"unverified"`    // people are told that nobody checked it
	State        string    `json:"state"`         // "live" or "disabled"
	RegisteredAt time.Time `json:"registered_at,omitzero"`
	LastUsedAt   time.Time `json:"last_used_at,omitzero"` // roughly; zero: never

	RedirectURIs []string `json:"redirect_uris,omitempty"` // this and the following only where one client was asked for
	Scopes       []string `json:"scopes,omitempty"`
	HomeURI      string   `json:"client_uri,omitempty"`
}

// RegisteredClientPage is some registered clients in the order of their ids.
type RegisteredClientPage struct {
	Clients []RegisteredClient `json:"clients"`
	Next    string             `json:"next"` // After of the next page; empty on the last
}

// RegisteredClients lists the clients that registered themselves. Scope: clients.read.
func (c *Client) RegisteredClients(ctx context.Context, p Page) (*RegisteredClientPage, error) {
	var out RegisteredClientPage
	if err := c.call(ctx, http.MethodGet, path("clients"), p.query(), nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// RegisteredClient reads one. Scope: clients.read.
func (c *Client) RegisteredClient(ctx context.Context, id string) (*RegisteredClient, error) {
	var out RegisteredClient
	if err := c.call(ctx, http.MethodGet, clientPath(id), nil, nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// DeleteRegisteredClient deletes a client that registered itself, with its sessions. One whose id is the address of its
// document comes back when somebody uses it again: disable that instead. Scope: clients.write.
func (c *Client) DeleteRegisteredClient(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, clientPath(id), nil, nil, nil)
}
