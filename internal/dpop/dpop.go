// Package dpop judges DPoP proofs (RFC 9449) and mints the stateless nonces that make them survive a wrong clock.
// It imports no store: keys and memory come as funcs and values.
package dpop

import (
	"context"
	"errors"
	"time"
)

// The verdicts. Both are wrapped with the reason.
var (
	ErrInvalid  = errors.New("invalid DPoP proof")
	ErrUseNonce = errors.New("a DPoP proof with a fresh nonce of ours is needed")
)

// Request is what a proof must fit.
type Request struct {
	Proofs      []string // every DPoP header of the request; more than one is refused
	Method      string
	URL         string // from configuration, never from request headers
	AccessToken string // non-empty at a resource: ath is then required
	Now         time.Time
}

// Proof is a verified proof.
type Proof struct {
	JKT       string
	JTI       string
	ExpiresAt time.Time // when it stops being acceptable: how long its jti must be remembered
}

// Verifier checks proofs.
type Verifier struct {
	Nonces *Nonces
	Window time.Duration // around iat for proofs without a fresh nonce; zero: 60 s
}

// Verify checks RFC 9449 §4.3 points 1 to 11. It does not remember the jti: see Replay.
func (v *Verifier) Verify(ctx context.Context, r Request) (*Proof, error) { panic("unbuilt") }

// Nonces mints and checks nonces: a time and a MAC, nothing stored, shared by all nodes that share the keys.
type Nonces struct {
	Key     func(id uint32) ([]byte, bool) // by key id
	Current func() uint32
	TTL     time.Duration // zero: 5 min
}

// Mint returns a nonce for now. Nonces of one second and key are the same string.
func (n *Nonces) Mint(now time.Time) string { panic("unbuilt") }

// NonceState is what a nonce turned out to be.
type NonceState int

// The states.
const (
	NonceForged NonceState = iota
	NonceOld               // ours, older than TTL
	NonceFresh
)

// Check judges a nonce.
func (n *Nonces) Check(nonce string, now time.Time) NonceState { panic("unbuilt") }

// Replay remembers jtis as long as their proofs are acceptable. Memory is bounded: when full of live entries it
// refuses new ones rather than forgetting.
type Replay struct{}

// NewReplay makes a memory of at most max entries.
func NewReplay(max int) *Replay { panic("unbuilt") }

// First tells whether (jkt, jti) is seen for the first time, and remembers it until the given time.
func (r *Replay) First(jkt, jti string, until, now time.Time) bool { panic("unbuilt") }

// Prover makes proofs, for clients and tests.
type Prover struct{}

// NewProver makes a prover with a fresh P-256 key.
func NewProver() (*Prover, error) { panic("unbuilt") }

// JKT is the thumbprint of its key.
func (p *Prover) JKT() string { panic("unbuilt") }

// Proof makes a proof; nonce and accessToken may be empty.
func (p *Prover) Proof(method, url, nonce, accessToken string, now time.Time) (string, error) {
	panic("unbuilt")
}
