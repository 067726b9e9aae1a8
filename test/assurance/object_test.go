package assurance

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/test/harness"
)

// signedPath is /authorize with an object, and nothing beside it but what RFC 9101 §5 wants.
func signedPath(client, object string, more ...string) string {
	q := url.Values{"client_id": {client}, "request": {object}}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return "/authorize?" + q.Encode()
}

// rfc9101-4-01, rfc9101-5-01, rfc9101-5.1-01, rfc9101-6.3-01, oidc-core-6.1-01
func TestASignedRequestIsTakenAsItIs(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		for name, typ := range map[string]string{"its own type": objectType, "JWT": "JWT", "none": ""} {
			trip := harness.NewTrip("signer", redirects["signer"], "openid todos.read")
			object := w.object(trip).with(claims{
				"max_age": 86400, "claims": claims{"id_token": claims{"name": nil}}, "resource": []string{harness.Audience},
			})
			b := w.Browser()
			w.walk(b, signedPath("signer", signed(t, w.key, typ, object), "scope", "openid profile", "state", "beside", "redirect_uri", "https://evil.example"))
			got := w.Post("/token", w.as(t, "signer", trip.Redeem(trip.Code(b))))
			id := w.verified(t, got.String("id_token"), "JWT")
			if got.String("scope") != "openid todos.read" || text(id, "nonce") != trip.Nonce || !id.Has("auth_time") {
				t.Errorf("%s: %d %s", name, got.Status, got.Body)
			}
		}
		// What it may say beside the object without one, it may say still.
		trip := harness.NewTrip("signer", redirects["signer"], "openid")
		b := w.Browser()
		w.walk(b, trip.Path())
		trip.Code(b)
	})
}

// AZ28, AZ29, rfc9101-4-02, rfc9101-5-02, rfc9101-7-01, rfc9101-6.1-01, rfc9101-6.2-01, rfc9101-10.8-01
func TestAZ28WhatIsNoRequestObjectOfThisClient(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		now := w.Clock.Now()
		at := func(d time.Duration) int64 { return now.Add(d).Unix() }
		trip := harness.NewTrip("signer", redirects["signer"], "openid")
		good := w.object(trip)
		none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(asJSON(good))) + "."
		for name, object := range map[string]string{
			"no signature":                   none,
			"the key of a stranger":          signed(t, w.stranger, objectType, good),
			"the key of the other kind":      signed(t, newSigner(t, jose.RS256, "one"), objectType, good),
			"a kid of nobody":                signed(t, newSigner(t, jose.ES256, "two"), objectType, good),
			"no JWT":                         "x",
			"AZ29 five parts":                "a.b.c.d.e",
			"a type of something else":       signed(t, w.key, "at+jwt", good),
			"for another server":             signed(t, w.key, objectType, good.with(claims{"aud": "https://other.example"})),
			"for nobody":                     signed(t, w.key, objectType, good.with(claims{"aud": nil})),
			"expired":                        signed(t, w.key, objectType, good.with(claims{"exp": at(-time.Second)})),
			"not yet":                        signed(t, w.key, objectType, good.with(claims{"nbf": at(time.Minute)})),
			"made tomorrow":                  signed(t, w.key, objectType, good.with(claims{"iat": at(time.Hour)})),
			"exp in words":                   signed(t, w.key, objectType, good.with(claims{"exp": "soon"})),
			"of another client":              signed(t, w.key, objectType, good.with(claims{"client_id": "bank"})),
			"of no client":                   signed(t, w.key, objectType, good.with(claims{"client_id": nil})),
			"made by another client":         signed(t, w.key, objectType, good.with(claims{"iss": "bank"})),
			"one that could be an assertion": signed(t, w.key, objectType, good.with(claims{"sub": "signer"})),
			"an assertion":                   signed(t, w.key, "client-authentication+jwt", w.assertion("signer")),
			"one in another":                 signed(t, w.key, objectType, good.with(claims{"request": "x"})),
			"an address in it":               signed(t, w.key, objectType, good.with(claims{"request_uri": "https://x.example"})),
			"a state in a list":              signed(t, w.key, objectType, good.with(claims{"state": []string{"s"}})),
			"acr_values in a list":           signed(t, w.key, objectType, good.with(claims{"acr_values": []string{"phr"}})),
			"a nonce that is an object":      signed(t, w.key, objectType, good.with(claims{"nonce": claims{"a": "b"}})),
			"a resource that is a number":    signed(t, w.key, objectType, good.with(claims{"resource": 1})),
		} {
			// The answer's address stands beside the object: the client hears of it.
			b := w.Browser().Open(signedPath("signer", object, "redirect_uri", trip.RedirectURI, "state", trip.State))
			if q := trip.Response(b); q.Get("error") != "invalid_request_object" || q.Get("error_description") == "" {
				t.Errorf("%s: %v", name, q)
			}
			// It stands nowhere else: nobody is sent anywhere.
			b = w.Browser().Open(signedPath("signer", object))
			if b.Left != nil || b.Status != http.StatusBadRequest || !strings.Contains(b.Page, "invalid_request_object") {
				t.Errorf("%s, without an address beside it: %d, left for %v", name, b.Status, b.Left)
			}
		}
		b := w.Browser().Open(signedPath("signer", signed(t, w.key, objectType, good), "request_uri", "https://x.example", "redirect_uri", trip.RedirectURI, "state", trip.State))
		if q := trip.Response(b); q.Get("error") != "invalid_request" {
			t.Errorf("an object and an address: %v", q)
		}
	})
}

