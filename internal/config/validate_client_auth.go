package config

import (
	"fmt"

	"github.com/countersign/countersign/internal/domain"
)

const pkceOptional = "optional"

// confidential tells whether the client runs where a secret stays secret.
func (c *Client) confidential() bool {
	return c.Type == string(domain.ClientWeb) || c.Type == string(domain.ClientService)
}

// signs tells whether the client authenticates by what it signs.
func (c *Client) signs() bool { return c.AuthMethod == string(domain.AuthPrivateKey) }

// clientAuth: one way to authenticate, and what belongs to it.
func (v check) clientAuth(i int) {
	c := &v.Clients[i]
	if !c.confidential() {
		v.publicClient(i)
		return
	}
	if c.AuthMethod != "" && !v.oneOf(at("clients", i, "auth_method"), c.AuthMethod,
		string(domain.AuthSecretBasic), string(domain.AuthSecretPost), string(domain.AuthPrivateKey),
		string(domain.AuthTLS), string(domain.AuthSelfSigned)) {
		return
	}
	if c.byCertificate() {
		v.certified(i)
		return
	}
	if c.signs() {
		v.signingClient(i)
		return
	}
	if c.AssertionAud != "" {
		v.add(at("clients", i, "assertion_audience"), "it belongs to auth_method: private_key_jwt", "set that, or remove the line")
	}
	v.clientSecrets(i)
}

// publicClient: what ships to everybody authenticates with nothing (RFC 8252 §8.5).
func (v check) publicClient(i int) {
	c := &v.Clients[i]
	v.noSecrets(i, fmt.Sprintf("a %s client cannot keep a secret: everybody who has the app has it", c.Type), "remove the line; DPoP guards its tokens instead")
	for _, f := range []struct {
		key   string
		there bool
	}{
		{"auth_method", c.AuthMethod != "" && c.AuthMethod != string(domain.AuthNone)},
		{"jwks_file", c.JWKSFile != "" || len(c.JWKS) > 0},
		{"assertion_audience", c.AssertionAud != ""},
	} {
		if f.there {
			v.add(at("clients", i, f.key), fmt.Sprintf("a %s client authenticates with nothing", c.Type), "remove the line")
		}
	}
}

// noSecrets: who shows itself in another way has none.
func (v check) noSecrets(i int, text, remedy string) {
	c := &v.Clients[i]
	if c.SecretFile != "" || c.Secret != "" {
		v.add(at("clients", i, "secret_file"), text, remedy)
	}
	if c.OldSecretFile != "" || c.OldSecret != "" {
		v.add(at("clients", i, "previous_secret_file"), text, remedy)
	}
}

func (v check) signingClient(i int) {
	c := &v.Clients[i]
	v.noSecrets(i, "a client that signs has no secret", "remove the line, or choose another auth_method")
	if c.AssertionAud != "" {
		v.oneOf(at("clients", i, "assertion_audience"), c.AssertionAud, audienceIssuer, audienceLegacy)
	}
}

func (v check) clientSecrets(i int) {
	c := &v.Clients[i]
	file, old := at("clients", i, "secret_file"), at("clients", i, "previous_secret_file")
	if c.SecretFile == "" && c.Secret == "" && c.Profile == "" { // a profile wants something else, and says so
		v.add(file, fmt.Sprintf("a %s client needs a secret", c.Type), fmt.Sprintf(secretFileExample, "client", "client"))
	}
	v.secretStrength(file, c.Secret)
	v.secretStrength(old, c.OldSecret)
	if c.OldSecret != "" && c.OldSecret == c.Secret {
		v.add(old, "it holds the very secret that secret_file does", "make a new secret for secret_file, or remove the line")
	}
}

// clientPKCE: only who authenticates may do without (OAuth 2.1 §7.6, RFC 9700 §2.1.1).
func (v check) clientPKCE(i int) {
	c := &v.Clients[i]
	where := at("clients", i, "pkce")
	switch {
	case c.PKCE == "":
	case !v.oneOf(where, c.PKCE, "required", pkceOptional):
	case c.PKCE == pkceOptional && !c.confidential():
		v.add(where, fmt.Sprintf("a %s client has nothing but PKCE to show that a code is its own", c.Type), "remove the line")
	}
}
