// Package clients_test lets other people's libraries judge us, unmodified and each as its own documentation shows it:
// golang.org/x/oauth2 with coreos/go-oidc and zitadel/oidc in this process, and openid-client, oauth4webapi and AppAuth in
// scripts under node/, which Node.js runs. Only the person's browser is ours. docs/clients.md is what we learnt.
package clients_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

const todos = "openid profile email offline_access todos.read"

// onEngines gives a test a world of its own on each engine, and a provider that go-oidc found by its issuer alone.
func onEngines(t *testing.T, test func(*testing.T, *world), options ...harness.Option) {
	t.Helper()
	t.Parallel()
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		t.Parallel()
		w := &world{World: harness.New(t, e, options...)}
		transport := &http.Transport{}
		t.Cleanup(transport.CloseIdleConnections)
		w.discover(t, &http.Client{Transport: transport, Timeout: 20 * time.Second})
		test(t, w)
	})
}

// discover finds the provider over a way to the server.
func (w *world) discover(t *testing.T, way *http.Client) {
	t.Helper()
	w.http = way
	w.ctx = oidc.ClientContext(t.Context(), w.http) // x/oauth2 looks for the client under the same key
	var err error
	if w.provider, err = oidc.NewProvider(w.ctx, w.Issuer); err != nil {
		t.Fatal(err)
	}
}

type world struct {
	*harness.World
	http     *http.Client
	ctx      context.Context
	provider *oidc.Provider
	env      []string // of the scripts
}

// native signs somebody in on a phone without a key; both libraries speak Bearer only.
func (w *world) native(t *testing.T, clientID string) *standin.Tokens {
	t.Helper()
	p := w.Phone("phone", harness.As(clientID, todos, harness.Audience), harness.Bearer)
	tokens, err := p.SignIn(t.Context(), w.GooglePrompt("ada"))
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// web is what a confidential client gets for somebody's credential, and the nonce it asked with.
func (w *world) web(t *testing.T, clientID, secret string) (a harness.Answer, nonce string) {
	t.Helper()
	auth := harness.Basic(clientID, secret)
	nonce = w.Post("/challenge", url.Values{}, auth).String("nonce")
	asked := standin.GoogleAndroid(harness.GoogleWeb, "android.example", harness.Person("ada"))
	asked.Nonce = nonce
	credential, err := w.Google.Issue(asked)
	if err != nil {
		t.Fatal(err)
	}
	a = w.Post("/token", url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "nonce": {nonce}, "scope": {"openid offline_access todos.read"},
		"subject_token": {credential.IDToken}, "subject_token_type": {"urn:ietf:params:oauth:token-type:id_token"},
	}, auth)
	if a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	return a, nonce
}

// brief is a client whose access tokens x/oauth2 takes for spent at once (it drops them 10 s before their end), so that
// a token source refreshes whenever it is asked.
func brief(id, kind string) string {
	return "  - {id: " + id + ", " + kind + ", access_token_ttl: 5s, resources: [todo-api],\n" +
		"     providers: [{name: google, audiences: [web.example], azp: [android.example]}],\n" +
		"     scopes: [openid, profile, email, offline_access, todos.read]}\n"
}

// spent is a token of which only the refresh token is of use.
func spent(refreshToken string) *oauth2.Token {
	return &oauth2.Token{AccessToken: "spent", RefreshToken: refreshToken, Expiry: time.Unix(1, 0)}
}
