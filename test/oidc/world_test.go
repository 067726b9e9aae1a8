// Package oidc tests over real sockets what OpenID Connect clients rely on beyond the sign-in: userinfo, claims, ID tokens,
// logout from the client's side and from ours.
package oidc

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

const clientsYAML = `  - id: rp
    name: Relying Party
    type: web
    secret_file: ./web.secret
    first_party: true
    providers: [{name: corp}, {name: google}]
    redirect_uris: ["https://rp.example/cb"]
    post_logout_redirect_uris: ["https://rp.example/bye", "https://rp.example/bye?kept=1"]
    backchannel_logout_uri: "%[1]s/rp"
    resources: [todo-api]
    scopes: [openid, profile, email, phone, address, offline_access, todos.read]
  - id: rp-signed
    type: web
    secret_file: ./web.secret
    first_party: true
    id_token_alg: ES256
    userinfo_signed_response_alg: ES256
    providers: [{name: corp}]
    redirect_uris: ["https://signed.example/cb"]
    backchannel_logout_uri: "%[1]s/signed"
    resources: [todo-api]
    scopes: [openid, email, offline_access, todos.read]
  - id: rp-third
    name: Third Party
    type: web
    secret_file: ./web.secret
    providers: [{name: corp}]
    redirect_uris: ["https://third.example/cb"]
    post_logout_redirect_uris: ["https://third.example/bye"]
    backchannel_logout_uri: "%[1]s/third"
    resources: [todo-api]
    scopes: [openid, profile, email, offline_access, todos.read]
  - id: rp-private
    type: web
    secret_file: ./web.secret
    first_party: true
    providers: [{name: corp}]
    redirect_uris: ["https://private.example/cb"]
    backchannel_logout_uri: "https://192.168.0.1/logout"
    resources: [todo-api]
    scopes: [openid, offline_access, todos.read]
  - id: todo-all
    type: native
    providers: [{name: google, audiences: [web.example], azp: [android.example]}]
    redirect_uris: ["https://all.example/cb"]
    resources: [todo-api]
    scopes: [openid, profile, email, phone, address, offline_access, todos.read, account.read, account.manage]
`

// world is a server with clients that are told of logouts, and where they are told.
type world struct {
	*harness.World
	told *receiver
}

func onEngines(t *testing.T, test func(*testing.T, *world)) {
	t.Helper()
	t.Parallel()
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		t.Parallel()
		told := newReceiver(t)
		w := harness.New(t, e, harness.Clients(fmt.Sprintf(clientsYAML, told.url)))
		if err := w.Corp.AddPerson(standin.Person{
			Username: "ada", Subject: "corp-ada", Email: "ada@corp.example", Name: "Ada Lovelace", GivenName: "Ada",
			FamilyName: "Lovelace", Picture: "https://corp.example/ada.png", Locale: "en-GB",
		}); err != nil {
			t.Fatal(err)
		}
		test(t, &world{w, told})
	})
}

// receiver is a relying party's back-channel logout endpoint: a real server.
type receiver struct {
	url string

	mu     sync.Mutex
	posts  []post
	status map[string]int // by path; zero: 200
	heard  chan struct{}
}

// post is one logout token as it came.
type post struct {
	path, contentType, token string
	at                       time.Time
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{status: map[string]int{}, heard: make(chan struct{}, 100)}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func (v *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token := r.PostFormValue("logout_token")
	v.mu.Lock()
	v.posts = append(v.posts, post{r.URL.Path, r.Header.Get("Content-Type"), token, time.Now()})
	status := v.status[r.URL.Path]
	v.mu.Unlock()
	if status != 0 {
		w.WriteHeader(status)
	}
	v.heard <- struct{}{}
}

// answers makes a path answer with a status from now on.
func (v *receiver) answers(path string, status int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.status[path] = status
}

// next waits for n more posts and returns all there were so far.
func (v *receiver) next(t *testing.T, n int) []post {
	t.Helper()
	late := time.After(10 * time.Second)
	for range n {
		select {
		case <-v.heard:
		case <-late:
			t.Fatal("nothing came")
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]post(nil), v.posts...)
}

var redirects = map[string]string{
	"rp": "https://rp.example/cb", "rp-signed": "https://signed.example/cb", "rp-third": "https://third.example/cb",
	"rp-private": "https://private.example/cb",
}

// signIn takes a browser through a trip and redeems its code.
func (w *world) signIn(t *testing.T, b *harness.Web, client, scope string, more ...string) (*harness.Trip, harness.Answer) {
	t.Helper()
	trip := harness.NewTrip(client, redirects[client], scope, more...)
	b.Open(trip.Path())
	if b.Left == nil && b.Has("provider-corp") {
		b.SignInWith(w.Corp, "corp", "ada")
	}
	if b.Left == nil && b.Has("consent-form") {
		b.Submit("consent-allow", "action", "allow")
	}
	a := w.Post("/token", trip.Redeem(trip.Code(b)), harness.Basic(client, harness.WebSecret))
	if a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	return trip, a
}

// enter is signIn where what comes of it is not needed.
func (w *world) enter(t *testing.T, b *harness.Web, client, scope string) {
	t.Helper()
	_, _ = w.signIn(t, b, client, scope)
}

// revoke ends the session of the client rp that has these tokens.
func (w *world) revoke(t *testing.T, tokens harness.Answer) {
	t.Helper()
	form := url.Values{"token": {tokens.String("refresh_token")}}
	if a := w.Post("/revoke", form, harness.Basic("rp", harness.WebSecret)); a.Status != 200 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

func bearer(a harness.Answer) func(*http.Request) {
	return harness.Set("Authorization", "Bearer "+a.String("access_token"))
}

func (w *world) userInfo(t *testing.T, tokens harness.Answer) map[string]any {
	t.Helper()
	a := w.Do(w.Request("GET", "/userinfo", "", bearer(tokens)))
	if a.Status != 200 || a.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	return a.JSON
}

// verified checks a JWT with the published keys, as a client would.
func (w *world) verified(t *testing.T, raw, typ string, alg jose.Alg) jose.Claims {
	t.Helper()
	a := w.Do(w.Request("GET", "/jwks", ""))
	keys, err := jose.ParseSet(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	find := func(h jose.Header) (crypto.PublicKey, error) {
		for _, k := range keys {
			if k.Kid == h.Kid && h.Alg == alg {
				return k.Key, nil
			}
		}
		return nil, errors.New("no such key")
	}
	claims, _, err := jose.Verify(t.Context(), raw, jose.Policy{Algs: []jose.Alg{jose.ES256, jose.RS256}, Typ: typ}, func(_ context.Context, h jose.Header) (crypto.PublicKey, error) { return find(h) })
	if err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return claims
}

func text(c jose.Claims, name string) string {
	s, _, _ := c.String(name)
	return s
}

// logout is the path of a logout with these parameters, name and value by turns.
func logout(params ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(params); i += 2 {
		q.Set(params[i], params[i+1])
	}
	return "/logout?" + q.Encode()
}

// silent tells whether the browser is signed in: a request that may show nothing gets a code.
func (w *world) silent(b *harness.Web) bool {
	trip := harness.NewTrip("rp", redirects["rp"], "openid", "prompt", "none")
	return trip.Response(b.Open(trip.Path())).Get("error") == ""
}

func has(list string, word string) bool { return strings.Contains(list, word) }
