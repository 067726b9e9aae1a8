package grant

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
)

// device answers a poll of the device grant (RFC 8628 §3.4, §3.5).
func (s *Service) device(ctx context.Context, c *call) (*Response, error) {
	if c.DeviceCode == "" {
		return nil, oauth.E(oauth.InvalidRequest, "device_code is missing.")
	}
	unknown := oauth.E(oauth.InvalidGrant, "The device code is not valid: it was used before or belongs to another client. Begin again at /device_authorization.")
	flow, tooSoon, err := s.DB.PollFlow(ctx, c.now, sha256.Sum256([]byte(c.DeviceCode)))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, unknown
	case err != nil:
		return nil, oauth.Unavailable(err)
	case flow.Kind != domain.FlowDevice || flow.Request.ClientID != c.client.ID:
		return nil, unknown
	}
	switch {
	case flow.State == domain.FlowRedeemed:
		if err := s.replayed(ctx, c, flow.CodeHash); oauth.AsError(err).Code != oauth.InvalidGrant {
			return nil, err
		}
		return nil, unknown
	case flow.State == domain.FlowRefused:
		return nil, oauth.E(oauth.AccessDenied, "The person did not agree.")
	case flow.Expired(c.now):
		return nil, oauth.E(oauth.ExpiredToken, "The device code has expired. Begin again at /device_authorization.")
	case tooSoon:
		return nil, oauth.E(oauth.TooManyRequests, "Polled too soon: wait 5 seconds longer between polls from now on.")
	case flow.State != domain.FlowGranted:
		return nil, oauth.E(oauth.AuthorizationPending, "The person has not finished yet. Poll again after the interval.")
	}
	answer, err := s.redeem(ctx, c, flow)
	if e := oauth.AsError(err); err != nil && e.Code == oauth.InvalidGrant { // ATTACKS DV05
		return nil, oauth.E(oauth.AccessDenied, e.Description).Because(err)
	}
	return answer, err
}
