package trip

import (
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

const ownRedirect = "https://own.example/cb"

// own is a trip of the first-party client: nobody is asked for consent.
func own(more ...string) *harness.Trip {
	return harness.NewTrip(harness.OwnID, ownRedirect, "openid offline_access todos.read", more...)
}

// tokens redeems a trip's code.
func tokens(t *testing.T, w *harness.World, trip *harness.Trip, code string) harness.Answer {
	t.Helper()
	a := w.Post("/token", trip.Redeem(code), harness.Basic(trip.Client, harness.WebSecret))
	if a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	return a
}

// subject is whose tokens these are.
func subject(t *testing.T, w *harness.World, a harness.Answer) string {
	t.Helper()
	r := w.Request("GET", "/userinfo", "")
	r.Header.Set("Authorization", "Bearer "+a.String("access_token"))
	info := w.Do(r)
	if info.Status != 200 {
		t.Fatalf("userinfo: %d %s", info.Status, info.Body)
	}
	return info.String("sub")
}

func TestEveryProviderByRedirectSignsInToItsOwnAccountAgainAndAgain(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		for name, p := range map[string]*standin.Provider{
			"google": w.Google, "apple": w.Apple, "corp": w.Corp, "microsoft": w.Microsoft, "github": w.GitHub,
		} {
			var first string
			for range 2 {
				trip := harness.NewTrip(harness.WebID, webRedirect, "openid")
				b := w.Browser().Open(trip.Path()).SignInWith(p, name, "alice")
				if b.Has("consent-form") {
					b.Submit("consent-allow", "action", "allow")
				}
				if b.Has("passkey-skip") {
					b.Submit("passkey-skip", "action", "skip")
				}
				sub := subject(t, w, tokens(t, w, trip, trip.Code(b)))
				if first == "" {
					first = sub
				}
				if sub != first {
					t.Errorf("%s: the second time it is %s, not %s", name, sub, first)
				}
			}
		}
	})
}

func TestWhoSignedInNativelyIsTheSameAccountInTheBrowser(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		alice := w.Google.PersonNamed("alice")
		account, err := w.SignedIn("phone", alice.Subject).Account(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		trip := own()
		b := w.Browser().Open(trip.Path()).SignInWith(w.Google, "google", "alice")
		if got := subject(t, w, tokens(t, w, trip, trip.Code(b))); got != account.ID {
			t.Errorf("%s in the browser, %s on the phone", got, account.ID)
		}
	})
}

var sixDigits = regexp.MustCompile(`\b\d{6}\b`)

func TestACodeByMailSignsIn(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		trip := harness.NewTrip(harness.WebID, webRedirect, "openid")
		b := w.Browser().Open(trip.Path()).Submit("login-submit", "action", "email", "email", "Bob@EXAMPLE.com")
		b.Want("code")
		m, err := w.Mails.WaitFor(context.Background(), "Bob@example.com")
		if err != nil {
			t.Fatal(err)
		}
		b.Submit("code-submit", "code", sixDigits.FindString(m.Text()))
		b.Want("consent-form").Submit("consent-allow", "action", "allow").Submit("passkey-skip", "action", "skip")
		_ = tokens(t, w, trip, trip.Code(b))
	})
}

func TestASecondTripOfASignedInBrowserAsksNothing(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		b := w.Browser()
		first := own()
		b.Open(first.Path()).SignInWith(w.Corp, "corp", "alice")
		one := subject(t, w, tokens(t, w, first, first.Code(b)))
		for _, more := range [][]string{nil, {"prompt", "none"}, {"max_age", "300"}} {
			next := own(more...)
			b.Open(next.Path())
			if two := subject(t, w, tokens(t, w, next, next.Code(b))); two != one {
				t.Errorf("%v: %s, then %s", more, one, two)
			}
		}
		again := own("prompt", "login")
		b.Open(again.Path()).Want("login-form").SignInWith(w.Corp, "corp", "alice")
		if two := subject(t, w, tokens(t, w, again, again.Code(b))); two != one {
			t.Errorf("%s, then %s", one, two)
		}
	})
}

