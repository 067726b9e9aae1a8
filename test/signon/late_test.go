package signon_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/internal/signin"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// offered is a browser of somebody who has just signed in and is offered a passkey.
func offered(w *harness.World, username string) (*harness.Trip, *harness.Web) {
	trip, b := web(), w.Browser()
	b.Open(trip.Path()).SignInWith(w.Corp, "corp", username)
	return trip, b.Submit("consent-allow", "action", "allow").Want("passkey-skip")
}

// WA04: whoever finds the page open is perhaps somebody else. Five minutes after the sign-in no passkey is offered and none
// is kept, and the trip goes on without it.
func TestWA04APasskeyIsMadeSoonAfterTheSignInOrNotAtAll(t *testing.T) { // SE12
	onEngines(t, func(t *testing.T, w *harness.World) {
		create := func(b *harness.Web) []string {
			t.Helper()
			made, err := standin.NewAuthenticator().Create(b.PasskeyOptions(), w.Issuer)
			if err != nil {
				t.Fatal(err)
			}
			return []string{"credential", string(made)}
		}
		t.Run("offered late", func(t *testing.T) {
			trip, b := offered(w, "alice")
			w.Clock.Step(25 * time.Minute)
			if b.Open("/login?flow=" + flowOf(t, b)); b.Has("passkey-skip") {
				t.Error("a passkey is offered 25 minutes after the sign-in")
			}
			trip.Code(b)
		})
		t.Run("made late, for a challenge that is young", func(t *testing.T) {
			trip, b := offered(w, "bob")
			w.Clock.Step(signin.StepUpWindow - time.Minute)
			b.Open("/login?flow=" + flowOf(t, b)).Want("passkey-skip")
			made := create(b)
			w.Clock.Step(time.Minute + time.Second)
			trip.Code(b.Submit("passkey-form", made...))
			if n := rows(t, w)["passkeys"]; n != 0 {
				t.Errorf("%d passkeys", n)
			}
		})
		t.Run("in time", func(t *testing.T) {
			trip, b := offered(w, "carol")
			w.Clock.Step(signin.StepUpWindow - time.Minute)
			b.Open("/login?flow=" + flowOf(t, b)).Want("passkey-skip")
			trip.Code(b.Submit("passkey-form", create(b)...))
			if n := rows(t, w)["passkeys"]; n != 1 {
				t.Errorf("%d passkeys", n)
			}
		})
	})
}

// AZ12 rfc8252-8.6-02: of a native client's loopback address any port will do, so that any program on the device could
// listen. Nothing goes there without a person's doing, on the port of before or another.
func TestAZ12NothingGoesSilentlyToLoopback(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		app := func(port string, more ...string) *harness.Trip {
			return harness.NewTrip(harness.ClientID, "http://127.0.0.1:"+port+"/cb", "openid offline_access todos.read", more...)
		}
		first := app("5000")
		b := w.Browser().Open(first.Path()).SignInWith(w.Corp, "corp", "alice")
		first.Code(through(b))
		for _, port := range []string{"5000", "6666"} {
			silent := app(port, "prompt", "none")
			if q := silent.Response(b.Open(silent.Path())); q.Get("error") != "consent_required" || q.Get("code") != "" {
				t.Errorf("port %s: %v", port, q)
			}
			asked := app(port)
			asked.Code(b.Open(asked.Path()).Want("login-continue").Submit("login-continue", "action", "continue"))
		}
	})
}

// TK04: a confidential client's session has no key, but a code that was bound to one (dpop_jkt) tells whose duplicate it is.
func TestTK04ADuplicateOfABoundCodeRevokesNothing(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		w.Clock.Freeze()
		key, err := dpop.NewProver()
		if err != nil {
			t.Fatal(err)
		}
		for name, tt := range map[string]struct {
			after time.Duration
			ends  bool
		}{"at once": {0, false}, "after 10 s": {10 * time.Second, true}} {
			t.Run(name, func(t *testing.T) {
				trip, b := web("dpop_jkt", key.JKT()), w.Browser()
				form := trip.Redeem(trip.Code(through(b.Open(trip.Path()).SignInWith(w.Corp, "corp", "alice"))))
				redeem := func() harness.Answer {
					proof, err := key.Proof(http.MethodPost, w.Issuer+"/token", "", "", w.Clock.Now())
					if err != nil {
						t.Fatal(err)
					}
					return w.Post("/token", form, harness.Basic(harness.WebID, harness.WebSecret), harness.Set("DPoP", proof))
				}
				got := redeem()
				if got.Status != http.StatusOK {
					t.Fatalf("%d %s", got.Status, got.Body)
				}
				w.Clock.Step(tt.after)
				if again := redeem(); again.Error() != "invalid_grant" {
					t.Errorf("%d %s", again.Status, again.Body)
				}
				if active := w.Active(got.String("access_token")); active == tt.ends {
					t.Errorf("active: %t", active)
				}
			})
		}
	})
}
