package oidc

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/test/harness"
)

func members(m map[string]any) string { return strings.Join(slices.Sorted(maps.Keys(m)), " ") }

// oidc-core-5.3-01, oidc-core-5.3.2-01, oidc-core-5.3.2-02, oidc-core-5.4-01, oidc-core-5.5.1-01
func TestUserInfoTellsWhatTheScopesAndTheClaimsAskFor(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		b := w.Browser()
		for _, c := range []struct{ scope, claims, want string }{
			{"openid", "", "sub"},
			{"openid profile", "", "family_name given_name locale name picture sub updated_at"},
			{"openid email", "", "email email_verified sub"},
			{"openid phone address", "", "sub"}, // nothing is known of these
			{"openid", `{"userinfo":{"name":{"essential":true},"email":null,"phone_number":null,"color":null}}`, "email name sub"},
			{"openid", `{"id_token":{"name":null}}`, "sub"},
		} {
			_, got := w.signIn(t, b, "rp", c.scope, "claims", c.claims)
			info := w.userInfo(t, got)
			if members(info) != c.want || !strings.HasPrefix(info["sub"].(string), "acc_") {
				t.Errorf("%s %s: %v", c.scope, c.claims, info)
			}
			if name, there := info["name"]; there && name != "Ada Lovelace" {
				t.Errorf("name %v", name)
			}
		}
	})
}

// A client that may not have the scope does not get its claims by another name; a third party's wish is put to the person.
func TestClaimsAskedForOneByOneAreAgreedToLikeTheirScope(t *testing.T) { // oidc-core-5.5-01
	onEngines(t, func(t *testing.T, w *world) {
		b := w.Browser()
		asked := `{"userinfo":{"email":null,"name":null},"id_token":{"name":null}}`
		_, own := w.signIn(t, b, "rp", "openid")
		trip := harness.NewTrip("rp-third", redirects["rp-third"], "openid", "claims", asked)
		b.Open(trip.Path()).Want("consent-form")
		if !has(b.Page, `value="email"`) || !has(b.Page, `value="profile"`) {
			t.Errorf("the page does not say that name and address are asked for: %s", b.Page)
		}
		b.Submit("consent-allow", "action", "allow")
		got := w.Post("/token", trip.Redeem(trip.Code(b)), harness.Basic("rp-third", harness.WebSecret))
		info := w.userInfo(t, got)
		if members(info) != "email name sub" || info["sub"] != w.userInfo(t, own)["sub"] {
			t.Errorf("%v", info)
		}
		again := harness.NewTrip("rp-third", redirects["rp-third"], "openid", "claims", asked)
		again.Code(b.Open(again.Path())) // nobody is asked twice
		_, signed := w.signIn(t, b, "rp-signed", "openid", "claims", `{"id_token":{"name":null,"email":null}}`)
		id := w.verified(t, signed.String("id_token"), "JWT", jose.ES256)
		if id.Has("name") || text(id, "email") != "ada@corp.example" {
			t.Errorf("a client without the scope profile: %v", id)
		}
	})
}

// RS09, oidc-core-5.3.1-01, oidc-core-5.3.1-02
func TestTheAccessTokenOfUserInfoComesInTheHeaderOrInAForm(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		_, got := w.signIn(t, w.Browser(), "rp", "openid offline_access todos.read")
		token := got.String("access_token")
		form := url.Values{"access_token": {token}}
		if a := w.Post("/userinfo", form); a.Status != 200 || a.String("sub") == "" {
			t.Errorf("in the form: %d %s", a.Status, a.Body)
		}
		if a := w.Post("/userinfo", url.Values{}, bearer(got)); a.Status != 200 {
			t.Errorf("by POST, in the header: %d %s", a.Status, a.Body)
		}
		if a := w.Post("/userinfo", form, bearer(got)); a.Status != 400 || a.Error() != "invalid_request" {
			t.Errorf("in both: %d %s", a.Status, a.Body)
		}
		if a := w.Do(w.Request("GET", "/userinfo?access_token="+token, "")); a.Status != 400 || a.Error() != "invalid_request" {
			t.Errorf("in the query: %d %s", a.Status, a.Body)
		}
		if a := w.Post("/userinfo", url.Values{"access_token": {got.String("refresh_token")}}); a.Status != 401 || a.Error() != "invalid_token" {
			t.Errorf("a refresh token in the form: %d %s", a.Status, a.Body)
		}
		w.revoke(t, got)
		if a := w.Post("/userinfo", form); a.Status != 401 || a.Error() != "invalid_token" {
			t.Errorf("revoked: %d %s", a.Status, a.Body)
		}
	})
}

