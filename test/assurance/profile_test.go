package assurance

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/test/harness"
)

// fapi2-security-5.3.2.1-04: also for a session from before the client was under the profile.
func TestASessionFromBeforeTheProfileGivesNoUnboundToken(t *testing.T) {
	const before = `  - id: turned
    type: browser
    first_party: true
    origins: ["https://turned.example"]
    providers: [{name: corp}]
    redirect_uris: ["https://turned.example/cb"]
    scopes: [openid, offline_access]
`
	onEngines(t, func(t *testing.T, w *world) {
		trip, b := harness.NewTrip("turned", "https://turned.example/cb", "openid offline_access"), w.Browser()
		w.walk(b, trip.Path())
		form := trip.Redeem(trip.Code(b))
		form.Set("client_id", "turned")
		in := w.Post("/token", form)
		if in.Status != 200 || in.String("token_type") != "Bearer" {
			t.Fatalf("%d %s", in.Status, in.Body)
		}
		after := strings.NewReplacer("browser", "web", `    origins: ["https://turned.example"]`+"\n", "").Replace(before) +
			"    profile: fapi2\n    auth_method: private_key_jwt\n    jwks_file: ./bank.jwks\n"
		w.Redeclare(clientsYAML + after)
		w.Restart()
		refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {in.String("refresh_token")}}
		a := w.Post("/token", w.as(t, "turned", refresh), w.proof(t, prover(t), "/token"))
		refused(t, "a bearer session", a, 400, oauth.UnauthorizedClient)
		// If it was a slip, nobody was signed out by it.
		w.Redeclare(clientsYAML + before)
		w.Restart()
		w.Clock.Step(2 * time.Minute)
		if a := w.Refresh("turned", in.String("refresh_token")); a.Status != 200 {
			t.Errorf("the profile is gone again: %d %s", a.Status, a.Body)
		}
	}, harness.Clients(before))
}
