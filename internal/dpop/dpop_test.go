package dpop

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/jose"
)

const endpoint = "https://login.example/token"

var now = time.Unix(1893456000, 0)

// testKey signs proofs the Prover would never make.
var testKey = func() *jose.Signer { return newSigner(jose.ES256) }()

func newSigner(alg jose.Alg) *jose.Signer {
	key, err := jose.GenerateKey(alg)
	if err != nil {
		panic(err)
	}
	s, err := jose.NewSigner(alg, "", key)
	if err != nil {
		panic(err)
	}
	return s
}

// proof signs any claims; JSON may hold what Go maps cannot, such as a name twice.
func proof(t testing.TB, claims string) string {
	t.Helper()
	raw, err := testKey.SignWithJWK(proofTyp, json.RawMessage(claims))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func claims(more string) string {
	return `{"jti":"a-jti","htm":"POST","htu":"` + endpoint + `","iat":1893456000` + more + `}`
}

func request(proofs ...string) Request {
	return Request{Proofs: proofs, Method: "POST", URL: endpoint, Now: now}
}

func nonces() *Nonces {
	keys := map[uint32][]byte{1: []byte("the first key of 32 bytes length"), 2: []byte("another key of 32 bytes length..")}
	return &Nonces{
		Key:     func(id uint32) ([]byte, bool) { k, ok := keys[id]; return k, ok },
		Current: func() uint32 { return 2 },
	}
}

// RFC 9449 §4.1 and §7.1: the specification's own proofs.
func TestProofsOfTheSpecification(t *testing.T) {
	const (
		header = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19."
		jkt    = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
	)
	for name, tc := range map[string]struct {
		r   Request
		jti string
	}{
		"§4.1": {Request{
			Proofs: []string{header + "eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"},
			Method: "POST", URL: "https://server.example.com/token", Now: time.Unix(1562262616, 0),
		}, "-BwC3ESc6acc2lTc"},
		"§7.1": {Request{
			Proofs: []string{header + "eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"},
			Method: "GET", URL: "https://resource.example.org/protectedresource", Now: time.Unix(1562262618, 0),
			AccessToken: "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU",
		}, "e1j3V_bKic8-LAEB"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := new(Verifier).Verify(t.Context(), tc.r)
			if err != nil {
				t.Fatal(err)
			}
			if p.JKT != jkt || p.JTI != tc.jti || !p.ExpiresAt.Equal(tc.r.Now.Add(time.Minute)) {
				t.Errorf("%+v", p)
			}
		})
	}
}

