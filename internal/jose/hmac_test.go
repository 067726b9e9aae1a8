package jose

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	lib "github.com/go-jose/go-jose/v4"
)

// RFC 7515 Appendix A.1.
const (
	vectorKey   = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
	vectorHMAC  = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	sharedInOut = "a secret of thirty-two characters or more"
)

func hmacToken(header, payload string, secret []byte) string {
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

func TestATokenUnderASharedSecretIsReadOnItsOwnRoadOnly(t *testing.T) {
	key, err := base64.RawURLEncoding.DecodeString(vectorKey)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := VerifyHMAC(vectorHMAC, key)
	if iss, _, _ := claims.String("iss"); err != nil || iss != "joe" {
		t.Fatalf("%v, %v", claims, err)
	}
	// No policy takes it, whatever a caller writes there.
	if _, _, err := Verify(t.Context(), vectorHMAC, Policy{Algs: []Alg{hs256, ES256}}, keyOf(ES256)); !errors.Is(err, ErrToken) {
		t.Errorf("Verify: %v", err)
	}
	for name, raw := range map[string]string{
		"another secret":       hmacToken(`{"alg":"HS256"}`, `{}`, []byte(strings.ToUpper(sharedInOut))),
		"HS512":                hmacToken(`{"alg":"HS512"}`, `{}`, []byte(sharedInOut)),
		"ES256":                sign(t, ES256, "JWT", map[string]any{"sub": "x"}),
		"none":                 hmacToken(`{"alg":"none"}`, `{}`, []byte(sharedInOut)),
		"no alg":               hmacToken(`{}`, `{}`, []byte(sharedInOut)),
		"crit":                 hmacToken(`{"alg":"HS256","crit":["b64"]}`, `{}`, []byte(sharedInOut)),
		"a typ of another use": hmacToken(`{"alg":"HS256","typ":"at+jwt"}`, `{}`, []byte(sharedInOut)),
		"duplicate members":    hmacToken(`{"alg":"HS256"}`, `{"sub":"a","sub":"b"}`, []byte(sharedInOut)),
		"padding":              hmacToken(`{"alg":"HS256"}`, `{}`, []byte(sharedInOut)) + "=",
		"half a signature":     hmacToken(`{"alg":"HS256"}`, `{}`, []byte(sharedInOut))[:50],
		"no token":             "x",
		"too large":            hmacToken(`{"alg":"HS256"}`, `{"x":"`+strings.Repeat("x", 16<<10)+`"}`, []byte(sharedInOut)),
	} {
		if claims, err := VerifyHMAC(raw, []byte(sharedInOut)); !errors.Is(err, ErrToken) || claims.m != nil {
			t.Errorf("%s: %v, %v", name, claims, err)
		}
	}
	for _, secret := range []string{"", sharedInOut[:MinSecret-1]} { // RFC 7518 §3.2
		if _, err := VerifyHMAC(hmacToken(`{"alg":"HS256"}`, `{}`, []byte(secret)), []byte(secret)); !errors.Is(err, ErrToken) {
			t.Errorf("a secret of %d bytes: %v", len(secret), err)
		}
	}
}

// FuzzVerifyHMAC: what we accept the library accepts under the same secret.
func FuzzVerifyHMAC(f *testing.F) {
	f.Add(`{"alg":"HS256","typ":"JWT"}`, `{"sub":"a"}`, "")
	f.Add(`{"alg":"HS256","alg":"none"}`, `{"sub":"a"}`, "")
	f.Add(`{"alg":"ES256"}`, `{"sub":"a"}`, "")
	f.Add("", "", vectorHMAC)
	f.Fuzz(func(t *testing.T, header, payload, tail string) {
		raw := tail
		if header != "" {
			raw = hmacToken(header, payload, []byte(sharedInOut)) + tail
		}
		claims, err := VerifyHMAC(raw, []byte(sharedInOut))
		if err != nil {
			if !errors.Is(err, ErrToken) || claims.m != nil {
				t.Fatalf("refused with %v, %v", err, claims)
			}
			return
		}
		parsed, err := lib.ParseSignedCompact(raw, []lib.SignatureAlgorithm{lib.HS256})
		if err != nil {
			t.Fatalf("the library cannot read what we accept: %v", err)
		}
		if _, err := parsed.Verify([]byte(sharedInOut)); err != nil {
			t.Fatalf("the library refuses what we accept: %v", err)
		}
	})
}
