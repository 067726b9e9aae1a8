package assurance

import (
	"crypto/rand"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/test/harness"
)

// ledger is a service under the profile, with a key of every kind.
const ledgerYAML = `  - id: ledger
    type: service
    profile: fapi2
    auth_method: private_key_jwt
    jwks_file: ./ledger.jwks
    resources: [todo-api]
    scopes: [todos.read]
`

type ledger struct {
	*world
	keys map[jose.Alg]*jose.Signer
}

func withLedger(t *testing.T, test func(*testing.T, *ledger)) {
	t.Helper()
	keys := map[jose.Alg]*jose.Signer{}
	for _, alg := range []jose.Alg{jose.ES256, jose.PS256, jose.EdDSA, jose.RS256} {
		keys[alg] = newSigner(t, alg, strings.ToLower(string(alg)))
	}
	set := keySet(t, slices.Collect(maps.Values(keys))...)
	onEngines(t, func(t *testing.T, w *world) { test(t, &ledger{world: w, keys: keys}) },
		harness.Clients(ledgerYAML), harness.File("ledger.jwks", set))
}

// ask is a token request with an assertion of these claims, signed so, and a good proof.
func (l *ledger) ask(t testing.TB, alg jose.Alg, change claims, mods ...func(*http.Request)) harness.Answer {
	t.Helper()
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion": {signed(t, l.keys[alg], "JWT", l.assertion("ledger").with(change))},
	}
	if len(mods) == 0 {
		mods = append(mods, l.proof(t, prover(t), "/token"))
	}
	return l.Post("/token", form, mods...)
}

func passed(t testing.TB, name string, a harness.Answer) {
	t.Helper()
	if a.Status != http.StatusOK || a.String("token_type") != "DPoP" {
		t.Errorf("%s: %d %s", name, a.Status, a.Body)
	}
}

// fapi2-security-5.3.2.1-06 fapi2-security-5.4.1-01 fapi2-security-5.4.1-02 CA01
func TestAssertionsUnderTheProfileAreSignedWithItsAlgorithms(t *testing.T) {
	withLedger(t, func(t *testing.T, l *ledger) {
		for _, alg := range []jose.Alg{jose.ES256, jose.PS256, jose.EdDSA} {
			passed(t, string(alg), l.ask(t, alg, nil))
		}
		refused(t, "RS256", l.ask(t, jose.RS256, nil), 401, oauth.InvalidClient)
	})
}

// fapi2-security-5.3.2.1-08 CA04
func TestAssertionsUnderTheProfileAreForTheIssuerAlone(t *testing.T) {
	withLedger(t, func(t *testing.T, l *ledger) {
		passed(t, "the issuer", l.ask(t, jose.ES256, nil))
		for name, aud := range map[string]any{
			"the issuer in an array": []string{l.Issuer}, "the token endpoint": l.Issuer + "/token", "the pushed endpoint": l.Issuer + "/par",
			"the issuer and the token endpoint": []string{l.Issuer, l.Issuer + "/token"},
			"the issuer and another":            []string{l.Issuer, "https://other.example"}, "the issuer with a slash": l.Issuer + "/",
			"another": "https://other.example", "nobody": nil,
		} {
			refused(t, name, l.ask(t, jose.ES256, claims{"aud": aud}), 401, oauth.InvalidClient)
		}
	})
}

// fapi2-security-5.3.2.1-13 CA05
func TestAClockMayBeTenSecondsAheadAndNoMinute(t *testing.T) {
	withLedger(t, func(t *testing.T, l *ledger) {
		l.Clock.Freeze()
		at := func(d time.Duration) int64 { return l.Clock.Now().Add(d).Unix() }
		for _, name := range []string{"nbf", "iat"} {
			for _, ahead := range []time.Duration{0, 8 * time.Second, 10 * time.Second} {
				passed(t, name+" ahead by "+ahead.String(), l.ask(t, jose.ES256, claims{name: at(ahead)}))
			}
			for _, ahead := range []time.Duration{60 * time.Second, 61 * time.Second} {
				refused(t, name+" ahead by "+ahead.String(), l.ask(t, jose.ES256, claims{name: at(ahead)}), 401, oauth.InvalidClient)
			}
		}
	})
}

// proofBy is a proof by any key, for the token endpoint.
func (l *ledger) proofBy(t testing.TB, s *jose.Signer, change claims) func(*http.Request) {
	t.Helper()
	proof, err := s.SignWithJWK("dpop+jwt", claims{
		"jti": rand.Text(), "htm": "POST", "htu": l.Issuer + "/token", "iat": l.Clock.Now().Unix(),
	}.with(change))
	if err != nil {
		t.Fatal(err)
	}
	return harness.Set("DPoP", proof)
}

