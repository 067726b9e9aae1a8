package assurance

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/resource"
	"github.com/countersign/countersign/test/harness"
)

const (
	payerRedirect   = "https://payer.example/cb"
	shopperRedirect = "https://shopper.example/cb"
	bankAudience    = "https://bank-api.example"
	cardsAudience   = "https://cards-api.example"

	bankResources = `
  - id: bank-api
    audience: https://bank-api.example
    scopes: [accounts.read]
    secret_file: ./other.secret
    authorization_details_types:
      - {type: payment, title: Pay an invoice, fields: [amount, creditor, note], required: [amount, creditor]}
      - {type: balance, fields: [iban]}
  - id: cards-api
    audience: https://cards-api.example
    authorization_details_types: [{type: card, fields: [limit]}]
  - id: vault-api
    audience: https://vault-api.example
    authorization_details_types: [{type: vault}]
`
	bankClients = `  - id: payer
    name: Payer
    type: web
    secret_file: ./web.secret
    first_party: true
    providers: [{name: corp}]
    redirect_uris: ["https://payer.example/cb"]
    resources: [bank-api, cards-api, todo-api]
    scopes: [openid, offline_access, todos.read, accounts.read]
    authorization_details_types: [payment, balance, card]
  - id: shopper
    name: Shopper
    type: web
    secret_file: ./web.secret
    providers: [{name: corp}]
    redirect_uris: ["https://shopper.example/cb"]
    resources: [bank-api, vault-api]
    scopes: [openid, offline_access, accounts.read]
    authorization_details_types: [payment, vault]
  - id: plain
    name: Plain
    type: web
    secret_file: ./web.secret
    providers: [{name: corp}]
    redirect_uris: ["https://plain.example/cb"]
    resources: [bank-api]
    scopes: [openid, accounts.read]
  - id: payer-tv
    type: native
    device_grant: true
    providers: [{name: corp}]
    resources: [bank-api]
    scopes: [openid, offline_access]
    authorization_details_types: [payment]
  - id: payer-nightly
    type: service
    secret_file: ./service.secret
    resources: [bank-api]
    scopes: [accounts.read]
    authorization_details_types: [payment]
`

	invoice = `{"type":"payment","amount":{"currency":"EUR","value":"123.50"},"creditor":"Ada & Sons"}`
	balance = `{"type":"balance","actions":["read"],"iban":"DE02100100109307118603"}`
	card    = `{"type":"card","limit":200}`
)

func withBank(t *testing.T, test func(*testing.T, *world)) {
	t.Helper()
	onEngines(t, test, harness.Resources(bankResources), harness.Clients(bankClients))
}

// asks is a trip of the payer that asks for details.
func asks(scope, details string, more ...string) *harness.Trip {
	return harness.NewTrip("payer", payerRedirect, scope, append([]string{"authorization_details", details}, more...)...)
}

var payerSecret = harness.Basic("payer", harness.WebSecret)

// agreed walks a trip to its code.
func (w *world) agreed(b *harness.Web, trip *harness.Trip) string {
	b.T.Helper()
	w.walk(b, trip.Path())
	return trip.Code(b)
}

// sameDetails holds a member against the entries it must have, whatever their spelling.
func sameDetails(t testing.TB, what string, got any, want ...string) {
	t.Helper()
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var have, must any
	if err := json.Unmarshal(text, &have); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte("["+strings.Join(want, ",")+"]"), &must); err != nil {
		t.Fatal(err)
	}
	if len(want) == 0 {
		must = nil
	}
	a, _ := json.Marshal(have)
	b, _ := json.Marshal(must)
	if string(a) != string(b) {
		t.Errorf("%s has %s, want %s", what, a, b)
	}
}

