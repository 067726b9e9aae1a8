package signin

import (
	"context"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

// Live refuses a client that may not be used now. Concurrent calls share a query. The error is an *oauth.Error.
func (s *Service) Live(ctx context.Context, c *domain.Client) error {
	state, err := s.DB.ClientState(ctx, c.ID)
	switch {
	case err != nil:
		return oauth.Unavailable(err)
	case state == domain.ClientLive:
		return nil
	case state == domain.ClientDisabled:
		return oauth.DisabledClient()
	}
	return oauth.UnknownClient(domain.ErrUndeclared) // this node has yet to hear of it
}