// fapi2-security-5.3.2.1-04 fapi2-security-5.3.2.1-05 fapi2-security-5.3.2.1-13 fapi2-security-5.4.1-01 DP08
func TestProofsUnderTheProfile(t *testing.T) {
	withLedger(t, func(t *testing.T, l *ledger) {
		l.Clock.Freeze()
		at := func(d time.Duration) claims { return claims{"iat": l.Clock.Now().Add(d).Unix()} }
		refused(t, "no proof", l.ask(t, jose.ES256, nil, func(*http.Request) {}), 400, oauth.InvalidDPoPProof)
		for _, alg := range []jose.Alg{jose.ES256, jose.PS256, jose.EdDSA} {
			passed(t, string(alg), l.ask(t, jose.ES256, nil, l.proofBy(t, l.keys[alg], nil)))
		}
		refused(t, "RS256", l.ask(t, jose.ES256, nil, l.proofBy(t, l.keys[jose.RS256], nil)), 400, oauth.InvalidDPoPProof)
		ec := l.keys[jose.ES256]
		for _, d := range []time.Duration{-10 * time.Second, 10 * time.Second} {
			passed(t, "a proof by a clock off by "+d.String(), l.ask(t, jose.ES256, nil, l.proofBy(t, ec, at(d))))
		}
		ahead := l.ask(t, jose.ES256, nil, l.proofBy(t, ec, at(61*time.Second)))
		refused(t, "a minute ahead", ahead, 400, oauth.UseDPoPNonce)
		nonce := claims{"nonce": ahead.Header.Get("DPoP-Nonce")}
		refused(t, "a minute ahead, with a nonce", l.ask(t, jose.ES256, nil, l.proofBy(t, ec, at(61*time.Second).with(nonce))), 400, oauth.InvalidDPoPProof)
		passed(t, "a minute behind, with a nonce", l.ask(t, jose.ES256, nil, l.proofBy(t, ec, at(-61*time.Second).with(nonce))))
	})
}

// grant goes the whole way of a client under the profile, and returns the trip and its code.
func (w *world) grant(t testing.TB, client string) (*harness.Trip, string) {
	t.Helper()
	trip, b := harness.NewTrip(client, redirects[client], "openid offline_access todos.read"), w.Browser()
	w.walk(b, w.push(t, client, trip.Query))
	code := trip.Code(b)
	return trip, code
}

// fapi2-security-5.3.2.1-11 TK06
func TestACodeIsDeadAtSixtySeconds(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		w.Clock.Freeze()
		trip, code := w.grant(t, "bank")
		late, lateCode := w.grant(t, "bank")
		w.Clock.Step(59 * time.Second)
		passed(t, "at 59 s", w.Post("/token", w.as(t, "bank", trip.Redeem(code)), w.proof(t, prover(t), "/token")))
		w.Clock.Step(time.Second)
		refused(t, "at 60 s", w.Post("/token", w.as(t, "bank", late.Redeem(lateCode)), w.proof(t, prover(t), "/token")), 400, oauth.InvalidGrant)
		refused(t, "again", w.Post("/token", w.as(t, "bank", trip.Redeem(code)), w.proof(t, prover(t), "/token")), 400, oauth.InvalidGrant) // fapi2-security-5.3.2.2-09
	})
}

// fapi2-security-5.3.2.1-09 fapi2-security-5.3.2.3-01 fapi2-ms-5.6.1-01: the refresh token stays, and a new DPoP key is as good as the first.
func TestTheRefreshTokenStaysAndIsForAnyKeyOfTheClient(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		trip, code := w.grant(t, "bank")
		in := w.Post("/token", w.as(t, "bank", trip.Redeem(code)), w.proof(t, prover(t), "/token"))
		passed(t, "the code", in)
		if id := w.verified(t, in.String("id_token"), "JWT"); text(id, "iss") != w.Issuer {
			t.Errorf("iss %q", text(id, "iss"))
		}
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {in.String("refresh_token")}}
		for range 3 {
			key := prover(t)
			a := w.Post("/token", w.as(t, "bank", form), w.proof(t, key, "/token"))
			passed(t, "a refresh by a new key", a)
			if next := a.String("refresh_token"); next != "" && next != in.String("refresh_token") {
				t.Error("the refresh token rotated")
			}
			seen := w.Introspect(a.String("access_token"), harness.ResourceID, harness.ResourceSecret)
			if cnf, _ := seen.JSON["cnf"].(map[string]any); cnf["jkt"] != key.JKT() {
				t.Errorf("the access token is bound to %v", cnf)
			}
		}
		refused(t, "without a proof", w.Post("/token", w.as(t, "bank", form)), 400, oauth.InvalidDPoPProof)
	})
}

