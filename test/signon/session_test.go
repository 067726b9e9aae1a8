package signon_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/client"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// signedIn tells whether the browser is somebody to a client that takes every way to sign in.
func signedIn(b *harness.Web) bool {
	silent := web("prompt", "none")
	said := silent.Response(b.Open(silent.Path()))
	return said.Get("code") != "" || said.Get("error") == "consent_required"
}

// Every sign-in makes a new cookie, and the one before is good for nothing any more.
func TestSE01TheCookieIsNewAfterEverySignIn(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		b := w.Browser().PutCookie(signOn, "brw_planted.c2VjcmV0")
		first := own()
		account(t, w, first, b.Open(first.Path()).SignInWith(w.Corp, "corp", "alice"))
		seen := map[string]bool{}
		for name, next := range map[string]func(){
			"a step-up": func() {
				trip := own("prompt", "login")
				account(t, w, trip, b.Open(trip.Path()).SignInWith(w.Corp, "corp", "alice"))
			},
			"another sign-in by the same person": func() {
				trip := own("prompt", "login")
				account(t, w, trip, b.Open(trip.Path()).SignInWith(w.Corp, "corp", "alice"))
			},
			"an account switch": func() {
				trip := web("prompt", "select_account")
				b.Open(trip.Path())
				b.Open("/login?as=another&flow="+flowOf(t, b)).SignInWith(w.Corp, "corp", "bob")
				account(t, w, trip, b)
			},
		} {
			before := b.Copy()
			old := b.Cookie(signOn)
			next()
			if now := b.Cookie(signOn); now == old || seen[now] || now == "" {
				t.Errorf("%s: the cookie is not new", name)
			}
			seen[b.Cookie(signOn)] = true
			if signedIn(before) {
				t.Errorf("%s: the old cookie is still good", name)
			}
			if !signedIn(b) {
				t.Errorf("%s: the new cookie is no good", name)
			}
		}
	})
}

// What is planted is nobody: a made-up value, another's id with a secret of one's own, a cut value, two of one name.
func TestSE02APlantedCookieIsNobody(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		b, trip := w.Browser(), own()
		account(t, w, trip, b.Open(trip.Path()).SignInWith(w.Corp, "corp", "alice"))
		good := b.Cookie(signOn)
		id, secret, _ := strings.Cut(good, ".")
		for _, planted := range []string{
			"x", ".", id, id + ".", id + "." + strings.Repeat("A", 43), "." + secret, id + "." + secret + "=", good + "A",
			strings.ToUpper(id) + "." + secret, strings.Repeat("A", 4000),
		} {
			if signedIn(b.Copy().PutCookie(signOn, planted)) {
				t.Errorf("%.80q is somebody", planted)
			}
		}
		silent := own("prompt", "none")
		for name, cookies := range map[string]string{
			"two":              signOn + "=" + good + "; " + signOn + "=planted",
			"two, other order": signOn + "=planted; " + signOn + "=" + good,
			"another's name":   "__Host-" + signOn + "=" + good,
		} {
			a := w.Do(w.Request(http.MethodGet, silent.Path(), "", harness.Set("Cookie", cookies)))
			if to := a.Header.Get("Location"); !strings.Contains(to, "error=login_required") {
				t.Errorf("%s: sent to %s", name, to)
			}
		}
		if a := w.Do(w.Request(http.MethodGet, silent.Path(), "", harness.Set("Cookie", signOn+"="+good))); !strings.Contains(a.Header.Get("Location"), "code=") {
			t.Errorf("the good one alone: %v", a.Header)
		}
	})
}

