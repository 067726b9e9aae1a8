package accesstoken

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/jose"
)

const (
	issuer = "https://login.example"
	ours   = "https://api.example.com"
	jkt    = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
)

var now = time.Unix(1893456000, 0)

var signers = map[jose.Alg]*jose.Signer{
	jose.ES256: newSigner(jose.ES256), jose.RS256: newSigner(jose.RS256), jose.PS256: newSigner(jose.PS256), jose.EdDSA: newSigner(jose.EdDSA),
}

func newSigner(alg jose.Alg) *jose.Signer {
	key, err := jose.GenerateKey(alg)
	if err != nil {
		panic(err)
	}
	s, err := jose.NewSigner(alg, "kid-"+string(alg), key)
	if err != nil {
		panic(err)
	}
	return s
}

// published is what an issuer's key set answers.
func published(_ context.Context, kid string, alg jose.Alg) (crypto.PublicKey, error) {
	for _, s := range signers {
		if s.Kid() == kid && s.Alg() == alg {
			return s.Public().Key, nil
		}
	}
	return nil, errors.New("unknown kid")
}

func checker() *Checker {
	return &Checker{Issuer: issuer, Audience: []string{"https://other.example", ours}, Keys: published, Leeway: 30 * time.Second}
}

func payload() map[string]any {
	return map[string]any{
		"iss": issuer, "sub": "acc_AAAAAAAAAAAAAAAAAAAAAA", "aud": ours, "client_id": "com.example.todo",
		"exp": now.Unix() + 600, "iat": now.Unix(), "jti": "a-jti", "scope": "openid todos.read", "sid": "ses_AAAAAAAAAAAAAAAAAAAAAA",
		"cnf": map[string]string{"jkt": jkt}, "auth_time": now.Unix() - 5, "acr": "urn:example:acr", "amr": []string{"hwk", "user"},
	}
}

func sign(t testing.TB, alg jose.Alg, typ string, claims any) string {
	t.Helper()
	raw, err := signers[alg].Sign(typ, claims)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// rfc9068-2.1-02, rfc9449-6-01
func TestATokenOfOursIsRead(t *testing.T) {
	want := &Token{
		Issuer: issuer, Subject: "acc_AAAAAAAAAAAAAAAAAAAAAA", Audience: ours, ClientID: "com.example.todo",
		SessionID: "ses_AAAAAAAAAAAAAAAAAAAAAA", Scope: []string{"openid", "todos.read"}, JTI: "a-jti", JKT: jkt,
		IssuedAt: now, ExpiresAt: now.Add(10 * time.Minute), AuthTime: now.Add(-5 * time.Second),
		ACR: "urn:example:acr", AMR: []string{"hwk", "user"},
	}
	for _, alg := range []jose.Alg{jose.ES256, jose.RS256} {
		for _, typ := range []string{"at+jwt", "application/at+jwt", "AT+JWT"} { // RFC 9068 §4
			got, err := checker().Check(t.Context(), sign(t, alg, typ, payload()), now)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s %s: %+v, %v", alg, typ, got, err)
			}
		}
	}
}

func TestWhatIsOptionalMayBeMissing(t *testing.T) {
	claims := payload()
	for _, name := range []string{"scope", "sid", "cnf", "auth_time", "acr", "amr"} {
		delete(claims, name)
	}
	got, err := checker().Check(t.Context(), sign(t, jose.ES256, "at+jwt", claims), now)
	if err != nil {
		t.Fatal(err)
	}
	if got.SessionID != "" || got.Scope != nil || got.JKT != "" || !got.AuthTime.IsZero() {
		t.Errorf("%+v", got)
	}
}

func wantInvalid(t *testing.T, c *Checker, raw string) {
	t.Helper()
	got, err := c.Check(t.Context(), raw, now)
	if !errors.Is(err, ErrInvalid) || got != nil {
		t.Errorf("%+v, %v; want ErrInvalid", got, err)
	}
}

// RS01 and RFC 9068 §4: another kind of token, or another algorithm, is no access token.
// rfc8725-3.1-01, rfc9068-4-01
func TestOtherTokensAreRefused(t *testing.T) {
	for _, typ := range []string{"", "JWT", "logout+jwt", "token-introspection+jwt", "dpop+jwt", "at+jwt "} {
		wantInvalid(t, checker(), sign(t, jose.ES256, typ, payload()))
	}
	for _, alg := range []jose.Alg{jose.PS256, jose.EdDSA} {
		wantInvalid(t, checker(), sign(t, alg, "at+jwt", payload()))
	}
	for _, raw := range []string{"", "garbage", "cs_rt_garbage", strings.Repeat("a", 20<<10)} {
		wantInvalid(t, checker(), raw)
	}
}

