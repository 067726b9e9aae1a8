package resource

import (
	"context"
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
	JKT       string    // RFC 7638 thumbprint of the key it is bound to; empty for a bearer token
}

// HasScope tells whether the token carries the scope.
func (t *Token) HasScope(scope string) bool { return slices.Contains(t.Scope, scope) }

func tokenFrom(t *accesstoken.Token) *Token {
	return &Token{
		Subject: t.Subject, ClientID: t.ClientID, SessionID: t.SessionID, Scope: t.Scope,
		ExpiresAt: t.ExpiresAt, AuthTime: t.AuthTime, JKT: t.JKT,
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
