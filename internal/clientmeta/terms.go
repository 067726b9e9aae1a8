package clientmeta

import (
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/oauth"
)

// Terms are what the operator lets clients have that register themselves. The zero value lets them have next to nothing.
type Terms struct {
	Scopes      []string // empty: DefaultScopes
	Resources   []string // ids
	Providers   []string // names: people are sent there from our pages
	Email       bool
	Passkeys    bool
	DetailTypes []string // of the resources
	Loopback    bool     // this server is on this machine alone: a web client may be, too
	TLS         bool     // there is a listener that asks for client certificates

	Statements []StatementIssuer

	// Public judges an address that we, or people, will be sent to, by how it is written: no socket is opened (RG01).
	Public func(address string) error
}

// StatementIssuer is somebody whose word about software is taken (RFC 7591 §2.3).
type StatementIssuer struct {
	Issuer string
	Keys   []jose.PublicKey
}

// DefaultScopes are about the person and belong to no resource.
var DefaultScopes = []string{oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail, oauth.ScopeOfflineAccess}

func (t *Terms) scopes() []string {
	if len(t.Scopes) > 0 {
		return t.Scopes
	}
	return DefaultScopes
}

func (t *Terms) providers() []domain.ClientProvider {
	var list []domain.ClientProvider
	for _, name := range t.Providers {
		list = append(list, domain.ClientProvider{Name: name})
	}
	return list
}
