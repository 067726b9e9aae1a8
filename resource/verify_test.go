package resource_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/resource"
)

func TestAGoodTokenPasses(t *testing.T) {
	a := newAPI(t, nil)
	got := a.get(t, "Bearer "+a.issuer.token(nil))
	got.want(t, http.StatusOK, "")
	if !strings.HasPrefix(got.body, "acc_AAAAAAAAAAAAAAAAAAAAAA com.example.todo openid,todos.read") {
		t.Errorf("the handler saw %s", got.body)
	}
	a.get(t, "bearer "+a.issuer.token(nil)).want(t, http.StatusOK, "") // schemes have no case (RFC 9110 §11.1)
}

// rfc9068-2.1-02
func TestBothAlgorithmsPass(t *testing.T) {
	a := newAPI(t, nil)
	a.issuer.rotate("k2-rs256", jose.RS256)
	a.get(t, "Bearer "+a.issuer.token(nil)).want(t, http.StatusOK, "")
}

// fapi2-security-5.3.4-03, rfc6749-7-01, rfc9068-4-02, rfc9068-4-03, rfc9068-4-05, rfc9068-4-06, rfc9700-2.3-03
func TestClaimsThatAreRefused(t *testing.T) {
	a := newAPI(t, nil)
	now := a.clock.now()
	tests := []struct {
		name string
		edit func(map[string]any)
	}{
		{"RS02 another audience", func(c map[string]any) { c["aud"] = "https://other.example.com" }},
		{"RS02 no audience", func(c map[string]any) { delete(c, "aud") }},
		{"RS02 an audience with a slash more", func(c map[string]any) { c["aud"] = audience + "/" }},
		{"another issuer", func(c map[string]any) { c["iss"] = "https://evil.example" }},
		{"the issuer with a slash more", func(c map[string]any) { c["iss"] = c["iss"].(string) + "/" }},
		{"no subject", func(c map[string]any) { delete(c, "sub") }},
		{"no client_id", func(c map[string]any) { delete(c, "client_id") }},
		{"no jti", func(c map[string]any) { delete(c, "jti") }},
		{"RS05 no exp", func(c map[string]any) { delete(c, "exp") }},
		{"RS05 expired beyond the leeway", func(c map[string]any) { c["exp"] = now.Add(-31 * time.Second).Unix() }},
		{"RS05 nbf ahead", func(c map[string]any) { c["nbf"] = now.Add(2 * time.Minute).Unix() }},
		{"iat ahead", func(c map[string]any) { c["iat"] = now.Add(2 * time.Minute).Unix() }},
		{"RS05 exp as text", func(c map[string]any) { c["exp"] = "1" }},
		{"RS05 exp in an array", func(c map[string]any) { c["exp"] = []int64{now.Unix() + 600} }},
		{"scope as a number", func(c map[string]any) { c["scope"] = 1 }},
		{"RS06 aud and AUD", func(c map[string]any) { c["AUD"] = audience; c["aud"] = "https://other.example.com" }},
		{"cnf without jkt", func(c map[string]any) { c["cnf"] = map[string]string{"x5t#S256": "AAAA"} }},
		{"cnf that is no object", func(c map[string]any) { c["cnf"] = "jkt" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := a.get(t, "Bearer "+a.issuer.token(tt.edit))
			got.want(t, http.StatusUnauthorized, "invalid_token")
			if !strings.Contains(got.challenge, `Bearer realm="`+audience+`", error="invalid_token"`) {
				t.Errorf("challenge %s", got.challenge)
			}
		})
	}
}

// rawClaims lets json.Marshal write what no map could hold.
type rawClaims string

func (r rawClaims) MarshalJSON() ([]byte, error) { return []byte(r), nil }