func TestABoundTokenIsNotTakenFromAForm(t *testing.T) { // DP09
	onEngines(t, func(t *testing.T, w *world) {
		p := w.SignedIn("pixel", "ada")
		tokens, err := p.AccessToken(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		a := w.Post("/userinfo", url.Values{"access_token": {tokens.AccessToken}})
		if a.Status != 401 || a.Error() != "invalid_token" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
}

// oidc-core-5.3.2-03, oidc-core-5.3.2-04
func TestAClientThatWantsItGetsUserInfoSigned(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		_, got := w.signIn(t, w.Browser(), "rp-signed", "openid email")
		a := w.Do(w.Request("GET", "/userinfo", "", bearer(got)))
		if a.Status != 200 || a.Header.Get("Content-Type") != "application/jwt" {
			t.Fatalf("%d %s %s", a.Status, a.Header.Get("Content-Type"), a.Body)
		}
		claims := w.verified(t, string(a.Body), "JWT", jose.ES256)
		id := w.verified(t, got.String("id_token"), "JWT", jose.ES256)
		if text(claims, "iss") != w.Issuer || text(claims, "aud") != "rp-signed" || text(claims, "sub") != text(id, "sub") ||
			text(claims, "email") != "ada@corp.example" || claims.Has("exp") || claims.Has("nonce") {
			t.Errorf("%+v", claims)
		}
		if hint := w.Do(w.Request("GET", "/userinfo", "", harness.Set("Authorization", "Bearer "+string(a.Body)))); hint.Status != 401 {
			t.Errorf("it passes for an access token: %d", hint.Status)
		}
	})
}

// oidc-core-2-01, oidc-core-2-02, oidc-core-2-03, oidc-core-3.1.3.6-01, oidc-core-5.5-02
func TestAnIDTokenSaysWhoWasHowSignedInAndNothingThatWasNotAskedFor(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		b := w.Browser()
		trip, got := w.signIn(t, b, "rp", "openid profile email")
		id := w.verified(t, got.String("id_token"), "JWT", jose.RS256)
		sum := sha256.Sum256([]byte(got.String("access_token")))
		for name, want := range map[string]string{
			"iss": w.Issuer, "aud": "rp", "nonce": trip.Nonce, "acr": "urn:countersign:acr:1",
			"at_hash": base64.RawURLEncoding.EncodeToString(sum[:16]),
		} {
			if text(id, name) != want {
				t.Errorf("%s is %q, not %q", name, text(id, name), want)
			}
		}
		for _, never := range []string{"name", "email", "picture", "updated_at"} {
			if id.Has(never) {
				t.Errorf("%s is in the ID token", never)
			}
		}
		trip, got = w.signIn(t, b, "rp", "openid", "max_age", "600", "claims", `{"id_token":{"name":null,"picture":{"essential":true},"iss":null,"sid":null}}`)
		id = w.verified(t, got.String("id_token"), "JWT", jose.RS256)
		if text(id, "name") != "Ada Lovelace" || text(id, "picture") == "" || text(id, "iss") != w.Issuer || text(id, "nonce") != trip.Nonce {
			t.Errorf("%+v", id)
		}
		if id.Has("email") || !id.Has("auth_time") {
			t.Errorf("%+v", id)
		}
	})
}

// RFC 9470 §6.2: introspection says how and when the person proved themselves.
func TestIntrospectionTellsHowThePersonSignedIn(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		_, got := w.signIn(t, w.Browser(), "rp", "openid todos.read", "max_age", "600")
		a := w.Introspect(got.String("access_token"), harness.ResourceID, harness.ResourceSecret)
		amr, _ := a.JSON["amr"].([]any)
		if a.String("acr") != "urn:countersign:acr:1" || len(amr) != 1 || amr[0] != "fed" || a.JSON["auth_time"] == nil {
			t.Errorf("%s", a.Body)
		}
	})
}

