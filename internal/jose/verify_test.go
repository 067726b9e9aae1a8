package jose

import (
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	lib "github.com/go-jose/go-jose/v4"
)

// testKeys is one signer for every algorithm, made once: RSA keys are slow to make.
var testKeys = func() map[Alg]*Signer {
	m := make(map[Alg]*Signer)
	for _, alg := range []Alg{ES256, RS256, PS256, EdDSA} {
		key, err := GenerateKey(alg)
		if err != nil {
			panic(err)
		}
		if m[alg], err = NewSigner(alg, "kid-"+string(alg), key); err != nil {
			panic(err)
		}
	}
	return m
}()

var allAlgs = []Alg{ES256, RS256, PS256, EdDSA}

func sign(t testing.TB, alg Alg, typ string, claims any) string {
	t.Helper()
	raw, err := testKeys[alg].Sign(typ, claims)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// forge signs any header and payload with the ES256 test key.
func forge(t testing.TB, header, payload string) string {
	t.Helper()
	b64 := base64.RawURLEncoding
	input := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
	sig, err := signOver(ES256, testKeys[ES256].key, []byte(input))
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + b64.EncodeToString(sig)
}

func keyOf(alg Alg) KeyFunc {
	return func(context.Context, Header) (crypto.PublicKey, error) { return testKeys[alg].Public().Key, nil }
}

func TestVerifyAcceptsWhatSignSigned(t *testing.T) {
	for _, alg := range allAlgs {
		t.Run(string(alg), func(t *testing.T) {
			raw := sign(t, alg, "at+jwt", map[string]any{"sub": "someone", "exp": 1893456000})
			claims, h, err := Verify(t.Context(), raw, Policy{Algs: allAlgs, Typ: "at+jwt"}, keyOf(alg))
			if err != nil {
				t.Fatal(err)
			}
			if h.Alg != alg || h.Kid != "kid-"+string(alg) || h.Typ != "at+jwt" || h.JWK != nil {
				t.Errorf("header %+v", h)
			}
			if sub, _, _ := claims.String("sub"); sub != "someone" {
				t.Errorf("sub = %q", sub)
			}
		})
	}
}

func TestASecondTypIsTakenBesideTheFirstAndNoOther(t *testing.T) {
	p := Policy{Algs: allAlgs, OrTyp: "client-authentication+jwt"}
	for header, want := range map[string]bool{
		`{"alg":"ES256"}`:                                               true,
		`{"alg":"ES256","typ":"JWT"}`:                                   true,
		`{"alg":"ES256","typ":"client-authentication+jwt"}`:             true,
		`{"alg":"ES256","typ":"application/Client-Authentication+JWT"}`: true,
		`{"alg":"ES256","typ":"at+jwt"}`:                                false,
		`{"alg":"ES256","typ":"application/"}`:                          false,
		`{"alg":"ES256","typ":"client-authentication+jwt, JWT"}`:        false,
		`{"alg":"ES256","typ":["JWT"]}`:                                 false,
	} {
		if _, _, err := Verify(t.Context(), forge(t, header, `{}`), p, keyOf(ES256)); (err == nil) != want {
			t.Errorf("%s: %v", header, err)
		}
	}
	p.OrTyp = ""
	if _, _, err := Verify(t.Context(), forge(t, `{"alg":"ES256","typ":"client-authentication+jwt"}`, `{}`), p, keyOf(ES256)); !errors.Is(err, ErrToken) {
		t.Errorf("without it: %v", err)
	}
}

// The library is an independent judge of what we write and writer of what we judge.
func TestTheLibraryAndWeAgree(t *testing.T) {
	for _, alg := range allAlgs {
		t.Run(string(alg), func(t *testing.T) {
			key := testKeys[alg].key
			raw := sign(t, alg, "JWT", map[string]any{"sub": "someone"})
			parsed, err := lib.ParseSignedCompact(raw, []lib.SignatureAlgorithm{lib.SignatureAlgorithm(alg)})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parsed.Verify(key.Public()); err != nil {
				t.Errorf("the library refuses our token: %v", err)
			}
			signer, err := lib.NewSigner(lib.SigningKey{Algorithm: lib.SignatureAlgorithm(alg), Key: key},
				(&lib.SignerOptions{EmbedJWK: true}).WithType("JWT"))
			if err != nil {
				t.Fatal(err)
			}
			signed, err := signer.Sign([]byte(`{"sub":"someone"}`))
			if err != nil {
				t.Fatal(err)
			}
			theirs, _ := signed.CompactSerialize()
			if _, h, err := Verify(t.Context(), theirs, Policy{Algs: allAlgs}, keyOf(alg)); err != nil || h.JWK == nil {
				t.Errorf("we refuse the library's token: %v", err)
			}
		})
	}
}

// RFC 7515 Appendix A.2 (RS256) and A.3 (ES256): the specification's own tokens under the specification's own keys.
func TestVectorsOfRFC7515(t *testing.T) {
	const payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
	for name, v := range map[string]struct{ jwk, header, signature string }{
		"A.2": {
			jwk:       `{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}`,
			header:    "eyJhbGciOiJSUzI1NiJ9",
			signature: "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
		},
		"A.3": {
			jwk:       `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`,
			header:    "eyJhbGciOiJFUzI1NiJ9",
			signature: "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
		},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := ParsePublicJWK([]byte(v.jwk))
			if err != nil {
				t.Fatal(err)
			}
			key := func(context.Context, Header) (crypto.PublicKey, error) { return k.Key, nil }
			raw := v.header + "." + payload + "." + v.signature
			claims, _, err := Verify(t.Context(), raw, Policy{Algs: allAlgs}, key)
			if err != nil {
				t.Fatal(err)
			}
			exp, _, err := claims.Time("exp")
			if err != nil || !exp.Equal(time.Unix(1300819380, 0)) {
				t.Errorf("exp = %v, %v", exp, err)
			}
		})
	}
}

