// Package accesstoken judges access tokens of ours (RFC 9068): the one check that resource servers, /userinfo,
// /account, introspection and revocation share. It is pure evidence: what a session's row says is not its business.
package accesstoken

import (
	"context"
	"crypto"
	"errors"
	"time"

	"github.com/countersign/countersign/internal/jose"
)

// ErrInvalid is wrapped by every refusal.
var ErrInvalid = errors.New("access token refused")

// Token is a verified access token.
type Token struct {
	Issuer    string
	Subject   string
	Audience  string
	ClientID  string
	SessionID string // `sid`; empty for client credentials
	Scope     []string
	JTI       string
	JKT       string // cnf.jkt; empty for a bearer token
	IssuedAt  time.Time
	ExpiresAt time.Time
	AuthTime  time.Time // zero if unproven
	ACR       string
	AMR       []string
}

// KeyFunc returns the key the issuer publishes under kid for alg; an unknown kid is an error.
type KeyFunc func(ctx context.Context, kid string, alg jose.Alg) (crypto.PublicKey, error)

// Checker holds what every check needs. Audience nil means any audience and is for the issuer alone.
type Checker struct {
	Issuer   string
	Audience []string
	Keys     KeyFunc
	Leeway   time.Duration // at most 60 s
}

// Check verifies typ at+jwt, ES256 or RS256, issuer, audience, exp, nbf, iat and the required claims.
func (c *Checker) Check(ctx context.Context, raw string, now time.Time) (*Token, error) {
	panic("unbuilt")
}
