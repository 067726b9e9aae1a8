package upstream

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/jose"
)

func TestTokensOfEveryProviderAreRead(t *testing.T) {
	for _, tc := range []struct {
		settings  Settings
		key       string
		spellings []string // of iss; none: the only one
	}{
		{Settings{Type: "google"}, "rsa", []string{"https://accounts.google.com", "accounts.google.com"}}, // ID02
		{Settings{Type: "apple"}, "rsa", []string{"https://appleid.apple.com", "https://account.apple.com"}},
		{Settings{Type: "oidc", Name: "corp"}, "rsa", nil},
		{Settings{Type: "oidc", Name: "corp"}, "ec", nil},
		{Settings{Type: "oidc", Name: "corp", Algs: []jose.Alg{jose.ES256}}, "ec", nil},
	} {
		t.Run(tc.settings.Type+" "+tc.key, func(t *testing.T) {
			s := newScene(t, tc.settings, testKeys[tc.key])
			if tc.spellings == nil {
				tc.spellings = s.Issuers()
			}
			for _, iss := range tc.spellings {
				auth := s.clock.now().Add(-time.Minute).Unix()
				raw := sign(t, testKeys[tc.key], s.claims(map[string]any{"iss": iss, "auth_time": auth, "azp": "an-android-app"}))
				got, err := s.Verify(t.Context(), raw, s.expect())
				if err != nil {
					t.Fatal(err)
				}
				want := Subject{
					Provider: s.Name(), Issuer: tc.spellings[0], Subject: "000123.subject.0456", Audience: testAudience,
					Email: "someone@example.com", EmailVerified: true, Name: "Some One",
					AuthTime: time.Unix(auth, 0), IssuedAt: s.clock.now().Add(-5 * time.Second),
				}
				if *got != want {
					t.Errorf("%+v, want %+v", *got, want)
				}
			}
		})
	}
}

// wantRefusal also checks that the sentence is one, names a remedy's place and holds nothing of the token.
func wantRefusal(t *testing.T, err error) {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) || !errors.Is(err, ErrToken) || errors.Is(err, ErrUnavailable) {
		t.Fatalf("err = %v, want a refusal", err)
	}
	if !strings.HasPrefix(r.Description, "The ") || !strings.HasSuffix(r.Description, ".") || strings.Contains(r.Description, "evil") {
		t.Errorf("description: %s", r.Description)
	}
}

// rfc7519-4.1.5-01, rfc7519-4.1.6-01, rfc8725-3.8-02
func TestTokensThatAreRefused(t *testing.T) {
	s := newScene(t, Settings{Type: "google"}, testKeys["rsa"])
	now := s.clock.now().Unix()
	for name, change := range map[string]map[string]any{
		"the issuer is an attacker's (ID01)": {"iss": "https://evil.example"},
		"the issuer has a slash (ID02)":      {"iss": "https://accounts.google.com/"},
		"the issuer is http (ID02)":          {"iss": "http://accounts.google.com"},
		"the issuer is Apple's":              {"iss": "https://appleid.apple.com"},
		"the issuer is in upper case":        {"iss": "https://ACCOUNTS.google.com"},
		"the issuer is a list":               {"iss": []string{"https://accounts.google.com"}},
		"no issuer":                          {"iss": nil},
		"expired (ID06)":                     {"exp": now - 30},
		"exp missing (ID06)":                 {"exp": nil},
		"exp string (ID06)":                  {"exp": "1893459600"},
		"exp 1e400 (ID06)":                   {"exp": json.Number("1e400")},
		"exp null":                           {"exp": json.RawMessage("null")},
		"iat 61 s ahead (ID06)":              {"iat": now + 61},
		"iat missing":                        {"iat": nil},
		"iat string":                         {"iat": "1893456000"},
		"older than 10 min (ID06)":           {"iat": now - 601},
		"iat in the year 1970":               {"iat": 0},
		"nbf 61 s ahead":                     {"nbf": now + 61},
		"auth_time ahead":                    {"auth_time": now + 61},
		"auth_time string":                   {"auth_time": "yesterday"},
		"sub missing":                        {"sub": nil},
		"sub empty":                          {"sub": ""},
		"sub number":                         {"sub": 7},
		"sub of 256 characters":              {"sub": strings.Repeat("s", 256)},
		"sub with a NUL":                     {"sub": "a\x00b"},
		"no nonce (ID08)":                    {"nonce": nil},
		"another nonce (ID08)":               {"nonce": "another"},
		"nonce empty":                        {"nonce": ""},
		"nonce list":                         {"nonce": []string{testNonce}},
		"nonce in upper-case hex":            {"nonce": strings.ToUpper(nonceHex())},
		"nonce_supported, no nonce (Apple)":  {"nonce_supported": true, "nonce": nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Verify(t.Context(), sign(t, testKeys["rsa"], s.claims(change)), s.expect())
			wantRefusal(t, err)
		})
	}
}

