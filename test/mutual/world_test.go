// Package mutual tests mutual TLS (RFC 8705) over real sockets: clients that authenticate by a certificate, tokens that are
// bound to one, and the listener that asks for it.
package mutual

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/accesstoken"
	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

const clientsYAML = `  - {id: pki, type: service, auth_method: tls_client_auth, tls_client_auth_subject_dn: "CN=pki,O=Bank", tls_client_certificate_bound_access_tokens: true, resources: [todo-api], scopes: [todos.read]}
  - {id: unbound, type: service, auth_method: tls_client_auth, tls_client_auth_subject_dn: "CN=pki,O=Bank", resources: [todo-api], scopes: [todos.read]}
  - {id: by-dns, type: service, auth_method: tls_client_auth, tls_client_auth_san_dns: pki.bank.example, resources: [todo-api], scopes: [todos.read]}
  - {id: by-uri, type: service, auth_method: tls_client_auth, tls_client_auth_san_uri: "urn:bank:pki", resources: [todo-api], scopes: [todos.read]}
  - {id: by-ip, type: service, auth_method: tls_client_auth, tls_client_auth_san_ip: 192.0.2.7, resources: [todo-api], scopes: [todos.read]}
  - {id: by-email, type: service, auth_method: tls_client_auth, tls_client_auth_san_email: pki@bank.example, resources: [todo-api], scopes: [todos.read]}
  - {id: secret, type: service, secret_file: ./service.secret, tls_client_certificate_bound_access_tokens: true, resources: [todo-api], scopes: [todos.read]}
  - {id: both, type: service, secret_file: ./service.secret, dpop: required, tls_client_certificate_bound_access_tokens: true, resources: [todo-api], scopes: [todos.read]}
  - id: own
    type: web
    auth_method: self_signed_tls_client_auth
    jwks_file: ./own.jwks
    tls_client_certificate_bound_access_tokens: true
    first_party: true
    providers: [{name: corp}]
    redirect_uris: ["https://own.bank.example/cb"]
    resources: [todo-api]
    scopes: [openid, offline_access, todos.read, account.read]
`

// world has a client authority and the certificates of its clients.
type world struct {
	*harness.World
	authority *harness.Authority
	pki       *tls.Certificate // of CN=pki,O=Bank and every alternative name
	own       *tls.Certificate // self-signed, by the key that is registered
}

func newWorld(t testing.TB, e harness.Engine, more ...harness.Option) *world {
	t.Helper()
	w := &world{authority: harness.NewAuthority(t, "An authority of clients"), own: harness.SelfSigned(t)}
	w.pki = w.authority.Issue(t, ofTheBank)
	w.World = harness.New(t, e, append(more,
		harness.MutualTLS(w.authority), harness.Clients(clientsYAML), harness.File("own.jwks", keySet(t, w.own)))...)
	if err := w.Corp.AddPerson(standin.Person{Username: "ada", Subject: "corp-ada", Email: "ada@corp.example", Name: "Ada"}); err != nil {
		t.Fatal(err)
	}
	return w
}

func onEngines(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	harness.Engines(t, func(t *testing.T, e harness.Engine) { f(t, newWorld(t, e)) })
}

// ofTheBank is what the bank's client is called in its certificate.
func ofTheBank(c *x509.Certificate) {
	c.RawSubject = must(asn1.Marshal(pkix.Name{Organization: []string{"Bank"}, CommonName: "pki"}.ToRDNSequence()))
	c.DNSNames, c.EmailAddresses = []string{"other.bank.example", "pki.bank.example"}, []string{"pki@bank.example"}
	c.URIs, c.IPAddresses = []*url.URL{must(url.Parse("urn:bank:pki"))}, []net.IP{net.ParseIP("192.0.2.7")}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func keySet(t testing.TB, certs ...*tls.Certificate) string {
	t.Helper()
	var keys []jose.PublicKey
	for i, c := range certs {
		keys = append(keys, jose.PublicKey{Key: c.PrivateKey.(crypto.Signer).Public(), Kid: fmt.Sprint("key-", i)})
	}
	return string(must(jose.MarshalSet(keys)))
}

func thumbprint(c *tls.Certificate) string { return accesstoken.CertificateThumbprint(c.Leaf) }

// ask sends a form to an address over a way.
func (w *world) ask(t testing.TB, way *http.Client, address string, form url.Values, mods ...func(*http.Request)) harness.Answer {
	t.Helper()
	r := must(http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(form.Encode())))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, m := range mods {
		m(r)
	}
	return w.DoBy(way, r)
}

// token asks for a token of a client that asks for itself, at the alias, showing a certificate.
func (w *world) token(t testing.TB, client string, cert *tls.Certificate, mods ...func(*http.Request)) harness.Answer {
	t.Helper()
	return w.ask(t, w.Showing(cert), w.Mutual+"/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {client}}, mods...)
}

// asSecret authenticates a client by the secret of services.
func asSecret(client string) func(*http.Request) { return harness.Basic(client, harness.ServiceSecret) }

func proof(t testing.TB, w *world, key *dpop.Prover, method, address, token string) func(*http.Request) {
	t.Helper()
	return harness.Set("DPoP", must(key.Proof(method, address, "", token, w.Clock.Now())))
}

// confirmed is cnf of a token as introspection tells it.
func (w *world) confirmed(token string) map[string]any {
	w.T.Helper()
	a := w.Introspect(token, harness.ResourceID, harness.ResourceSecret)
	cnf, _ := a.JSON["cnf"].(map[string]any)
	if a.JSON["active"] != true {
		w.T.Errorf("introspection: %d %s", a.Status, a.Body)
	}
	return cnf
}

// refused fails the test unless an answer is this error.
func refused(t testing.TB, name string, a harness.Answer, status int, code oauth.Code) {
	t.Helper()
	if a.Status != status || a.Error() != string(code) {
		t.Errorf("%s: %d %s, want %d %s", name, a.Status, a.Body, status, code)
	}
}