// What is wrong in a good object is told as it is without one.
func TestErrorsInASignedRequestGoBackToTheClient(t *testing.T) {
	w := open(t, harness.SQLite)
	for want, change := range map[string]claims{
		"invalid_scope": {"scope": "mail.read"}, "invalid_request": {"code_challenge": nil}, "unsupported_response_type": {"response_type": "token"},
		"invalid_target": {"resource": "https://evil.example"}, "login_required": {"prompt": "none"},
	} {
		trip := harness.NewTrip("signer", redirects["signer"], "openid")
		b := w.Browser().Open(signedPath("signer", signed(t, w.key, objectType, w.object(trip).with(change))))
		if q := trip.Response(b); q.Get("error") != want {
			t.Errorf("%s: %v", want, q)
		}
	}
	for name, change := range map[string]claims{
		"a foreign address": {"redirect_uri": "https://evil.example/cb"}, "none": {"redirect_uri": nil}, "a number": {"redirect_uri": 7},
		"a NUL": {"state": "a\x00b"},
	} {
		object := signed(t, w.key, objectType, w.object(harness.NewTrip("signer", redirects["signer"], "openid")).with(change))
		if b := w.Browser().Open(signedPath("signer", object)); b.Left != nil || b.Status != http.StatusBadRequest {
			t.Errorf("%s: %d, left for %v", name, b.Status, b.Left)
		}
	}
}

// AZ30, rfc9101-5.2-01, rfc9101-10.4-01, oidc-core-6.2-01: only a registered address is fetched.
func TestAZ30OnlyARegisteredRequestURIIsFetched(t *testing.T) {
	var body atomic.Value
	var asked atomic.Int32
	keeper := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path == "/gone" {
			http.Error(rw, "gone", http.StatusNotFound)
			return
		}
		rw.Header().Set("Content-Type", "application/oauth-authz-req+jwt")
		_, _ = rw.Write([]byte(body.Load().(string)))
	}))
	t.Cleanup(keeper.Close)
	w := open(t, harness.SQLite, harness.YAML("fetch_allow: [127.0.0.0/8]\n"), harness.Clients(`  - id: keeper
    type: web
    auth_method: private_key_jwt
    jwks_file: ./bank.jwks
    first_party: true
    providers: [{name: corp}]
    redirect_uris: ["https://keeper.example/cb"]
    request_uris: ["`+keeper.URL+`/object", "`+keeper.URL+`/gone"]
    resources: [todo-api]
    scopes: [openid]
`))
	trip := harness.NewTrip("keeper", "https://keeper.example/cb", "openid")
	body.Store(signed(t, w.key, objectType, w.object(trip)))
	by := func(uri string) string {
		return "/authorize?" + url.Values{"client_id": {"keeper"}, "request_uri": {uri}, "redirect_uri": {trip.RedirectURI}, "state": {trip.State}}.Encode()
	}
	b := w.Browser()
	w.walk(b, by(keeper.URL+"/object"))
	trip.Code(b)
	if n := asked.Load(); n != 1 {
		t.Errorf("it was fetched %d times", n)
	}
	for _, uri := range []string{keeper.URL + "/object?x=1", keeper.URL + "/objects", keeper.URL, "https://evil.example/object"} {
		if q := trip.Response(w.Browser().Open(by(uri))); q.Get("error") != "request_uri_not_supported" {
			t.Errorf("%s: %v", uri, q)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("an address that is not registered was fetched: %d", n)
	}
	if q := trip.Response(w.Browser().Open(by(keeper.URL + "/gone"))); q.Get("error") != "invalid_request_uri" {
		t.Errorf("%v", q)
	}
	body.Store(signed(t, w.stranger, objectType, w.object(trip)))
	if q := trip.Response(w.Browser().Open(by(keeper.URL + "/object"))); q.Get("error") != "invalid_request_object" {
		t.Errorf("%v", q)
	}
}

