// Package signin turns evidence into an account: find, link, create. It owns our sign-in nonces, re-authentication
// (step-up) and what a person may change about the own account, and it redeems Apple's authorization codes after the
// sign-in. An identity is (canonical issuer, subject) and nothing else: accounts are never joined by an e-mail, and a
// provider that changes an e-mail changes no account.
package signin

import (
	"context"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/upstream"
)

// Service does it. Its fields are set by app before the first use; it must not be copied afterwards.
type Service struct {
	DB        *store.DB
	Keys      *keyring.Ring
	Sessions  *session.Service
	Providers *upstream.Set

	// Issuer is ours. An id_token of our own is no evidence about anybody (until Native SSO).
	Issuer string
	// FailuresPerMinute bounds refused id_tokens per address; zero: 30; negative: no limit.
	FailuresPerMinute int
	// GaveUp hears why an Apple code was given up, outside of any request; nil: nobody does.
	GaveUp func(error)

	once     sync.Once
	failures failures
	wake     chan struct{}
}

// prepare makes what the zero value lacks.
func (s *Service) prepare() {
	s.once.Do(func() {
		s.failures = newFailures(s.FailuresPerMinute)
		s.wake = make(chan struct{}, 1)
	})
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
	JKT        string // of the verified proof; "" without one
	IP         string // whole, for the failure limit; empty: the truncated one of the request event
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

// Manage says who asks for a change to an account, and how freshly they proved themselves.
type Manage struct {
	Client   *domain.Client
	Session  *domain.SessionView // live
	JKT      string
	IP       string    // as in Request
	AuthTime time.Time // of the access token; zero: unproven
	Reauth   *Evidence // a fresh id_token of an identity on the account, nonce asked with purpose reauth
}

// audit starts an audit row with what the request is known by.
func audit(ctx context.Context, now time.Time, clientID string) domain.Event {
	e := event.From(ctx)
	return domain.Event{At: now, ClientID: clientID, RequestID: e.ID, IP: e.IP}
}
