package grant

import (
	"context"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/session"
)

// refresh rotates a session's refresh token (DESIGN section 3) and mints an access token within what was granted. It
// mints after the commit: if that fails, a retry returns the same successor.
func (s *Service) refresh(ctx context.Context, c *call) (*Response, error) {
	if c.RefreshToken == "" {
		return nil, oauth.E(oauth.InvalidRequest, "refresh_token is missing.")
	}
	if err := s.forewarn(ctx, c); err != nil {
		return nil, err
	}
	rotated, err := s.Sessions.Rotate(ctx, session.Presented{Client: c.client, Token: c.RefreshToken, JKT: c.jkt()})
	if err != nil {
		return nil, err
	}
	ses := &rotated.Session
	if ses.Tier == domain.TierStable && !c.client.Confidential() {
		return nil, errUnguarded
	}
	audience, scope, err := s.offer(c.client).narrow(ses.Scope, ses.Resources, c.Scope, c.Resource)
	if err != nil {
		return nil, err
	}
	answer, err := s.issue(c, ses, audience, scope)
	if err != nil {
		return nil, err
	}
	answer.RefreshToken = string(rotated.Token)
	return answer, nil
}

// forewarn judges scope and resource of a refresh that names any before its token is spent: what was granted never
// changes, so reading it first races with nothing. Whoever could not rotate anyway is left to Rotate's verdict.
func (s *Service) forewarn(ctx context.Context, c *call) error {
	if c.Scope == "" && len(c.Resource) == 0 {
		return nil
	}
	view, ok, err := s.Sessions.Authentic(ctx, c.RefreshToken)
	if err != nil {
		return err
	}
	if !ok || view.ClientID != c.client.ID || !view.Live(c.now) || (view.Tier == domain.TierBound && view.JKT != c.jkt()) {
		return nil
	}
	_, _, err = s.offer(c.client).narrow(view.Scope, view.Resources, c.Scope, c.Resource)
	return err
}

// errUnguarded: a stable token never rotates and has no key; without the client's secret it would be anybody's. It may
// be a slip in the configuration, so it signs nobody out.
var errUnguarded = oauth.E(oauth.UnauthorizedClient,
	"This session is guarded by the client's own authentication, and the client is now registered without any.")