// fapi2-ms-5.3.1-01, fapi2-ms-5.3.1-02, fapi2-ms-5.3.1-03, fapi2-ms-5.3.1-05, fapi2-ms-5.3.1-04, rfc9126-3-01, rfc9101-10.5-01
func TestMessageSigningWantsSignedRequestsOfThisHour(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		now := w.Clock.Now()
		at := func(d time.Duration) int64 { return now.Add(d).Unix() }
		trip := harness.NewTrip("vault", redirects["vault"], "openid", "response_mode", "jwt")
		good := w.object(trip)
		push := func(c claims, more ...string) harness.Answer {
			form := url.Values{"request": {signed(t, w.key, objectType, c)}}
			for i := 0; i+1 < len(more); i += 2 {
				form.Set(more[i], more[i+1])
			}
			return w.Post("/par", w.as(t, "vault", form))
		}
		if a := push(good, "scope", "mail.read", "redirect_uri", "https://evil.example"); a.Status != http.StatusCreated {
			t.Errorf("parameters beside the object count: %d %s", a.Status, a.Body)
		}
		if a := push(good.with(claims{"nbf": at(8 * time.Second), "exp": at(time.Minute)})); a.Status != http.StatusCreated {
			t.Errorf("a clock 8 s ahead: %d %s", a.Status, a.Body)
		}
		if a := push(good.with(claims{"aud": []string{w.Issuer, "https://other.example"}})); a.Status != http.StatusCreated {
			t.Errorf("aud as a list: %d %s", a.Status, a.Body)
		}
		for name, change := range map[string]claims{
			"no exp": {"exp": nil}, "no nbf": {"nbf": nil}, "nbf an hour ago": {"nbf": at(-61 * time.Minute), "exp": at(time.Second)},
			"exp more than an hour after nbf": {"nbf": at(0), "exp": at(61 * time.Minute)}, "nbf 60 s ahead": {"nbf": at(time.Minute), "exp": at(2 * time.Minute)},
		} {
			refused(t, name, push(good.with(change)), 400, oauth.InvalidRequestObject)
		}
		refused(t, "RS256", w.Post("/par", w.as(t, "vault", url.Values{"request": {signed(t, newSigner(t, jose.RS256, "one"), objectType, good)}})), 400, oauth.InvalidRequestObject)
		refused(t, "unsigned", w.Post("/par", w.as(t, "vault", trip.Query)), 400, oauth.InvalidRequest)
		refused(t, "an answer that is not signed", push(good.with(claims{"response_mode": nil})), 400, oauth.InvalidRequest)
	})
}

// jarm-2.1-01, jarm-2.1-02, jarm-2.3-01, jarm-2.3.4-01, rfc9207-2.4-01, fapi2-ms-5.4.1-01
func TestAnswersAreSignedWhereTheClientAsksForIt(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		b := w.Browser()
		for _, mode := range []string{"jwt", "query.jwt", "form_post.jwt"} {
			trip := harness.NewTrip("signer", redirects["signer"], "openid", "response_mode", mode)
			w.walk(b, trip.Path())
			answer := jarm(t, b, trip, mode)
			c := w.verified(t, answer, "JWT")
			aud, _, _ := c.String("aud")
			exp, _, err := c.Seconds("exp")
			life := exp.Sub(w.Clock.Now())
			if text(c, "iss") != w.Issuer || aud != "signer" || text(c, "state") != trip.State || err != nil || life <= 0 || life > 10*time.Minute || c.Has("sub") {
				t.Errorf("%s: %+v", mode, c)
			}
			if got := w.Post("/token", w.as(t, "signer", trip.Redeem(text(c, "code")))); got.Status != 200 {
				t.Errorf("%s: %d %s", mode, got.Status, got.Body)
			}
			refusedTrip := harness.NewTrip("signer", redirects["signer"], "mail.read", "response_mode", mode)
			b.Open(refusedTrip.Path())
			c = w.verified(t, jarm(t, b, refusedTrip, mode), "JWT")
			if text(c, "error") != "invalid_scope" || text(c, "state") != refusedTrip.State || c.Has("code") {
				t.Errorf("%s: %+v", mode, c)
			}
			// RS01: it is none of our other tokens.
			if a := w.Do(w.Request("GET", "/userinfo", "", harness.Set("Authorization", "Bearer "+answer))); a.Status != 401 {
				t.Errorf("a signed answer opens userinfo: %d", a.Status)
			}
			hinted := harness.NewTrip("signer", redirects["signer"], "openid", "id_token_hint", answer)
			if q := hinted.Response(b.Open(hinted.Path())); q.Get("error") != "invalid_request" {
				t.Errorf("a signed answer is taken for an ID token: %v", q)
			}
		}
		for _, mode := range []string{"fragment.jwt", "fragment", "web_message"} {
			trip := harness.NewTrip("signer", redirects["signer"], "openid", "response_mode", mode)
			if q := trip.Response(b.Open(trip.Path())); q.Get("error") != "invalid_request" {
				t.Errorf("%s: %v", mode, q)
			}
		}
	})
}

