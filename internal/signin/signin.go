// Package signin turns evidence into an account: find, link, create. It owns our sign-in nonces and re-authentication
// (step-up); accounts are never joined by an e-mail.
package signin

import (
	"context"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/upstream"
)

// Service does it. Its fields are set by app.
type Service struct {
	DB        *store.DB
	Keys      *keyring.Ring
	Sessions  *session.Service
	Providers *upstream.Set
}

// Purpose says what a nonce was asked for; a nonce for one is refused for another.
type Purpose string

// The purposes.
const (
	PurposeSignIn Purpose = "sign_in"
	PurposeLink   Purpose = "link"
	PurposeReauth Purpose = "reauth"
)

// NonceTTL is how long a challenge may be used.
const NonceTTL = 10 * time.Minute

// Challenge mints a nonce for the client and, if given, the key. Nothing is stored.
func (s *Service) Challenge(now time.Time, clientID, jkt string, p Purpose) (string, error) {
	panic("unbuilt")
}

// Evidence is one id_token with what belongs to it.
type Evidence struct {
	SubjectToken string
	Nonce        string
	ProviderCode string // Apple's authorization code
	User         string // Apple's name object, or a plain name: unsigned text
}

// Request is one native sign-in.
type Request struct {
	Client     *domain.Client
	JKT        string
	Evidence   Evidence
	Scope      []string // decided by grant
	Resources  []string
	DeviceName string
}

// Result is the session a sign-in started, or, repeated within 60 s, the same once more.
type Result struct {
	Session    domain.Session
	Refresh    session.RefreshToken
	NewAccount bool
	Repeated   bool
}

// Native signs in with a provider's id_token (DESIGN section 4).
func (s *Service) Native(ctx context.Context, r Request) (*Result, error) { panic("unbuilt") }

// Manage says who asks for a change to an account, and how freshly they proved themselves.
type Manage struct {
	Client   *domain.Client
	Session  *domain.SessionView // live
	JKT      string
	AuthTime time.Time // of the access token; zero: unproven
	Reauth   *Evidence // a fresh id_token of an identity on the account, nonce asked with purpose reauth
}

// Link adds an identity. Errors: insufficient_user_authentication with MaxAge; Conflict.
func (s *Service) Link(ctx context.Context, m Manage, e Evidence) (*domain.Identity, error) {
	panic("unbuilt")
}

// Unlink removes an identity, never the last.
func (s *Service) Unlink(ctx context.Context, m Manage, id domain.IdentityID) error { panic("unbuilt") }

// EndSession ends one session of the account; ending one's own needs no fresh proof.
func (s *Service) EndSession(ctx context.Context, m Manage, id domain.SessionID) error {
	panic("unbuilt")
}

// EndOthers ends all sessions of the account but this one.
func (s *Service) EndOthers(ctx context.Context, m Manage) (int, error) { panic("unbuilt") }

// RunOutbox redeems Apple codes until ctx ends.
func (s *Service) RunOutbox(ctx context.Context) { panic("unbuilt") }