func TestTheEdgesOfTime(t *testing.T) {
	s := newScene(t, Settings{Type: "google"}, testKeys["rsa"])
	now := s.clock.now().Unix()
	for name, change := range map[string]map[string]any{
		"expired 29 s ago":    {"exp": now - 29},
		"ten minutes old":     {"iat": now - 600},
		"iat 60 s ahead":      {"iat": now + 60},
		"iat with a fraction": {"iat": json.Number("1893455999.5")},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := s.Verify(t.Context(), sign(t, testKeys["rsa"], s.claims(change)), s.expect()); err != nil {
				t.Error(err)
			}
		})
	}
}

// ID04, DS04, RFC 8725 §3.1, §3.10: the provider's algorithms, its published keys, nothing the header brings along.
// rfc8725-3.2-02, rfc9068-5-01
func TestForgedTokensAreRefused(t *testing.T) {
	s := newScene(t, Settings{Type: "google"}, testKeys["rsa"])
	good := sign(t, testKeys["rsa"], s.claims(nil))
	parts := strings.Split(good, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	ecWithRSAKid, err := jose.NewSigner(jose.ES256, "rsa", mustKey(t, jose.ES256))
	if err != nil {
		t.Fatal(err)
	}
	otherRSA, err := jose.NewSigner(jose.RS256, "rsa", mustKey(t, jose.RS256))
	if err != nil {
		t.Fatal(err)
	}
	embedded, err := otherRSA.SignWithJWK("JWT", s.claims(nil))
	if err != nil {
		t.Fatal(err)
	}
	accessToken, err := testKeys["rsa"].Sign("at+jwt", s.claims(nil))
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string]string{
		"alg none":                        b64([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
		"HS256":                           b64([]byte(`{"alg":"HS256","kid":"rsa"}`)) + "." + parts[1] + "." + parts[2],
		"ES256 with an RSA kid":           sign(t, ecWithRSAKid, s.claims(nil)),
		"another key under the kid":       sign(t, otherRSA, s.claims(nil)),
		"a key of its own":                embedded,
		"an access token of the provider": accessToken,
		"the payload of another token":    parts[0] + "." + b64([]byte(mustJSON(t, s.claims(map[string]any{"sub": "evil"})))) + "." + parts[2],
		"jku of an attacker":              b64([]byte(`{"alg":"RS256","kid":"rsa","jku":"https://evil.example/jwks"}`)) + "." + parts[1] + "." + parts[2],
		"a JWE":                           good + "." + parts[1] + "." + parts[2],
		"no token":                        "evil",
		"empty":                           "",
		"17 KiB":                          good + strings.Repeat("A", 16<<10),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Verify(t.Context(), raw, s.expect())
			wantRefusal(t, err)
		})
	}
	if hits := s.server.jwksHits.Load(); hits != 1 {
		t.Errorf("%d fetches of keys", hits)
	}
}