// jarm takes the signed answer from where the mode puts it: nothing else may stand beside it.
func jarm(t *testing.T, b *harness.Web, trip *harness.Trip, mode string) string {
	t.Helper()
	var q url.Values
	if mode == "form_post.jwt" {
		if b.Left != nil || !strings.Contains(b.Page, trip.RedirectURI) {
			t.Fatalf("%d, left for %v\n%s", b.Status, b.Left, b.Page)
		}
		_, q = b.Form("post-form")
	} else {
		if b.Left == nil || !strings.HasPrefix(b.Left.String(), trip.RedirectURI+"?") {
			t.Fatalf("%d, left for %v\n%s", b.Status, b.Left, b.Page)
		}
		q = b.Left.Query()
	}
	if len(q) != 1 || q.Get("response") == "" {
		t.Fatalf("%v", q)
	}
	return q.Get("response")
}

// The whole of FAPI 2.0 Message Signing, as one trip: fapi2-ms-5.3.1-01, fapi2-ms-5.4.1-01.
func TestATripUnderMessageSigning(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		key := prover(t)
		trip := harness.NewTrip("vault", redirects["vault"], "openid offline_access todos.read", "response_mode", "jwt")
		object := signed(t, w.key, objectType, w.object(trip))
		b := w.Browser()
		w.walk(b, w.push(t, "vault", url.Values{"request": {object}}, w.proof(t, key, "/par")))
		c := w.verified(t, jarm(t, b, trip, "jwt"), "JWT")
		got := w.Post("/token", w.as(t, "vault", trip.Redeem(text(c, "code"))), w.proof(t, key, "/token"))
		if got.Status != 200 || got.String("token_type") != "DPoP" {
			t.Fatalf("%d %s", got.Status, got.Body)
		}
		// An object may be pushed again while it is good: it is a request, not a right.
		if a := w.Post("/par", w.as(t, "vault", url.Values{"request": {object}})); a.Status != http.StatusCreated {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
}

// jarm-3-01, jarm-4-01, rfc9101-9.2-01
func TestTheMetadataNameWhatIsSignedAndHow(t *testing.T) {
	w := open(t, harness.SQLite, harness.Clients(`  - id: chosen
    type: web
    secret_file: ./web.secret
    authorization_signed_response_alg: ES256
    first_party: true
    providers: [{name: corp}]
    redirect_uris: ["https://chosen.example/cb"]
    scopes: [openid]
`))
	m := w.Do(w.Request("GET", "/.well-known/openid-configuration", ""))
	for name, want := range map[string]string{
		"response_modes_supported":                       `["query","form_post","jwt","query.jwt","form_post.jwt"]`,
		"authorization_signing_alg_values_supported":     `["ES256","RS256"]`,
		"request_object_signing_alg_values_supported":    `["ES256","PS256","RS256","EdDSA","Ed25519"]`,
		"request_parameter_supported":                    "true",
		"request_uri_parameter_supported":                "true",
		"require_request_uri_registration":               "true",
		"authorization_response_iss_parameter_supported": "true",
	} {
		if got := asJSON(m.JSON[name]); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	for client, alg := range map[string]string{"chosen": "ES256", "signer": "RS256"} {
		address := "https://" + client + ".example/cb"
		trip, b := harness.NewTrip(client, address, "openid", "response_mode", "jwt"), w.Browser()
		w.walk(b, trip.Path())
		header, err := base64.RawURLEncoding.DecodeString(strings.Split(jarm(t, b, trip, "jwt"), ".")[0])
		if err != nil || !strings.Contains(string(header), `"`+alg+`"`) {
			t.Errorf("%s: %s %v", client, header, err)
		}
	}
}