func TestADeviceGetsItsTokensOncePersonAgreed(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		began := w.Post("/device_authorization", map[string][]string{"client_id": {harness.TVID}, "scope": {"openid offline_access todos.read"}})
		if began.Status != 200 {
			t.Fatalf("%d %s", began.Status, began.Body)
		}
		poll := func() harness.Answer {
			return w.Post("/token", map[string][]string{
				"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {harness.TVID},
				"device_code": {began.String("device_code")},
			})
		}
		if a := poll(); a.Status != 400 || a.Error() != "authorization_pending" {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		if a := poll(); a.Status != 400 || a.Error() != "slow_down" {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		b := w.Browser().Open(began.String("verification_uri_complete"))
		b.Submit("device-submit").SignInWith(w.Google, "google", "alice")
		b.Want("consent-form").Submit("consent-allow", "action", "allow")
		w.Clock.Step(11 * time.Second)
		a := poll()
		if a.Status != 200 || a.String("refresh_token") == "" {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
	})
}

func TestALogoutByTheClientEndsWhatItsTokensWereGoodFor(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		b := w.Browser()
		trip := harness.NewTrip(harness.WebID, webRedirect, "openid offline_access todos.read")
		b.Open(trip.Path()).SignInWith(w.Google, "google", "alice").Submit("consent-allow", "action", "allow").Submit("passkey-skip", "action", "skip")
		got := tokens(t, w, trip, trip.Code(b))
		b.Open("/logout?post_logout_redirect_uri=https://todo.example/bye&state=x&id_token_hint=" + got.String("id_token"))
		if b.Left == nil || b.Left.String() != "https://todo.example/bye?state=x" {
			t.Fatalf("left for %v: %s", b.Left, b.Page)
		}
		if w.Active(got.String("access_token")) {
			t.Error("the access token is still active")
		}
		if a := w.Refresh(harness.WebID, got.String("refresh_token"), harness.Basic(harness.WebID, harness.WebSecret)); a.Error() != "invalid_grant" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		silent := harness.NewTrip(harness.WebID, webRedirect, "openid", "prompt", "none")
		if q := silent.Response(b.Open(silent.Path())); q.Get("error") != "login_required" {
			t.Errorf("%v", q)
		}
	})
}

// A single-page app that asks silently every few minutes is one session all day, and each of its trips one row that is
// swept.
func TestAskingSilentlyAgainAndAgainIsOneSession(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		b, db := w.Browser(), w.Store()
		first := harness.NewTrip(harness.OwnID, ownRedirect, "openid todos.read")
		b.Open(first.Path()).SignInWith(w.Corp, "corp", "alice")
		_ = tokens(t, w, first, first.Code(b))
		before, err := db.Rows(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			silent := harness.NewTrip(harness.OwnID, ownRedirect, "openid todos.read", "prompt", "none")
			a := tokens(t, w, silent, silent.Code(b.Open(silent.Path())))
			if !w.Active(a.String("access_token")) {
				t.Error("not active")
			}
		}
		after, err := db.Rows(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for table, n := range after {
			if table != "flows" && n != before[table] {
				t.Errorf("%s: %d rows, then %d", table, before[table], n)
			}
		}
		// Who wants to be signed in for longer gets a session of its own.
		offline := own()
		_ = tokens(t, w, offline, offline.Code(b.Open(offline.Path())))
		if more, err := db.Rows(t.Context()); err != nil || more["sessions"] != after["sessions"]+1 {
			t.Errorf("%d sessions (%v)", more["sessions"], err)
		}
	})
}

// An app on the phone that signed in by the browser is not signed out by a web page in it.
func TestSigningOutOfAWebPageLeavesTheAppOnTheDevice(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		b := w.Browser()
		app := harness.NewTrip(harness.ClientID, "https://todo.example/app", "openid offline_access todos.read")
		b.Open(app.Path()).SignInWith(w.Google, "google", "alice").Submit("consent-allow", "action", "allow").Submit("passkey-skip", "action", "skip")
		onPhone := w.Post("/token", app.Redeem(app.Code(b), "client_id", harness.ClientID))
		page := own()
		b.Open(page.Path())
		web := tokens(t, w, page, page.Code(b))

		b.Open("/logout?id_token_hint=" + web.String("id_token"))
		if w.Active(web.String("access_token")) {
			t.Error("the page is still signed in")
		}
		if a := w.Refresh(harness.ClientID, onPhone.String("refresh_token")); a.Status != 200 {
			t.Errorf("the app: %d %s", a.Status, a.Body)
		}
		// Its own logout ends it.
		back := own()
		b.Open(back.Path()).SignInWith(w.Google, "google", "alice")
		b.Open("/logout?id_token_hint=" + onPhone.String("id_token"))
		if a := w.Refresh(harness.ClientID, onPhone.String("refresh_token")); a.Error() != "invalid_grant" {
			t.Errorf("the app, after its own logout: %d %s", a.Status, a.Body)
		}
	})
}

// A page with nothing but "cancel" on it helps nobody.
func TestWhatNoWayOfTheClientCanGiveIsToldAtOnce(t *testing.T) {
	w := harness.New(t, harness.SQLite, harness.Clients(`  - id: com.example.google
    type: native
    redirect_uris: ["https://todo.example/app"]
    providers: [{name: google}]
    scopes: [openid]
`))
	for name, trip := range map[string]*harness.Trip{
		"a passkey of a client without":        own("acr_values", "phr"),
		"a time of a provider that tells none": harness.NewTrip("com.example.google", "https://todo.example/app", "openid", "prompt", "login"),
	} {
		if q := trip.Response(w.Browser().Open(trip.Path())); q.Get("error") != "unmet_authentication_requirements" {
			t.Errorf("%s: %v", name, q)
		}
	}
}
