package resource

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/accesstoken"
)

// Token is a checked access token.
type Token struct {
	Subject   string    // the account ("acc_…"); for client credentials the client
	ClientID  string    // the app
	SessionID string    // the session ("ses_…"); empty for client credentials
	Scope     []string  // granted, of this audience and about the person
	ExpiresAt time.Time // when it stops being accepted
	AuthTime  time.Time // when the person last proved who they are; zero if that is not known
	JKT       string    // RFC 7638 thumbprint of the key it is bound to; empty: none
	X5T       string    // RFC 8705 §3.1 thumbprint of the client certificate it is bound to; empty: none
	// Details are the authorization_details of this audience, a JSON array of objects (RFC 9396); empty: none.
	Details json.RawMessage
}

// DetailsOf are the token's authorization_details of one type, each a JSON object that the person agreed to as it is
// (RFC 9396). A request is allowed only if one of them allows it: what a member means is the type's, and so the app
// server's, to say.
func (t *Token) DetailsOf(typ string) []json.RawMessage {
	var entries, found []json.RawMessage
	if len(t.Details) == 0 || json.Unmarshal(t.Details, &entries) != nil {
		return nil
	}
	for _, entry := range entries {
		var named struct {
			Type string `json:"type"`
		}
		if json.Unmarshal(entry, &named) == nil && named.Type == typ {
			found = append(found, entry)
		}
	}
	return found
}

// HasScope tells whether the token carries the scope.
func (t *Token) HasScope(scope string) bool { return slices.Contains(t.Scope, scope) }

func tokenFrom(t *accesstoken.Token) *Token {
	return &Token{
		Subject: t.Subject, ClientID: t.ClientID, SessionID: t.SessionID, Scope: t.Scope,
		ExpiresAt: t.ExpiresAt, AuthTime: t.AuthTime, JKT: t.JKT, X5T: t.X5T,
		Details: t.Details,
	}
}

type contextKey struct{}

// FromContext returns the token Middleware checked; ok is false behind no Middleware.
func FromContext(ctx context.Context) (t *Token, ok bool) {
	t, ok = ctx.Value(contextKey{}).(*Token)
	return t, ok
}

// NewContext returns a context that carries the token, for tests of handlers and for middleware of your own around
// Verify.
func NewContext(ctx context.Context, t *Token) context.Context {
	return context.WithValue(ctx, contextKey{}, t)
}
