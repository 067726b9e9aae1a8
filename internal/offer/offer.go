// Package offer decides which scopes and which audience a client may have: at sign-in, on our pages, at refresh and when
// a service asks for itself. It is pure: the catalog comes in, a decision or an *oauth.Error comes out.
package offer

import (
	"slices"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

// Offer is what one client may have by the current catalog. Every scope of a resource has an owner: the audience that
// lists it; account.* belong to the issuer, openid and its like to nobody and go with any audience.
type Offer struct {
	issuer    string
	client    *domain.Client
	resources []*domain.Resource // of this client, in its order
}

// Of is the offer of one client by the current catalog.
func Of(catalog *domain.Catalog, c *domain.Client, issuer string) Offer {
	o := Offer{issuer: issuer, client: c, resources: make([]*domain.Resource, 0, len(c.Resources))}
	for _, id := range c.Resources {
		for i := range catalog.Resources {
			if catalog.Resources[i].ID == id {
				o.resources = append(o.resources, &catalog.Resources[i])
			}
		}
	}
	return o
}

// Within is what of a scope a token for the audience carries, by what the client may have today.
func (o Offer) Within(scope []string, audience string) []string {
	return only(scope, func(s string) bool {
		return o.allows(s) && (oauth.IdentityScope(s) || o.owns(audience, s))
	})
}

// ownScopes is what the client may have of one resource.
func (o Offer) ownScopes(audience string) []string {
	return only(o.client.Scopes, func(s string) bool { return owned(s) && o.owns(audience, s) })
}

// May tells whether the client may ask for tokens for this audience.
func (o Offer) May(audience string) bool {
	return audience == o.issuer || o.resource(audience) != nil
}

// Audiences lists all the client may ask tokens for.
func (o Offer) Audiences() []string {
	list := []string{o.issuer}
	for _, r := range o.resources {
		list = append(list, r.Audience)
	}
	return list
}

func (o Offer) resource(audience string) *domain.Resource {
	for _, r := range o.resources {
		if r.Audience == audience {
			return r
		}
	}
	return nil
}

// owns tells whether a scope belongs to this audience.
func (o Offer) owns(audience, scope string) bool {
	if oauth.AccountScope(scope) {
		return audience == o.issuer
	}
	r := o.resource(audience)
	return r != nil && slices.Contains(r.Scopes, scope)
}

// owners lists the audiences the scopes belong to, each once, in the order of the scopes.
func (o Offer) owners(scope []string) []string {
	var owners []string
	for _, s := range scope {
		if owner, ok := o.owner(s); ok && !slices.Contains(owners, owner) {
			owners = append(owners, owner)
		}
	}
	return owners
}

func (o Offer) owner(scope string) (audience string, ok bool) {
	if oauth.AccountScope(scope) {
		return o.issuer, true
	}
	for _, r := range o.resources {
		if slices.Contains(r.Scopes, scope) {
			return r.Audience, true
		}
	}
	return "", false
}

// owned tells whether a scope belongs to a resource at all.
func owned(scope string) bool { return !oauth.IdentityScope(scope) }

func (o Offer) allows(scope string) bool { return slices.Contains(o.client.Scopes, scope) }

// knows tells whether the client may ask for the scope and somebody honours it.
func (o Offer) knows(scope string) bool {
	_, hasOwner := o.owner(scope)
	return o.allows(scope) && (hasOwner || !owned(scope))
}

func only(list []string, keep func(string) bool) []string {
	var kept []string
	for _, s := range list {
		if keep(s) {
			kept = append(kept, s)
		}
	}
	return kept
}

func distinct(list []string) []string {
	var once []string
	for _, s := range list {
		if !slices.Contains(once, s) {
			once = append(once, s)
		}
	}
	return once
}
