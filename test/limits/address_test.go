package limits_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/test/harness"
)

// A carrier puts thousands of phones behind one address, and whoever is among them can send garbage: then the garbage is
// 429, and the sign-ins of all others go on (ATTACKS, Parameters: limits per address count failures).
func TestGarbageFromAnAddressKeepsNobodyBehindItOut(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		w.Clock.Freeze()
		stranger, err := dpop.NewProver()
		if err != nil {
			t.Fatal(err)
		}
		garbage := func() harness.Answer {
			proof, err := stranger.Proof(http.MethodPost, w.Issuer+"/token", "", "", w.Clock.Now())
			if err != nil {
				t.Fatal(err)
			}
			return w.Post("/token", url.Values{
				"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "client_id": {harness.ClientID}, "nonce": {"x"},
				"subject_token": {"a.b.c"}, "subject_token_type": {"urn:ietf:params:oauth:token-type:id_token"},
			}, harness.Set("DPoP", proof))
		}
		for i := range 30 {
			if a := garbage(); a.Status != http.StatusBadRequest || a.Error() != "invalid_request" {
				t.Fatalf("garbage %d: %d %s", i+1, a.Status, a.Body)
			}
		}
		limited := func() {
			t.Helper()
			if a := garbage(); a.Status != http.StatusTooManyRequests || a.Error() != "slow_down" || a.Header.Get("Retry-After") != "2" {
				t.Fatalf("garbage beyond the limit: %d %v %s", a.Status, a.Header, a.Body)
			}
		}
		limited()
		for _, person := range []string{"ada", "grace"} {
			phone := w.SignedIn(person, person) // fails the test if it is refused
			if _, err := phone.Account(t.Context()); err != nil {
				t.Error(err)
			}
		}
		limited()
	})
}