// A logout that nobody of ours asked for asks first and leads nowhere.
func TestSE04NobodyIsSignedOutOrSentAwayByAPageAnybodyCanMake(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		b, bob := w.Browser(), w.Browser()
		trip, bobs := own(), own()
		got := tokens(t, w, trip, b.Open(trip.Path()).SignInWith(w.Corp, "corp", "alice"))
		theirs := tokens(t, w, bobs, bob.Open(bobs.Path()).SignInWith(w.Corp, "corp", "bob"))
		mine := web()
		here := tokens(t, w, mine, through(b.Open(mine.Path()))).String("id_token")
		bye := "https://todo.example/bye"
		for name, q := range map[string]url.Values{
			"no hint":                     {"post_logout_redirect_uri": {bye}},
			"a bad hint":                  {"post_logout_redirect_uri": {bye}, "id_token_hint": {here[:len(here)-4] + "AAAA"}},
			"an access token as the hint": {"post_logout_redirect_uri": {bye}, "id_token_hint": {got.String("access_token")}},
			"another's hint":              {"id_token_hint": {theirs.String("id_token")}},
			"an address not registered":   {"id_token_hint": {here}, "post_logout_redirect_uri": {"https://evil.example/bye"}},
			"nearly the registered one":   {"id_token_hint": {here}, "post_logout_redirect_uri": {bye + "/"}},
			"another client's":            {"id_token_hint": {here}, "post_logout_redirect_uri": {bye}, "client_id": {harness.OwnID}},
			"one of another client":       {"id_token_hint": {got.String("id_token")}, "post_logout_redirect_uri": {bye}},
		} {
			b.Open("/logout?" + q.Encode())
			if b.Left != nil || !b.Has("logout-confirm") {
				t.Errorf("%s: left for %v, %s", name, b.Left, b.Page)
			}
			r := w.Request(http.MethodPost, "/logout", url.Values{"action": {"confirm"}}.Encode(),
				harness.Set("Content-Type", "application/x-www-form-urlencoded"), harness.Set("Sec-Fetch-Site", "cross-site"))
			b.Copy().Send(r)
			if !signedIn(b) {
				t.Fatalf("%s: signed out", name)
			}
		}
		if b.Open("/logout?" + url.Values{"id_token_hint": {here}, "id_token_hint_": {"x"}, "client_id": {harness.WebID}, "post_logout_redirect_uri": {bye}, "state": {"a b"}}.Encode()); b.Left == nil ||
			b.Left.String() != bye+"?state=a+b" || signedIn(b) {
			t.Errorf("the right one: %v", b.Left)
		}
	})
}

// After a logout nothing is left on any node.
func TestSE05ALogoutHoldsOnEveryNodeAtOnce(t *testing.T) {
	twoNodes(t, func(t *testing.T, w *harness.World) {
		b, trip := w.Browser().Via(w.Nodes[0]), web()
		got := tokens(t, w, trip, through(b.Open(trip.Path()).SignInWith(w.Google, "google", "alice")))
		there := b.Copy().Via(w.Nodes[1])
		if !signedIn(there) {
			t.Fatal("not signed in on the other node")
		}
		before := b.Copy()
		b.Open("/logout").Submit("logout-confirm", "action", "confirm").Want("logout-done")
		if b.Cookie(signOn) != "" {
			t.Error("the cookie stays")
		}
		for i, n := range w.Nodes {
			if signedIn(before.Copy().Via(n)) {
				t.Errorf("node %d: the cookie is still good", i)
			}
			a := w.Post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.String("refresh_token")}},
				harness.Basic(harness.WebID, harness.WebSecret), harness.At(n))
			if a.Error() != "invalid_grant" {
				t.Errorf("node %d: %d %s", i, a.Status, a.Body)
			}
		}
	})
}

const script = `<script>alert(1)</script>"><img src=x onerror=alert(1)>`

