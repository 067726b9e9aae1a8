package jose

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	lib "github.com/go-jose/go-jose/v4"
)

const (
	ecX = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU" // RFC 7515 A.3
	ecY = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
	edX = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" // RFC 8037 A.1
)

func TestThumbprintsOfTheSpecifications(t *testing.T) {
	for name, v := range map[string]struct{ jwk, want string }{
		"RFC 7638 §3.1": {
			`{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}`,
			"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
		},
		"RFC 8037 A.3": {
			`{"kty":"OKP","crv":"Ed25519","x":"` + edX + `"}`,
			"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
		},
		"RFC 9449 §4.1 and §6.1": {
			`{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}`,
			"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
		},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := ParsePublicJWK([]byte(v.jwk))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := k.Thumbprint(); err != nil || got != v.want {
				t.Errorf("thumbprint %q, %v; want %q", got, err, v.want)
			}
		})
	}
}

func rsaJWK(t *testing.T, bits int, e string) string {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits-1)))
	if err != nil {
		t.Fatal(err)
	}
	n.SetBit(n, bits-1, 1).SetBit(n, 0, 1)
	return fmt.Sprintf(`{"kty":"RSA","n":%q,"e":%q}`, base64.RawURLEncoding.EncodeToString(n.Bytes()), e)
}

// DP02 and RFC 7517 §9: what is no sound public key is refused.
// rfc7517-4-01, rfc8725-3.2-01, rfc8725-3.4-01
func TestJWKsThatAreRefused(t *testing.T) {
	ec := func(more string) string {
		return `{"kty":"EC","crv":"P-256","x":"` + ecX + `","y":"` + ecY + `"` + more + `}`
	}
	for name, jwk := range map[string]string{
		"symmetric":                  `{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}`,
		"private EC (RFC 7515 A.3)":  ec(`,"d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"`),
		"an EC key with a k":         ec(`,"k":"AA"`),
		"an EC key with primes":      ec(`,"p":"AA","q":"AA"`),
		"an EC key with d null":      ec(`,"d":null`),
		"x twice":                    ec(`,"x":"` + ecX + `"`),
		"x in two spellings":         ec(`,"X":"` + ecX + `"`),
		"kid number":                 ec(`,"kid":1`),
		"kty in other case":          `{"kty":"ec","crv":"P-256","x":"` + ecX + `","y":"` + ecY + `"}`,
		"kty missing":                `{"crv":"P-256","x":"` + ecX + `","y":"` + ecY + `"}`,
		"off its curve":              `{"kty":"EC","crv":"P-256","x":"` + ecX + `","y":"` + ecX + `"}`,
		"the point at infinity":      `{"kty":"EC","crv":"P-256","x":"` + strings.Repeat("A", 43) + `","y":"` + strings.Repeat("A", 43) + `"}`,
		"P-384":                      `{"kty":"EC","crv":"P-384","x":"` + ecX + `","y":"` + ecY + `"}`,
		"secp256k1":                  `{"kty":"EC","crv":"secp256k1","x":"` + ecX + `","y":"` + ecY + `"}`,
		"a short coordinate":         `{"kty":"EC","crv":"P-256","x":"` + ecX[:42] + `","y":"` + ecY + `"}`,
		"y missing":                  `{"kty":"EC","crv":"P-256","x":"` + ecX + `"}`,
		"padding":                    `{"kty":"EC","crv":"P-256","x":"` + ecX + `=","y":"` + ecY + `"}`,
		"a line end":                 `{"kty":"EC","crv":"P-256","x":"` + ecX + `\n","y":"` + ecY + `"}`,
		"RSA of 2040 bits":           rsaJWK(t, 2040, "AQAB"),
		"RSA of 4097 bits":           rsaJWK(t, 4097, "AQAB"),
		"RSA of 16384 bits":          rsaJWK(t, 16384, "AQAB"),
		"RSA exponent 1":             rsaJWK(t, 2048, "AQ"),
		"RSA exponent even":          rsaJWK(t, 2048, "Ag"),
		"RSA exponent of 33 bits":    rsaJWK(t, 2048, "AQAAAAE"),
		"RSA exponent as large as n": rsaJWK(t, 2048, strings.Repeat("_", 342)),
		"RSA exponent empty":         rsaJWK(t, 2048, ""),
		"RSA without n":              `{"kty":"RSA","e":"AQAB"}`,
		"Ed448":                      `{"kty":"OKP","crv":"Ed448","x":"` + edX + `"}`,
		"X25519":                     `{"kty":"OKP","crv":"X25519","x":"` + edX + `"}`,
		"a short Ed25519 key":        `{"kty":"OKP","crv":"Ed25519","x":"` + edX[:40] + `"}`,
		"an array":                   `[]`,
		"nothing":                    ``,
	} {
		t.Run(name, func(t *testing.T) {
			if k, err := ParsePublicJWK([]byte(jwk)); err == nil {
				t.Errorf("accepted as %+v", k)
			}
		})
	}
}