// RFC 7515 Appendix A.1 is HS256 and A.5 is unsecured: neither is ever accepted (RFC 8725 §3.1, §3.2).
// rfc8725-3.2-02
func TestUnsecuredAndHMACTokensAreRefused(t *testing.T) {
	const payload = ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
	for name, raw := range map[string]string{
		"A.1": "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9" + payload + "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
		"A.5": "eyJhbGciOiJub25lIn0" + payload,
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, raw, Policy{Algs: allAlgs}, keyOf(RS256)) })
	}
}

func wantRefused(t *testing.T, raw string, p Policy, key KeyFunc) {
	t.Helper()
	claims, h, err := Verify(t.Context(), raw, p, key)
	if !errors.Is(err, ErrToken) {
		t.Errorf("err = %v, want a refusal", err)
	}
	if claims.m != nil || h.Alg != "" {
		t.Errorf("a refusal came with claims or a header: %v %v", claims, h)
	}
}

// rfc7519-7.2-02, rfc7519-7.2-03, rfc8725-3.1-01, rfc8725-3.2-02
func TestHeadersThatAreRefused(t *testing.T) {
	const good = `{"sub":"someone"}`
	policy := Policy{Algs: []Alg{ES256, RS256}, Typ: "at+jwt"}
	private, err := json.Marshal(lib.JSONWebKey{Key: testKeys[ES256].key})
	if err != nil {
		t.Fatal(err)
	}
	for name, header := range map[string]string{
		"alg none":                      `{"alg":"none","typ":"at+jwt"}`,
		"alg missing":                   `{"typ":"at+jwt"}`,
		"alg in other case":             `{"alg":"es256","typ":"at+jwt"}`,
		"alg number":                    `{"alg":256,"typ":"at+jwt"}`,
		"HS256":                         `{"alg":"HS256","typ":"at+jwt"}`,
		"an algorithm outside the list": `{"alg":"EdDSA","typ":"at+jwt"}`,
		"alg twice":                     `{"alg":"ES256","alg":"none","typ":"at+jwt"}`,
		"alg in two spellings":          `{"alg":"ES256","ALG":"none","typ":"at+jwt"}`,
		"typ of another kind (RS01)":    `{"alg":"ES256","typ":"JWT"}`,
		"typ missing":                   `{"alg":"ES256"}`,
		"typ number":                    `{"alg":"ES256","typ":1}`,
		"crit unknown (RS04)":           `{"alg":"ES256","typ":"at+jwt","crit":["x"],"x":1}`,
		"crit empty":                    `{"alg":"ES256","typ":"at+jwt","crit":[]}`,
		"b64 false (RS04)":              `{"alg":"ES256","typ":"at+jwt","crit":["b64"],"b64":false}`,
		"b64 without crit":              `{"alg":"ES256","typ":"at+jwt","b64":true}`,
		"enc (DS04)":                    `{"alg":"ES256","typ":"at+jwt","enc":"A256GCM","zip":"DEF"}`,
		"kid of 4 KB (RS04)":            `{"alg":"ES256","typ":"at+jwt","kid":"` + strings.Repeat("k", 4096) + `"}`,
		"kid number":                    `{"alg":"ES256","typ":"at+jwt","kid":7}`,
		"jwk string":                    `{"alg":"ES256","typ":"at+jwt","jwk":"x"}`,
		"jwk private":                   `{"alg":"ES256","typ":"at+jwt","jwk":` + string(private) + `}`,
		"BOM (ID22)":                    "\ufeff" + `{"alg":"ES256","typ":"at+jwt"}`,
		"trailing data":                 `{"alg":"ES256","typ":"at+jwt"} {}`,
		"no object":                     `["alg"]`,
		"the key is of another kind":    `{"alg":"RS256","typ":"at+jwt"}`,
		"nothing":                       ``,
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, forge(t, header, good), policy, keyOf(ES256)) })
	}
}