// carries holds answer, token and introspection of an access token against the entries it must have.
func (w *world) carries(t testing.TB, a harness.Answer, want ...string) {
	t.Helper()
	if a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	sameDetails(t, "the answer", a.JSON["authorization_details"], want...)
	claims := w.verified(t, a.String("access_token"), "at+jwt")
	inside, _, err := claims.ObjectsJSON("authorization_details")
	if err != nil {
		t.Fatal(err)
	}
	sameDetails(t, "the token", inside, want...)
	if aud, _, _ := claims.String("aud"); aud != bankAudience {
		return
	}
	seen := w.Introspect(a.String("access_token"), "bank-api", harness.OtherSecret)
	if seen.JSON["active"] != true {
		t.Fatalf("introspection: %s", seen.Body)
	}
	sameDetails(t, "introspection", seen.JSON["authorization_details"], want...)
}

// rfc9396-2-01, rfc9396-3-01, rfc9396-3.1-01, rfc9396-7-01, rfc9396-9.1-01, rfc9396-9.2-01
func TestAPersonAgreesToDetailsAndTheAppServerReadsThem(t *testing.T) {
	withBank(t, func(t *testing.T, w *world) {
		b, trip := w.Browser(), asks("openid offline_access accounts.read", "["+invoice+","+balance+"]")
		b.Open(trip.Path())
		b.SignInWith(w.Corp, "corp", "ada").Want("consent-details").Want("detail-0").Want("detail-1")
		for _, shown := range []string{"Pay an invoice", "currency", "EUR", "123.50", "Ada &amp; Sons", "Actions", "read", "DE02100100109307118603"} {
			if !strings.Contains(b.Page, ">"+shown+"<") {
				t.Errorf("the page does not show %q:\n%s", shown, b.Page)
			}
		}
		b.Submit("consent-allow", "action", "allow")
		first := w.Post("/token", trip.Redeem(trip.Code(b)), payerSecret)
		w.carries(t, first, invoice, balance)

		// At refresh they are what they were.
		again := w.Post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.String("refresh_token")}}, payerSecret)
		w.carries(t, again, invoice, balance)

		// The app server's library.
		token := w.seenBy(t, bankAudience, again.String("access_token"))
		if got := token.DetailsOf("payment"); len(got) != 1 || len(token.DetailsOf("pay")) != 0 {
			t.Errorf("%s", got)
		} else {
			sameDetails(t, "the library", got, invoice)
		}
	})
}

// rfc9396-3-02: also the operator's own client, also who agreed to the same before, also who agreed to the scopes.
func TestDetailsAreAlwaysAskedAbout(t *testing.T) {
	withBank(t, func(t *testing.T, w *world) {
		b := w.Browser()
		w.agreed(b, harness.NewTrip("payer", payerRedirect, "openid"))
		for _, again := range []string{"first", "second"} {
			trip := asks("openid", "["+invoice+"]")
			if b.Open(trip.Path()); b.Left != nil {
				t.Fatalf("%s: sent to %s unasked", again, b.Left)
			}
			silent := asks("openid", "["+invoice+"]", "prompt", "none")
			other := w.Browser()
			other.Open(silent.Path())
			if got := silent.Response(other).Get("error"); got != "login_required" {
				t.Errorf("%s: %s", again, got)
			}
			b.Want("consent-details").Submit("consent-allow", "action", "allow")
			trip.Code(b)
			if b.Open(silent.Path()); silent.Response(b).Get("error") != "consent_required" {
				t.Errorf("%s: %v", again, b.Left)
			}
		}
		// Who denies grants nothing.
		trip := asks("openid", "["+invoice+"]")
		b.Open(trip.Path())
		b.Want("consent-form").Submit("consent-deny", "action", "deny")
		if got := trip.Response(b); got.Get("error") != "access_denied" || got.Has("code") {
			t.Errorf("%v", got)
		}
	})
}

