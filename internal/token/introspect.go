package token

import (
	"context"
	"encoding/json"

	"github.com/countersign/countersign/internal/accesstoken"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/oauth"
)

// Introspection is RFC 7662 §2.2; Active false leaves all else empty.
type Introspection struct {
	Active    bool              `json:"active"`
	Scope     string            `json:"scope,omitempty"`
	ClientID  string            `json:"client_id,omitempty"`
	TokenType string            `json:"token_type,omitempty"`
	Exp       int64             `json:"exp,omitempty"`
	Iat       int64             `json:"iat,omitempty"`
	Sub       string            `json:"sub,omitempty"`
	Aud       string            `json:"aud,omitempty"`
	Iss       string            `json:"iss,omitempty"`
	Jti       string            `json:"jti,omitempty"`
	Sid       string            `json:"sid,omitempty"`
	AuthTime  int64             `json:"auth_time,omitempty"`
	Acr       string            `json:"acr,omitempty"` // RFC 9470 §6.2
	Amr       []string          `json:"amr,omitempty"`
	Cnf       map[string]string `json:"cnf,omitempty"`

	Details json.RawMessage `json:"authorization_details,omitempty"` // RFC 9396 §9.2
}

// Introspect answers an authenticated resource about a token of its own audience; a session or client that no
// longer lives, by the database, is inactive. Why a token is inactive is not for the caller (RFC 7662 §2.2).
func (s *Service) Introspect(ctx context.Context, r *domain.Resource, token string) (Introspection, error) {
	t, err := s.Checker([]string{r.Audience}).Check(ctx, token, s.DB.Now())
	switch {
	case refused(err):
		event.Add(ctx, "introspection", err.Error())
		return Introspection{}, nil
	case err != nil:
		return Introspection{}, oauth.Unavailable(err)
	}
	_, live, err := s.Live(ctx, t)
	if err != nil {
		return Introspection{}, err
	}
	if !live {
		event.Add(ctx, "introspection", "not live")
		return Introspection{}, nil
	}
	return describe(t), nil
}

func describe(t *accesstoken.Token) Introspection {
	i := Introspection{
		Active:    true,
		Scope:     oauth.JoinScope(t.Scope),
		ClientID:  t.ClientID,
		TokenType: bearer,
		Exp:       t.ExpiresAt.Unix(),
		Iat:       t.IssuedAt.Unix(),
		Sub:       t.Subject,
		Aud:       t.Audience,
		Iss:       t.Issuer,
		Jti:       t.JTI,
		Sid:       t.SessionID,
		AuthTime:  seconds(t.AuthTime),
		Acr:       t.ACR,
		Amr:       t.AMR,
		Details:   t.Details,
	}
	for name, value := range map[string]string{"jkt": t.JKT, "x5t#S256": t.X5T} { // RFC 9449 §6.2, RFC 8705 §3.2
		if value == "" {
			continue
		}
		if i.Cnf == nil {
			i.Cnf = map[string]string{}
		}
		i.Cnf[name] = value
	}
	if t.JKT != "" {
		i.TokenType = dpop
	}
	return i
}
