package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/countersign/countersign/internal/oauth"
)

// Key is a key of the server, without its secret.
type Key struct {
	ID        uint32    `json:"id"`
	Kid       string    `json:"kid"` // as in /jwks; empty for data keys
	Use       string    `json:"use"` // "sign" or "data"
	Alg       string    `json:"alg"`
	State     string    `json:"state"` // "next", "active", "retired", "expired" or "dropped"
	CreatedAt time.Time `json:"created_at"`
	ActiveAt  time.Time `json:"active_at,omitzero"`  // from here on it is used for new tokens; zero: it never was
	RetiredAt time.Time `json:"retired_at,omitzero"` // from here on no longer; zero: no end is set
	// From here on no token of it is accepted, and a signing key is no longer in /jwks; zero: no end is set.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	DroppedAt time.Time `json:"dropped_at,omitzero"` // zero: it was not dropped
}

// Keys lists all keys, newest first. Scope: keys.read.
func (c *Client) Keys(ctx context.Context) ([]Key, error) {
	return c.keys(ctx, http.MethodGet, path("keys"), nil)
}

// RotateKeys lets the next key of every kind take over and returns all. The next keys are always published already; a
// signing key is used once that was a day ago, or with now set six minutes ago, when no cache of /jwks is without it.
// Usually both are true, and it is used at once. Scope: keys.write.
func (c *Client) RotateKeys(ctx context.Context, now bool) ([]Key, error) {
	return c.keys(ctx, http.MethodPost, path("keys", "rotate"), map[string]bool{"now": now})
}

func (c *Client) keys(ctx context.Context, method, path string, in any) ([]Key, error) {
	var out struct {
		Keys []Key `json:"keys"`
	}
	err := c.call(ctx, method, path, nil, in, &out)
	return out.Keys, err
}

// DropKey refuses a signing key within seconds, for the day it leaks. Access tokens it signed stop working; refresh
// tokens do not depend on it, so apps refresh and go on. The next key takes its place at once. Scope: keys.write.
func (c *Client) DropKey(ctx context.Context, kid string) error {
	return c.call(ctx, http.MethodDelete, path("keys", kid), nil, nil, nil)
}

// DisableClient makes a client unusable at once: no sign-in, no refresh. It stays so until EnableClient, whatever the
// configuration file says. Scope: clients.write.
func (c *Client) DisableClient(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodPost, clientPath(id, "disable"), nil, nil, nil)
}

// EnableClient undoes DisableClient. Scope: clients.write.
func (c *Client) EnableClient(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodPost, clientPath(id, "enable"), nil, nil, nil)
}

// clientPath is the path of a client, whose id may be an address.
func clientPath(id string, act ...string) string {
	return path(append([]string{"clients", oauth.Segment(id)}, act...)...)
}

// Event is one row of the audit trail.
type Event struct {
	At        time.Time `json:"at"`
	Action    string    `json:"action"` // "session.start", "session.end", "identity.link", "account.disable", …
	Actor     string    `json:"actor"`  // "account acc_…", "api-key key_…", "config", "system"
	AccountID string    `json:"account_id"`
	SessionID string    `json:"session_id"`
	ClientID  string    `json:"client_id"`
	Reason    string    `json:"reason"`
	RequestID string    `json:"request_id"`
	IP        string    `json:"ip"` // truncated: /24 or /48
}

// EventFilter says which events are wanted; empty fields match all.
type EventFilter struct {
	AccountID string
	SessionID string
	Limit     int // 1 to 200; zero: 50
}

// Events reads the audit trail, newest first. Scope: audit.read.
func (c *Client) Events(ctx context.Context, f EventFilter) ([]Event, error) {
	q := url.Values{}
	if f.AccountID != "" {
		q.Set("account", f.AccountID)
	}
	if f.SessionID != "" {
		q.Set("session", f.SessionID)
	}
	setLimit(q, f.Limit)
	var out struct {
		Events []Event `json:"events"`
	}
	err := c.call(ctx, http.MethodGet, path("events"), q, nil, &out)
	return out.Events, err
}