// fapi2-security-5.3.2.1-07 fapi2-security-5.3.2.2-02 fapi2-security-5.3.2.2-03 fapi2-security-5.3.2.2-04 fapi2-security-5.3.2.2-05
// fapi2-security-5.3.2.2-06 fapi2-security-5.3.2.2-07 fapi2-security-5.3.2.2-10 fapi2-security-5.3.2.2-12
// fapi2-security-5.3.2.2-14 AZ32
func TestRequestsUnderTheProfileArePushedWithEverything(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		good := harness.NewTrip("bank", redirects["bank"], "openid")
		if q := good.Response(w.Browser().Open(good.Path())); q.Get("error") != "invalid_request" || q.Get("code") != "" {
			t.Errorf("a plain request: %v", q)
		}
		refused(t, "nobody authenticated", w.Post("/par", good.Query), 401, oauth.InvalidClient)
		for name, change := range map[string][]string{
			"no code_challenge": {"code_challenge", "", "code_challenge_method", ""}, "plain": {"code_challenge_method", "plain"},
			"no method": {"code_challenge_method", ""}, "no redirect_uri": {"redirect_uri", ""},
			"a redirect_uri of nobody": {"redirect_uri", "https://evil.example/cb"},
		} {
			trip := harness.NewTrip("bank", redirects["bank"], "openid", change...)
			refused(t, name, w.Post("/par", w.as(t, "bank", trip.Query)), 400, oauth.InvalidRequest)
		}
		long := harness.NewTrip("bank", redirects["bank"], "openid", "nonce", strings.Repeat("n", 64), "state", strings.Repeat("s", 1200))
		a := w.Post("/par", w.as(t, "bank", long.Query))
		if life, _ := a.JSON["expires_in"].(float64); a.Status != http.StatusCreated || life <= 0 || life >= 600 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		b := w.Browser()
		w.walk(b, w.pushed("bank", a))
		long.Code(b) // which holds state and iss against what they must be; every redirect on the way was a 303
	})
}

// rfc9126-3-01: beside a signed request stands what authenticates the client, and nothing else: no client_id.
func TestASignedRequestIsPushedWithoutAClientIDBesideIt(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		trip := harness.NewTrip("vault", redirects["vault"], "openid", "response_mode", "jwt")
		push := func(change claims) harness.Answer {
			form := w.as(t, "vault", url.Values{"request": {signed(t, w.key, objectType, w.object(trip).with(change))}})
			form.Del("client_id")
			return w.Post("/par", form)
		}
		a := push(nil)
		if a.Status != http.StatusCreated {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		b := w.Browser()
		w.walk(b, w.pushed("vault", a))
		jarm(t, b, trip, "jwt")
		refused(t, "another client's object", push(claims{"client_id": "bank"}), 400, oauth.InvalidRequestObject)
		refused(t, "an object of no client", push(claims{"client_id": nil}), 400, oauth.InvalidRequestObject)
	})
}

// fapi2-security-5.3.2.1-01 fapi2-security-5.3.2.1-02 fapi2-security-5.3.2.1-06 fapi2-security-5.3.2.2-01
// fapi2-security-5.4.1-03
func TestTheMetadataIsWhatTheProfileAsksFor(t *testing.T) {
	w := open(t, harness.SQLite)
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		m := w.Do(w.Request("GET", path, "")).JSON
		has := func(name, value string) bool {
			list, _ := m[name].([]any)
			return slices.Contains(list, any(value))
		}
		for _, alg := range []string{"ES256", "PS256", "EdDSA"} {
			for _, name := range []string{
				"request_object_signing_alg_values_supported", "dpop_signing_alg_values_supported", "token_endpoint_auth_signing_alg_values_supported",
			} {
				if !has(name, alg) {
					t.Errorf("%s lacks %s: %v", name, alg, m[name])
				}
			}
		}
		for name, value := range m {
			if list, _ := value.([]any); strings.HasSuffix(name, "_alg_values_supported") && slices.Contains(list, any("none")) {
				t.Errorf("%s has none", name)
			}
		}
		for name, want := range map[string]any{
			"issuer": w.Issuer, "pushed_authorization_request_endpoint": w.Issuer + "/par", "authorization_response_iss_parameter_supported": true,
		} {
			if m[name] != want {
				t.Errorf("%s is %v", name, m[name])
			}
		}
		if has("grant_types_supported", "password") || !has("token_endpoint_auth_methods_supported", "private_key_jwt") ||
			!has("code_challenge_methods_supported", "S256") || has("response_types_supported", "token") || !has("response_types_supported", "code") {
			t.Errorf("%v", m)
		}
	}
	password := w.as(t, "bank", url.Values{"grant_type": {"password"}, "username": {"ada"}, "password": {"x"}})
	refused(t, "a password", w.Post("/token", password, w.proof(t, prover(t), "/token")), 400, oauth.UnsupportedGrantType)
}

// fapi2-security-5.2.3-01: nobody's script talks to /authorize.
func TestTheAuthorizationEndpointIsForNavigationAlone(t *testing.T) {
	w := open(t, harness.SQLite)
	a := w.Do(w.Request("GET", "/authorize?client_id=bank", "", harness.Set("Origin", "https://todo.example")))
	if a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%v", a.Header)
	}
}
