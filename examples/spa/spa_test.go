package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countersign/countersign/resource"
	"github.com/countersign/countersign/test/browser"
	"github.com/countersign/countersign/test/harness"
)

func TestMain(m *testing.M) { browser.Main(m) }

const clientYAML = `
  - id: spa
    name: Todo in the browser
    type: browser
    origins: ["%[1]s"]
    redirect_uris: ["%[1]s/"]
    post_logout_redirect_uris: ["%[1]s/"]
    providers: [{name: google}]
    resources: [todo-api]
    scopes: [openid, profile, offline_access, todos.read]
`

// In a real browser: sign-in, tokens bound to the page's key, refresh, a reload that asks Countersign without a word, an
// API that is down, and the end.
func TestASinglePageAppSignsInRenewsAndSignsOut(t *testing.T) {
	var app http.Handler
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { app.ServeHTTP(w, r) }))
	t.Cleanup(front.Close)
	w := harness.New(t, harness.SQLite, harness.Clients(fmt.Sprintf(clientYAML, front.URL)))
	todos := api(t, w, front.URL)
	app = handler(settings{Issuer: w.Issuer, ClientID: "spa", Scope: "openid profile offline_access todos.read", API: todos.URL})

	b := browser.New(t, browser.Desktop)
	b.Open(front.URL + "/") // asks without a word first: nobody is signed in
	b.Click("#sign-in:not([hidden])")
	b.Click("#provider-google")
	b.Type("#username", "ada")
	b.Click("#standin-allow")
	b.Click("#consent-allow")
	b.Wait("#signed-in:not([hidden]) #todos li")
	if got := b.Text("#name") + ", " + b.Text("#token-type") + ": " + b.Text("#todos"); got != "Ada Example, DPoP: Water the plants" {
		t.Error(got)
	}
	b.Click("#renew")
	b.Click("#renew") // one is under way, or this is the next: neither costs the session
	b.Wait("#signed-in:not([hidden])")
	if stored := b.Script("JSON.stringify([localStorage, sessionStorage, document.cookie, location.search])"); stored != `[{},{},"",""]` {
		t.Errorf("the page leaves behind %s", stored)
	}
	b.Reload() // the tokens are forgotten; Countersign is not
	b.Wait("#signed-in:not([hidden]) #todos li")
	todos.Close()
	b.Reload()
	b.Wait("#signed-in:not([hidden])")
	b.Wait("#problem:not([hidden])")
	if got := b.Text("#problem"); !strings.Contains(got, "go run ./examples/api") {
		t.Error(got)
	}
	b.Click("#sign-out")
	b.Wait("#sign-in:not([hidden])")
	if b.Address() != front.URL+"/" {
		t.Errorf("signed out at %s", b.Address())
	}
	b.Reload()
	b.Wait("#sign-in:not([hidden])")
}

// api takes bound tokens from the page's origin.
func api(t *testing.T, w *harness.World, origin string) *httptest.Server {
	t.Helper()
	var tokens *resource.Verifier
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		out.Header().Set("Access-Control-Allow-Origin", origin)
		out.Header().Set("Access-Control-Allow-Headers", "Authorization, DPoP")
		out.Header().Set("Access-Control-Expose-Headers", "DPoP-Nonce, WWW-Authenticate")
		if r.Method == http.MethodOptions {
			return
		}
		tokens.Middleware("todos.read")(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(out).Encode(map[string]any{"todos": []string{"Water the plants"}})
		})).ServeHTTP(out, r)
	}))
	t.Cleanup(server.Close)
	var err error
	tokens, err = resource.New(resource.Config{Issuer: w.Issuer, Audience: harness.Audience, BaseURL: server.URL, RequireDPoP: true})
	if err != nil {
		t.Fatal(err)
	}
	return server
}
