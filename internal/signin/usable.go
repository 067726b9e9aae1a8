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
	if !c.NativeSignIn() {
		return oauth.E(oauth.UnauthorizedClient, "This client lists no providers with audiences, so there is no id_token it could sign in with.")
	}
	return s.Live(ctx, c)
}
