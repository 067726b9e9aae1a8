// Package upstream judges what providers say of a person: one frozen, strict verifier of id_tokens per provider, its
// issuer spellings, keys URL and algorithms pinned, and the trip of a browser to the provider and back, which ends at
// the same verifier. Nothing in a token causes discovery or a fetch of a token-supplied address.
package upstream

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/keyset"
)

// The verdicts.
var (
	// ErrToken is wrapped by Refusal.
	ErrToken = errors.New("id_token refused")
	// ErrUnavailable: the provider, or its keys, cannot be had right now, or an unknown kid came while refetching is
	// throttled (a *keyset.Throttled, which says for how long). It is no verdict about the token.
	ErrUnavailable = errors.New("the provider is not available right now")
)

// Refusal is a verdict with a sentence: of Verify, one the app's developer can act on; of Redeem, one for the person in
// front of a page. It wraps ErrToken, and what caused it.
type Refusal struct {
	Description string
	Cancelled   bool // the person said no at the provider
	cause       error
}

func (r *Refusal) Error() string {
	if r.cause != nil {
		return r.Description + ": " + r.cause.Error()
	}
	return r.Description
}

// Unwrap returns ErrToken and the cause.
func (r *Refusal) Unwrap() []error {
	if r.cause == nil {
		return []error{ErrToken}
	}
	return []error{ErrToken, r.cause}
}

// Provider verifies tokens of one provider. Safe for concurrent use.
type Provider struct {
	// KeysFailed hears when the provider's keys cannot be fetched, once until they can; nil: nobody does. Set it before use.
	KeysFailed func(error)

	name    string
	kind    string // Settings.Type
	issuers []string
	algs    []jose.Alg
	source  *keySource
	keys    *keyset.Cache // nil: it signs no id_tokens
	fetch   *fetch.Client
	now     func() time.Time
	// namesPresenter: the tokens apps get from it always have an azp, so that a list of azp is a demand for one.
	namesPresenter bool
	apple          *appleClient // nil unless the provider is Apple and we were given its key
	tenants        *tenants     // nil unless the provider is Microsoft

	client    client // ours there
	directory directory
	members   members // oauth2 only
}

// Name returns the configured name.
func (p *Provider) Name() string { return p.name }

// Type returns the configured type.
func (p *Provider) Type() string { return p.kind }

// Issuers returns the accepted spellings of iss; the first is canonical. Where Microsoft admits more than one tenant it is
// the template {tenantid}, which no token carries: Canonical knows.
func (p *Provider) Issuers() []string { return p.issuers }

// Canonical returns the spelling of an issuer that identities are kept under; ok is false if it is not this provider's.
func (p *Provider) Canonical(iss string) (canonical string, ok bool) {
	if p.tenants != nil {
		tid, ok := ofIssuer(iss)
		return iss, ok && p.tenants.admit(tid)
	}
	return p.issuers[0], slices.Contains(p.issuers, iss)
}

// Run fetches keys ahead of their expiry until ctx ends.
func (p *Provider) Run(ctx context.Context) {
	if p.keys == nil {
		<-ctx.Done()
		return
	}
	p.keys.Run(ctx)
}

// Expect is what the caller demands of a token.
type Expect struct {
	Audiences []string // the client ids at the provider; empty accepts nothing
	// AZP lists the client ids that may have asked for the token. Empty: azp is not checked beyond OIDC Core
	// §3.1.3.7, so that a Google token for the web client passes whichever app of the project asked for it.
	AZP   []string
	Nonce string // ours; compared raw, as lowercase hex SHA-256 and as base64url SHA-256
	// WithoutNonce accepts a token that carries no nonce, not older than 5 min. It is wrong wherever the
	// provider's SDK can carry one.
	WithoutNonce bool
	ProviderCode string // Apple's authorization code; c_hash must match if present
	CodeMember   string // what the request calls ProviderCode, for the sentence of a refusal; empty: provider_code
	Now          time.Time

	exactNonce bool // the nonce itself, no hash of it
}

// Subject is what a verified token says.
type Subject struct {
	Provider      string
	Issuer        string // canonical
	Subject       string
	Audience      string // the accepted audience it matched
	Email         string
	EmailVerified bool
	// ProvedEmail is the address in its comparable spelling, where this provider is its authority; empty otherwise.
	// Accounts may be joined by nothing less.
	ProvedEmail string
	Name        string
	GivenName   string
	FamilyName  string
	Picture     string    // an https URL
	Locale      string    // BCP 47
	AuthTime    time.Time // zero if not sent
	IssuedAt    time.Time
}

// Verify checks the token (OIDC Core §3.1.3.7). Age over 10 min, iat over 60 s ahead, missing exp or sub, foreign
// audience, wrong nonce are refusals.
func (p *Provider) Verify(ctx context.Context, raw string, e Expect) (*Subject, error) {
	if p.keys == nil {
		return nil, refuse(nil, "The provider %s signs no id_tokens for people: sign in there with a browser.", p.name)
	}
	// 1. One of the algorithms this provider signs with, a key it publishes, a signature that holds.
	t, err := p.open(ctx, raw)
	if err != nil {
		return nil, err
	}
	return t.hold(e)
}

// hold is the rest of the way, whoever opened the token.
func (t *token) hold(e Expect) (*Subject, error) {
	// 2. For one of this client's apps, not long ago.
	s, err := t.judge(e)
	if err != nil {
		return nil, err
	}
	// 3. For this very sign-in.
	if err := t.checkNonce(e); err != nil {
		return nil, err
	}
	if err := t.checkCodeHash(e); err != nil {
		return nil, err
	}
	return s, nil
}

// token is an id_token whose signature held.
type token struct {
	provider *Provider
	claims   jose.Claims
	alg      jose.Alg
	kid      string
}

func (p *Provider) open(ctx context.Context, raw string) (*token, error) {
	claims, h, err := jose.Verify(ctx, raw, jose.Policy{Algs: p.algs}, p.key)
	switch {
	case errors.Is(err, jose.ErrSignature):
		return nil, refuse(err, "The id_token's signature does not hold under the keys of %s. Send the string exactly as the provider's SDK gave it.", p.name)
	case errors.Is(err, jose.ErrToken):
		return nil, refuse(err, "The id_token is not one as %s signs it. Send the string exactly as the provider's SDK gave it.", p.name)
	case err != nil:
		return nil, err
	}
	return &token{provider: p, claims: claims, alg: h.Alg, kid: h.Kid}, nil
}
