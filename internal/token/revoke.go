package token

import (
	"context"
	"crypto"
	"time"

	"github.com/countersign/countersign/internal/accesstoken"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/oauth"
)

var (
	errNotYours = oauth.E(oauth.UnauthorizedClient, "This token was issued to another client, which alone may revoke it.")

	// RFC 7009 §2.2.1: a token of client_credentials belongs to no session and lives for minutes. To say that it was
	// revoked would be untrue.
	errNoSession = oauth.E(oauth.UnsupportedTokenType, "A client_credentials access token cannot be revoked; it expires within minutes. Disable the client to stop it sooner.")
)

// Revoke ends the session of any authentic token of it (RFC 7009): a refresh token whatever its counter, an access
// token, even an expired one. A token of another client is unauthorized_client; an unknown one is no error, for what
// it stood for does not exist (RFC 7009 §2.2). The form of a token says what it is, so that no hint is needed.
func (s *Service) Revoke(ctx context.Context, c *domain.Client, token string) error {
	v, ok, err := s.Sessions.Authentic(ctx, token)
	switch {
	case err != nil:
		return err
	case !ok:
		return s.revokeAccess(ctx, c, token)
	case v.ClientID != c.ID:
		return errNotYours
	}
	return s.signOut(ctx, v.ID)
}

func (s *Service) revokeAccess(ctx context.Context, c *domain.Client, token string) error {
	t, err := s.authentic(ctx, token)
	switch {
	case refused(err):
		event.Add(ctx, "revocation", "unknown token")
		return nil
	case err != nil:
		return oauth.Unavailable(err)
	case t.ClientID != c.ID:
		return errNotYours
	case t.SessionID == "":
		return errNoSession
	}
	id, ok := sessionID(t)
	if !ok {
		return nil
	}
	return s.signOut(ctx, id)
}

func (s *Service) signOut(ctx context.Context, id domain.SessionID) error {
	event.Add(ctx, "session", id)
	return s.Sessions.End(ctx, id, domain.EndedBySignOut)
}

// authentic checks an access token as of a time at which it was alive, so that an app can sign out with the one it
// has. That time is read from the token after its signature held.
func (s *Service) authentic(ctx context.Context, token string) (*accesstoken.Token, error) {
	policy := jose.Policy{Algs: []jose.Alg{jose.ES256, jose.RS256}, Typ: typeAccess}
	claims, _, err := jose.Verify(ctx, token, policy, func(ctx context.Context, h jose.Header) (crypto.PublicKey, error) {
		return s.Keys.PublicKey(ctx, h.Kid, h.Alg)
	})
	if err != nil {
		return nil, err
	}
	now := s.DB.Now()
	if issued, ok, err := claims.Time("iat"); err == nil && ok {
		now = earlier(now, issued)
	}
	return s.Checker(nil).Check(ctx, token, now)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
