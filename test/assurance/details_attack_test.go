package assurance

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/test/harness"
)

// rfc9396-5-01, rfc9396-10-02: what cannot be shown and kept is told to the client before anybody signs in.
func TestDetailsThatAreRefused(t *testing.T) {
	withBank(t, func(t *testing.T, w *world) {
		// rfc9396-5-02, rfc9396-5-03, rfc9396-5-04, rfc9396-5-05
		for name, details := range map[string]string{
			"no JSON": "payment", "an object": invoice, "no type": `[{"amount":1}]`, "an unknown type": `[{"type":"loan"}]`,
			"a type of another client's resource": `[{"type":"vault"}]`, "an unknown member": `[{"type":"card","colour":1}]`,
			"a member is missing": `[{"type":"payment","amount":1}]`, "a wrong type": `[{"type":"card","actions":"read"}]`,
			"a member twice":       `[{"type":"card","limit":1,"limit":100000}]`,
			"a location of others": `[{"type":"card","locations":["https://vault-api.example"]}]`,
			"a depth bomb":         strings.Repeat("[", 1000) + strings.Repeat("]", 1000),
			"nested too deep":      `[{"type":"card","limit":` + strings.Repeat("[", 9) + strings.Repeat("]", 9) + `}]`,
			"RTL override":         `[{"type":"payment","amount":"1","creditor":"Ada \u202e snoS"}]`,
			"thousands of entries": "[" + strings.Repeat("{},", 2000) + "{}]",
		} {
			trip := asks("openid", details)
			b := w.Browser().Open(trip.Path())
			got := trip.Response(b)
			if got.Get("error") != "invalid_authorization_details" || got.Get("error_description") == "" {
				t.Errorf("%s: %v", name, got)
			}
			a := w.Post("/par", trip.Query, payerSecret)
			if a.Status != http.StatusBadRequest || a.Error() != "invalid_authorization_details" {
				t.Errorf("%s at /par: %d %s", name, a.Status, a.Body)
			}
		}
		// 10 000 entries fit in no address, but in a body.
		trip := asks("openid", "["+strings.Repeat("{},", 9999)+"{}]")
		if a := w.Post("/par", trip.Query, payerSecret); a.Error() != "invalid_authorization_details" && a.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		// A client without types has none.
		plain := harness.NewTrip("plain", "https://plain.example/cb", "openid", "authorization_details", "["+invoice+"]")
		if got := plain.Response(w.Browser().Open(plain.Path())); got.Get("error") != "invalid_authorization_details" {
			t.Errorf("%v", got)
		}
		// In a native sign-in nobody is shown a page.
		a := w.Post("/token", url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "client_id": {harness.ClientID}, "subject_token": {"x"},
			"subject_token_type": {"urn:ietf:params:oauth:token-type:id_token"}, "authorization_details": {"[" + invoice + "]"},
		})
		if a.Error() != "invalid_authorization_details" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
}

// rfc9396-12-02: a client's text is text on our page.
func TestAClientsTextIsNothingButText(t *testing.T) {
	withBank(t, func(t *testing.T, w *world) {
		const evil = `</bdi><script>alert(1)</script><button id="consent-allow">`
		text, err := json.Marshal(evil)
		if err != nil {
			t.Fatal(err)
		}
		entry := `{"type":"payment","amount":{` + string(text) + `:true},"creditor":` + string(text) + `,"note":"a\nb"}`
		trip := harness.NewTrip("shopper", shopperRedirect, "openid", "authorization_details", "["+entry+"]")
		b := w.Browser().Open(trip.Path())
		b.SignInWith(w.Corp, "corp", "ada").Want("consent-details")
		if strings.Contains(b.Page, "<script>alert") || strings.Count(b.Page, `id="consent-allow"`) != 1 {
			t.Errorf("%s", b.Page)
		}
		if strings.Count(b.Page, "&lt;script&gt;alert(1)") != 2 {
			t.Errorf("the page does not show all of it:\n%s", b.Page)
		}
		b.Submit("consent-allow", "action", "allow")
		got := w.Post("/token", trip.Redeem(trip.Code(b)), harness.Basic("shopper", harness.WebSecret))
		w.carries(t, got, entry)
	})
}

// What somebody takes back before it is fetched is not given, to the operator's own client neither.
func TestConsentThatIsWithdrawnTakesTheDetailsWithIt(t *testing.T) {
	withBank(t, func(t *testing.T, w *world) {
		b, db := w.Browser(), w.Store()
		trip := asks("openid offline_access", "["+invoice+"]")
		first := w.Post("/token", trip.Redeem(w.agreed(b, trip)), payerSecret)
		w.carries(t, first, invoice)
		var account domain.AccountID
		if err := account.UnmarshalText([]byte(w.subject(t, first))); err != nil {
			t.Fatal(err)
		}
		later := asks("openid", "["+invoice+"]")
		code := w.agreed(b, later)
		w.Exec("DELETE FROM consents")
		if got := w.Post("/token", later.Redeem(code), payerSecret); got.Error() != "invalid_grant" {
			t.Errorf("%d %s", got.Status, got.Body)
		}
		later = asks("openid", "["+invoice+"]")
		code = w.agreed(b, later)
		found, err := db.WithdrawConsent(t.Context(), account, "payer", domain.Event{At: w.Clock.Now(), Actor: "account " + account.String()})
		if err != nil || !found {
			t.Fatal(found, err)
		}
		if got := w.Post("/token", later.Redeem(code), payerSecret); got.Error() != "invalid_grant" {
			t.Errorf("%d %s", got.Status, got.Body)
		}
		got := w.Post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.String("refresh_token")}}, payerSecret)
		if got.Error() != "invalid_grant" {
			t.Errorf("%d %s", got.Status, got.Body)
		}
	})
}

func (w *world) subject(t testing.TB, a harness.Answer) string {
	t.Helper()
	sub, _, err := w.verified(t, a.String("access_token"), "at+jwt").String("sub")
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

// A browser's silent renewals share one session. Details were agreed to for one, and no other gets them.
func TestTripsWithDetailsShareNoSession(t *testing.T) {
	withBank(t, func(t *testing.T, w *world) {
		b, sessions := w.Browser(), map[string]string{}
		for _, trip := range []*harness.Trip{
			asks("openid", "["+invoice+"]"), harness.NewTrip("payer", payerRedirect, "openid", "resource", bankAudience),
			asks("openid", "["+balance+"]"), asks("openid", "["+invoice+"]"),
		} {
			details := trip.Query.Get("authorization_details")
			got := w.Post("/token", trip.Redeem(w.agreed(b, trip)), payerSecret)
			sid, _, _ := w.verified(t, got.String("access_token"), "at+jwt").String("sid")
			if before, taken := sessions[sid]; taken || sid == "" {
				t.Errorf("%q is the session of %q as well", details, before)
			}
			sessions[sid] = details
			sameDetails(t, "the answer", got.JSON["authorization_details"], only(details)...)
		}
	})
}

func only(details string) []string {
	if details == "" {
		return nil
	}
	return []string{strings.TrimSuffix(strings.TrimPrefix(details, "["), "]")}
}
