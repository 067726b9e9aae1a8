package signin

import (
	"context"
	"errors"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/keyset"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/upstream"
)

// caller is who presents evidence: nonces and audiences are judged for exactly this client and key.
type caller struct {
	Client *domain.Client
	JKT    string
	IP     string
}

// proven is evidence that held, with the row that will consume it.
type proven struct {
	subject *upstream.Subject
	name    personName // the token's, or what the app says Apple told it
	nonce   store.Nonce
}

// tokenNonceTTL outlives every token that is accepted without a nonce (five minutes old at most, and a clock's slack).
const tokenNonceTTL = 10 * time.Minute

// members are what the evidence is called in the request, for sentences that speak of it.
type members struct{ token, nonce, code string }

func membersFor(p Purpose) members {
	if p == PurposeReauth {
		return members{"reauth_token", "reauth_nonce", "reauth_provider_code"}
	}
	return members{"subject_token", "nonce", "provider_code"}
}

// prove judges evidence: (1) the provider this client lists for the token's issuer, (2) our nonce, (3) the token, (4)
// the unsigned name beside it. An error goes through disproved, so that nobody tries tokens by the thousand.
func (s *Service) prove(ctx context.Context, now time.Time, by caller, e Evidence, p Purpose) (*proven, error) {
	called := membersFor(p)
	provider, accepts, err := s.choose(by.Client, e.SubjectToken, called.token)
	if err != nil {
		return nil, err
	}
	// Re-authentication always takes a nonce: it is what says the token was fetched for that.
	withoutNonce := e.Nonce == "" && accepts.AcceptTokensWithoutNonce && p != PurposeReauth
	var nonce store.Nonce
	if !withoutNonce {
		if e.Nonce == "" {
			return nil, oauth.E(oauth.InvalidRequest, called.nonce+
				" is missing. Ask POST /challenge for one, hand it to the provider's SDK and send it along with the id_token.")
		}
		if nonce, err = s.checkNonce(ctx, now, by, e.Nonce, p); err != nil {
			return nil, err
		}
	}
	subject, err := provider.Verify(ctx, e.SubjectToken, upstream.Expect{
		Audiences: accepts.Audiences, AZP: accepts.AZP, Nonce: e.Nonce, WithoutNonce: withoutNonce,
		ProviderCode: e.ProviderCode, CodeMember: called.code, Now: now,
	})
	if err != nil {
		return nil, upstreamError(err)
	}
	if withoutNonce {
		nonce = store.Nonce{Hash: jose.SigningInputHash(e.SubjectToken), ExpiresAt: now.Add(tokenNonceTTL), KeyID: s.Keys.Current()}
	}
	name, err := displayName(subject, e.User)
	if err != nil {
		return nil, err
	}
	event.Add(ctx, "provider", subject.Provider)
	return &proven{subject: subject, name: name, nonce: nonce}, nil
}

// choose finds the provider for a token by its pinned issuer, among those this client lists (ID01, ID02, TX02). The
// issuer is read before the signature is checked and serves for nothing else. The token came as the named member.
func (s *Service) choose(c *domain.Client, token, member string) (*upstream.Provider, domain.ClientProvider, error) {
	none := domain.ClientProvider{}
	if token == "" {
		return nil, none, oauth.E(oauth.InvalidRequest, member+" is missing. Send the id_token of the provider's SDK.")
	}
	iss, err := jose.PeekIssuer(token)
	if err != nil {
		return nil, none, oauth.E(oauth.InvalidRequest, member+
			" is not an id_token: a signed JWT with an issuer. Send the string exactly as the provider's SDK gave it.").Because(err)
	}
	if iss == s.Issuer {
		return nil, none, oauth.E(oauth.InvalidRequest, member+
			" is a token of this server. Send the id_token of Google, Apple or another provider instead.")
	}
	provider, ok := s.Providers.ByIssuer(iss)
	if !ok {
		return nil, none, oauth.E(oauth.InvalidRequest,
			"No provider with this id_token's issuer is configured. Compare iss in the token with the providers in the server's configuration.")
	}
	accepts, ok := c.Provider(provider.Name())
	if !ok {
		return nil, none, oauth.E(oauth.InvalidRequest,
			"This client may not sign in with provider "+provider.Name()+". Add it to the client's providers in the server's configuration.")
	}
	return provider, accepts, nil
}

// upstreamError keeps verdicts and faults apart: only the first are the app's business.
func upstreamError(err error) error {
	var refused *upstream.Refusal
	switch {
	case errors.As(err, &refused):
		return oauth.E(oauth.InvalidRequest, refused.Description).Because(err)
	case errors.Is(err, upstream.ErrToken):
		return oauth.E(oauth.InvalidRequest, "The provider's id_token was refused. Sign in with the provider again and send the new one.").Because(err)
	}
	fault := oauth.Unavailable(err)
	var throttled *keyset.Throttled
	if errors.As(err, &throttled) {
		fault.RetryAfter = max(fault.RetryAfter, throttled.Wait)
	}
	return fault
}

// identity is the row of proven evidence. E-mail and name are information as of the first sign-in; (Issuer, Subject)
// is the key (ID14).
func (p *proven) identity(now time.Time) domain.Identity {
	return domain.Identity{
		ID:       domain.NewID[domain.IdentityID](),
		Provider: p.subject.Provider, Issuer: p.subject.Issuer, Subject: p.subject.Subject,
		Email: p.subject.Email, EmailVerified: p.subject.EmailVerified, Name: p.name.whole, ProvedEmail: p.subject.ProvedEmail,
		CreatedAt: now, LastUsedAt: now,
	}
}
