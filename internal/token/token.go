// Package token mints access and ID tokens, answers introspection and carries out revocation. It signs and reads;
// whether somebody may have a token is decided before it is called.
package token

import (
	"context"
	"time"

	"github.com/countersign/countersign/internal/accesstoken"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/store"
)

// Service does it. Its fields are set by app.
type Service struct {
	Issuer   string
	DB       *store.DB
	Keys     *keyring.Ring
	Sessions *session.Service
}

// Access is what an access token shall say. SessionID zero means client credentials: the subject is the client.
type Access struct {
	Client    *domain.Client
	AccountID domain.AccountID
	SessionID domain.SessionID
	Audience  string
	Scope     []string
	JKT       string
	AuthTime  time.Time
}

// Minted is a signed token and how long it lives.
type Minted struct {
	Token     string
	Type      string // "Bearer" or "DPoP"
	ExpiresIn time.Duration
}

// MintAccess signs an at+jwt (RFC 9068).
func (s *Service) MintAccess(now time.Time, a Access) (Minted, error) { panic("unbuilt") }

// ID is what an ID token shall say (OIDC Core §2): no profile claims.
type ID struct {
	Client    *domain.Client
	AccountID domain.AccountID
	SessionID domain.SessionID
	Nonce     string
	AuthTime  time.Time
}

// MintID signs an ID token.
func (s *Service) MintID(now time.Time, id ID) (string, error) { panic("unbuilt") }

// Checker is the one check of our access tokens with our own keys, for the given audiences (nil: any; only for
// revocation and /userinfo).
func (s *Service) Checker(audience []string) *accesstoken.Checker { panic("unbuilt") }

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
	Cnf       map[string]string `json:"cnf,omitempty"`
}

// Introspect answers an authenticated resource about a token of its own audience; a session or client that no
// longer lives, by the database, is inactive.
func (s *Service) Introspect(ctx context.Context, r *domain.Resource, token string) (Introspection, error) {
	panic("unbuilt")
}

// Live reads the session of a checked access token from the database; ok is false if it, its account or its client
// is not live. For client credentials it asks for the client alone. This is how /account, /userinfo and
// introspection decide.
func (s *Service) Live(ctx context.Context, t *accesstoken.Token) (v *domain.SessionView, ok bool, err error) {
	panic("unbuilt")
}

// Revoke ends the session of any authentic token of it (RFC 7009): a refresh token whatever its counter, an access
// token. A token of another client is unauthorized_client; an unknown one is no error.
func (s *Service) Revoke(ctx context.Context, c *domain.Client, token string) error { panic("unbuilt") }
