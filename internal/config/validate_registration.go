package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/clientmeta"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/oauth"
)

// Who may register clients over HTTP.
const (
	RegistrationOff   = "off"
	registrationToken = "token"
	registrationOpen  = "open"
)

// On tells whether there may be clients that nobody declared.
func (r *Registration) On() bool {
	return r.Documents || (r.Mode != "" && r.Mode != RegistrationOff)
}

// registration: who may register, and nothing for them that is not there.
func (v check) registration() {
	r := &v.Registration
	if r.Mode != "" && !v.oneOf("registration.mode", r.Mode, RegistrationOff, registrationToken, registrationOpen) {
		return
	}
	if !r.On() {
		v.registrationUnused()
		return
	}
	for i, id := range r.Resources {
		where := fmt.Sprintf("registration.resources[%d]", i)
		ids := v.resourceIDs()
		switch {
		case !slices.Contains(ids, id):
			v.add(where, fmt.Sprintf("there is no resource %q", id), remedyFor(id, ids, "declare it under resources"))
		case slices.Index(r.Resources, id) != i:
			v.add(where, fmt.Sprintf("%q stands twice", id), "keep one")
		}
	}
	v.registrationScopes()
	v.registrationProviders()
	v.statementIssuers()
}

func (v check) resourceIDs() []string {
	var ids []string
	for _, r := range v.Resources {
		ids = append(ids, r.ID)
	}
	return ids
}

// registrationUnused: a list of what nobody may have is a mistake about who may register.
func (v check) registrationUnused() {
	r := &v.Registration
	for _, f := range []struct {
		key   string
		there bool
	}{
		{"scopes", len(r.Scopes) > 0}, {"resources", len(r.Resources) > 0}, {"providers", len(r.Providers) > 0},
		{"email", r.Email}, {"passkeys", r.Passkeys}, {"software_statements", len(r.Issuers) > 0},
	} {
		if f.there {
			v.add("registration."+f.key, "nobody may register", "set registration.mode to token or open, or registration.documents: true, or remove the line")
		}
	}
}

func (v check) registrationScopes() {
	r := &v.Registration
	for i, scope := range r.Scopes {
		where := fmt.Sprintf("registration.scopes[%d]", i)
		switch owner := v.ownerOf(scope); {
		case slices.Index(r.Scopes, scope) != i:
			v.add(where, fmt.Sprintf("%q stands twice", scope), "keep one")
		case oauth.AccountScope(scope):
			v.add(where, fmt.Sprintf("%q manages accounts: it is not for clients that register themselves", scope), "remove it, or declare the client under clients")
		case oauth.IdentityScope(scope):
		case owner == "":
			v.add(where, fmt.Sprintf("nothing owns the scope %q", scope), remedyFor(scope, v.knownScopes(), "add it to the scopes of a resource"))
		case !slices.Contains(r.Resources, owner):
			v.add(where, fmt.Sprintf("%q belongs to the resource %q, which is not under registration.resources", scope, owner), fmt.Sprintf("add %s to registration.resources, or remove the scope", owner))
		}
	}
}

// ownerOf is the resource that has a scope; empty: none.
func (v check) ownerOf(scope string) string {
	i := slices.IndexFunc(v.Resources, func(r Resource) bool { return slices.Contains(r.Scopes, scope) })
	if i < 0 {
		return ""
	}
	return v.Resources[i].ID
}

// registrationProviders: people reach such a client by our pages alone, so there must be a way to sign in there.
func (v check) registrationProviders() {
	r := &v.Registration
	for i, name := range r.Providers {
		where := fmt.Sprintf("registration.providers[%d]", i)
		switch known := v.providerNamed(name); {
		case known == nil:
			v.add(where, fmt.Sprintf("there is no provider %q", name), remedyFor(name, v.providerNames(), "declare it under providers"))
		case known.ClientID == "":
			v.add(where, fmt.Sprintf("nobody can be sent to %q: it has no client_id", name), "give the provider client_id and client_secret_file, or remove it here")
		case slices.Index(r.Providers, name) != i:
			v.add(where, fmt.Sprintf("%q stands twice", name), "keep one")
		}
	}
	if len(v.RegistrationProviders()) == 0 && !r.Email && !r.Passkeys {
		v.add("registration", "nobody can sign in to a client that registers itself", "add email: true or passkeys: true below it, or a provider with a client_id")
	}
}

func (v check) statementIssuers() {
	seen := map[string]bool{}
	for i := range v.Registration.Issuers {
		s, where := &v.Registration.Issuers[i], fmt.Sprintf("registration.software_statements[%d]", i)
		switch {
		case s.Issuer == "":
			v.add(where+".issuer", "it is missing", "write the iss of the statements that are taken")
		case seen[s.Issuer]:
			v.add(where+".issuer", fmt.Sprintf("%q stands twice", s.Issuer), "put all its keys into one file")
		}
		seen[s.Issuer] = true
		if s.JWKSFile == "" && len(s.JWKS) == 0 {
			v.add(where+".jwks_file", "it is missing", "name a file with the public keys of the issuer, a JWK Set")
			continue
		}
		if keys, err := jose.ParseSet(s.JWKS); len(s.JWKS) > 0 && (err != nil || len(keys) == 0) {
			v.add(where+".jwks_file", "there is no public key for signing in it", jwksRemedy)
		}
	}
}

// Registrations says who may register clients and what such clients may have, for `config check` and the start: a line, and
// indented ones. None: nobody may.
func (c *Config) Registrations() []string {
	r := &c.Registration
	if !r.On() {
		return nil
	}
	var who []string
	switch r.Mode {
	case registrationOpen:
		who = append(who, "open to anybody")
	case registrationToken:
		who = append(who, "with an initial access token of yours")
	}
	if r.Documents {
		who = append(who, "by a document at the https address that is the client's id, anybody's")
	}
	scopes := r.Scopes
	if len(scopes) == 0 {
		scopes = clientmeta.DefaultScopes
	}
	ways := slices.Clone(c.RegistrationProviders())
	if r.Email {
		ways = append(ways, "e-mail")
	}
	if r.Passkeys {
		ways = append(ways, "passkeys")
	}
	lines := []string{
		"registration of clients: " + strings.Join(who, "; and "),
		"    they may ask for: " + strings.Join(scopes, " "),
		"    their people sign in with: " + strings.Join(ways, ", "),
	}
	if len(r.Resources) > 0 {
		lines = append(lines, "    they may get tokens for: "+strings.Join(r.Resources, ", "))
	}
	return lines
}

// RegistrationProviders are those that people of registered clients are sent to: the ones that are listed, or all that
// anybody can be sent to.
func (c *Config) RegistrationProviders() []string {
	if len(c.Registration.Providers) > 0 {
		return c.Registration.Providers
	}
	var names []string
	for i := range c.Providers {
		if c.Providers[i].ClientID != "" {
			names = append(names, c.Providers[i].Name)
		}
	}
	return names
}

// RegistrationDetailTypes are the types of authorization_details that registered clients may use: those of the resources
// they may ask for.
func (c *Config) RegistrationDetailTypes() []string {
	var types []string
	for i := range c.Resources {
		if !slices.Contains(c.Registration.Resources, c.Resources[i].ID) {
			continue
		}
		for _, d := range c.Resources[i].Details {
			types = append(types, d.Type)
		}
	}
	return types
}