func TestAProverSatisfiesTheVerifier(t *testing.T) {
	p, err := NewProver()
	if err != nil {
		t.Fatal(err)
	}
	v := &Verifier{Nonces: nonces()}
	raw, err := p.Proof("GET", "https://api.example.com/todos?done=no#top", v.Nonces.Mint(now), "the access token", now)
	if err != nil {
		t.Fatal(err)
	}
	got, err := v.Verify(t.Context(), Request{
		Proofs: []string{raw}, Method: "GET", URL: "https://api.example.com/todos", AccessToken: "the access token", Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.JKT != p.JKT() || got.JTI == "" {
		t.Errorf("%+v", got)
	}
}

// rfc9449-11.6-01
func TestEveryListedAlgorithmIsAccepted(t *testing.T) {
	for _, alg := range []jose.Alg{jose.ES256, jose.RS256, jose.PS256, jose.EdDSA} {
		raw, err := newSigner(alg).SignWithJWK(proofTyp, json.RawMessage(claims("")))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := new(Verifier).Verify(t.Context(), request(raw)); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

// DP01 and RFC 9449 §4.3 points 1 to 4.
// rfc9449-4.3-03, rfc9449-4.3-04, rfc9449-4.3-06
func TestProofsThatAreNoProofs(t *testing.T) {
	good := proof(t, claims(""))
	otherTyp, err := testKey.SignWithJWK("JWT", json.RawMessage(claims("")))
	if err != nil {
		t.Fatal(err)
	}
	noJWK, err := testKey.Sign(proofTyp, json.RawMessage(claims("")))
	if err != nil {
		t.Fatal(err)
	}
	without := func(member string) string { return proof(t, strings.Replace(claims(""), member, "", 1)) }
	with := func(old, now string) string { return proof(t, strings.Replace(claims(""), old, now, 1)) }
	for name, proofs := range map[string][]string{
		"no header":             {},
		"two headers":           {good, good},
		"two in one header":     {good + ", " + good},
		"empty":                 {""},
		"not a JWT":             {"abc"},
		"typ JWT":               {otherTyp},
		"no jwk":                {noJWK},
		"jti missing":           {without(`"jti":"a-jti",`)},
		"jti empty":             {with(`"a-jti"`, `""`)},
		"jti number":            {with(`"a-jti"`, `1`)},
		"jti of 257 bytes":      {with(`a-jti`, strings.Repeat("j", 257))},
		"jti of 10 KB (DP06)":   {with(`a-jti`, strings.Repeat("j", 10<<10))},
		"htm missing":           {without(`"htm":"POST",`)},
		"htm array":             {with(`"POST"`, `["POST"]`)},
		"htu missing":           {without(`"htu":"` + endpoint + `",`)},
		"htu null":              {with(`"`+endpoint+`"`, `null`)},
		"iat missing":           {without(`,"iat":1893456000`)},
		"iat string":            {with(`1893456000`, `"1893456000"`)},
		"iat with an exponent":  {with(`1893456000`, `1.893456e9`)},
		"iat 1e400":             {with(`1893456000`, `1e400`)},
		"iat negative":          {with(`1893456000`, `-1`)},
		"jti twice":             {proof(t, claims(`,"jti":"b"`))},
		"jti in two spellings":  {proof(t, claims(`,"JTI":"b"`))},
		"nonce number":          {proof(t, claims(`,"nonce":1`))},
		"ath number":            {proof(t, claims(`,"ath":1`))},
		"htm in lower case":     {with(`POST`, `post`)},
		"htm of another method": {with(`POST`, `GET`)},
		"a changed signature":   {good[:len(good)-4] + "AAAA"},
		"larger than 8 KiB":     {proof(t, claims(`,"more":"`+strings.Repeat("m", 8<<10)+`"`))},
	} {
		t.Run(name, func(t *testing.T) { wantInvalid(t, request(proofs...)) })
	}
}

func wantInvalid(t *testing.T, r Request) {
	t.Helper()
	p, err := (&Verifier{Nonces: nonces()}).Verify(t.Context(), r)
	if !errors.Is(err, ErrInvalid) || errors.Is(err, ErrUseNonce) || p != nil {
		t.Errorf("%+v, %v; want ErrInvalid", p, err)
	}
}

// DP04, DP05 and RFC 9449 §4.3 point 9.
func TestHTU(t *testing.T) {
	for name, tc := range map[string]struct {
		htu  string
		same bool
	}{
		"the very URL":                 {"https://login.example/token", true},
		"with a query":                 {"https://login.example/token?a=b", true},
		"with a fragment":              {"https://login.example/token#x", true},
		"upper-case host":              {"https://LOGIN.Example/token", true},
		"upper-case scheme":            {"HTTPS://login.example/token", true},
		"the default port":             {"https://login.example:443/token", true},
		"an empty port":                {"https://login.example:/token", true},
		"a needless escape":            {"https://login.example/%74oken", true},
		"dot segments":                 {"https://login.example/a/../token", true},
		"escaped dot segments":         {"https://login.example/a/%2e%2e/token", true},
		"another host (DP05)":          {"https://evil.example/token", false},
		"a host that begins alike":     {"https://login.example.evil.example/token", false},
		"user information":             {"https://login.example@evil.example/token", false},
		"user information of our host": {"https://x@login.example/token", false},
		"plain http":                   {"http://login.example/token", false},
		"another port":                 {"https://login.example:8443/token", false},
		"http's port":                  {"https://login.example:80/token", false},
		"another path":                 {"https://login.example/tokens", false},
		"path in other case":           {"https://login.example/TOKEN", false},
		"a trailing slash":             {"https://login.example/token/", false},
		"a doubled slash":              {"https://login.example//token", false},
		"an escaped slash":             {"https://login.example%2ftoken", false},
		"no path":                      {"https://login.example", false},
		"relative":                     {"/token", false},
		"without scheme":               {"//login.example/token", false},
		"opaque":                       {"https:login.example/token", false},
		"no URL":                       {"https://login.example:port/token", false},
		"a broken escape":              {"https://login.example/token%", false},
		"longer than 2 KiB":            {"https://login.example/token?" + strings.Repeat("q", 2<<10), false},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(proof(t, strings.Replace(claims(""), endpoint, tc.htu, 1)))
			if !tc.same {
				wantInvalid(t, r)
				return
			}
			if _, err := new(Verifier).Verify(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestURLsAreNormalised(t *testing.T) {
	for in, want := range map[string]string{
		"http://localhost:80":            "http://localhost/",
		"http://127.0.0.1:8080/a%2fb":    "http://127.0.0.1:8080/a%2Fb",
		"http://[::1]:8080/":             "http://[::1]:8080/",
		"https://[2001:DB8::1]:443/x":    "https://[2001:db8::1]/x",
		"https://a.example/%7Euser/é":    "https://a.example/~user/%C3%A9",
		"https://a.example/./b/../c?x=%": "https://a.example/c",
		"https://a.example/%2541":        "https://a.example/%2541",
	} {
		if got, ok := normalURL(in); got != want || !ok {
			t.Errorf("%s: %q, %v; want %q", in, got, ok, want)
		}
	}
}

// DP09 and RFC 9449 §4.3 point 12.
func TestATH(t *testing.T) {
	const accessToken = "an access token"
	for name, tc := range map[string]struct {
		more string
		ok   bool
	}{
		"right":              {`,"ath":"` + accessTokenHash(accessToken) + `"`, true},
		"missing":            {``, false},
		"empty":              {`,"ath":""`, false},
		"of another token":   {`,"ath":"` + accessTokenHash("another") + `"`, false},
		"with padding":       {`,"ath":"` + accessTokenHash(accessToken) + `="`, false},
		"the token, no hash": {`,"ath":"` + accessToken + `"`, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(proof(t, claims(tc.more)))
			r.AccessToken = accessToken
			if !tc.ok {
				wantInvalid(t, r)
				return
			}
			if _, err := new(Verifier).Verify(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
}

// DP08 and RFC 9449 §8, §9, §11.1: a fresh nonce stands in for the phone's clock.
// rfc9449-11.1-01, rfc9449-8-02
func TestNonceAndClock(t *testing.T) {
	n := nonces()
	otherNode := nonces()
	otherNode.Current = func() uint32 { return 1 }
	elsewhere := &Nonces{Key: func(uint32) ([]byte, bool) { return []byte("a key of somebody else, 32 bytes"), true }, Current: n.Current}
	fresh, old := n.Mint(now.Add(-time.Minute)), n.Mint(now.Add(-time.Hour))
	const window = 60 * time.Second
	for name, tc := range map[string]struct {
		nonce string
		skew  time.Duration // of iat against now
		want  error
		until time.Duration // of ExpiresAt against now
	}{
		"none, clock right":          {"", 0, nil, window},
		"none, clock 60 s behind":    {"", -window, nil, 0},
		"none, clock 60 s ahead":     {"", window, nil, 2 * window},
		"none, clock 61 s behind":    {"", -61 * time.Second, ErrUseNonce, 0},
		"none, clock 61 s ahead":     {"", 61 * time.Second, ErrUseNonce, 0},
		"old, clock right":           {old, 0, nil, window},
		"old, clock wrong":           {old, -2 * time.Minute, ErrUseNonce, 0},
		"fresh, clock right":         {fresh, 0, nil, 4 * time.Minute},
		"fresh, clock a year behind": {fresh, -365 * 24 * time.Hour, nil, 4 * time.Minute},
		"fresh, clock 10 min ahead":  {fresh, 10 * time.Minute, nil, 11 * time.Minute},
		"fresh, clock a year ahead":  {fresh, 365 * 24 * time.Hour, nil, time.Hour},
		"of the other node":          {otherNode.Mint(now), -time.Hour, nil, 5 * time.Minute},
		"forged, clock right":        {elsewhere.Mint(now), 0, ErrUseNonce, 0},
		"forged, clock wrong":        {elsewhere.Mint(now), time.Hour, ErrUseNonce, 0},
		"invented":                   {"eyJ7S_zG.eyJH0-Z.HX4w-7v", 0, ErrUseNonce, 0},
	} {
		t.Run(name, func(t *testing.T) {
			more := ""
			if tc.nonce != "" {
				more = `,"nonce":"` + tc.nonce + `"`
			}
			iat := strconv.FormatInt(now.Add(tc.skew).Unix(), 10)
			raw := proof(t, strings.Replace(claims(more), "1893456000", iat, 1))
			p, err := (&Verifier{Nonces: n}).Verify(t.Context(), request(raw))
			if !errors.Is(err, tc.want) || tc.want != nil && errors.Is(err, ErrInvalid) {
				t.Fatalf("err = %v, want %v", err, tc.want)
			}
			if err == nil && !p.ExpiresAt.Equal(now.Add(tc.until)) {
				t.Errorf("acceptable for %v, want %v", p.ExpiresAt.Sub(now), tc.until)
			}
		})
	}
}

// DP06: a proof by a phone whose clock is ahead comes into its time later. As long as its access token is good it must
// not pass again then, however long that is; afterwards there is nothing to remember.
func TestAProofFromTheFutureIsRememberedAsLongAsItsAccessToken(t *testing.T) {
	n := nonces()
	for name, tc := range map[string]struct{ ahead, token, until time.Duration }{
		"a token of a day":      {2 * time.Hour, 24 * time.Hour, 2*time.Hour + time.Minute},
		"a token of 10 minutes": {2 * time.Hour, 10 * time.Minute, 10 * time.Minute},
	} {
		iat := strconv.FormatInt(now.Add(tc.ahead).Unix(), 10)
		raw := proof(t, strings.Replace(claims(`,"nonce":"`+n.Mint(now)+`"`), "1893456000", iat, 1))
		r := request(raw)
		r.TokenUntil = now.Add(tc.token)
		p, err := (&Verifier{Nonces: n}).Verify(t.Context(), r)
		if err != nil || !p.ExpiresAt.Equal(now.Add(tc.until)) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
		if p, err = (&Verifier{Nonces: n, RequireNonce: true}).Verify(t.Context(), r); err != nil || !p.ExpiresAt.Equal(now.Add(5*time.Minute)) {
			t.Errorf("%s, where every proof needs a nonce: %+v, %v", name, p, err)
		}
	}
}

func TestAnEmptyNonceIsForged(t *testing.T) {
	_, err := (&Verifier{Nonces: nonces()}).Verify(t.Context(), request(proof(t, claims(`,"nonce":""`))))
	if !errors.Is(err, ErrUseNonce) {
		t.Errorf("err = %v", err)
	}
}

func TestRequireNonceTakesOnlyAFreshOne(t *testing.T) {
	v := &Verifier{Nonces: nonces(), RequireNonce: true}
	for name, tc := range map[string]struct {
		more string
		want error
	}{
		"none":  {``, ErrUseNonce},
		"old":   {`,"nonce":"` + v.Nonces.Mint(now.Add(-time.Hour)) + `"`, ErrUseNonce},
		"fresh": {`,"nonce":"` + v.Nonces.Mint(now) + `"`, nil},
	} {
		if _, err := v.Verify(t.Context(), request(proof(t, claims(tc.more)))); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWithoutNoncesAWrongClockIsInvalid(t *testing.T) {
	r := request(proof(t, claims("")))
	r.Now = now.Add(2 * time.Minute)
	if _, err := new(Verifier).Verify(t.Context(), r); !errors.Is(err, ErrInvalid) {
		t.Errorf("err = %v", err)
	}
}

// A bad proof is told apart from a missing nonce: asking for a nonce would not help.
func TestABrokenProofIsInvalidEvenWithoutAFreshNonce(t *testing.T) {
	wantInvalid(t, request(proof(t, strings.Replace(claims(`,"nonce":"forged"`), "POST", "PUT", 1))))
}
