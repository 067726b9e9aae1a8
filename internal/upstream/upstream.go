// Package upstream judges id_tokens of providers: one frozen, strict verifier per provider, its issuer spellings,
// keys URL and algorithms pinned. Nothing in a token causes discovery or a fetch of a token-supplied address.
package upstream

import (
	"context"
	"errors"
	"time"

	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/jose"
)

// The verdicts.
var (
	// ErrToken is wrapped by Refusal.
	ErrToken = errors.New("id_token refused")
	// ErrUnavailable: the provider's keys cannot be had right now, or an unknown kid came while refetching is
	// throttled. It is no verdict about the token.
	ErrUnavailable = errors.New("the provider's keys are not available right now")
)

// Refusal is a verdict with a sentence the app's developer can act on. It wraps ErrToken.
type Refusal struct{ Description string }

func (r *Refusal) Error() string { return r.Description }
func (r *Refusal) Unwrap() error { return ErrToken }

// Settings of one provider, from configuration.
type Settings struct {
	Name    string
	Type    string     // google | apple | oidc
	Issuer  string     // oidc only; google's and apple's are built in
	Standin string     // base URL of a stand-in, loopback only; replaces hosts of endpoints, not issuers
	JWKSURI string     // oidc: empty means discovery at the configured issuer, once, lazily
	Algs    []jose.Alg // oidc: empty means RS256 and ES256
	// Apple only.
	TeamID, KeyID string
	PrivateKeyPEM []byte
}

// Provider verifies tokens of one provider.
type Provider struct{}

// New freezes a provider. It fetches nothing yet; Run keeps its keys fresh.
func New(s Settings, f *fetch.Client, now func() time.Time) (*Provider, error) { panic("unbuilt") }

// Name returns the configured name.
func (p *Provider) Name() string { panic("unbuilt") }

// Issuers returns the accepted spellings of iss; the first is canonical.
func (p *Provider) Issuers() []string { panic("unbuilt") }

// Run fetches keys ahead of their expiry until ctx ends.
func (p *Provider) Run(ctx context.Context) { panic("unbuilt") }

// Expect is what the caller demands of a token.
type Expect struct {
	Audiences []string
	AZP       []string // empty: azp is not checked beyond OIDC Core §3.1.3.7
	Nonce     string   // ours; compared raw, as lowercase hex SHA-256 and as base64url SHA-256
	// WithoutNonce accepts a token that carries no nonce, not older than 5 min. It is wrong wherever the
	// provider's SDK can carry one.
	WithoutNonce bool
	ProviderCode string // Apple's authorization code; c_hash must match if present
	Now          time.Time
}

// Subject is what a verified token says.
type Subject struct {
	Provider      string
	Issuer        string // canonical
	Subject       string
	Audience      string // the accepted audience it matched
	Email         string
	EmailVerified bool
	Name          string
	AuthTime      time.Time // zero if not sent
	IssuedAt      time.Time
}

// Verify checks the token. Age over 10 min, iat over 60 s ahead, missing exp or sub, foreign audience, wrong nonce
// are refusals.
func (p *Provider) Verify(ctx context.Context, raw string, e Expect) (*Subject, error) {
	panic("unbuilt")
}

// AppleGrant is what Apple gives for an authorization code.
type AppleGrant struct {
	RefreshToken string
	Subject      string
}

// RedeemAppleCode redeems Apple's authorization code with a client secret minted for clientID (apple.md §3, §8).
// ErrToken: Apple refused it for good; ErrUnavailable: try again.
func (p *Provider) RedeemAppleCode(ctx context.Context, clientID, code string) (*AppleGrant, error) {
	panic("unbuilt")
}

// Set is all configured providers.
type Set struct{}

// NewSet indexes providers by issuer; two providers with one issuer are an error.
func NewSet(providers ...*Provider) (*Set, error) { panic("unbuilt") }

// ByIssuer returns the provider with this exact issuer spelling.
func (s *Set) ByIssuer(iss string) (*Provider, bool) { panic("unbuilt") }

// ByName returns the provider with this name.
func (s *Set) ByName(name string) (*Provider, bool) { panic("unbuilt") }
