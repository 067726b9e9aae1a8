package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Session is an account signed in on one device.
type Session struct {
	ID                string    `json:"id"` // "ses_…", the sid of tokens
	AccountID         string    `json:"account_id"`
	ClientID          string    `json:"client_id"`
	DeviceName        string    `json:"device_name"`
	Live              bool      `json:"live"`       // may be used now
	State             string    `json:"state"`      // "live", "ended" or "expired"; a live one is unusable while its account is disabled
	EndReason         string    `json:"end_reason"` // "sign_out", "user", "admin", "reuse" or "unlink"
	Tier              string    `json:"tier"`       // "bound", "bearer" or "stable"
	Scope             string    `json:"scope"`
	Resources         []string  `json:"resources"`
	CreatedAt         time.Time `json:"created_at"`
	IdleExpiresAt     time.Time `json:"idle_expires_at,omitzero"`
	AbsoluteExpiresAt time.Time `json:"absolute_expires_at,omitzero"` // zero: none
	EndedAt           time.Time `json:"ended_at,omitzero"`            // zero while live
}

// AccountSessions lists the live sessions of an account, newest first; with ended set, also those that ended or expired
// and are still remembered (90 days). Scope: sessions.read.
func (c *Client) AccountSessions(ctx context.Context, accountID string, ended bool) ([]Session, error) {
	q := url.Values{}
	if ended {
		q.Set("ended", "true")
	}
	var out struct {
		Sessions []Session `json:"sessions"`
	}
	err := c.call(ctx, http.MethodGet, path("accounts", accountID, "sessions"), q, nil, &out)
	return out.Sessions, err
}

// EndAccountSessions ends all sessions of an account and returns how many there were. Scope: sessions.write.
func (c *Client) EndAccountSessions(ctx context.Context, accountID string) (int, error) {
	var out struct {
		Ended int `json:"ended"`
	}
	err := c.call(ctx, http.MethodDelete, path("accounts", accountID, "sessions"), nil, nil, &out)
	return out.Ended, err
}

// Session reads one session. Scope: sessions.read.
func (c *Client) Session(ctx context.Context, id string) (*Session, error) {
	var out Session
	if err := c.call(ctx, http.MethodGet, path("sessions", id), nil, nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// EndSession ends one session. One that is over already is no error. Scope: sessions.write.
func (c *Client) EndSession(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, path("sessions", id), nil, nil, nil)
}
