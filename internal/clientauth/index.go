package clientauth

import (
	"sync/atomic"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
)

// index finds clients and resources of the current catalog by id. It is rebuilt when the catalog is another one.
type index struct{ current atomic.Pointer[names] }

type names struct {
	catalog   *domain.Catalog
	clients   map[string]*domain.Client
	resources map[string]*domain.Resource
	origins   map[string]bool
	keys      map[string][]jose.PublicKey // of clients that have any
}

func (x *index) of(c *domain.Catalog) *names {
	if n := x.current.Load(); n != nil && n.catalog == c {
		return n
	}
	n := &names{
		catalog:   c,
		clients:   make(map[string]*domain.Client, len(c.Clients)),
		resources: make(map[string]*domain.Resource, len(c.Resources)),
		origins:   map[string]bool{},
		keys:      map[string][]jose.PublicKey{},
	}
	for i := range c.Clients {
		client := &c.Clients[i]
		n.clients[client.ID] = client
		if client.Type == domain.ClientBrowser {
			for _, origin := range client.Origins {
				n.origins[origin] = true
			}
		}
		if len(client.JWKS) > 0 {
			// Keys that cannot be read are none: then no assertion is right. The configuration checked them.
			n.keys[client.ID], _ = jose.ParseSet(client.JWKS)
		}
	}
	for i := range c.Resources {
		n.resources[c.Resources[i].ID] = &c.Resources[i]
	}
	x.current.Store(n)
	return n
}