// Text of a client, a provider, an address or a form is text on a page.
func TestSE06NothingThatPeopleOrProvidersWriteBecomesMarkup(t *testing.T) {
	evil := `
  - {id: evil, type: web, secret_file: ./web.secret, name: '` + script + `', providers: [{name: corp}], email: true, redirect_uris: ["https://evil.example/cb"], resources: [todo-api], scopes: [openid, todos.read]}
`
	onEngines(t, func(t *testing.T, w *harness.World) {
		plain := func(what string, b *harness.Web) {
			t.Helper()
			if strings.Contains(b.Page, "<script>alert") || strings.Contains(b.Page, "<img src=x") {
				t.Errorf("%s: markup at %s\n%s", what, b.At, b.Page)
			}
			csp := b.Header.Get("Content-Security-Policy")
			if b.Left == nil && (!strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe-inline")) {
				t.Errorf("%s: CSP %q", what, csp)
			}
		}
		if err := w.Corp.AddPerson(standin.Person{Username: "mallory", Subject: "mallory", Name: script, GivenName: script, Email: `"` + script + `"@x.example`}); err != nil {
			t.Fatal(err)
		}
		trip := harness.NewTrip("evil", "https://evil.example/cb", "openid todos.read", "login_hint", script, "ui_locales", script, "state", script)
		b := w.Browser().Open(trip.Path())
		plain("client_name and login_hint", b)
		plain("notice", b.Copy().Open(b.At.RequestURI()+"&notice="+url.QueryEscape(script)))
		plain("error of the provider", func() *harness.Web {
			c := b.Copy()
			w.Corp.Misbehave(standin.Mischief{Error: script})
			defer w.Corp.Misbehave(standin.Mischief{})
			return c.SignInWith(w.Corp, "corp", "mallory")
		}())
		plain("callback", b.Copy().Open("/federation/"+url.PathEscape(script)+"/callback?state="+url.QueryEscape(script)+"&error_description="+url.QueryEscape(script)))
		b.SignInWith(w.Corp, "corp", "mallory").Want("consent-form")
		plain("display name", b)
		plain("flow", b.Copy().Open("/login?flow="+url.QueryEscape(script)))
		plain("user code", b.Copy().Open("/device?user_code="+url.QueryEscape(script[:30])))
		plain("logout", b.Copy().Open("/logout?state="+url.QueryEscape(script)+"&post_logout_redirect_uri=javascript:alert(1)"))
		plain("redirect_uri", b.Copy().Open("/authorize?client_id=evil&redirect_uri=javascript:alert(1)&state="+url.QueryEscape(script)))
		plain("client_id", b.Copy().Open("/authorize?client_id="+url.QueryEscape(script)))
		post := harness.NewTrip("evil", "https://evil.example/cb", "openid todos.read", "state", script, "response_mode", "form_post", "prompt", "none")
		plain("form_post", w.Browser().Open(post.Path()))
	}, harness.Clients(evil))
}

// Foreign and null origins may read nothing, and pages nobody.
func TestSE16NoOtherOriginReadsAnswers(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		trip, b := own(), w.Browser()
		got := tokens(t, w, trip, b.Open(trip.Path()).SignInWith(w.Corp, "corp", "alice"))
		bearer := harness.Set("Authorization", "Bearer "+got.String("access_token"))
		form := harness.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, r := range []struct{ method, path string }{
			{"POST", "/token"}, {"GET", "/userinfo"}, {"POST", "/revoke"}, {"GET", "/.well-known/openid-configuration"}, {"GET", "/jwks"},
		} {
			for origin, readable := range map[string]bool{
				"https://evil.example": false, "null": false, "https://todo.example.evil.example": false, "http://todo.example": false,
				"https://todo.example": true,
			} {
				for _, method := range []string{r.method, "OPTIONS"} {
					a := w.Do(w.Request(method, r.path, "", bearer, form, harness.Set("Origin", origin),
						harness.Set("Access-Control-Request-Method", r.method)))
					allowed := a.Header.Get("Access-Control-Allow-Origin")
					if a.Header.Get("Access-Control-Allow-Credentials") != "" || readable != (allowed == origin) || (!readable && allowed != "") {
						t.Errorf("%s %s from %s: %v", method, r.path, origin, a.Header)
					}
				}
			}
		}
		for _, path := range []string{trip.Path(), "/login", "/device", "/logout", "/logout/done", "/federation/corp/callback"} {
			a := w.Do(w.Request(http.MethodGet, path, "", harness.Set("Origin", "https://todo.example")))
			for name := range a.Header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s answers %s: %s", path, name, a.Header.Get(name))
				}
			}
		}
	})
}