func TestClaimsThatOnlyAnAttackerWrites(t *testing.T) {
	a := newAPI(t, nil)
	good := `"iss":"` + a.issuer.URL + `","sub":"acc_A","aud":"` + audience + `","client_id":"app","iat":1,"jti":"x"`
	for name, claims := range map[string]string{
		"RS05 exp of 1e400":       `{` + good + `,"exp":1e400}`,
		"RS05 exp with exponent":  `{` + good + `,"exp":1e12}`,
		"RS06 a huge integer":     `{` + good + `,"exp":99999999999999999999999}`,
		"RS06 a claim twice":      `{` + good + `,"exp":9999999999,"aud":"https://other.example.com"}`,
		"RS06 a claim twice, esc": `{` + good + `,"exp":9999999999,"\u0061ud":"https://other.example.com"}`,
		"deep nesting":            `{` + good + `,"exp":9999999999,"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			raw := sign(a.issuer.signer(), "at+jwt", rawClaims(claims))
			a.get(t, "Bearer "+raw).want(t, http.StatusUnauthorized, "invalid_token")
		})
	}
}

// RS01: whatever else the issuer signs is no access token.
// rfc9068-4-01, rfc9068-5-01
func TestOtherKindsOfTokensAreRefused(t *testing.T) {
	a := newAPI(t, nil)
	for _, typ := range []string{"JWT", "", "logout+jwt", "token-introspection+jwt", "dpop+jwt", "at+jwt+x"} {
		t.Run("typ "+typ, func(t *testing.T) {
			a.get(t, "Bearer "+sign(a.issuer.signer(), typ, a.issuer.claims())).want(t, http.StatusUnauthorized, "invalid_token")
		})
	}
	for name, raw := range map[string]string{
		"a refresh token": "cs_rt_" + strings.Repeat("A", 82),
		"one part":        "AAAA",
		"four parts":      a.issuer.token(nil) + ".AAAA",
		"alg none":        "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.e30.",
	} {
		t.Run(name, func(t *testing.T) {
			a.get(t, "Bearer "+raw).want(t, http.StatusUnauthorized, "invalid_token")
		})
	}
}

// rfc9068-4-04
func TestForeignSignaturesAreRefused(t *testing.T) {
	a := newAPI(t, nil)
	stranger := newSigner("k1-es256", jose.ES256)
	a.get(t, "Bearer "+sign(stranger, "at+jwt", a.issuer.claims())).want(t, http.StatusUnauthorized, "invalid_token")

	// RS08: expired and forged reads like forged.
	claims := a.issuer.claims()
	claims["exp"] = a.clock.now().Add(-time.Hour).Unix()
	expired := a.get(t, "Bearer "+sign(a.issuer.signer(), "at+jwt", claims))
	forged := a.get(t, "Bearer "+sign(stranger, "at+jwt", claims))
	forged.want(t, http.StatusUnauthorized, "invalid_token")
	if forged.challenge != expired.challenge || forged.body != expired.body {
		t.Errorf("forged: %s, expired: %s", forged.body, expired.body)
	}

	// the kid of one algorithm's key on a token of another
	a.issuer.rotate("k2-rs256", jose.RS256)
	mismatch := newSigner("k2-rs256", jose.ES256)
	a.get(t, "Bearer "+sign(mismatch, "at+jwt", a.issuer.claims())).want(t, http.StatusUnauthorized, "invalid_token")
}

// fapi2-security-5.3.4-04
func TestScopes(t *testing.T) {
	a := newAPI(t, nil)
	token := a.issuer.token(nil)
	got := a.do(t, a.request(t, http.MethodGet, "/write", "Bearer "+token))
	got.want(t, http.StatusForbidden, "insufficient_scope")
	if !strings.Contains(got.challenge, `scope="todos.read todos.write"`) {
		t.Errorf("the challenge names no scope: %s", got.challenge)
	}
	none := a.issuer.token(func(c map[string]any) { delete(c, "scope") })
	a.get(t, "Bearer "+none).want(t, http.StatusForbidden, "insufficient_scope")
	prefix := a.issuer.token(func(c map[string]any) { c["scope"] = "todos.rea todos.read2 TODOS.READ" })
	a.get(t, "Bearer "+prefix).want(t, http.StatusForbidden, "insufficient_scope")
}

// fapi2-security-5.3.4-01 fapi2-security-5.3.4-02
func TestTheTokenIsTakenFromTheHeaderAlone(t *testing.T) {
	a := newAPI(t, nil)
	token := a.issuer.token(nil)
	const form = "application/x-www-form-urlencoded"
	post := func(path, auth, kind, body string) answer {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", kind)
		if auth != "" {
			r.Header.Set("Authorization", auth)
		}
		return a.do(t, r)
	}
	get := func(path string, auth ...string) answer {
		r := a.request(t, http.MethodGet, path, "")
		r.Header["Authorization"] = auth
		return a.do(t, r)
	}
	tests := []struct {
		name   string
		got    answer
		status int
		code   string
	}{
		{"nothing at all", get("/todos"), 401, ""},
		{"another scheme", get("/todos", "Basic dTpw"), 401, ""},
		{"RS09 in the query", get("/todos?access_token=" + token), 400, "invalid_request"},
		{"RS09 in the query under an escaped name", get("/todos?access%5Ftoken=" + token), 400, "invalid_request"},
		{"RS09 in query and header", get("/todos?access_token="+token, "Bearer "+token), 400, "invalid_request"},
		{"RS09 in the body", post("/todos", "", form, "access_token="+token), 400, "invalid_request"},
		{"RS09 in body and header", post("/todos", "Bearer "+token, form+"; charset=utf-8", "a=b&access_token="+token), 400, "invalid_request"},
		{"two Authorization headers", get("/todos", "Bearer "+token, "Bearer "+token), 400, "invalid_request"},
		{"no token after the scheme", get("/todos", "Bearer"), 400, "invalid_request"},
		{"two spaces", get("/todos", "Bearer  "+token), 400, "invalid_request"},
		{"more after the token", get("/todos", "Bearer "+token+" x"), 400, "invalid_request"},
		{"a form without one", post("/todos", "Bearer "+token, form, "title=milk"), 200, ""},
		{"JSON that has one inside", post("/todos", "Bearer "+token, "application/json", `{"access_token":"x"}`), 200, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.got.want(t, tt.status, tt.code) })
	}
	if body := tests[11].got.body; !strings.HasSuffix(body, "title=milk") {
		t.Errorf("the handler did not get the form: %s", body)
	}
	if c := tests[0].got.challenge; strings.Contains(c, "error") || !strings.Contains(c, "Bearer ") || !strings.Contains(c, `algs="ES256 `) {
		t.Errorf("the challenge without a token (RFC 6750 §3.1): %s", c)
	}
}