func TestHeadersThatAreAccepted(t *testing.T) {
	for name, tc := range map[string]struct{ header, typ string }{
		"typ in other case":                    {`{"alg":"ES256","typ":"AT+JWT"}`, "at+jwt"},
		"typ with application/":                {`{"alg":"ES256","typ":"application/at+jwt"}`, "at+jwt"},
		"no typ where none is asked (Apple)":   {`{"alg":"ES256","kid":"x"}`, ""},
		"typ JWT where none is asked (Google)": {`{"alg":"ES256","kid":"x","typ":"JWT"}`, ""},
		"jku and x5u are ignored (RS04)":       {`{"alg":"ES256","jku":"https://evil.example/","x5u":"https://evil.example/"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			raw := forge(t, tc.header, `{"sub":"someone"}`)
			if _, _, err := Verify(t.Context(), raw, Policy{Algs: allAlgs, Typ: tc.typ}, keyOf(ES256)); err != nil {
				t.Error(err)
			}
		})
	}
}

// rfc7519-4-01, rfc7519-7.2-02, rfc8725-3.7-01
func TestClaimsThatAreRefused(t *testing.T) {
	for name, payload := range map[string]string{
		"sub twice (ID22)":       `{"sub":"a","sub":"b"}`,
		"sub and SUB (ID22)":     `{"sub":"a","SUB":"b"}`,
		"aud and AUD (RS06)":     `{"AUD":"a","aud":"b"}`,
		"a Kelvin sign for a k":  "{\"kid\":1,\"\u212aid\":2}",
		"twice after unescaping": `{"sub":"a","s\u0075b":"b"}`,
		"twice further down":     `{"cnf":{"jkt":"a","jkt":"b"}}`,
		"twice inside an array":  `{"a":[{"b":1,"b":2}]}`,
		"BOM (ID22)":             "\ufeff" + `{"sub":"a"}`,
		"invalid UTF-8 (RS06)":   "{\"sub\":\"\xff\"}",
		"half a surrogate pair":  `{"sub":"\ud800"}`,
		"UTF-16":                 "{\x00\"\x00a\x00\"\x00:\x001\x00}\x00",
		"UTF-16 with its mark":   "\xff\xfe{\x00}\x00",
		"Latin-1":                "{\"sub\":\"Ren\xe9\"}",
		"an array":               `["sub"]`,
		"trailing data":          `{"sub":"a"}x`,
		"a comma too many":       `{"sub":"a",}`,
		"depth 33":               strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33),
		"depth 33 in arrays":     `{"a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + "}",
		"nothing":                ``,
	} {
		t.Run(name, func(t *testing.T) {
			wantRefused(t, forge(t, `{"alg":"ES256"}`, payload), Policy{Algs: allAlgs}, keyOf(ES256))
		})
	}
}

// rfc7519-7.2-01
func TestFormsThatAreRefused(t *testing.T) {
	raw := sign(t, ES256, "", map[string]any{"sub": "someone"})
	parts := strings.Split(raw, ".")
	last := len(raw) - 1
	for name, bad := range map[string]string{
		"empty":                      "",
		"one part":                   parts[0],
		"two parts":                  parts[0] + "." + parts[1],
		"four parts":                 raw + ".",
		"five parts, a JWE (DS04)":   raw + "." + parts[1] + "." + parts[2],
		"no signature":               parts[0] + "." + parts[1] + ".",
		"padding":                    raw + "==",
		"a line end":                 raw[:10] + "\n" + raw[10:],
		"a line end in the end":      raw + "\r\n",
		"a space":                    " " + raw,
		"standard base64 characters": parts[0] + "." + parts[1] + "." + "+/" + parts[2][2:],
		"trailing bits":              raw[:last] + string(nextBase64(raw[last])),
		"cut":                        raw[:last-3],
		"too large":                  raw + strings.Repeat("A", 16<<10),
		"JSON serialisation":         `{"payload":"` + parts[1] + `","signatures":[]}`,
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, bad, Policy{Algs: allAlgs}, keyOf(ES256)) })
	}
}

