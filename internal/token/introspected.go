package token

import (
	"cmp"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// typeIntrospection keeps a signed introspection answer from being taken for a token: whoever expects at+jwt refuses it
// (RFC 9701 §8.1, ATTACKS IR08).
const typeIntrospection = "token-introspection+jwt"

// introspectionClaims are those of RFC 9701 §5. What is said of the token stands in a member of its own, and there is
// neither sub nor exp beside it: at the top level they would be those of an access token.
type introspectionClaims struct {
	Issuer   string        `json:"iss"`
	Audience string        `json:"aud"`
	IssuedAt int64         `json:"iat"`
	Answer   Introspection `json:"token_introspection"`
}

// MintIntrospection signs an introspection answer for the resource that asked (RFC 9701 §5). Its `aud` is the resource's
// id, which is what it is called here, and not the audience of its tokens. The error is that of MintAccess.
func (s *Service) MintIntrospection(now time.Time, r *domain.Resource, answer Introspection) (string, error) {
	token, err := s.sign(cmp.Or(r.IntrospectionAlg, domain.ES256), typeIntrospection, &introspectionClaims{
		Issuer: s.Issuer, Audience: r.ID, IssuedAt: now.Unix(), Answer: answer,
	})
	if err != nil {
		return "", fmt.Errorf("mint introspection: %w", err)
	}
	return token, nil
}
