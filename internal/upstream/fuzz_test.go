package upstream

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// FuzzVerify: what is accepted says, to an ordinary JSON reader too, that it is of this issuer, for this client, for
// this nonce and of this hour; a refusal is a sentence that repeats nothing of the token. Well-formed claims are signed
// by the right key, so that the fuzzer gets past the signature.
func FuzzVerify(f *testing.F) {
	s := newScene(f, Settings{Type: "oidc", Name: "corp"}, testKeys["ec"])
	iss := s.issuers[0]
	// The server's port is another in every process: seeds and the corpus spell it ISSUER.
	seed := strings.ReplaceAll(mustJSON(f, s.claims(map[string]any{"azp": "app", "auth_time": 1893455000})), iss, "ISSUER")
	f.Add(seed, "")
	f.Add(strings.Replace(seed, `"aud":"`, `"aud":["x","`, 1), "code")
	f.Add(strings.Replace(seed, `"sub":`, `"SUB":"b","sub":`, 1), "")
	f.Add(strings.Replace(seed, `"exp":`, `"exp":1e400,"x":`, 1), "")
	f.Add(strings.Replace(seed, `"sub":`, `"c_hash":"LDktKdoQak3Pk0cnXxCltA","sub":`, 1), "code")
	f.Add("no JSON", "")
	f.Fuzz(func(t *testing.T, claims, code string) {
		body := strings.ReplaceAll(claims, "ISSUER", iss)
		raw := body
		if json.Valid([]byte(body)) {
			raw = sign(t, testKeys["ec"], json.RawMessage(body))
		}
		e := s.expect()
		e.ProviderCode = code
		got, err := s.Verify(t.Context(), raw, e)
		if err != nil {
			var r *Refusal
			if got != nil || !errors.As(err, &r) || !errors.Is(err, ErrToken) || !strings.HasSuffix(r.Description, ".") {
				t.Fatalf("refused with %v, %+v", err, got)
			}
			return
		}
		var theirs struct {
			Iss, Sub, Nonce string
			Aud             any
			Iat, Exp        json.Number
		}
		if err := json.Unmarshal([]byte(body), &theirs); err != nil {
			t.Fatal(err)
		}
		aud := []any{theirs.Aud}
		if list, ok := theirs.Aud.([]any); ok {
			aud = list
		}
		exp, _ := theirs.Exp.Float64()
		iat, _ := theirs.Iat.Float64()
		now := float64(s.clock.now().Unix())
		if theirs.Iss != iss || theirs.Sub != got.Subject || got.Subject == "" || !slices.Contains(aud, any(testAudience)) ||
			exp <= now-31 || iat < now-601 || iat > now+61 || theirs.Nonce != testNonce && theirs.Nonce != nonceHex() && len(theirs.Nonce) != 43 {
			t.Fatalf("accepted as %+v", got)
		}
		if len(got.Subject) > maxSubject || got.EmailVerified && got.Email == "" {
			t.Fatalf("%+v", got)
		}
	})
}

// FuzzCanonical: what is taken for a tenant's issuer is the template around a tenant that may sign in, byte for byte.
func FuzzCanonical(f *testing.F) {
	s := newMicrosoft(f, "organizations")
	f.Add(tenantIssuer(tenantA))
	f.Add(tenantIssuer(personalTenant))
	f.Add(tenantIssuer(strings.ToUpper(tenantA)))
	f.Add(microsoftTemplate)
	shape := regexp.MustCompile(`\Ahttps://login\.microsoftonline\.com/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/v2\.0\z`)
	f.Fuzz(func(t *testing.T, iss string) {
		canonical, ok := s.Canonical(iss)
		if ok != (shape.MatchString(iss) && iss != tenantIssuer(personalTenant)) || ok && canonical != iss {
			t.Fatalf("%q: %q, %v", iss, canonical, ok)
		}
	})
}
