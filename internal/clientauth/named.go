package clientauth

import (
	"context"
	"errors"
	"fmt"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
)

// Named returns the client of that id, declared or registered; nil: there is none. Nobody authenticated: it is for
// requests that come through a person's browser, where no client can (RFC 6749 §3.1). The error is
// temporarily_unavailable: what is not known for the moment is not unknown.
func (s *Service) Named(ctx context.Context, id string) (*domain.Client, error) {
	if client := s.index.of(s.Catalog()).clients[id]; client != nil || !s.Registration {
		return client, nil
	}
	client, err := s.DB.RegisteredClient(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, oauth.Unavailable(fmt.Errorf("read a registered client: %w", err))
	}
	if client.Registered == domain.RegisteredByDocument && s.Discover == nil {
		return nil, nil // one that was read before documents were switched off
	}
	client.FirstParty = false // nobody who comes by this way is whoever runs this server
	return client, nil
}

// Introduced is Named for requests that begin something: they alone may make this server read the document that a client
// is named by (CIMD draft -01 §4). ip is where the request came from, for limits.
func (s *Service) Introduced(ctx context.Context, id, ip string) (*domain.Client, error) {
	if client := s.index.of(s.Catalog()).clients[id]; client != nil || s.Discover == nil {
		return s.Named(ctx, id)
	}
	if err := s.Discover(ctx, id, ip); err != nil {
		return nil, err
	}
	return s.Named(ctx, id)
}
