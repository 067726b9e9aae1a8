package oidc

import (
	"net/url"
	"strings"
	"testing"

	"github.com/countersign/countersign/test/harness"
)

const bye = "https://rp.example/bye"

// oidc-rpinitiated-2-01, oidc-rpinitiated-2-02, oidc-rpinitiated-2-06, oidc-rpinitiated-3-01, oidc-rpinitiated-3-02
func TestAHintAboutWhoIsSignedInEndsItAtOnceAndLeadsBack(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		for _, c := range []struct{ name, method, to, want string }{
			{"by GET", "GET", bye, bye + "?state=s+1"},
			{"by POST", "POST", bye, bye + "?state=s+1"},
			{"to an address with a query", "GET", bye + "?kept=1", bye + "?kept=1&state=s+1"},
		} {
			b := w.Browser()
			_, got := w.signIn(t, b, "rp", "openid offline_access todos.read")
			form := url.Values{
				"id_token_hint": {got.String("id_token")}, "post_logout_redirect_uri": {c.to}, "state": {"s 1"}, "client_id": {"rp"},
				"logout_hint": {"somebody@else.example"}, "ui_locales": {"de"},
			}
			if c.method == "GET" {
				b.Open("/logout?" + form.Encode())
			} else {
				b.Post("/logout", form)
			}
			if b.Left == nil || b.Left.String() != c.want {
				t.Errorf("%s: left for %v: %s", c.name, b.Left, b.Page)
			}
			if w.Active(got.String("access_token")) || w.silent(b) {
				t.Errorf("%s: still signed in", c.name)
			}
		}
	})
}

func TestAnExpiredIDTokenIsAsGoodAHint(t *testing.T) { // oidc-rpinitiated-2-03
	onEngines(t, func(t *testing.T, w *world) {
		b := w.Browser()
		_, got := w.signIn(t, b, "rp", "openid")
		w.Clock.Step(3 * 24 * 3600e9)
		b.Open(logout("id_token_hint", got.String("id_token"), "post_logout_redirect_uri", bye))
		if b.Left == nil || b.Left.String() != bye {
			t.Errorf("left for %v: %s", b.Left, b.Page)
		}
	})
}

// SE04, oidc-rpinitiated-2-04, oidc-rpinitiated-2-05, oidc-rpinitiated-3-03, oidc-rpinitiated-4-01
func TestWhatDoesNotHoldIsAskedAboutAndLeadsNowhere(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		b := w.Browser()
		_, got := w.signIn(t, b, "rp", "openid")
		_, third := w.signIn(t, b, "rp-third", "openid")
		_, signed := w.signIn(t, b, "rp-signed", "openid")
		userInfo := w.Do(w.Request("GET", "/userinfo", "", bearer(signed)))
		stranger := w.Browser().Open(harness.NewTrip("rp", redirects["rp"], "openid").Path())
		other := harness.NewTrip("rp", redirects["rp"], "openid")
		stranger.Open(other.Path()).SignInWith(w.Google, "google", "eve")
		eve := w.Post("/token", other.Redeem(other.Code(stranger)), harness.Basic("rp", harness.WebSecret))
		mine := got.String("id_token")
		for name, params := range map[string][]string{
			"nothing at all":            {},
			"no hint, no client":        {"post_logout_redirect_uri", bye},
			"no hint, another address":  {"client_id", "rp", "post_logout_redirect_uri", "https://evil.example/"},
			"no hint, another client's": {"client_id", "rp-third", "post_logout_redirect_uri", bye},
			"no hint, no such client":   {"client_id", "nobody", "post_logout_redirect_uri", bye},
			"garbage":                   {"id_token_hint", "gar.ba.ge", "post_logout_redirect_uri", bye, "client_id", "rp"},
			"a damaged hint":            {"id_token_hint", mine[:len(mine)-8] + "AAAAAAAA", "post_logout_redirect_uri", bye, "client_id", "rp"},
			"an access token":           {"id_token_hint", got.String("access_token"), "post_logout_redirect_uri", bye, "client_id", "rp"},
			"userinfo, signed":          {"id_token_hint", string(userInfo.Body)},
			"an unregistered address":   {"id_token_hint", mine, "post_logout_redirect_uri", "https://evil.example/"},
			"almost the address":        {"id_token_hint", mine, "post_logout_redirect_uri", bye + "/"},
			"another person's hint":     {"id_token_hint", eve.String("id_token"), "post_logout_redirect_uri", bye},
			"another client's hint":     {"id_token_hint", third.String("id_token"), "post_logout_redirect_uri", bye, "client_id", "rp"},
		} {
			b.Open(logout(params...))
			if b.Left != nil || b.Status != 200 || !b.Has("logout-confirm") {
				t.Errorf("%s: %d, left for %v: %s", name, b.Status, b.Left, b.Page)
				continue
			}
			if _, fields := b.Form("logout-confirm"); fields.Has("post_logout_redirect_uri") {
				t.Errorf("%s: the page carries the address on", name)
			}
			if csp := b.Header.Get("Content-Security-Policy"); !has(csp, "form-action 'self';") {
				t.Errorf("%s: %s", name, csp)
			}
			if b.Submit("logout-cancel", "action", "cancel"); !b.Has("logout-kept") || !w.silent(b) {
				t.Errorf("%s: staying signed in did not stay", name)
			}
		}
		if a := b.Open("/logout?state=1&state=2"); a.Status != 400 {
			t.Errorf("a repeated parameter: %d", a.Status)
		}
		b.Open(logout()).Submit("logout-confirm", "action", "confirm").Want("logout-done")
		if w.silent(b) || w.Active(got.String("access_token")) {
			t.Error("still signed in")
		}
	})
}

