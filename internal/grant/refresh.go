package grant

import (
	"context"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/offer"
	"github.com/countersign/countersign/internal/session"
)

// refresh rotates a session's refresh token (DESIGN section 3) and mints an access token within what was granted. It
// mints after the commit: if that fails, a retry returns the same successor.
//
// A refusal must not follow the commit: the phone would keep token n while the row is at n+1. A bound session forgives
// that until it expires, but a bearer session only for its grace, so a resource lost from the configuration over night
// (in a browser: for a minute) would sign out everybody who tried meanwhile. So scope and audience are judged before
// the token is spent, by what the client may have at the start of the request. A refresh that names neither can fail
// only for its default audience, and that is a condition of the rotation itself: it costs no statement of its own. One
// that names any reads the session first (forewarn).
func (s *Service) refresh(ctx context.Context, c *call) (*Response, error) {
	if c.RefreshToken == "" {
		return nil, oauth.E(oauth.InvalidRequest, "refresh_token is missing.")
	}
	may, presented := s.offer(c.client), session.Presented{Client: c.client, Token: c.RefreshToken, JKT: c.jkt()}
	if c.Scope == "" && len(c.Resource) == 0 && c.Details == "" && !c.client.FAPI() {
		presented.Audiences = may.Audiences()
	} else if err := s.forewarn(ctx, c, may, presented); err != nil {
		return nil, err
	}
	rotated, err := s.Sessions.Rotate(ctx, presented)
	if err != nil {
		return nil, err
	}
	ses := &rotated.Session
	if ses.Tier == domain.TierStable && !c.client.Confidential() {
		return nil, errUnguarded
	}
	if ses.Tier == domain.TierBearer && c.client.FAPI() {
		return nil, errUnbound
	}
	carried, err := may.Carry(ceiling(ses), c.wish())
	if err != nil {
		return nil, err
	}
	answer, err := s.issue(c, ses, carried)
	if err != nil {
		return nil, err
	}
	answer.RefreshToken = string(rotated.Token)
	return answer, nil
}

// forewarn judges scope, resource and authorization_details of a refresh that names any before its token is spent: what was granted never
// changes, so reading it first races with nothing. It does so for a token that would be answered and for no other: a
// replaced one has to reach Rotate, whatever else is wrong with the request, or its thief would go unnoticed.
func (s *Service) forewarn(ctx context.Context, c *call, may offer.Offer, p session.Presented) error {
	view, ok, err := s.Sessions.Judge(ctx, p)
	if err != nil || !ok {
		return err
	}
	if view.Tier == domain.TierBearer && c.client.FAPI() {
		return errUnbound
	}
	_, err = may.Carry(ceiling(&view.Session), c.wish())
	return err
}

// errUnguarded: a stable token never rotates and has no key; without the client's secret it would be anybody's. It may
// be a slip in the configuration, so it signs nobody out.
var errUnguarded = oauth.E(oauth.UnauthorizedClient,
	"This session is guarded by the client's own authentication, and the client is now registered without any.")

// errUnbound: a session that began as a bearer one stays one, and gives tokens that are bound to nothing. Its token is not
// spent by that: the profile may be a slip in the configuration.
var errUnbound = oauth.E(oauth.UnauthorizedClient,
	"This session began before the client was under its profile, and its tokens could be bound to nothing. Send the person to sign in again.")