// rfc9396-6-01, rfc9396-6.1-01, rfc9396-6.1-02, rfc9396-8-01
func TestATokenRequestCanLeaveOutEntriesAndNoMore(t *testing.T) {
	withBank(t, func(t *testing.T, w *world) {
		b, trip := w.Browser(), asks("openid offline_access", "["+invoice+","+balance+"]")
		code := w.agreed(b, trip)
		wider := map[string]string{
			"another amount": strings.ReplaceAll("["+invoice+"]", "123.50", "9123.50"), "an entry more": "[" + invoice + "," + card + "]",
			"twice": "[" + invoice + "," + invoice + "]", "a member less": `[{"type":"balance","actions":["read"]}]`, "no list": invoice, "nothing": "[]",
		}
		for name, details := range wider {
			if got := w.Post("/token", trip.Redeem(code, "authorization_details", details), payerSecret); got.Error() != "invalid_authorization_details" || got.Status != http.StatusBadRequest {
				t.Errorf("%s: %d %s", name, got.Status, got.Body)
			}
		}
		first := w.Post("/token", trip.Redeem(code, "authorization_details", "["+balance+"]"), payerSecret) // the code was not spent
		w.carries(t, first, balance)

		refresh := func(more ...string) harness.Answer {
			form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.String("refresh_token")}}
			for i := 0; i+1 < len(more); i += 2 {
				form.Set(more[i], more[i+1])
			}
			return w.Post("/token", form, payerSecret)
		}
		w.carries(t, refresh(), invoice, balance) // one token was narrowed, not what was granted
		w.carries(t, refresh("authorization_details", "["+invoice+"]"), invoice)
		for name, details := range wider {
			if got := refresh("authorization_details", details); got.Error() != "invalid_authorization_details" {
				t.Errorf("%s at refresh: %d %s", name, got.Status, got.Body)
			}
		}
		w.carries(t, refresh(), invoice, balance)
	})
}

// rfc9396-9.1-01, rfc9396-3.2-01: each resource gets its own.
func TestATokenCarriesTheDetailsOfItsAudience(t *testing.T) {
	withBank(t, func(t *testing.T, w *world) {
		b := w.Browser()
		w.agreed(b, harness.NewTrip("payer", payerRedirect, "openid"))
		unclear := asks("openid", "["+invoice+","+card+"]")
		if b.Open(unclear.Path()); unclear.Response(b).Get("error") != "invalid_target" {
			t.Errorf("%v", b.Left)
		}
		trip := asks("openid offline_access", "["+invoice+","+card+"]")
		trip.Query["resource"] = []string{cardsAudience, bankAudience, harness.Audience}
		got := w.Post("/token", trip.Redeem(w.agreed(b, trip)), payerSecret)
		w.carries(t, got, card)
		for audience, want := range map[string][]string{bankAudience: {invoice}, cardsAudience: {card}, harness.Audience: nil} {
			form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.String("refresh_token")}, "resource": {audience}}
			w.carries(t, w.Post("/token", form, payerSecret), want...)
		}
	})
}