// oidc-rpinitiated-3-04: the person's word stands for the hint.
func TestWithoutAHintTheBrowserReturnsOnceThePersonAgreed(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		b := w.Browser()
		_, got := w.signIn(t, b, "rp", "openid todos.read")
		b.Open(logout("client_id", "rp", "post_logout_redirect_uri", bye, "state", `"><b>`))
		if b.Left != nil || !has(b.Page, "Relying Party") || !has(b.Header.Get("Content-Security-Policy"), "form-action 'self' https:;") {
			t.Fatalf("%v %v %s", b.Left, b.Header, b.Page)
		}
		b.Submit("logout-confirm", "action", "confirm")
		if b.Left == nil || b.Left.String() != bye+"?state="+url.QueryEscape(`"><b>`) {
			t.Errorf("left for %v: %s", b.Left, b.Page)
		}
		if w.silent(b) || w.Active(got.String("access_token")) {
			t.Error("still signed in")
		}
		// Nobody is signed in here any more: there is nothing to agree to, and a link to follow.
		b.Open(logout("client_id", "rp", "post_logout_redirect_uri", bye)).Want("logout-done")
		if b.Left != nil || !has(b.Page, `href="`+bye+`"`) {
			t.Errorf("%v %s", b.Left, b.Page)
		}
	})
}

// The form of the page is nobody's word for where the browser may go.
func TestTheConfirmedAddressIsJudgedAnew(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		for _, forged := range [][]string{
			{"post_logout_redirect_uri", "https://evil.example/"}, {"client_id", "rp-third"}, {"client_id", "nobody"}, {"client_id", ""},
		} {
			b := w.Browser()
			w.enter(t, b, "rp", "openid")
			b.Open(logout("client_id", "rp", "post_logout_redirect_uri", bye))
			b.Submit("logout-confirm", append([]string{"action", "confirm"}, forged...)...)
			if b.Left != nil || !b.Has("logout-done") {
				t.Errorf("%v: left for %v", forged, b.Left)
			}
		}
	})
}