func mustKey(t *testing.T, alg jose.Alg) crypto.Signer {
	t.Helper()
	key, err := jose.GenerateKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// ID22: two readers of one token must not read two subjects.
func TestAmbiguousTokensAreRefused(t *testing.T) {
	s := newScene(t, Settings{Type: "google"}, testKeys["rsa"])
	body := strings.TrimSuffix(mustJSON(t, s.claims(nil)), "}")
	for _, more := range []string{`"sub":"evil"`, `"SUB":"evil"`, `"aud":"evil"`, `"Aud":"evil"`, `"x":{"a":1,"a":2}`} {
		_, err := s.Verify(t.Context(), sign(t, testKeys["rsa"], json.RawMessage(body+","+more+"}")), s.expect())
		wantRefusal(t, err)
	}
}

func nonceHex() string {
	sum := sha256.Sum256([]byte(testNonce))
	return hex.EncodeToString(sum[:])
}

// ID08, apple.md: the nonce may have been hashed on its way.
func TestTheSpellingsOfANonce(t *testing.T) {
	s := newScene(t, Settings{Type: "apple"}, testKeys["rsa"])
	sum := sha256.Sum256([]byte(testNonce))
	for _, spelling := range []string{testNonce, nonceHex(), base64.RawURLEncoding.EncodeToString(sum[:])} {
		raw := sign(t, testKeys["rsa"], s.claims(map[string]any{"nonce": spelling, "nonce_supported": "true"}))
		if _, err := s.Verify(t.Context(), raw, s.expect()); err != nil {
			t.Errorf("%s: %v", spelling, err)
		}
	}
}

func TestWithoutANonce(t *testing.T) {
	s := newScene(t, Settings{Type: "apple"}, testKeys["rsa"])
	now := s.clock.now().Unix()
	e := s.expect()
	e.Nonce, e.WithoutNonce = "", true
	for name, tc := range map[string]struct {
		change map[string]any
		ok     bool
	}{
		"the token carries none":              {map[string]any{"nonce": nil}, true},
		"five minutes old":                    {map[string]any{"nonce": nil, "iat": now - 300}, true},
		"older than five minutes":             {map[string]any{"nonce": nil, "iat": now - 301}, false},
		"the token carries one":               {nil, false},
		"the provider could have carried one": {map[string]any{"nonce": nil, "nonce_supported": true}, false},
		"it could have, says a string":        {map[string]any{"nonce": nil, "nonce_supported": "true"}, false},
		"it could not have":                   {map[string]any{"nonce": nil, "nonce_supported": false}, true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Verify(t.Context(), sign(t, testKeys["rsa"], s.claims(tc.change)), e)
			if tc.ok && err != nil {
				t.Error(err)
			}
			if !tc.ok {
				wantRefusal(t, err)
			}
		})
	}
	t.Run("a caller that forgot the nonce gets no token accepted", func(t *testing.T) {
		e := s.expect()
		e.Nonce = ""
		for _, nonce := range []any{nil, ""} {
			_, err := s.Verify(t.Context(), sign(t, testKeys["rsa"], s.claims(map[string]any{"nonce": nonce})), e)
			wantRefusal(t, err)
		}
	})
}

