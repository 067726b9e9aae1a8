package trip

import (
	"html"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/test/harness"
)

// restart is where the link of an error page begins the trip anew.
func restart(b *harness.Web) string {
	b.T.Helper()
	tag := b.Page[:max(0, strings.Index(b.Page, `id="error-restart"`))]
	_, rest, found := strings.Cut(b.Page[max(0, strings.LastIndex(tag, "<a")):], `href="`)
	href, _, _ := strings.Cut(rest, `"`)
	if len(tag) == 0 || !found {
		b.T.Fatalf("no way on at %s (%d):\n%s", b.At, b.Status, b.Page)
	}
	return html.UnescapeString(href)
}

// anew fails the test unless the page says that the trip is over and its link leads to a code.
func anew(t *testing.T, w *harness.World, trip *harness.Trip, b *harness.Web) {
	t.Helper()
	staysHere(t, b)
	b.Open(restart(b))
	if b.Left == nil {
		through(b.SignInWith(w.Google, "google", "alice"))
	}
	trip.Code(b)
}

func TestNoOldPageIsADeadEnd(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		trip := web()
		b := w.Browser().Open(trip.Path())
		old := b.At.String()
		b.Submit("provider-google")
		callback, err := w.Google.SignInAt(t.Context(), nil, b.Left.String(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		b.Send(callback).Want("consent-form")

		// The callback is loaded again, the login page comes back, a second tab opens it: the trip is where it was.
		b.Open(callback.URL.String()).Want("consent-form")
		if strings.Contains(b.At.String(), "notice") {
			t.Errorf("a reload is no failure: %s\n%s", b.At, b.Page)
		}
		b.Open(old).Want("consent-form")
		b.Submit("consent-allow", "action", "allow").Want("passkey-skip")
		b.Open(old).Want("passkey-skip")
		trip.Code(b.Submit("passkey-skip", "action", "skip"))

		// It is over: every old page says so and leads on.
		for _, page := range []string{old, callback.URL.String()} {
			anew(t, w, trip, b.Open(page))
		}
	})
}

func TestATripThatTookTooLongBeginsAnew(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		trip := web("login_hint", "alice@example.com", "ui_locales", "de en", "resource", harness.Audience)
		b := w.Browser().Open(trip.Path())
		page := b.At.String()
		w.Clock.Step(31 * time.Minute)
		anew(t, w, trip, b.Open(page))

		late := web()
		c := w.Browser().Open(late.Path()).Submit("provider-google")
		callback, err := w.Google.SignInAt(t.Context(), nil, c.Left.String(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		w.Clock.Step(31 * time.Minute)
		anew(t, w, late, c.Send(callback))

		form := w.Browser().Open(web().Path())
		w.Clock.Step(31 * time.Minute)
		staysHere(t, form.Submit("login-submit", "action", "email", "email", "bob@example.com"))
		staysHere(t, w.Browser().Open("/login"))
		staysHere(t, w.Browser().Open("/login?flow=nonsense"))
	})
}

func TestTwoTabsAtOnceHaveATripEach(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		one, two := web(), web()
		b := w.Browser().Open(one.Path())
		first := b.At.String()
		b.Open(two.Path())
		second := b.At.String()
		if first == second {
			t.Fatal("one trip for both")
		}
		through(b.SignInWith(w.Google, "google", "alice"))
		_ = tokens(t, w, two, two.Code(b))
		through(b.Open(first)) // signed in by the other tab: nothing is left to ask
		_ = tokens(t, w, one, one.Code(b))
		anew(t, w, two, b.Open(second))
	})
}

// Two tabs of one trip: the second click is not an error, it is shown where the trip is.
func TestOneTripInTwoTabsGoesOnWhereItIs(t *testing.T) {
	w := harness.New(t, harness.SQLite)
	trip := web()
	b := w.Browser().Open(trip.Path())
	login := *b
	b.SignInWith(w.Google, "google", "alice").Want("consent-form")
	consent := *b
	*b = login
	b.Submit("login-form", "action", "email", "email", "bob@example.com") // in the old tab they begin another way
	b.Open(consent.At.String()).Want("code").Submit("code", "action", "back")
	b.Open(consent.At.String()).Want("consent-form")
	trip.Code(through(b))
}

func TestCancellingIsToldAndOneMayTryAgain(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		trip := web()
		b := w.Browser().Open(trip.Path())
		for _, provider := range []string{"google", "apple", "corp"} {
			deny := map[string]func(string) (*http.Request, error){
				"google": func(at string) (*http.Request, error) { return w.Google.DenyAt(t.Context(), nil, at) },
				"apple":  func(at string) (*http.Request, error) { return w.Apple.DenyAt(t.Context(), nil, at) },
				"corp":   func(at string) (*http.Request, error) { return w.Corp.DenyAt(t.Context(), nil, at) },
			}[provider]
			back, err := deny(b.Want("provider-" + provider).Submit("provider-" + provider).Left.String())
			if err != nil {
				t.Fatal(err)
			}
			b.Send(back).Want("login-form")
			if !strings.Contains(b.At.String(), "notice=provider_cancelled") || b.Status != 200 {
				t.Errorf("%s: %s", provider, b.At)
			}
		}
		page := b.At.String()
		goesBack(t, trip, b.Submit("login-form", "action", "cancel"), "access_denied")
		anew(t, w, trip, b.Open(page))

		denied := web("scope", "openid profile")
		b.Open(denied.Path()).Want("consent-form")
		goesBack(t, denied, b.Submit("consent-deny", "action", "deny"), "access_denied")
	})
}

func TestATripGoesOnAfterTheServerWasRestarted(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		trip := web()
		b := w.Browser().Open(trip.Path())
		w.Restart()
		b.Submit("provider-google")
		w.Restart()
		back, err := w.Google.SignInAt(t.Context(), nil, b.Left.String(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		b.Send(back).Want("consent-form")
		w.Restart()
		b.Submit("consent-allow", "action", "allow")
		w.Restart()
		b.Submit("passkey-skip", "action", "skip")
		code := trip.Code(b)
		w.Restart()
		_ = tokens(t, w, trip, code)
	})
}