func TestAnotherSiteCannotPressTheButton(t *testing.T) { // SE04
	onEngines(t, func(t *testing.T, w *world) {
		b := w.Browser()
		w.enter(t, b, "rp", "openid")
		for header, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
			r := w.Request("POST", "/logout", "action=confirm", harness.Set("Content-Type", "application/x-www-form-urlencoded"), harness.Set(header, value))
			if b.Send(r); !b.Has("logout-confirm") || !w.silent(b) {
				t.Errorf("%s: %s signs out: %s", header, value, b.Page)
			}
		}
	})
}

// What a client posts is asked again by GET, with our cookies; what no address can hold is refused, from wherever it comes.
func TestALogoutThatIsTooLongForAnAddressIsRefused(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		long := "client_id=" + strings.Repeat("x", 13<<10)
		for _, site := range []string{"cross-site", "same-origin"} {
			r := w.Request("POST", "/logout", long, harness.Set("Content-Type", "application/x-www-form-urlencoded"), harness.Set("Sec-Fetch-Site", site))
			if a := w.Do(r); a.Status != 400 || a.Header.Get("Location") != "" {
				t.Errorf("%s: %d %.60s", site, a.Status, a.Header.Get("Location"))
			}
		}
	})
}

func TestWithdrawingAConsentEndsWhatItAllowed(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		p := w.SignedIn("pixel", w.Google.PersonNamed("alice").Subject, harness.As("todo-all", "openid offline_access account.read account.manage", w.Issuer))
		b := w.Browser()
		trip := harness.NewTrip(harness.WebID, "https://todo.example/cb", "openid offline_access todos.read")
		b.Open(trip.Path()).SignInWith(w.Google, "google", "alice").Submit("consent-allow", "action", "allow")
		if b.Has("passkey-skip") {
			b.Submit("passkey-skip", "action", "skip")
		}
		got := w.Post("/token", trip.Redeem(trip.Code(b)), harness.Basic(harness.WebID, harness.WebSecret))
		call := func(method, path string, body any) (int, string) {
			t.Helper()
			a, err := p.Call(t.Context(), method, w.Issuer+path, body)
			if err != nil {
				t.Fatal(err)
			}
			return a.Status, string(a.Body) + strings.Join(a.Header.Values("WWW-Authenticate"), " ")
		}
		list := func() string {
			t.Helper()
			status, text := call("GET", "/account/v1/consents", nil)
			if status != 200 {
				t.Fatalf("%d %s", status, text)
			}
			return text
		}
		if text := list(); !has(text, `"client_id":"todo-web","client_name":"Todo for the web","scope":"openid offline_access todos.read","resources":["https://api.example.com"]`) {
			t.Errorf("%s", text)
		}
		if status, text := call("DELETE", "/account/v1/consents/nobody", nil); status != 404 {
			t.Errorf("%d %s", status, text)
		}
		if status, text := call("DELETE", "/account/v1/consents/todo-web", nil); status != 401 || !has(text, "insufficient_user_authentication") {
			t.Errorf("%d %s", status, text)
		}
		if !w.Active(got.String("access_token")) {
			t.Error("a refused withdrawal ended something")
		}
		nonce, err := p.Challenge(t.Context(), "reauth")
		if err != nil {
			t.Fatal(err)
		}
		proof, err := w.GooglePrompt(w.Google.PersonNamed("alice").Subject)(t.Context(), nonce)
		if err != nil {
			t.Fatal(err)
		}
		body := map[string]any{"reauth_token": proof.IDToken, "reauth_nonce": nonce}
		if status, text := call("DELETE", "/account/v1/consents/todo-web", body); status != 204 {
			t.Fatalf("%d %s", status, text)
		}
		if w.Active(got.String("access_token")) || has(list(), "todo-web") {
			t.Error("it still holds")
		}
		a := w.Refresh(harness.WebID, got.String("refresh_token"), harness.Basic(harness.WebID, harness.WebSecret))
		if a.Error() != "invalid_grant" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		again := harness.NewTrip(harness.WebID, "https://todo.example/cb", "openid")
		b.Open(again.Path()).Want("consent-form")
	})
}
