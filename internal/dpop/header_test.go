package dpop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	_ "crypto/sha512" // crypto.SHA384
	"encoding/base64"
	"encoding/json"
	"testing"
)

// handmade is a proof put together by hand, with good claims under any header and any signature.
type handmade struct {
	key  *ecdsa.PrivateKey
	alg  string
	jwk  map[string]any // nil: the key's own
	more string         // of the header
	sign func(input []byte) []byte
}

func (h handmade) String() string {
	jwk := h.jwk
	if jwk == nil {
		jwk = publicJWK(h.key)
	}
	member, _ := json.Marshal(jwk) // text and numbers alone
	b64 := base64.RawURLEncoding.EncodeToString
	header := `{"typ":"dpop+jwt","alg":"` + h.alg + `","jwk":` + string(member) + h.more + `}`
	input := b64([]byte(header)) + "." + b64([]byte(claims("")))
	if h.sign == nil {
		h.sign = h.ecdsa
	}
	return input + "." + b64(h.sign([]byte(input)))
}

func (h handmade) ecdsa(input []byte) []byte {
	hash := crypto.SHA256
	if h.alg == "ES384" {
		hash = crypto.SHA384
	}
	digest := hash.New()
	digest.Write(input)
	r, s, err := ecdsa.Sign(rand.Reader, h.key, digest.Sum(nil))
	if err != nil {
		panic(err)
	}
	size := (h.key.Params().BitSize + 7) / 8
	return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
}

func newKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func publicJWK(key *ecdsa.PrivateKey) map[string]any {
	point, err := key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		panic(err)
	}
	b64, size := base64.RawURLEncoding.EncodeToString, len(point)/2
	return map[string]any{"kty": "EC", "crv": key.Curve.Params().Name, "x": b64(point[1 : 1+size]), "y": b64(point[1+size:])}
}

func with(jwk map[string]any, name string, value any) map[string]any {
	jwk[name] = value
	return jwk
}

// DP02, rfc9449-4.2-01, rfc9449-4.3-05, rfc9449-4.3-06, rfc9449-4.3-07, rfc9449-11.6-01.
// rfc8725-3.2-01, rfc8725-3.2-02, rfc8725-3.4-01
func TestKeysAndAlgorithmsAProofMayNotHave(t *testing.T) {
	key, other := newKey(t, elliptic.P256()), newKey(t, elliptic.P256())
	private, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	mac := func(secret []byte) func([]byte) []byte {
		return func(input []byte) []byte {
			m := hmac.New(sha256.New, secret)
			m.Write(input)
			return m.Sum(nil)
		}
	}
	secret := []byte("a symmetric key of 32 bytes, long")
	for name, h := range map[string]handmade{
		"alg none":                          {key: key, alg: "none", sign: func([]byte) []byte { return nil }},
		"alg none over a good signature":    {key: key, alg: "none"},
		"alg in another case":               {key: key, alg: "es256"},
		"HS256 and a symmetric key":         {alg: "HS256", jwk: map[string]any{"kty": "oct", "k": b64(secret)}, sign: mac(secret)},
		"HS256 over the public key":         {key: key, alg: "HS256", sign: mac([]byte(publicJWK(key)["x"].(string)))},
		"an algorithm that is not listed":   {key: newKey(t, elliptic.P384()), alg: "ES384"},
		"an algorithm of another key":       {key: key, alg: "RS256"},
		"a key of another curve":            {key: newKey(t, elliptic.P384()), alg: "ES256"},
		"a private key":                     {key: key, alg: "ES256", jwk: with(publicJWK(key), "d", b64(private))},
		"a private member without value":    {key: key, alg: "ES256", jwk: with(publicJWK(key), "d", "")},
		"a point off its curve":             {key: key, alg: "ES256", jwk: with(publicJWK(key), "y", publicJWK(key)["x"])},
		"another key than the one that did": {key: key, alg: "ES256", jwk: publicJWK(other)},
		"no signature":                      {key: key, alg: "ES256", sign: func([]byte) []byte { return nil }},
		"a signature of zeros":              {key: key, alg: "ES256", sign: func([]byte) []byte { return make([]byte, 64) }},
	} {
		t.Run(name, func(t *testing.T) { wantInvalid(t, request(h.String())) })
	}
}

// rfc9449-4.2-02
func TestWhatAProofNeedNotHaveIsIgnored(t *testing.T) {
	key := newKey(t, elliptic.P256())
	for name, raw := range map[string]string{
		"nothing more":               handmade{key: key, alg: "ES256"}.String(),
		"header parameters":          handmade{key: key, alg: "ES256", more: `,"kid":"phone","cty":"x","com.example":{"a":[1]}`}.String(),
		"addresses nobody goes to":   handmade{key: key, alg: "ES256", more: `,"jku":"https://evil.example/jwks"`}.String(),
		"a member more in the key":   handmade{key: key, alg: "ES256", jwk: with(publicJWK(key), "com.example", 1)}.String(),
		"claims":                     proof(t, claims(`,"exp":1,"nbf":9999999999,"iss":7,"com.example":{"a":[1]}`)),
		"an ath where no token came": proof(t, claims(`,"ath":"`+accessTokenHash("x")+`"`)),
	} {
		t.Run(name, func(t *testing.T) {
			if p, err := new(Verifier).Verify(t.Context(), request(raw)); err != nil || len(p.JKT) != 43 {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}