func TestALargeFormReachesTheHandlerWhole(t *testing.T) {
	a := newAPI(t, nil)
	body := "title=" + strings.Repeat("m", 200<<10)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.URL+"/todos", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "Bearer "+a.issuer.token(nil))
	if got := a.do(t, r); !strings.HasSuffix(got.body, body) {
		t.Errorf("%d bytes came back", len(got.body))
	}
}

func TestVerifyWithoutTheMiddleware(t *testing.T) {
	var reported []*resource.Error
	a := newAPI(t, func(c *resource.Config) {
		c.Report = func(_ *http.Request, e *resource.Error) { reported = append(reported, e) }
	})
	r := a.request(t, http.MethodGet, "/todos", "Bearer "+a.issuer.token(nil))
	token, err := a.Verify(t.Context(), r, "todos.read")
	if err != nil || token.SessionID != "ses_AAAAAAAAAAAAAAAAAAAAAA" || !token.AuthTime.IsZero() {
		t.Errorf("%+v, %v", token, err)
	}
	if _, err = a.Verify(t.Context(), r, "todos.write"); err == nil || len(reported) != 1 || reported[0].Code != "insufficient_scope" {
		t.Errorf("%v, reported %v", err, reported)
	}
	if text := err.Error(); strings.Contains(text, "eyJ") {
		t.Errorf("the error shows the token: %s", text)
	}
}

// rfc9700-4.9.2-01: what an app server logs of a refusal, and what it answers, must not let its reader in elsewhere.
func TestNoTokenIsReportedOrAnswered(t *testing.T) {
	var told []string
	a := newAPI(t, func(c *resource.Config) {
		c.Report = func(_ *http.Request, e *resource.Error) {
			told = append(told, fmt.Sprintf("%v %+v %#v %q", e, e, e, errors.Unwrap(e)))
		}
	})
	p := newProver()
	good, expired := a.issuer.token(nil), a.issuer.token(func(c map[string]any) { c["exp"] = 1 })
	bound := a.issuer.bound(p)
	proof := a.proof(t, p, "", bound)
	for name, sent := range map[string][]string{
		"a good token that may not write": {good, "Authorization", "Bearer " + good},
		"an expired token":                {expired, "Authorization", "Bearer " + expired},
		"a damaged token":                 {good[:40], "Authorization", "Bearer " + good + "x"},
		"a token of a strange form":       {good, "Authorization", "Bearer " + good + " " + good},
		"a token of another scheme":       {good, "Authorization", "Basic " + good},
		"a bound token as Bearer":         {bound, "Authorization", "Bearer " + bound},
		"a bound token with a bad proof":  {bound, "Authorization", "DPoP " + bound, "DPoP", proof + "x"},
	} {
		told = nil
		r := a.request(t, http.MethodGet, "/write", "")
		r.Header.Del("Authorization")
		for i := 1; i+1 < len(sent); i += 2 {
			r.Header.Add(sent[i], sent[i+1])
		}
		got := a.do(t, r)
		if got.status < 400 || len(told) != 1 {
			t.Errorf("%s: %d, reported %d times", name, got.status, len(told))
		}
		secrets := append(strings.Split(sent[0], "."), proof)
		for _, text := range append(told, got.body, got.challenge) {
			for _, secret := range secrets {
				if secret != "" && strings.Contains(text, secret) {
					t.Errorf("%s: %s", name, text)
				}
			}
		}
	}
}

func TestManyRequestsAtOnceShareOneFetch(t *testing.T) {
	a := newAPI(t, nil)
	token := a.issuer.token(nil)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { a.get(t, "Bearer "+token).want(t, http.StatusOK, "") })
	}
	wg.Wait()
	if n := a.issuer.fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}
