// Package clientauth decides who is calling: one pinned method per client, no second road. It knows no HTTP; the
// door hands it the Authorization headers and form fields as they came.
package clientauth

import (
	"context"

	"github.com/countersign/countersign/internal/domain"
)

// Credentials is what came.
type Credentials struct {
	Authorization []string // every Authorization header
	ClientID      string   // form
	ClientSecret  string   // form
	HasSecret     bool     // client_secret was in the form, even empty
	HasAssertion  bool     // client_assertion or client_assertion_type was in the form
	IP            string   // for the failure limit
}

// Service does it. Its fields are set by app.
type Service struct {
	Catalog  func() *domain.Catalog // current, seen by every node within 2 s; liveness is the database's
	Failures *Limiter
}

// Limiter bounds failures per client and address: 20 a minute.
type Limiter struct{}

// Client authenticates a client. Errors: invalid_client (one body for all reasons), invalid_request for two methods
// at once, slow_down over the limit. Liveness is judged later, in the statement that uses it.
func (s *Service) Client(ctx context.Context, c Credentials) (*domain.Client, error) {
	panic("unbuilt")
}

// Resource authenticates an app server (client_secret_basic with its resource id) for introspection.
func (s *Service) Resource(ctx context.Context, c Credentials) (*domain.Resource, error) {
	panic("unbuilt")
}
