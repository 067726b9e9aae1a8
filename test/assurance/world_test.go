// Package assurance tests over real sockets what high assurance asks for: pushed and signed requests, signed answers,
// clients that authenticate with keys and certificates, and the profiles that put them together.
package assurance

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

const clientsYAML = `  - id: bank
    name: Bank
    type: web
    profile: fapi2
    auth_method: private_key_jwt
    jwks_file: ./bank.jwks
    first_party: true
    providers: [{name: corp}]
    redirect_uris: ["https://bank.example/cb"]
    resources: [todo-api]
    scopes: [openid, profile, offline_access, todos.read]
  - id: vault
    name: Vault
    type: web
    profile: fapi2-message-signing
    auth_method: private_key_jwt
    jwks_file: ./bank.jwks
    first_party: true
    providers: [{name: corp}]
    redirect_uris: ["https://vault.example/cb"]
    resources: [todo-api]
    scopes: [openid, profile, offline_access, todos.read]
  - id: signer
    name: Signer
    type: web
    auth_method: private_key_jwt
    jwks_file: ./bank.jwks
    first_party: true
    providers: [{name: corp}]
    redirect_uris: ["https://signer.example/cb"]
    resources: [todo-api]
    scopes: [openid, profile, offline_access, todos.read]
  - id: pusher
    name: Pusher
    type: web
    secret_file: ./web.secret
    require_pushed_authorization_requests: true
    providers: [{name: corp}]
    redirect_uris: ["https://pusher.example/cb"]
    resources: [todo-api]
    scopes: [openid, profile, offline_access, todos.read]
`

var redirects = map[string]string{
	"bank": "https://bank.example/cb", "vault": "https://vault.example/cb", "signer": "https://signer.example/cb",
	"pusher": "https://pusher.example/cb", harness.WebID: "https://todo.example/cb",
}

// world is a server with clients of high stakes, whose key is here.
type world struct {
	*harness.World
	key, stranger *jose.Signer
}

func newSigner(t *testing.T, alg jose.Alg, kid string) *jose.Signer {
	t.Helper()
	key, err := jose.GenerateKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	s, err := jose.NewSigner(alg, kid, key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func keySet(t *testing.T, signers ...*jose.Signer) string {
	t.Helper()
	var keys []jose.PublicKey
	for _, s := range signers {
		keys = append(keys, s.Public())
	}
	set, err := jose.MarshalSet(keys)
	if err != nil {
		t.Fatal(err)
	}
	return string(set)
}

func onEngines(t *testing.T, test func(*testing.T, *world), opts ...harness.Option) {
	t.Helper()
	t.Parallel()
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		t.Parallel()
		test(t, open(t, e, opts...))
	})
}

func open(t *testing.T, e harness.Engine, opts ...harness.Option) *world {
	t.Helper()
	w := &world{key: newSigner(t, jose.ES256, "one"), stranger: newSigner(t, jose.ES256, "one")}
	opts = append([]harness.Option{harness.Clients(clientsYAML), harness.File("bank.jwks", keySet(t, w.key))}, opts...)
	w.World = harness.New(t, e, opts...)
	if err := w.Corp.AddPerson(standin.Person{Username: "ada", Subject: "corp-ada", Email: "ada@corp.example", Name: "Ada"}); err != nil {
		t.Fatal(err)
	}
	return w
}

// claims of a JWT; a nil value leaves one out.
type claims map[string]any

func (c claims) with(change claims) claims {
	out := maps.Clone(c)
	for name, value := range change {
		if value == nil {
			delete(out, name)
		} else {
			out[name] = value
		}
	}
	return out
}

// assertion are the claims of a client assertion (RFC 7523 §3).
func (w *world) assertion(client string) claims {
	now := w.Clock.Now()
	return claims{
		"iss": client, "sub": client, "aud": w.Issuer, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
}

func signed(t testing.TB, s *jose.Signer, typ string, c claims) string {
	t.Helper()
	token, err := s.Sign(typ, c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// as authenticates a client that signs.
func (w *world) as(t testing.TB, client string, form url.Values) url.Values {
	t.Helper()
	out := maps.Clone(form)
	out.Set("client_id", client)
	out.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	out.Set("client_assertion", signed(t, w.key, "client-authentication+jwt", w.assertion(client)))
	return out
}

// object are the claims of a request object for what the trip asks for (RFC 9101 §4).
func (w *world) object(trip *harness.Trip) claims {
	now := w.Clock.Now()
	c := claims{"iss": trip.Client, "aud": w.Issuer, "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	for name := range trip.Query {
		c[name] = trip.Query.Get(name)
	}
	return c
}

const objectType = "oauth-authz-req+jwt"

// push leaves a request at /par and returns where the browser goes with it.
func (w *world) push(t testing.TB, client string, form url.Values, mods ...func(*http.Request)) string {
	t.Helper()
	a := w.Post("/par", w.as(t, client, form), mods...)
	if a.Status != http.StatusCreated {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	return w.pushed(client, a)
}

func (w *world) pushed(client string, a harness.Answer) string {
	w.Log.Never(strings.TrimPrefix(a.String("request_uri"), "urn:ietf:params:oauth:request_uri:"))
	return "/authorize?" + url.Values{"client_id": {client}, "request_uri": {a.String("request_uri")}}.Encode()
}

// walk goes through the pages with a browser.
func (w *world) walk(b *harness.Web, path string) {
	b.T.Helper()
	b.Open(path)
	if b.Left == nil && b.Has("provider-corp") {
		b.SignInWith(w.Corp, "corp", "ada")
	}
	if b.Left == nil && b.Has("consent-form") {
		b.Submit("consent-allow", "action", "allow")
	}
	if b.Left == nil && b.Has("passkey-skip") {
		b.Submit("passkey-skip", "action", "skip")
	}
}

func prover(t testing.TB) *dpop.Prover {
	t.Helper()
	p, err := dpop.NewProver()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// proof is a DPoP proof for a path of the server.
func (w *world) proof(t testing.TB, key *dpop.Prover, path string) func(*http.Request) {
	t.Helper()
	p, err := key.Proof(http.MethodPost, w.Issuer+path, "", "", w.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	return harness.Set("DPoP", p)
}

// verified checks a JWT with the published keys, as a client would.
func (w *world) verified(t testing.TB, raw, typ string) jose.Claims {
	t.Helper()
	keys, err := jose.ParseSet(w.Do(w.Request("GET", "/jwks", "")).Body)
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := jose.Verify(context.Background(), raw, jose.Policy{Algs: []jose.Alg{jose.ES256, jose.RS256}, Typ: typ},
		func(_ context.Context, h jose.Header) (crypto.PublicKey, error) {
			for _, k := range keys {
				if k.Kid == h.Kid && k.Fits(h.Alg) {
					return k.Key, nil
				}
			}
			return nil, errors.New("no such key")
		})
	if err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return c
}

func text(c jose.Claims, name string) string {
	s, _, _ := c.String(name)
	return s
}

// refused fails the test unless an answer is this error.
func refused(t testing.TB, name string, a harness.Answer, status int, code oauth.Code) {
	t.Helper()
	if a.Status != status || a.Error() != string(code) || a.Description() == "" {
		t.Errorf("%s: %d %s, want %d %s", name, a.Status, a.Body, status, code)
	}
}

func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprint("a value that is no JSON: ", err))
	}
	return string(text)
}
