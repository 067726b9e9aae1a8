package clients_test

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/countersign/countersign/internal/accesstoken"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/test/harness"
)

// What FAPI 2.0 asks of a client is on in these libraries as their users would have it, and everything goes over TLS, to a
// server that asks for certificates where its metadata says.

const (
	security = "fapi2"
	message  = "fapi2-message-signing"
)

// onSecureEngines is onEngines over TLS.
func onSecureEngines(t *testing.T, test func(*testing.T, *world), options ...harness.Option) {
	t.Helper()
	secureWith(t, harness.NewAuthority(t, "An authority of clients"), test, options...)
}

func secureWith(t *testing.T, clients *harness.Authority, test func(*testing.T, *world), options ...harness.Option) {
	t.Helper()
	t.Parallel()
	options = append(options, harness.MutualTLS(clients))
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		t.Parallel()
		w := &world{World: harness.New(t, e, options...)}
		w.discover(t, w.Showing(nil))
		trusted := filepath.Join(t.TempDir(), "authority.pem")
		if err := os.WriteFile(trusted, []byte(w.ServersPEM()), 0o600); err != nil {
			t.Fatal(err)
		}
		w.env = []string{"NODE_EXTRA_CA_CERTS=" + trusted}
		test(t, w)
	})
}

// keyPair is a key of a client: public in a file, as configuration, and private as OpenSSL writes it.
type keyPair struct {
	jwks    string
	private map[string]string
}

func newKeyPair(t *testing.T, alg jose.Alg, more ...jose.PublicKey) keyPair {
	t.Helper()
	key, err := jose.GenerateKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	set, err := jose.MarshalSet(append(more, jose.PublicKey{Key: key.Public(), Kid: "one", Alg: alg}))
	if err != nil {
		t.Fatal(err)
	}
	k := keyPair{filepath.Join(t.TempDir(), "client.jwks"), map[string]string{"pem": pkcs8(t, key), "alg": string(alg), "kid": "one"}}
	if err := os.WriteFile(k.jwks, set, 0o600); err != nil {
		t.Fatal(err)
	}
	return k
}