// rfc9396-12-03
func TestLargeDetailsAreGoodFromPushToIntrospection(t *testing.T) {
	withBank(t, func(t *testing.T, w *world) {
		entry := `{"type":"payment","amount":"1","creditor":"` + strings.Repeat("x", 8000) + `"}`
		trip := asks("openid", "["+entry+"]")
		a := w.Post("/par", trip.Query, payerSecret)
		if a.Status != http.StatusCreated {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		b := w.Browser()
		w.walk(b, w.pushed("payer", a))
		got := w.Post("/token", trip.Redeem(trip.Code(b)), payerSecret)
		seen := w.Introspect(got.String("access_token"), "bank-api", harness.OtherSecret)
		sameDetails(t, "introspection", seen.JSON["authorization_details"], entry)
		if a := w.Do(w.Request("GET", "/userinfo", "", harness.Set("Authorization", "Bearer "+got.String("access_token")))); a.Status != 200 {
			t.Errorf("it does not fit into a header: %d %s", a.Status, a.Body)
		}
		sameDetails(t, "the library", w.seenBy(t, bankAudience, got.String("access_token")).Details, entry)
		if a := w.Post("/revoke", url.Values{"token": {got.String("access_token")}}, payerSecret); a.Status != 200 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		if a := w.Introspect(got.String("access_token"), "bank-api", harness.OtherSecret); a.JSON["active"] != false {
			t.Errorf("IR06: it was revoked and is %s", a.Body)
		}
	})
}

// seenBy is a token as the app server's library reads it.
func (w *world) seenBy(t testing.TB, audience, access string) *resource.Token {
	t.Helper()
	tokens, err := resource.New(resource.Config{Issuer: w.Issuer, Audience: audience, Now: w.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, audience+"/pay", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+access)
	token, err := tokens.Verify(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// rfc9396-3-03: a request of a device may have them.
func TestADeviceAsksForDetails(t *testing.T) {
	withBank(t, func(t *testing.T, w *world) {
		a := w.Post("/device_authorization", url.Values{"client_id": {"payer-tv"}, "authorization_details": {`[{"type":"balance"}]`}})
		if a.Error() != "invalid_authorization_details" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		a = w.Post("/device_authorization", url.Values{"client_id": {"payer-tv"}, "authorization_details": {"[" + invoice + "]"}})
		if a.Status != http.StatusOK {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		b := w.Browser().Open("/device").Submit("user-code", "user_code", a.String("user_code"))
		b.SignInWith(w.Corp, "corp", "ada").Want("consent-details").Submit("consent-allow", "action", "allow")
		got := w.Post("/token", url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {"payer-tv"}, "device_code": {a.String("device_code")},
		})
		w.carries(t, got, invoice)

		// A refused refresh uses up no token of a client whose tokens rotate.
		refused := w.Post("/token", url.Values{
			"grant_type": {"refresh_token"}, "client_id": {"payer-tv"}, "refresh_token": {got.String("refresh_token")},
			"authorization_details": {"[" + balance + "]"},
		})
		sid, _, _ := w.verified(t, got.String("access_token"), "at+jwt").String("sid")
		var id domain.SessionID
		if err := id.UnmarshalText([]byte(sid)); err != nil {
			t.Fatal(err)
		}
		row, err := w.Store().Session(t.Context(), id)
		if err != nil || refused.Error() != "invalid_authorization_details" || row.Refresh.Counter != 0 {
			t.Errorf("%d %s, then the counter is %d: %v", refused.Status, refused.Body, row.Refresh.Counter, err)
		}
		w.carries(t, w.Refresh("payer-tv", got.String("refresh_token")), invoice)
	})
}

// rfc9396-6-02
func TestAServiceAsksForDetailsOfItsOwn(t *testing.T) {
	withBank(t, func(t *testing.T, w *world) {
		ask := func(details string) harness.Answer {
			return w.Post("/token", url.Values{"grant_type": {"client_credentials"}, "authorization_details": {details}},
				harness.Basic("payer-nightly", harness.ServiceSecret))
		}
		w.carries(t, ask("["+invoice+"]"), invoice)
		for name, details := range map[string]string{"a type it does not list": "[" + balance + "]", "no JSON": "x"} {
			if got := ask(details); got.Error() != "invalid_authorization_details" {
				t.Errorf("%s: %d %s", name, got.Status, got.Body)
			}
		}
		got := w.Post("/token", url.Values{"grant_type": {"client_credentials"}, "authorization_details": {"[" + invoice + "]"}},
			harness.Basic(harness.ServiceID, harness.ServiceSecret))
		if got.Error() != "invalid_authorization_details" {
			t.Errorf("a service without types: %d %s", got.Status, got.Body)
		}
	})
}

// rfc9396-10-01
func TestMetadataNamesTheTypesThatResourcesDeclare(t *testing.T) {
	withBank(t, func(t *testing.T, w *world) {
		for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
			doc := w.Do(w.Request(http.MethodGet, path, ""))
			text, err := json.Marshal(doc.JSON["authorization_details_types_supported"])
			if err != nil || string(text) != `["balance","card","payment","vault"]` {
				t.Errorf("%s: %s", path, text)
			}
		}
	})
}
