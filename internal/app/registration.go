package app

import (
	"fmt"

	"github.com/countersign/countersign/internal/clientmeta"
	"github.com/countersign/countersign/internal/config"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/registration"
)

// registrations makes the rule that lets clients in which nobody declared, where the configuration lets any in.
func (a *App) registrations() error {
	r := &a.config.Registration
	if !r.On() {
		return nil
	}
	terms := clientmeta.Terms{
		Scopes: r.Scopes, Resources: r.Resources, Providers: a.config.RegistrationProviders(), Email: r.Email, Passkeys: r.Passkeys,
		DetailTypes: a.config.RegistrationDetailTypes(), Loopback: a.config.OnLoopback(), TLS: a.config.MTLS.On(),
		Public: a.documents.CheckPublic,
	}
	for _, s := range r.Issuers {
		keys, err := jose.ParseSet(s.JWKS)
		if err != nil {
			return fmt.Errorf("registration.software_statements: %s: %w", s.Issuer, err)
		}
		terms.Statements = append(terms.Statements, clientmeta.StatementIssuer{Issuer: s.Issuer, Keys: keys})
	}
	a.registration = &registration.Service{
		DB: a.db, Issuer: a.config.Issuer, Mode: mode(r.Mode), Documents: r.Documents, Terms: terms, Fetch: a.documents,
		Limit: registration.NewLimit(), Total: registration.NewTotal(),
	}
	a.clients.Registration = true
	if r.Documents {
		a.clients.Discover = a.registration.Discover
	}
	return nil
}

func mode(word string) registration.Mode {
	if word == config.RegistrationOff {
		return registration.Off
	}
	return registration.Mode(word)
}