func TestRSAKeysWithinTheBoundsAreRead(t *testing.T) {
	for _, bits := range []int{2048, 3072, 4096} {
		if _, err := ParsePublicJWK([]byte(rsaJWK(t, bits, "AQAB"))); err != nil {
			t.Errorf("%d bits: %v", bits, err)
		}
	}
}

func TestAMarshalledKeyReadsBackAndHoldsNoPrivateMember(t *testing.T) {
	published := []string{"kty", "kid", "alg", "use", "crv", "x", "y", "n", "e"}
	for _, alg := range allAlgs {
		public := testKeys[alg].Public()
		data, err := public.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParsePublicJWK(data)
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		if back.Kid != public.Kid || back.Alg != alg || back.Use != "sig" || !back.Fits(alg) {
			t.Errorf("%s: read back as %+v", alg, back)
		}
		members, _ := ParseObject(data)
		for name := range members.m {
			if !slices.Contains(published, name) {
				t.Errorf("%s: member %q is published", alg, name)
			}
		}
	}
}

func TestMarshalRefusesAPrivateKey(t *testing.T) {
	if _, err := (&PublicKey{Key: testKeys[ES256].key}).MarshalJSON(); err == nil {
		t.Error("a private key was written")
	}
}

// RFC 7517 §5: keys a reader does not understand are ignored.
// rfc7517-4-02, rfc7517-5-03
func TestASetSkipsWhatItCannotUse(t *testing.T) {
	good := `{"kty":"EC","crv":"P-256","kid":"good","x":"` + ecX + `","y":"` + ecY + `"`
	set := `{"keys":[` + strings.Join([]string{
		good + `}`,
		good + `,"use":"enc"}`,
		good + `,"use":7}`,
		good + `,"key_ops":["encrypt"]}`,
		good + `,"d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}`,
		good + `,"key_ops":["verify"],"use":"sig","x5c":["not a certificate"],"x5u":"https://evil.example/","com.example.more":{"a":[1]}}`,
		`{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}`,
		`{"kty":"oct","k":"AA"}`,
		`{"kty":"EC","crv":"P-521","x":"` + ecX + `","y":"` + ecY + `"}`,
		`"text"`, `null`, `{}`,
	}, ",") + `],"extra":1}`
	keys, err := ParseSet([]byte(set))
	if err != nil {
		t.Fatal(err)
	}
	if len(keys) != 2 || keys[0].Kid != "good" || keys[1].Use != "sig" {
		t.Errorf("%d keys: %+v", len(keys), keys)
	}
}

