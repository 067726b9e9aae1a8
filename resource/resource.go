package resource

import (
	"context"
	"net/http"
	"time"
)

// Config of a Verifier. Issuer and Audience are required.
type Config struct {
	Issuer   string // exact, e.g. https://login.example
	Audience string // this app server's own, e.g. https://api.example.com
	JWKSURL  string // empty: Issuer + /jwks
	// DPoP
	BaseURL      string // the app server's own URL as its clients see it; the htu of proofs is built from it
	RequireDPoP  bool   // refuse bearer tokens
	RequireNonce bool   // ask every proof for a nonce of ours
	// Introspection, optional: asked after the local checks.
	IntrospectionURL string
	ResourceID       string
	ResourceSecret   string

	Leeway     time.Duration // zero: 30 s; at most 60 s
	HTTPClient *http.Client
	Now        func() time.Time
}

// Verifier checks access tokens. Safe for concurrent use.
type Verifier struct{}

// New makes a Verifier. It fetches nothing yet.
func New(c Config) (*Verifier, error) { panic("unbuilt") }

// Token is a checked access token.
type Token struct {
	Subject   string
	ClientID  string
	SessionID string
	Scope     []string
	ExpiresAt time.Time
	AuthTime  time.Time
	JKT       string
}

// Middleware lets requests through that carry a valid token with all the scopes.
func (v *Verifier) Middleware(scopes ...string) func(http.Handler) http.Handler { panic("unbuilt") }

// FromContext returns the token Middleware checked.
func FromContext(ctx context.Context) (*Token, bool) { panic("unbuilt") }