// RS02 and RFC 9068 §4.
// rfc7519-4.1.3-01, rfc9068-4-03, rfc9700-2.3-03
func TestAudience(t *testing.T) {
	for name, tc := range map[string]struct {
		aud  any
		list []string
		want string // empty: refused
	}{
		"ours":                         {ours, []string{ours}, ours},
		"ours in an array":             {[]string{"https://else.example", ours}, []string{ours}, ours},
		"another":                      {"https://else.example", []string{ours}, ""},
		"ours with a slash":            {ours + "/", []string{ours}, ""},
		"ours in upper case":           {strings.ToUpper(ours), []string{ours}, ""},
		"missing":                      {nil, []string{ours}, ""},
		"an empty array":               {[]string{}, []string{ours}, ""},
		"a number":                     {7, []string{ours}, ""},
		"a number among strings":       {[]any{ours, 7}, []string{ours}, ""},
		"empty":                        {"", []string{""}, ""},
		"any, for the issuer":          {"https://else.example", nil, "https://else.example"},
		"missing, for the issuer":      {nil, nil, ""},
		"a checker with an empty list": {ours, []string{}, ""},
		"an empty list, and no aud":    {nil, []string{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			claims := payload()
			if claims["aud"] = tc.aud; tc.aud == nil {
				delete(claims, "aud")
			}
			c := checker()
			c.Audience = tc.list
			raw := sign(t, jose.ES256, "at+jwt", claims)
			if tc.want == "" {
				wantInvalid(t, c, raw)
				return
			}
			if got, err := c.Check(t.Context(), raw, now); err != nil || got.Audience != tc.want {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// rfc7519-7.3-01, rfc9068-4-02
func TestTheIssuerIsComparedExactly(t *testing.T) {
	for _, iss := range []any{"https://login.example/", "http://login.example", "https://LOGIN.example", "https://login.example.evil.example", "", 7, nil, []string{issuer}} {
		claims := payload()
		claims["iss"] = iss
		wantInvalid(t, checker(), sign(t, jose.ES256, "at+jwt", claims))
	}
}

func TestACheckerWithoutIssuerOrKeysRefuses(t *testing.T) {
	claims := payload()
	claims["iss"] = ""
	noIssuer, noKeys := checker(), checker()
	noIssuer.Issuer, noKeys.Keys = "", nil
	wantInvalid(t, noIssuer, sign(t, jose.ES256, "at+jwt", claims))
	wantInvalid(t, noKeys, sign(t, jose.ES256, "at+jwt", payload()))
}

// RS04: nothing in a header leads anywhere.
// rfc8725-3.10-01
func TestHeadersLeadNowhere(t *testing.T) {
	embedded, err := signers[jose.ES256].SignWithJWK("at+jwt", payload())
	if err != nil {
		t.Fatal(err)
	}
	wantInvalid(t, checker(), embedded)
	for _, kid := range []string{"../../x", "https://evil.example/jwks", "' OR 1=1 --", strings.Repeat("k", 4<<10), ""} {
		key, err := jose.GenerateKey(jose.ES256)
		if err != nil {
			t.Fatal(err)
		}
		attacker, err := jose.NewSigner(jose.ES256, kid, key)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := attacker.Sign("at+jwt", payload())
		if err != nil {
			t.Fatal(err)
		}
		wantInvalid(t, checker(), raw)
	}
}

// RS05, rfc7519-4.1.4-01, rfc7519-4.1.5-01, rfc7519-4.1.6-01, rfc9068-4-05
func TestTimes(t *testing.T) {
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for name, tc := range map[string]struct {
		claim string
		value any // nil: missing
		ok    bool
	}{
		"exp within the leeway":        {"exp", at(-29 * time.Second), true},
		"exp at the end of the leeway": {"exp", at(-30 * time.Second), false},
		"exp missing":                  {"exp", nil, false},
		"exp string":                   {"exp", "1893459600", false},
		"exp 1e400":                    {"exp", json.Number("1e400"), false},
		"exp with an exponent":         {"exp", json.Number("1.8934596e9"), false},
		"exp float":                    {"exp", json.Number("1893459600.5"), false},
		"exp float without a fraction": {"exp", json.Number("1893459600.0"), false},
		"exp huge (RS06)":              {"exp", json.Number("99999999999999999999"), false},
		"exp negative":                 {"exp", -1, false},
		"exp boolean":                  {"exp", true, false},
		"nbf past":                     {"nbf", at(-time.Hour), true},
		"nbf within the leeway":        {"nbf", at(30 * time.Second), true},
		"nbf future":                   {"nbf", at(31 * time.Second), false},
		"nbf string":                   {"nbf", "1", false},
		"iat missing":                  {"iat", nil, false},
		"iat 60 s ahead":               {"iat", at(60 * time.Second), true},
		"iat 61 s ahead":               {"iat", at(61 * time.Second), false},
		"auth_time string":             {"auth_time", "1893456000", false},
	} {
		t.Run(name, func(t *testing.T) {
			claims := payload()
			if claims[tc.claim] = tc.value; tc.value == nil {
				delete(claims, tc.claim)
			}
			raw := sign(t, jose.ES256, "at+jwt", claims)
			if !tc.ok {
				wantInvalid(t, checker(), raw)
				return
			}
			if _, err := checker().Check(t.Context(), raw, now); err != nil {
				t.Error(err)
			}
		})
	}
}

// rfc7519-4.1.4-01
func TestTheLeewayIsCapped(t *testing.T) {
	for leeway, tolerated := range map[time.Duration]time.Duration{
		time.Hour: 60 * time.Second, 0: 0, -time.Hour: 0, 10 * time.Second: 10 * time.Second,
	} {
		c := checker()
		c.Leeway = leeway
		claims := payload()
		claims["exp"] = now.Add(1*time.Second - tolerated).Unix()
		if _, err := c.Check(t.Context(), sign(t, jose.ES256, "at+jwt", claims), now); err != nil {
			t.Errorf("leeway %v: %v", leeway, err)
		}
		claims["exp"] = now.Add(-tolerated).Unix()
		wantInvalid(t, c, sign(t, jose.ES256, "at+jwt", claims))
	}
}

func TestRequiredClaims(t *testing.T) {
	for _, name := range []string{"sub", "client_id", "jti"} { // RFC 9068 §2.2
		for _, value := range []any{nil, "", 7, []string{"a"}} {
			claims := payload()
			if claims[name] = value; value == nil {
				delete(claims, name)
			}
			wantInvalid(t, checker(), sign(t, jose.ES256, "at+jwt", claims))
		}
	}
	for name, value := range map[string]any{
		"jti": strings.Repeat("j", 257), "sid": 7, "acr": true, "amr": 7, "scope": []string{"openid"}, "cnf": "text",
	} {
		claims := payload()
		claims[name] = value
		wantInvalid(t, checker(), sign(t, jose.ES256, "at+jwt", claims))
	}
}

// DP09: a token bound to something we do not know must not pass for a bearer token.
func TestATokenBoundInAnotherWayIsRefused(t *testing.T) {
	for name, cnf := range map[string]any{
		"empty": map[string]string{}, "a key in full": map[string]any{"jwk": map[string]string{}}, "by certificate, short": map[string]string{"x5t#S256": jkt[:42]},
		"by certificate, empty": map[string]string{"x5t#S256": ""}, "by another hash": map[string]string{"x5t#S512": jkt},
		"one we know and one we do not": map[string]string{"jkt": jkt, "kid": "x"}, "a good and a bad one": map[string]string{"jkt": jkt, "x5t#S256": "x"},
		"jkt empty": map[string]string{"jkt": ""},
		"jkt short": map[string]string{"jkt": jkt[:42]}, "jkt number": map[string]int{"jkt": 7}, "null": nil,
	} {
		t.Run(name, func(t *testing.T) {
			claims := payload()
			claims["cnf"] = cnf
			wantInvalid(t, checker(), sign(t, jose.ES256, "at+jwt", claims))
		})
	}
}

// rfc8705-3.1-01, rfc8705-3.1-02
func TestATokenMayBeBoundToACertificateAKeyOrBoth(t *testing.T) {
	cert, other := &x509.Certificate{Raw: []byte("a certificate")}, &x509.Certificate{Raw: []byte("another")}
	x5t := CertificateThumbprint(cert)
	for name, cnf := range map[string]map[string]string{
		"key": {"jkt": jkt}, "certificate": {"x5t#S256": x5t}, "both": {"jkt": jkt, "x5t#S256": x5t},
	} {
		claims := payload()
		claims["cnf"] = cnf
		tok, err := checker().Check(t.Context(), sign(t, jose.ES256, "at+jwt", claims), now)
		if err != nil || tok.JKT != cnf["jkt"] || tok.X5T != cnf["x5t#S256"] {
			t.Fatalf("%s: %+v %v", name, tok, err)
		}
		free := cnf["x5t#S256"] == ""
		for shown, fits := range map[string]struct {
			list []*x509.Certificate
			want bool
		}{
			"none": {nil, free}, "its own": {[]*x509.Certificate{cert}, true}, "another": {[]*x509.Certificate{other}, free},
			"its own as somebody's issuer": {[]*x509.Certificate{other, cert}, free},
		} {
			if tok.FitsCertificate(fits.list) != fits.want {
				t.Errorf("bound to a %s, shown %s: %v", name, shown, !fits.want)
			}
		}
	}
}

// RS06
func TestDuplicatesAreRefused(t *testing.T) {
	body := fmt.Sprintf(`"iss":%q,"sub":"acc_x","client_id":"c","exp":1893459600,"iat":1893456000,"jti":"j"`, issuer)
	for _, more := range []string{
		`"aud":"` + ours + `","aud":"` + ours + `"`, `"AUD":"https://else.example","aud":"` + ours + `"`, `"aud":"` + ours + `","Sub":"acc_y"`,
	} {
		wantInvalid(t, checker(), sign(t, jose.ES256, "at+jwt", json.RawMessage(`{`+body+`,`+more+`}`)))
	}
}

// RS08
func TestExpiredAndForgedReadsAsForged(t *testing.T) {
	claims := payload()
	claims["exp"] = now.Add(-time.Hour).Unix()
	raw := sign(t, jose.ES256, "at+jwt", claims)
	forged := raw[:len(raw)-6] + "AAAAAA"
	if _, err := checker().Check(t.Context(), forged, now); !errors.Is(err, jose.ErrSignature) || !errors.Is(err, ErrInvalid) {
		t.Errorf("err = %v", err)
	}
}

// Only a verdict about the token is ErrInvalid: on it an app server answers 401 and the app signs nobody out for
// our outage.
func TestMissingKeysAreNoVerdict(t *testing.T) {
	for _, passing := range []error{ErrKeysUnavailable, context.DeadlineExceeded, context.Canceled} {
		c := checker()
		c.Keys = func(context.Context, string, jose.Alg) (crypto.PublicKey, error) {
			return nil, fmt.Errorf("fetch: %w", passing)
		}
		_, err := c.Check(t.Context(), sign(t, jose.ES256, "at+jwt", payload()), now)
		if !errors.Is(err, passing) || errors.Is(err, ErrInvalid) {
			t.Errorf("err = %v", err)
		}
	}
}

// FuzzCheck: what is accepted says, to an ordinary JSON reader too, what we took from it.
func FuzzCheck(f *testing.F) {
	seed, err := json.Marshal(payload())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed, "")
	f.Add([]byte(strings.Replace(string(seed), `"aud":"`, `"aud":"x","aud":"`, 1)), "")
	f.Add([]byte(strings.Replace(string(seed), `600`, `1e400`, 1)), "")
	f.Add([]byte{}, "e30.e30.AA")
	f.Fuzz(func(t *testing.T, body []byte, tail string) {
		raw := tail
		if json.Valid(body) {
			raw = sign(t, jose.ES256, "at+jwt", json.RawMessage(body)) + tail
		}
		got, err := checker().Check(t.Context(), raw, now)
		if err != nil {
			if !errors.Is(err, ErrInvalid) || got != nil {
				t.Fatalf("refused with %v, %+v", err, got)
			}
			return
		}
		var theirs struct {
			Iss, Sub, JTI string
			Exp           int64
			ClientID      string `json:"client_id"`
		}
		if err := json.Unmarshal(body, &theirs); err != nil {
			t.Fatal(err)
		}
		if theirs.Iss != issuer || theirs.Sub != got.Subject || theirs.JTI != got.JTI || theirs.ClientID != got.ClientID || theirs.Exp != got.ExpiresAt.Unix() {
			t.Fatalf("we read %+v, encoding/json %+v", got, theirs)
		}
		if got.Subject == "" || got.ClientID == "" || !got.ExpiresAt.After(now.Add(-maxLeeway)) || !strings.Contains(string(body), "aud") {
			t.Fatalf("%+v", got)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	b.ReportAllocs()
	raw := sign(b, jose.ES256, "at+jwt", payload())
	c := checker()
	for b.Loop() {
		if _, err := c.Check(b.Context(), raw, now); err != nil {
			b.Fatal(err)
		}
	}
}
