package signin

import (
	"context"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

// Usable refuses a client that could not sign anybody in, in the words the sign-in itself would use: before the person
// is sent through the provider's pages for nothing. Concurrent calls share a query. It promises nothing: the sign-in
// looks again, in its transaction. The error is an *oauth.Error.
func (s *Service) Usable(ctx context.Context, c *domain.Client) error {
	if len(c.Providers) == 0 {
		return oauth.E(oauth.UnauthorizedClient, "This client lists no providers, so there is nothing to sign in with.")
	}
	state, err := s.DB.ClientState(ctx, c.ID)
	switch {
	case err != nil:
		return oauth.Unavailable(err)
	case state == domain.ClientLive:
		return nil
	case state == domain.ClientDisabled:
		return oauth.E(oauth.InvalidClient, "This client is disabled.")
	}
	return oauth.UnknownClient(domain.ErrUndeclared) // this node has yet to hear of it
}