func TestTheProfileIsThePersonsOwnToWrite(t *testing.T) { // oidc-core-5.1-01 oidc-core-5.1-02
	onEngines(t, func(t *testing.T, w *world) {
		p := w.SignedIn("pixel", "grace", harness.As("todo-all", "openid profile phone address offline_access account.read account.manage", w.Issuer))
		call := func(method string, body any) (int, map[string]any) {
			t.Helper()
			a, err := p.Call(t.Context(), method, w.Issuer+"/account/v1/profile", body)
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			_ = a.Decode(&got)
			return a.Status, got
		}
		if status, got := call("GET", nil); status != 200 || members(got) != "name" || got["name"] != "Person grace" {
			t.Errorf("%d %v", status, got)
		}
		full := map[string]any{
			"name": "Grace Hopper", "given_name": "Grace", "birthdate": "1906-12-09", "zoneinfo": "America/New_York", "locale": "en-US",
			"website": "https://grace.example", "phone_number": "+12025550123",
			"address": map[string]any{"street_address": "1 Navy Yard\nHouse 2", "country": "US"},
		}
		status, got := call("PUT", full)
		if status != 200 || got["name"] != "Grace Hopper" || got["updated_at"] == nil {
			t.Fatalf("%d %v", status, got)
		}
		for name, bad := range map[string]any{
			"an unknown member": map[string]any{"email": "x@example.com"}, "its own verification": map[string]any{"phone_number_verified": true},
			"script": map[string]any{"website": "javascript:alert(1)"}, "a wrong type": map[string]any{"address": "here"},
			"no day": map[string]any{"birthdate": "1906-02-30"},
		} {
			if status, got := call("PUT", bad); status != 400 || got["detail"] == "" {
				t.Errorf("%s: %d %v", name, status, got)
			}
		}
		info, err := p.Call(t.Context(), "GET", w.Issuer+"/userinfo", nil)
		if err != nil {
			t.Fatal(err)
		}
		var claims map[string]any
		if err := info.Decode(&claims); err != nil || claims["phone_number_verified"] != false || claims["phone_number"] != "+12025550123" ||
			claims["birthdate"] != "1906-12-09" || claims["address"].(map[string]any)["country"] != "US" {
			t.Errorf("%s %v", info.Body, err)
		}
		if status, _ := call("PUT", map[string]any{}); status != 200 {
			t.Errorf("%d", status)
		}
		info, _ = p.Call(t.Context(), "GET", w.Issuer+"/userinfo", nil)
		if has(string(info.Body), "Person grace") || has(string(info.Body), "Hopper") {
			t.Errorf("a name that was taken back is told: %s", info.Body)
		}
	})
}

func TestReadingAProfileTakesAScopeAndWritingItAnother(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		p := w.SignedIn("pixel", "grace", harness.As("todo-all", "openid offline_access account.read", w.Issuer))
		if a, err := p.Call(t.Context(), "GET", w.Issuer+"/account/v1/profile", nil); err != nil || a.Status != 200 {
			t.Errorf("%+v %v", a, err)
		}
		if a, err := p.Call(t.Context(), "PUT", w.Issuer+"/account/v1/profile", map[string]any{"name": "G"}); err != nil || a.Status != 403 {
			t.Errorf("%+v %v", a, err)
		}
	})
}

func TestAnOperatorSaysThatAPhoneNumberIsThePersons(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		_, got := w.signIn(t, w.Browser(), "rp", "openid phone")
		path := "/admin/v1/accounts/" + w.userInfo(t, got)["sub"].(string) + "/profile"
		put := func(body string) harness.Answer {
			r := w.Request("PUT", path, body, harness.Set("Content-Type", "application/json"), harness.Set("Authorization", "Bearer "+w.APIKey()))
			r.URL.Host = strings.TrimPrefix(w.Nodes[0].Admin, "http://")
			r.Host = ""
			return w.Do(r)
		}
		if a := put(`{"phone_number":"+4930123456","phone_number_verified":true}`); a.Status != 200 || a.JSON["phone_number_verified"] != true {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		if info := w.userInfo(t, got); info["phone_number"] != "+4930123456" || info["phone_number_verified"] != true {
			t.Errorf("%v", info)
		}
		if a := put(`{"phone_number":"0049 30"}`); a.Status != 400 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		if a := put(`{"phone_number_verified":true}`); a.Status != 400 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
}
