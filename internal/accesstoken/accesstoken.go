// Package accesstoken judges access tokens of ours (RFC 9068): the one check that resource servers, /userinfo,
// /account, introspection and revocation share. It is pure evidence: what a session's row says is not its business.
package accesstoken

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/jose"
)

var (
	// ErrInvalid is wrapped by every refusal.
	ErrInvalid = errors.New("access token refused")
	// ErrKeysUnavailable is for a KeyFunc to wrap when it cannot tell whether there is such a key: Check passes it on
	// as no verdict about the token.
	ErrKeysUnavailable = errors.New("the issuer's keys are not available right now")
)

const (
	maxLeeway   = 60 * time.Second
	maxJTIBytes = 256
)

// Token is a verified access token.
type Token struct {
	Issuer    string
	Subject   string
	Audience  string // the one that was accepted
	ClientID  string
	SessionID string // `sid`; empty for client credentials
	Scope     []string
	JTI       string
	JKT       string // cnf.jkt; empty: bound to no DPoP key
	X5T       string // cnf["x5t#S256"]; empty: bound to no certificate
	IssuedAt  time.Time
	ExpiresAt time.Time
	AuthTime  time.Time // zero if unproven
	ACR       string
	AMR       []string
	Details   json.RawMessage // authorization_details (RFC 9396 §9.1): a JSON array of objects; empty: none
}

// KeyFunc returns the key the issuer publishes under kid for alg; an unknown kid is an error.
type KeyFunc func(ctx context.Context, kid string, alg jose.Alg) (crypto.PublicKey, error)

// Checker holds what every check needs. Audience nil means any audience and is for the issuer alone; an empty list
// that is not nil accepts nothing.
type Checker struct {
	Issuer   string
	Audience []string
	Keys     KeyFunc
	Leeway   time.Duration // at most 60 s
}

// Check verifies typ at+jwt, ES256 or RS256, issuer, audience, exp, nbf, iat and the required claims (RFC 9068 §4).
func (c *Checker) Check(ctx context.Context, raw string, now time.Time) (*Token, error) {
	if c.Issuer == "" || c.Keys == nil || c.Audience != nil && len(c.Audience) == 0 {
		return nil, invalid("the checker has no issuer, no keys or no audience")
	}
	policy := jose.Policy{Algs: []jose.Alg{jose.ES256, jose.RS256}, Typ: "at+jwt"}
	claims, _, err := jose.Verify(ctx, raw, policy, c.key)
	if err != nil {
		return nil, verdict(err)
	}
	t, err := read(claims)
	if err != nil {
		return nil, err
	}
	if t.Issuer != c.Issuer {
		return nil, invalid("iss is not %s", c.Issuer)
	}
	if t.Audience, err = c.audience(claims); err != nil {
		return nil, err
	}
	if err := c.checkTimes(t, claims, now); err != nil {
		return nil, err
	}
	return t, nil
}

func (c *Checker) key(ctx context.Context, h jose.Header) (crypto.PublicKey, error) {
	if h.Kid == "" || h.JWK != nil {
		return nil, invalid("the header has no kid, or a key of its own") // we write the one and never the other
	}
	return c.Keys(ctx, h.Kid, h.Alg)
}

// verdict makes every error a refusal except those that say nothing about the token.
func verdict(err error) error {
	for _, passing := range []error{ErrInvalid, ErrKeysUnavailable, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, passing) {
			return err
		}
	}
	return invalid("%w", err)
}

// audience returns the first audience of the token that is accepted here.
func (c *Checker) audience(claims jose.Claims) (string, error) {
	list, _, err := claims.Strings("aud")
	if err != nil {
		return "", invalid("%w", err)
	}
	for _, aud := range list {
		if aud != "" && (c.Audience == nil || slices.Contains(c.Audience, aud)) {
			return aud, nil
		}
	}
	return "", invalid("aud is missing or none of ours")
}

func (c *Checker) checkTimes(t *Token, claims jose.Claims, now time.Time) error {
	leeway := min(max(c.Leeway, 0), maxLeeway)
	if !now.Before(t.ExpiresAt.Add(leeway)) {
		return invalid("it expired")
	}
	if t.IssuedAt.After(now.Add(maxLeeway)) {
		return invalid("iat is in the future")
	}
	notBefore, ok, err := claims.Seconds("nbf")
	if err != nil {
		return invalid("%w", err)
	}
	if ok && notBefore.After(now.Add(leeway)) {
		return invalid("nbf is in the future")
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}