func TestSetsThatAreRefused(t *testing.T) {
	for name, set := range map[string]string{
		"no keys": `{}`, "keys object": `{"keys":{}}`, "keys twice": `{"keys":[],"keys":[]}`, "a bare array": `[]`,
		"keys and Keys": `{"keys":[],"Keys":[]}`, "101 keys": `{"keys":[` + strings.Repeat("{},", 100) + `{}]}`, "HTML": `<html>`,
	} {
		t.Run(name, func(t *testing.T) {
			if keys, err := ParseSet([]byte(set)); err == nil {
				t.Errorf("read as %v", keys)
			}
		})
	}
}

func TestAMarshalledSetReadsBackHereAndInTheLibrary(t *testing.T) {
	var keys []PublicKey
	for _, alg := range allAlgs {
		keys = append(keys, testKeys[alg].Public())
	}
	data, err := MarshalSet(keys)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := ParseSet(data); err != nil || len(back) != len(keys) {
		t.Errorf("%d keys came back, %v", len(back), err)
	}
	var theirs lib.JSONWebKeySet
	if err := json.Unmarshal(data, &theirs); err != nil || len(theirs.Keys) != len(keys) {
		t.Errorf("the library reads %d keys, %v", len(theirs.Keys), err)
	}
	if empty, err := MarshalSet(nil); err != nil || string(empty) != `{"keys":[]}` {
		t.Errorf("the empty set is %s, %v", empty, err)
	}
}

func TestFitsHonoursWhatTheSetSaysOfAKey(t *testing.T) {
	key := testKeys[RS256].Public().Key
	for name, tc := range map[string]struct {
		k    PublicKey
		alg  Alg
		want bool
	}{
		"nothing said":    {PublicKey{Key: key}, RS256, true},
		"said so":         {PublicKey{Key: key, Alg: RS256, Use: "sig"}, RS256, true},
		"another alg":     {PublicKey{Key: key, Alg: "RS512"}, RS256, false},
		"for encryption":  {PublicKey{Key: key, Use: "enc"}, RS256, false},
		"of another kind": {PublicKey{Key: key}, ES256, false},
	} {
		if got := tc.k.Fits(tc.alg); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// rfc8725-3.2-01 fapi2-security-5.4.1-04 fapi2-security-5.4.1-05
func TestSignersThatAreRefused(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 1023, 1), E: 65537}}
	if _, err := NewSigner(ES256, "k", p384); err == nil {
		t.Error("ES256 with P-384")
	}
	if _, err := NewSigner(RS256, "k", weak); err == nil {
		t.Error("RS256 with 1024 bits")
	}
	if _, err := NewSigner(ES256, "k", testKeys[RS256].key); err == nil {
		t.Error("ES256 with an RSA key")
	}
	if _, err := NewSigner("HS256", "k", testKeys[RS256].key); err == nil {
		t.Error("HS256")
	}
	if _, err := NewSigner(ES256, "k", nil); err == nil {
		t.Error("no key")
	}
	if _, err := GenerateKey("none"); err == nil {
		t.Error("a key for none")
	}
}

func TestSignWithJWKWritesThePublicKeyAndNoKid(t *testing.T) {
	raw, err := testKeys[ES256].SignWithJWK("dpop+jwt", map[string]any{"jti": "x"})
	if err != nil {
		t.Fatal(err)
	}
	_, h, err := Verify(t.Context(), raw, Policy{Algs: allAlgs, Typ: "dpop+jwt"}, keyOf(ES256))
	if err != nil {
		t.Fatal(err)
	}
	public := testKeys[ES256].Public()
	want, _ := public.Thumbprint()
	if got, _ := h.JWK.Thumbprint(); got != want || h.Kid != "" {
		t.Errorf("thumbprint %s, want %s; kid %q", got, want, h.Kid)
	}
}

func TestASignerSaysWhatItIs(t *testing.T) {
	s := testKeys[RS256]
	if s.Kid() != "kid-RS256" || s.Alg() != RS256 {
		t.Errorf("kid %q, alg %q", s.Kid(), s.Alg())
	}
	if _, err := s.Sign("JWT", make(chan int)); err == nil {
		t.Error("claims that are no JSON were signed")
	}
}
