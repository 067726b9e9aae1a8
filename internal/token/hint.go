package token

import (
	"context"
	"crypto"
	"errors"
	"fmt"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/oauth"
)

// Hinted is what an ID token of ours says of old. It is a hint: it proves nothing about who sends it.
type Hinted struct {
	Subject   string // as the client knows it
	ClientID  string
	SessionID domain.SessionID // zero for what is none of our ids
}

// Hint reads an id_token_hint (OIDC Core §3.1.2.1, RP-Initiated Logout §2): an ID token that we signed, expired or not.
// nil: it is none. The error means that no verdict was reached.
func (s *Service) Hint(ctx context.Context, raw string) (*Hinted, error) {
	if raw == "" {
		return nil, nil
	}
	policy := jose.Policy{Algs: []jose.Alg{jose.ES256, jose.RS256}, Typ: typeID}
	claims, _, err := jose.Verify(ctx, raw, policy, func(ctx context.Context, h jose.Header) (crypto.PublicKey, error) {
		return s.Keys.PublicKey(ctx, h.Kid, h.Alg)
	})
	switch {
	case errors.Is(err, jose.ErrToken):
		return nil, nil
	case err != nil:
		return nil, oauth.Unavailable(fmt.Errorf("read id_token_hint: %w", err))
	}
	h := &Hinted{}
	issuer, _, err := claims.String("iss")
	if err != nil || issuer != s.Issuer {
		return nil, nil //nolint:nilerr // what is wrong about it is of no use to anybody
	}
	// A signed userinfo answer has the typ and the members of an ID token, but never these two, and a signed authorization
	// response has no sub: whoever may read who somebody is may not end their sessions with it. Its typ is not ours to change: clients take JWT or none there.
	timed := claims.Has("exp") && claims.Has("iat")
	var okSub, okAud bool
	h.Subject, okSub, _ = claims.String("sub")
	h.ClientID, okAud, _ = claims.String("aud")
	if !timed || !okSub || !okAud || h.Subject == "" {
		return nil, nil
	}
	sid, _, _ := claims.String("sid")
	if h.SessionID.UnmarshalText([]byte(sid)) != nil {
		h.SessionID = domain.SessionID{}
	}
	return h, nil
}