// OIDC Core §3.1.3.7 points 3 to 5; google.md section 5.
func TestAudienceAndPresenter(t *testing.T) {
	s := newScene(t, Settings{Type: "google"}, testKeys["rsa"])
	const web, android, ios = "web.example", "android.example", "ios.example"
	for name, tc := range map[string]struct {
		aud, azp  any
		audiences []string
		allowed   []string // azp
		want      string   // empty: refused
	}{
		"Android: aud web, azp android":           {web, android, []string{web}, []string{ios, android}, web},
		"iOS: aud and azp ios":                    {ios, ios, []string{web, ios}, []string{ios}, ios},
		"azp of another app":                      {web, "evil", []string{web}, []string{ios, android}, ""},
		"azp listed, none there":                  {web, nil, []string{web}, []string{ios}, ""},
		"azp listed with aud, none there":         {ios, nil, []string{ios}, []string{ios}, ""},
		"azp not listed, none there":              {web, nil, []string{web}, nil, web},
		"azp not listed, any there":               {web, "anything", []string{web}, nil, web},
		"azp number":                              {web, 7, []string{web}, nil, ""},
		"azp empty":                               {web, "", []string{web}, nil, ""},
		"another app's audience":                  {"evil", nil, []string{web}, nil, ""},
		"an audience that begins alike":           {web + "x", nil, []string{web}, nil, ""},
		"no audience":                             {nil, nil, []string{web}, nil, ""},
		"an empty audience":                       {"", nil, []string{""}, nil, ""},
		"an empty list":                           {[]string{}, nil, []string{web}, nil, ""},
		"a list of one":                           {[]string{web}, nil, []string{web}, nil, web},
		"a list with a stranger":                  {[]string{web, "evil"}, web, []string{web}, nil, ""},
		"a list of ours without azp":              {[]string{web, ios}, nil, []string{web, ios}, nil, ""},
		"a list of ours, azp among them":          {[]string{web, ios}, ios, []string{web, ios}, nil, web},
		"a list of ours, azp elsewhere":           {[]string{web, ios}, "evil", []string{web, ios}, nil, ""},
		"a list of ours, azp listed":              {[]string{web, ios}, android, []string{web, ios}, []string{android}, web},
		"a list of ours, azp ours but not listed": {[]string{web, ios}, web, []string{web, ios}, []string{android}, ""},
		"a client that accepts no audience":       {web, nil, nil, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := s.expect()
			e.Audiences, e.AZP = tc.audiences, tc.allowed
			got, err := s.Verify(t.Context(), sign(t, testKeys["rsa"], s.claims(map[string]any{"aud": tc.aud, "azp": tc.azp})), e)
			if tc.want == "" {
				wantRefusal(t, err)
				return
			}
			if err != nil || got.Audience != tc.want {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// ID10. The example is OIDC Core Appendix A.4's: code and c_hash.
func TestTheAuthorizationCodeIsHeldAgainstTheToken(t *testing.T) {
	const code, cHash = "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk", "LDktKdoQak3Pk0cnXxCltA"
	s := newScene(t, Settings{Type: "apple"}, testKeys["rsa"])
	for name, tc := range map[string]struct {
		change map[string]any
		code   string
		ok     bool
	}{
		"the code of the token":             {map[string]any{"c_hash": cHash}, code, true},
		"another code":                      {map[string]any{"c_hash": cHash}, "evil", false},
		"no code":                           {map[string]any{"c_hash": cHash}, "", false},
		"a code, no c_hash":                 {nil, code, true},
		"c_hash empty":                      {map[string]any{"c_hash": ""}, code, false},
		"c_hash number":                     {map[string]any{"c_hash": 7}, code, false},
		"at_hash is not looked at (Google)": {map[string]any{"at_hash": "anything"}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			e := s.expect()
			e.ProviderCode = tc.code
			_, err := s.Verify(t.Context(), sign(t, testKeys["rsa"], s.claims(tc.change)), e)
			if tc.ok && err != nil {
				t.Error(err)
			}
			if !tc.ok {
				wantRefusal(t, err)
			}
		})
	}
	if codeHash(jose.EdDSA, code) == cHash || len(codeHash(jose.EdDSA, code)) != 43 {
		t.Error("EdDSA's hash is SHA-512")
	}
}

func TestWhatIsOnlyInformationKeepsNobodyOut(t *testing.T) {
	s := newScene(t, Settings{Type: "apple"}, testKeys["rsa"])
	for name, tc := range map[string]struct {
		change      map[string]any
		email, name string
		verified    bool
	}{
		"nothing sent":           {map[string]any{"email": nil, "email_verified": nil, "name": nil}, "", "", false},
		"strings for booleans":   {map[string]any{"email_verified": "true"}, "someone@example.com", "Some One", true},
		"the string false":       {map[string]any{"email_verified": "false"}, "someone@example.com", "Some One", false},
		"a number for a boolean": {map[string]any{"email_verified": 1}, "someone@example.com", "Some One", false},
		"verified, no address":   {map[string]any{"email": nil}, "", "Some One", false},
		"null":                   {map[string]any{"email": json.RawMessage("null"), "name": json.RawMessage("null")}, "", "", false},
		"too long":               {map[string]any{"email": strings.Repeat("e", 321), "name": strings.Repeat("n", 256)}, "", "", false},
		"control characters":     {map[string]any{"email": "a\x00@example.com", "name": "a\nb"}, "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.Verify(t.Context(), sign(t, testKeys["rsa"], s.claims(tc.change)), s.expect())
			if err != nil {
				t.Fatal(err)
			}
			if got.Email != tc.email || got.Name != tc.name || got.EmailVerified != tc.verified {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestARefusalTellsTheDeveloperWhatAndTheEventWhy(t *testing.T) {
	s := newScene(t, Settings{Type: "google"}, testKeys["rsa"])
	_, err := s.Verify(t.Context(), sign(t, testKeys["rsa"], s.claims(map[string]any{"aud": "evil"})), s.expect())
	want := "The id_token's audience is not one this client accepts for google. Add it under providers.audiences of the client, " +
		"or let the app ask for a token for one that is listed there."
	if err == nil || err.Error() != want {
		t.Errorf("err = %v", err)
	}
	_, err = s.Verify(t.Context(), "evil", s.expect())
	if !errors.Is(err, jose.ErrToken) || !strings.Contains(err.Error(), "three parts") {
		t.Errorf("the cause is lost: %v", err)
	}
}