func pkcs8(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// assured is what a sign-in under a profile ends with.
type assured struct {
	outcome
	URL    string `json:"url"`    // where the person was sent
	Back   string `json:"back"`   // and came back to
	Forged any    `json:"forged"` // what the library says of a signed answer that was changed; false: answers are not signed
}

// under checks a sign-in by its profile.
func (w *world) under(t *testing.T, profile string, got assured, e expect) {
	t.Helper()
	w.check(t, got.outcome, e)
	sent := query(t, got.URL)
	if len(sent) != 2 || sent.Get("client_id") != e.client || !strings.HasPrefix(sent.Get("request_uri"), "urn:ietf:params:oauth:request_uri:") {
		t.Errorf("%s: the person was sent with %v", e.client, sent)
	}
	back := query(t, got.Back)
	if signed := len(back) == 1 && back.Has("response"); signed != (profile == message) || !signed && !back.Has("iss") {
		t.Errorf("%s: came back with %v", e.client, back)
	}
}

// bound is what an access token is bound to, as an app server is told.
func (w *world) bound(t *testing.T, token string) map[string]any {
	t.Helper()
	cnf, _ := w.Introspect(token, harness.ResourceID, harness.ResourceSecret).JSON["cnf"].(map[string]any)
	return cnf
}

// fapi2-security-5.3.2.1-01, fapi2-security-5.3.2.2-01, fapi2-ms-5.3.1-01, fapi2-ms-5.4.1-01
func TestFAPIClientsSignInWithEveryKeyTheProfileKnows(t *testing.T) {
	type client struct {
		id, profile string
		key         keyPair
	}
	var clients []client
	var options []harness.Option
	for _, alg := range []jose.Alg{jose.ES256, jose.PS256, jose.EdDSA} {
		key := newKeyPair(t, alg)
		for _, profile := range []string{security, message} {
			c := client{strings.ToLower(string(alg)) + "-" + profile, profile, key}
			clients = append(clients, c)
			options = append(options, confidential(c.id, "profile: "+profile+", auth_method: private_key_jwt, jwks_file: "+key.jwks))
		}
	}
	onSecureEngines(t, func(t *testing.T, w *world) {
		for i, c := range clients {
			for j, library := range []string{"openid-client", "oauth4webapi"} {
				slow := (i+j)%2 == 0 // a clock that is slow, so that proofs need the server's nonces
				p := params(c.id, webRedirect, todos)
				p["key"], p["signed"] = c.key.private, c.profile == message
				if slow {
					p["seconds"] = 120
				}
				var got struct {
					assured
					Stolen string   `json:"stolen"`
					Asked  []string `json:"asked"`
				}
				w.node(t, library+"/fapi.mjs", p, &got)
				w.under(t, c.profile, got.assured, expect{c.id, "DPoP", oidc.ES256, false})
				if cnf := w.bound(t, got.Refreshed.AccessToken); cnf["jkt"] == nil || got.Stolen != "invalid_dpop_proof" {
					t.Errorf("%s, %s: bound to %v; without the key: %s", library, c.id, cnf, got.Stolen)
				}
				if slow != slices.Contains(got.Asked, "/par") {
					t.Errorf("%s, %s: asked for nonces at %v, with a slow clock: %t", library, c.id, got.Asked, slow)
				}
				if c.profile == message && got.Forged != "OAUTH_INVALID_RESPONSE" {
					t.Errorf("%s, %s takes a changed answer: %v", library, c.id, got.Forged)
				}
			}
		}
	}, options...)
}

// rfc8705-5-01, fapi2-security-5.3.2.1-06
func TestFAPIClientsSignInWithCertificates(t *testing.T) {
	authority := harness.NewAuthority(t, "An authority of clients")
	issued := authority.Issue(t, func(c *x509.Certificate) { c.DNSNames = []string{"bank.example"} })
	own := harness.SelfSigned(t)
	key := newKeyPair(t, jose.ES256, jose.PublicKey{Key: own.PrivateKey.(crypto.Signer).Public(), Kid: "tls"})
	byAuthority := "auth_method: tls_client_auth, tls_client_auth_san_dns: bank.example, tls_client_certificate_bound_access_tokens: true"
	byKey := "auth_method: self_signed_tls_client_auth, tls_client_certificate_bound_access_tokens: true, jwks_file: " + key.jwks
	clients := []struct {
		id, profile, how string
		certificate      *tls.Certificate
	}{
		{"issued", security, byAuthority, issued},
		{"issued-signing", message, byAuthority + ", jwks_file: " + key.jwks, issued},
		{"own", security, byKey, own},
		{"own-signing", message, byKey, own},
	}
	var options []harness.Option
	for _, c := range clients {
		options = append(options, confidential(c.id, "profile: "+c.profile+", "+c.how))
	}
	secureWith(t, authority, func(t *testing.T, w *world) {
		for _, c := range clients {
			for _, library := range []string{"openid-client", "oauth4webapi"} {
				p := params(c.id, webRedirect, todos)
				p["key"], p["signed"], p["certificate"] = key.private, c.profile == message, shown(t, c.certificate)
				var got struct {
					assured
					Stolen []string `json:"stolen"`
				}
				w.node(t, library+"/certificate.mjs", p, &got)
				w.under(t, c.profile, got.assured, expect{c.id, "Bearer", oidc.ES256, false})
				if cnf := w.bound(t, got.Refreshed.AccessToken); cnf["x5t#S256"] != accesstoken.CertificateThumbprint(c.certificate.Leaf) || cnf["jkt"] != nil {
					t.Errorf("%s, %s: bound to %v", library, c.id, cnf)
				}
				if len(got.Stolen) != 2 || got.Stolen[1] != "invalid_client" {
					t.Errorf("%s, %s: without the certificate: %q", library, c.id, got.Stolen)
				}
			}
		}
	}, options...)
}

// shown is a certificate as Node.js takes it.
func shown(t *testing.T, c *tls.Certificate) map[string]string {
	t.Helper()
	var chain strings.Builder
	for _, der := range c.Certificate {
		if err := pem.Encode(&chain, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			t.Fatal(err)
		}
	}
	return map[string]string{"cert": chain.String(), "key": pkcs8(t, c.PrivateKey.(crypto.Signer))}
}

// rfc9701-5-01: an app server keeps what it was told, with the signature of whom it asked.
func TestAppServersTakeSignedIntrospectionAnswers(t *testing.T) {
	onSecureEngines(t, func(t *testing.T, w *world) {
		a := w.Post("/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"todos.read"}}, harness.Basic(harness.ServiceID, harness.ServiceSecret))
		token := a.String("access_token")
		for _, library := range []string{"openid-client", "oauth4webapi"} {
			for i, want := range []bool{true, false} {
				var said map[string]any
				w.node(t, library+"/introspection.mjs", map[string]any{
					"client_id": harness.ResourceID, "secret": harness.ResourceSecret, "token": token[:len(token)-i],
				}, &said)
				if said["active"] != want || want && said["client_id"] != harness.ServiceID {
					t.Errorf("%s: %v", library, said)
				}
			}
		}
	})
}

// registrationYAML lets in those with a token.
const registrationYAML = `registration:
  mode: token
  scopes: [openid, profile, email, offline_access, todos.read]
  resources: [todo-api]
  providers: [google]
`

// rfc7591-3.1-01, rfc7591-3.2.1-01, rfc7592-2.1-01, rfc7592-2.2-01, rfc7592-2.3-01
func TestClientsRegisterThemselvesAndAreGoneAgain(t *testing.T) {
	onSecureEngines(t, func(t *testing.T, w *world) {
		for _, library := range []string{"openid-client", "oauth4webapi"} {
			made, err := w.Admin().CreateRegistrationToken(t.Context(), library, 1, 3600e9)
			if err != nil {
				t.Fatal(err)
			}
			p := params("", webRedirect, todos)
			p["initial_access_token"] = made.Token
			var got struct {
				outcome
				Registered map[string]any `json:"registered"`
				Read       map[string]any `json:"read"`
				Updated    map[string]any `json:"updated"`
				Gone       []any          `json:"gone"`
				Again      string         `json:"again"`
			}
			w.node(t, library+"/register.mjs", p, &got)
			id := fmt.Sprint(got.Registered["client_id"])
			if got.Read["client_id"] != id || got.Updated["client_name"] != "Another name" || got.Registered["require_pushed_authorization_requests"] != true {
				t.Errorf("%s: %+v", library, got)
			}
			if fmt.Sprint(got.Gone) != "[204 401 invalid_client]" || got.Again != "invalid_token" {
				t.Errorf("%s: once gone %v; the initial access token once more: %s", library, got.Gone, got.Again)
			}
			pinned := oidc.Config{ClientID: id, SupportedSigningAlgs: []string{oidc.ES256}}
			if _, err := w.provider.VerifierContext(w.ctx, &pinned).Verify(w.ctx, got.Tokens.IDToken); err != nil {
				t.Errorf("%s: %v", library, err)
			}
			if w.Active(got.Refreshed.AccessToken) {
				t.Errorf("%s: what the client had outlived it", library)
			}
		}
	}, harness.YAML(registrationYAML))
}
