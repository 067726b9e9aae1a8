// Package token mints access and ID tokens, answers introspection and carries out revocation. It signs and reads;
// whether somebody may have a token is decided before it is called.
package token

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/accesstoken"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/store"
)

// Service does it. Its fields are set by app.
type Service struct {
	Issuer   string
	DB       *store.DB
	Keys     *keyring.Ring
	Sessions *session.Service
	// Client finds a client by its id; nil: there is none. It is asked about pairwise subjects.
	Client func(context.Context, string) (*domain.Client, error)
}

// nodeDrift is how far the clocks of two nodes may be apart: a node whose clock is further off is not ready.
const nodeDrift = 5 * time.Second

// Checker is the one check of our access tokens with our own keys, for the given audiences (nil: any; only for
// revocation and /userinfo).
func (s *Service) Checker(audience []string) *accesstoken.Checker {
	return &accesstoken.Checker{Issuer: s.Issuer, Audience: audience, Keys: s.Keys.PublicKey, Leeway: nodeDrift}
}

// refused tells whether err is a verdict on the token; any other error means that none was reached.
func refused(err error) bool {
	return errors.Is(err, accesstoken.ErrInvalid) || errors.Is(err, jose.ErrToken)
}

// Live reads the session of a checked access token from the database; ok is false if it, its account or its client
// is not live. For client credentials it asks for the client alone. This is how /account, /userinfo and
// introspection decide.
func (s *Service) Live(ctx context.Context, t *accesstoken.Token) (v *domain.SessionView, ok bool, err error) {
	if t.SessionID == "" {
		return s.clientLive(ctx, t)
	}
	id, ok := sessionID(t)
	if !ok {
		return nil, false, nil
	}
	v, err = s.DB.Session(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, false, nil
	case err != nil:
		return nil, false, oauth.Unavailable(fmt.Errorf("read session: %w", err))
	case v.ClientID != t.ClientID || !v.Live(s.DB.Now()):
		return nil, false, nil
	}
	theirs, err := s.of(ctx, t.Subject, t.ClientID, v.AccountID)
	if err != nil || !theirs {
		return nil, false, err
	}
	return v, true, nil
}

func (s *Service) clientLive(ctx context.Context, t *accesstoken.Token) (*domain.SessionView, bool, error) {
	if t.Subject != t.ClientID {
		return nil, false, nil
	}
	state, err := s.DB.ClientState(ctx, t.ClientID)
	if err != nil {
		return nil, false, oauth.Unavailable(fmt.Errorf("read client: %w", err))
	}
	return nil, state == domain.ClientLive, nil
}

// sessionID reads `sid`; ok is false for what is none of our ids.
func sessionID(t *accesstoken.Token) (id domain.SessionID, ok bool) {
	err := id.UnmarshalText([]byte(t.SessionID))
	return id, err == nil && !id.IsZero()
}
