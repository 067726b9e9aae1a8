// Package trip tests the browser flows over real sockets, as a browser without script goes through them.
package trip

import (
	"testing"

	"github.com/countersign/countersign/test/harness"
)

const webRedirect = "https://todo.example/cb"

func TestAPersonSignsInWithAProviderAndTheClientGetsItsTokens(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		trip := harness.NewTrip(harness.WebID, webRedirect, "openid offline_access todos.read")
		b := w.Browser().Open(trip.Path())
		b.Want("login-form").SignInWith(w.Google, "google", "alice")
		b.Want("consent-form").Submit("consent-allow", "action", "allow")
		b.Submit("passkey-skip", "action", "skip")
		code := trip.Code(b)

		got := w.Post("/token", trip.Redeem(code), harness.Basic(harness.WebID, harness.WebSecret))
		if got.Status != 200 || got.String("access_token") == "" || got.String("refresh_token") == "" || got.String("id_token") == "" {
			t.Fatalf("%d %s", got.Status, got.Body)
		}
		if !w.Active(got.String("access_token")) {
			t.Error("the access token is not active")
		}
	})
}