// Who ends every session, or disables the account, ends what browsers are signed in to as well.
func TestSE05SignedOutEverywhereIsSignedOutInBrowsersToo(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, w *harness.World, admin *client.Client, who string){
		"by the operator": func(t *testing.T, _ *harness.World, admin *client.Client, who string) {
			if _, err := admin.EndAccountSessions(t.Context(), who); err != nil {
				t.Fatal(err)
			}
		},
		"account disabled": func(t *testing.T, _ *harness.World, admin *client.Client, who string) {
			if _, err := admin.DisableAccount(t.Context(), who); err != nil {
				t.Fatal(err)
			}
		},
		"from the phone": func(t *testing.T, w *harness.World, _ *client.Client, _ string) {
			alice := w.Google.PersonNamed("alice")
			phone := w.SignedIn("phone", alice.Subject)
			if _, err := phone.EndOtherSessions(t.Context(), w.GooglePrompt(alice.Subject)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, w *harness.World) {
				b, trip := w.Browser(), own()
				got := tokens(t, w, trip, b.Open(trip.Path()).SignInWith(w.Google, "google", "alice"))
				end(t, w, w.Admin(), subject(t, w, got))
				if signedIn(b) {
					t.Error("the browser is still signed in")
				}
				if a := w.Refresh(harness.OwnID, got.String("refresh_token"), harness.Basic(harness.OwnID, harness.WebSecret)); a.Error() != "invalid_grant" {
					t.Errorf("%d %s", a.Status, a.Body)
				}
			})
		})
	}
}

// A client that lists Google and the company's own sign-in is not open to whoever proved a mailbox to another client, or
// came from a provider it does not list. What counts is how the person signed in here, not what else their account has.
func TestSE18SingleSignOnPassesNobodyByAWayTheClientDoesNotList(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		for name, in := range map[string]func(b *harness.Web, trip *harness.Trip){
			"a code by mail": func(b *harness.Web, trip *harness.Trip) {
				code := send(t, w, b.Open(trip.Path()), "mallory@company.example")
				account(t, w, trip, b.Submit("code-submit", "code", code))
			},
			"GitHub": func(b *harness.Web, trip *harness.Trip) {
				account(t, w, trip, b.Open(trip.Path()).SignInWith(w.GitHub, "github", "eve"))
			},
		} {
			b := w.Browser()
			in(b, web())
			silent, asked := own("prompt", "none"), own()
			if got := silent.Response(b.Open(silent.Path())); got.Get("error") != "login_required" || got.Get("code") != "" {
				t.Errorf("%s, silently: %v", name, got)
			}
			if b.Open(asked.Path()); b.Left != nil || !b.Has("provider-google") || !strings.Contains(b.Page, "to continue to") {
				t.Errorf("%s: %v\n%s", name, b.Left, b.Page)
			}
			if again := web("prompt", "none"); again.Response(b.Open(again.Path())).Get("code") == "" {
				t.Errorf("%s: signed out of the client that lists it", name)
			}
			account(t, w, asked, b.Open(asked.Path()).SignInWith(w.Corp, "corp", "mallory"))
			if silent = own("prompt", "none"); silent.Response(b.Open(silent.Path())).Get("code") == "" {
				t.Errorf("%s: whoever signed in by a way the client lists is asked again", name)
			}
			b = w.Browser()
			in(b, web())
			b.Open(newDevice(t, w).began.String("verification_uri_complete")).Submit("device-submit") // of a client that lists the same two
			if b.Has("consent-form") || !b.Has("provider-google") {
				t.Errorf("%s: a device is agreed to by it", name)
			}
		}
	})
}

// A code that is committed reaches its client, also where the visit that comes with it cannot be noted.
func TestACodeIsNotLostForAVisitThatIsNotNoted(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		b, first := w.Browser(), own()
		account(t, w, first, b.Open(first.Path()).SignInWith(w.Corp, "corp", "alice"))
		if w.Engine == harness.SQLite {
			w.Exec("CREATE TRIGGER unseen BEFORE UPDATE OF seen_at ON browsers BEGIN SELECT RAISE(ABORT, 'unseen'); END")
		} else {
			w.Exec("ALTER TABLE browsers ADD CONSTRAINT unseen CHECK (seen_at = created_at)")
		}
		w.Clock.Step(2 * time.Hour)
		next := own()
		account(t, w, next, b.Open(next.Path()))
	})
}
