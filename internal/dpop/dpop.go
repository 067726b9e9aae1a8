// Package dpop judges DPoP proofs (RFC 9449) and mints the stateless nonces that make them survive a wrong clock.
// It imports no store: keys and memory come as funcs and values.
package dpop

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/jose"
)

// The verdicts. Both are wrapped with the reason.
var (
	ErrInvalid  = errors.New("invalid DPoP proof")
	ErrUseNonce = errors.New("a DPoP proof with a fresh nonce of ours is needed")
)

const (
	proofTyp      = "dpop+jwt"
	maxProofBytes = 8 << 10 // an RSA key of 4096 bits and its signature take a fifth of it
	maxJTIBytes   = 256
	defaultWindow = 60 * time.Second
	// maxMemory bounds how long the jti of a proof that goes with no access token is remembered when the phone's clock
	// is ahead.
	maxMemory = time.Hour
)

// Request is what a proof must fit.
type Request struct {
	Proofs      []string // every DPoP header of the request; more than one is refused
	Method      string
	URL         string // from configuration, never from request headers
	AccessToken string // non-empty at a resource: ath is then required
	// TokenUntil is when that access token stops being accepted: afterwards nothing is left to replay its proofs with.
	// Zero: in an hour.
	TokenUntil time.Time
	Now        time.Time
}

// Proof is a verified proof.
type Proof struct {
	JKT       string
	JTI       string
	Alg       jose.Alg  // it is signed with
	IssuedAt  time.Time // by the client's clock, which a fresh nonce lets be wrong
	ExpiresAt time.Time // when it stops being acceptable: how long its jti must be remembered
}

// Verifier checks proofs.
type Verifier struct {
	Nonces       *Nonces       // nil: no nonce is asked for, and one that comes is ignored
	Window       time.Duration // around iat for proofs without a fresh nonce; zero: 60 s
	RequireNonce bool          // accept only proofs with a fresh nonce, whatever their iat
}

// Verify checks RFC 9449 §4.3 points 1 to 11, and ath of point 12. It does not remember the jti: see Replay. That
// the key is the one a token is bound to is for the caller to compare.
func (v *Verifier) Verify(ctx context.Context, r Request) (*Proof, error) {
	if len(r.Proofs) != 1 { // point 1
		return nil, invalid("the request has %d DPoP headers, not one", len(r.Proofs))
	}
	claims, alg, jkt, err := open(ctx, r.Proofs[0])
	if err != nil {
		return nil, err
	}
	c, err := readClaims(claims)
	if err != nil {
		return nil, err
	}
	if c.htm != r.Method { // point 8; methods are case-sensitive (RFC 9110 §9.1)
		return nil, invalid("htm is not %s", r.Method)
	}
	if !sameURL(c.htu, r.URL) { // point 9
		return nil, invalid("htu is not %s", r.URL)
	}
	if r.AccessToken != "" { // point 12
		if err := checkATH(c.ath, r.AccessToken); err != nil {
			return nil, err
		}
	}
	limit := r.TokenUntil
	if limit.IsZero() {
		limit = r.Now.Add(maxMemory)
	}
	until, err := v.fresh(c, r.Now, limit)
	if err != nil {
		return nil, err
	}
	return &Proof{JKT: jkt, JTI: c.jti, Alg: alg, IssuedAt: c.iat, ExpiresAt: until}, nil
}

// open checks points 2 and 4 to 7: the token and its signature under the key it carries.
func open(ctx context.Context, raw string) (claims jose.Claims, alg jose.Alg, jkt string, err error) {
	policy := jose.Policy{
		Algs: []jose.Alg{jose.ES256, jose.RS256, jose.PS256, jose.EdDSA}, Typ: proofTyp, MaxBytes: maxProofBytes,
	}
	claims, h, err := jose.Verify(ctx, raw, policy, ownKey)
	if err != nil {
		return claims, "", "", invalid("%w", err)
	}
	if jkt, err = h.JWK.Thumbprint(); err != nil {
		return claims, "", "", invalid("%w", err)
	}
	return claims, h.Alg, jkt, nil
}

func ownKey(_ context.Context, h jose.Header) (crypto.PublicKey, error) {
	if h.JWK == nil {
		return nil, errors.New("the header has no jwk")
	}
	return h.JWK.Key, nil
}

// proofClaims are the claims of RFC 9449 §4.2.
type proofClaims struct {
	jti, htm, htu string
	iat           time.Time
	nonce, ath    string
	hasNonce      bool
}

// readClaims checks point 3: all that must be there is, in its type.
func readClaims(claims jose.Claims) (c proofClaims, err error) {
	for name, into := range map[string]*string{"jti": &c.jti, "htm": &c.htm, "htu": &c.htu} {
		if *into, _, err = claims.String(name); err != nil || *into == "" {
			return c, invalid("%s is missing or no string", name)
		}
	}
	if len(c.jti) > maxJTIBytes {
		return c, invalid("jti is longer than %d bytes", maxJTIBytes)
	}
	var hasIAT bool
	if c.iat, hasIAT, err = claims.Time("iat"); err != nil || !hasIAT {
		return c, invalid("iat is missing or no number of seconds")
	}
	if c.nonce, c.hasNonce, err = claims.String("nonce"); err != nil {
		return c, invalid("nonce is no string")
	}
	if c.ath, _, err = claims.String("ath"); err != nil {
		return c, invalid("ath is no string")
	}
	return c, nil
}

func checkATH(got, accessToken string) error {
	want := accessTokenHash(accessToken)
	if subtle.ConstantTimeCompare([]byte(got), []byte(want)) != 1 {
		return invalid("ath is missing or not the hash of the access token")
	}
	return nil
}

// accessTokenHash is ath (RFC 9449 §4.2).
func accessTokenHash(accessToken string) string {
	sum := sha256.Sum256([]byte(accessToken))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// fresh checks points 10 and 11 and tells how long the proof stays acceptable, at most until the limit. A fresh nonce of
// ours stands in for the phone's clock; without one the clock must be right (RFC 9449 §8, §11.1).
func (v *Verifier) fresh(c proofClaims, now, limit time.Time) (until time.Time, err error) {
	window := v.Window
	if window == 0 {
		window = defaultWindow
	}
	inWindow := now.Sub(c.iat).Abs() <= window
	if v.Nonces == nil {
		if !inWindow {
			return until, invalid("iat is more than %v away from our clock", window)
		}
		return c.iat.Add(window), nil
	}
	state, nonceUntil := NonceOld, time.Time{}
	if c.hasNonce {
		state, nonceUntil = v.Nonces.judge(c.nonce, now)
	}
	switch {
	case state == NonceForged:
		return until, fmt.Errorf("%w: the nonce is not one of ours", ErrUseNonce)
	case state == NonceFresh && v.RequireNonce:
		return nonceUntil, nil
	case state == NonceFresh:
		return rememberUntil(c.iat.Add(window), nonceUntil, limit), nil
	case v.RequireNonce:
		return until, fmt.Errorf("%w: the nonce is missing or old", ErrUseNonce)
	case !inWindow:
		return until, fmt.Errorf("%w: iat is more than %v away from our clock", ErrUseNonce, window)
	}
	return c.iat.Add(window), nil
}

// rememberUntil: a proof outlives its nonce where the time of its iat is still to come or not long past.
func rememberUntil(byClock, byNonce, limit time.Time) time.Time {
	if byClock.After(limit) {
		byClock = limit
	}
	if byClock.After(byNonce) {
		return byClock
	}
	return byNonce
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}
