package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/test/harness"
)

const clientYAML = `
  - id: todo-web-app
    type: web
    secret_file: ./web.secret
    redirect_uris: ["%[1]s/callback"]
    post_logout_redirect_uris: ["%[1]s/"]
    backchannel_logout_uri: "%[1]s/backchannel-logout"
    providers: [{name: google}]
    resources: [todo-api]
    scopes: [openid, profile, email, offline_access, todos.read]
`

func TestAPersonSignsInAndOutAndIsSignedOutElsewhere(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		var web *app
		told := make(chan struct{}, 4)
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			web.handler().ServeHTTP(w, r)
			if r.URL.Path == "/backchannel-logout" {
				told <- struct{}{}
			}
		}))
		t.Cleanup(front.Close)
		w := harness.New(t, e, harness.Clients(fmt.Sprintf(clientYAML, front.URL)))
		var err error
		if web, err = newApp(t.Context(), w.Issuer, front.URL, "todo-web-app", harness.WebSecret); err != nil {
			t.Fatal(err)
		}
		b := w.Browser()
		signIn := func() {
			b.Open(front.URL + "/login")
			if b.Has("provider-google") {
				b.SignInWith(w.Google, "google", "ada").Want("consent-allow").Submit("consent-allow", "action", "allow")
			}
			b.Open(b.Left.String()).Open(front.URL + "/")
			if !strings.Contains(b.Page, "Ada Example") {
				t.Fatalf("%d at %s: %s", b.Status, b.At, b.Page)
			}
		}
		b.Open(front.URL+"/login").Want("login-cancel").Submit("login-form", "action", "cancel")
		if b.Open(b.Left.String()); !strings.Contains(b.Page, "You turned back") || !b.Has("sign-in") {
			t.Errorf("turned back: %d %s", b.Status, b.Page)
		}
		if b.Open(front.URL + "/callback?state=x&code=y"); b.Status != http.StatusBadRequest || !b.Has("sign-in") {
			t.Errorf("a stranger's answer: %d %s", b.Status, b.Page)
		}
		signIn()

		b.Open("/logout").Submit("logout-confirm", "action", "confirm") // at Countersign itself
		select {
		case <-told:
		case <-time.After(10 * time.Second):
			t.Fatal("the app was not told")
		}
		if b.Open(front.URL + "/"); strings.Contains(b.Page, "Ada Example") {
			t.Error("still signed in at the app")
		}

		b.Open(front.URL + "/login").Want("provider-google")
		b.SignInWith(w.Google, "google", "ada") // agreed before
		b.Open(b.Left.String())
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, front.URL+"/logout", strings.NewReader(url.Values{}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if b.Send(r); b.Left == nil || b.Left.String() != front.URL+"/" {
			t.Errorf("after the logout sent to %v; %d at %s", b.Left, b.Status, b.At)
		}
		b.Open(front.URL + "/login").Want("provider-google")
	})
}

// Who signs in by e-mail may have no name.
func TestAPersonWithoutANameIsGreetedByTheirID(t *testing.T) {
	a := &app{people: map[string]*person{"c": {Sub: "acc_1"}}}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	r.Header.Set("Cookie", "session=c")
	w := httptest.NewRecorder()
	if a.home(w, r); !strings.Contains(w.Body.String(), `Signed in as <b id="who">acc_1</b>`) {
		t.Error(w.Body)
	}
}