// nextBase64 flips the lowest bit of a base64url character: of the last one of a 64-byte signature it carries nothing.
func nextBase64(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, c)^1]
}

// RS08: whatever the claims say, a bad signature reads as a bad signature.
// rfc8725-3.3-01
func TestABadSignatureIsFoundBeforeAnyClaimIsRead(t *testing.T) {
	for name, payload := range map[string]string{
		"expired": `{"exp":1}`, "broken claims": `{"exp":`, "sound claims": `{"exp":1893456000}`,
	} {
		t.Run(name, func(t *testing.T) {
			raw := forge(t, `{"alg":"ES256"}`, payload)
			other, err := GenerateKey(ES256)
			if err != nil {
				t.Fatal(err)
			}
			key := func(context.Context, Header) (crypto.PublicKey, error) { return other.Public(), nil }
			if _, _, err := Verify(t.Context(), raw, Policy{Algs: allAlgs}, key); !errors.Is(err, ErrSignature) {
				t.Errorf("err = %v, want ErrSignature", err)
			}
		})
	}
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	raw := sign(t, ES256, "at+jwt", map[string]any{"sub": "someone"})
	for i := range raw {
		changed := []byte(raw)
		changed[i] ^= 1
		if _, _, err := Verify(t.Context(), string(changed), Policy{Algs: allAlgs, Typ: "at+jwt"}, keyOf(ES256)); err == nil {
			t.Fatalf("byte %d was changed and nobody noticed", i)
		}
	}
}

func TestErrorsOfAKeyFuncArePassedOn(t *testing.T) {
	down := errors.New("keys are down")
	key := func(context.Context, Header) (crypto.PublicKey, error) { return nil, down }
	_, _, err := Verify(t.Context(), sign(t, ES256, "", map[string]any{}), Policy{Algs: allAlgs}, key)
	if !errors.Is(err, down) || errors.Is(err, ErrToken) {
		t.Errorf("err = %v, want the error of the key function and no refusal", err)
	}
}

func TestPeekIssuer(t *testing.T) {
	if iss, err := PeekIssuer(forge(t, `{}`, `{"iss":"https://accounts.google.com"}`)); err != nil || iss != "https://accounts.google.com" {
		t.Errorf("iss = %q, %v", iss, err)
	}
	for name, payload := range map[string]string{
		"missing": `{}`, "number": `{"iss":1}`, "empty": `{"iss":""}`, "twice": `{"iss":"a","iss":"b"}`, "array": `{"iss":["a"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			if iss, err := PeekIssuer(forge(t, `{}`, payload)); !errors.Is(err, ErrToken) || iss != "" {
				t.Errorf("iss = %q, %v", iss, err)
			}
		})
	}
}

func TestSigningInputHashDoesNotDependOnTheSignature(t *testing.T) {
	if SigningInputHash("a.b.c") != SigningInputHash("a.b.d") || SigningInputHash("a.b.c") == SigningInputHash("a.c.c") {
		t.Error("the hash is not over header and payload alone")
	}
	_ = SigningInputHash("no dots") // must not panic
}

func TestEd25519IsEdDSAByItsFullName(t *testing.T) { // RFC 9864 §2.2
	raw := sign(t, EdDSA, "at+jwt", map[string]any{"iss": "us"})
	_, rest, _ := strings.Cut(raw, ".")
	payload, _, _ := strings.Cut(rest, ".")
	b64 := base64.RawURLEncoding
	input := b64.EncodeToString([]byte(`{"alg":"Ed25519","typ":"at+jwt"}`)) + "." + payload
	sig, err := signOver(EdDSA, testKeys[EdDSA].key, []byte(input))
	if err != nil {
		t.Fatal(err)
	}
	named := input + "." + b64.EncodeToString(sig)
	if _, h, err := Verify(t.Context(), named, Policy{Algs: []Alg{EdDSA}, Typ: "at+jwt"}, keyOf(EdDSA)); err != nil || h.Alg != EdDSA {
		t.Errorf("%+v, %v", h, err)
	}
	if _, _, err := Verify(t.Context(), named, Policy{Algs: []Alg{ES256}, Typ: "at+jwt"}, keyOf(ES256)); err == nil {
		t.Error("taken where EdDSA is not listed")
	}
}
