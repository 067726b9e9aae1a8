package oauthhttp_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// signing adds a service that signs to the catalog and returns its key.
func (h *house) signing(t *testing.T) *jose.Signer {
	t.Helper()
	key, err := jose.GenerateKey(jose.ES256)
	fatal(t, err)
	signer, err := jose.NewSigner(jose.ES256, "2026-11", key)
	fatal(t, err)
	set, err := jose.MarshalSet([]jose.PublicKey{signer.Public()})
	fatal(t, err)
	c := declared()
	c.Clients = append(c.Clients, domain.Client{
		ID: "signer", Type: domain.ClientService, DPoP: domain.DPoPAllowed, AuthMethod: domain.AuthPrivateKey, JWKS: set,
		Resources: []string{"todo-api"}, Scopes: []string{"todos.read"},
	})
	h.declare(t, c)
	return signer
}

// CA01 CA02 CA04 CA05 CA08 rfc7521-4.2-01 rfc7523-3-07: over the wire, from the database's own copy of the keys.
func TestAClientSignsAtTheTokenEndpoint(t *testing.T) {
	h := build(t)
	signer := h.signing(t)
	assertion := func(change func(map[string]any)) string {
		now := h.db.Now()
		claims := map[string]any{
			"iss": "signer", "sub": "signer", "aud": h.url, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
		}
		if change != nil {
			change(claims)
		}
		raw, err := signer.Sign("client-authentication+jwt", claims)
		fatal(t, err)
		return raw
	}
	ask := func(assertion string, more ...string) answer {
		form := []string{"grant_type", "client_credentials", "client_assertion_type", assertionType, "client_assertion", assertion}
		return post(t, h.url+"/token", append(form, more...))
	}
	good := assertion(nil)
	if a := ask(good); a.StatusCode != 200 || claims(t, a.json(t)["access_token"])["sub"] != "signer" {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	for name, c := range map[string]struct {
		answer answer
		status int
		code   string
	}{
		"the same again":      {ask(good), 401, "invalid_client"},
		"the token endpoint":  {ask(assertion(func(c map[string]any) { c["aud"] = h.url + "/token" })), 401, "invalid_client"},
		"no exp":              {ask(assertion(func(c map[string]any) { delete(c, "exp") })), 401, "invalid_client"},
		"another client's id": {ask(assertion(nil), "client_id", "nightly"), 401, "invalid_client"},
		"and a secret":        {ask(assertion(nil), "client_secret", secret), 400, "invalid_request"},
		"no type": {
			post(t, h.url+"/token", []string{"grant_type", "client_credentials", "client_assertion", assertion(nil)}), 401, "invalid_client",
		},
	} {
		if !c.answer.failed(t, c.status, c.code) {
			t.Errorf("%s: %d %s", name, c.answer.StatusCode, c.answer.body)
		}
	}
}
