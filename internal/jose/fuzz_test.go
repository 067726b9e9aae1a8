package jose

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	lib "github.com/go-jose/go-jose/v4"
)

// FuzzVerify: a token we accept is accepted by the library too, under the same key, and has one spelling only; a
// token we refuse yields nothing. Header and payload are signed by the right key, so that the fuzzer gets past the
// signature; without a header the tail is the whole token.
func FuzzVerify(f *testing.F) {
	f.Add(`{"alg":"ES256"}`, `{"sub":"a"}`, "")
	f.Add(`{"alg":"ES256","crit":["exp"]}`, `{"sub":"a"}`, "")
	f.Add(`{"alg":"ES256","typ":"JWT","kid":"k"}`, `{"sub":"a","sub":"b"}`, "")
	f.Add(`{"alg":"none"}`, `{"sub":"a"}`, "")
	f.Add(`{"alg":"ES256"}`, `{"sub":"a"}`, "=")
	f.Add("", "", sign(f, ES256, "JWT", map[string]any{"sub": "someone"}))
	f.Fuzz(func(t *testing.T, header, payload, tail string) {
		raw := tail
		if header != "" {
			raw = forge(t, header, payload) + tail
		}
		claims, h, err := Verify(t.Context(), raw, Policy{Algs: []Alg{ES256}}, keyOf(ES256))
		if err != nil {
			if !errors.Is(err, ErrToken) || claims.m != nil || h.Alg != "" {
				t.Fatalf("refused with %v, %v, %v", err, claims, h)
			}
			return
		}
		parsed, err := lib.ParseSignedCompact(raw, []lib.SignatureAlgorithm{lib.ES256})
		if err != nil {
			t.Fatalf("the library cannot read what we accept: %v", err)
		}
		if _, err := parsed.Verify(testKeys[ES256].key.Public()); err != nil {
			t.Fatalf("the library refuses what we accept: %v", err)
		}
		for _, part := range strings.Split(raw, ".") {
			data, err := base64.RawURLEncoding.DecodeString(part)
			if err != nil || base64.RawURLEncoding.EncodeToString(data) != part {
				t.Fatalf("%q has another spelling", part)
			}
		}
	})
}

// FuzzParsePublicJWK: what we read is a sound public key that reads back with the same thumbprint.
func FuzzParsePublicJWK(f *testing.F) {
	for _, alg := range allAlgs {
		public := testKeys[alg].Public()
		data, err := public.MarshalJSON()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"kty":"oct","k":"AA"}`))
	f.Add([]byte(`{"kty":"EC","crv":"P-256","x":"` + ecX + `","y":"` + ecY + `","d":"AA"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := ParsePublicJWK(data)
		if err != nil {
			return
		}
		checkKey(t, k)
	})
}

// FuzzParseSet: at most 100 keys, and each of them as above.
func FuzzParseSet(f *testing.F) {
	data, err := MarshalSet([]PublicKey{testKeys[ES256].Public(), testKeys[RS256].Public()})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"keys":[{},{"kty":"oct"},null]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := ParseSet(data)
		if err != nil {
			return
		}
		if len(keys) > maxSetKeys {
			t.Fatalf("%d keys", len(keys))
		}
		for i := range keys {
			if keys[i].Use != "" && keys[i].Use != "sig" {
				t.Fatalf("a key for %q", keys[i].Use)
			}
			checkKey(t, &keys[i])
		}
	})
}

func checkKey(t *testing.T, k *PublicKey) {
	t.Helper()
	if err := knownKey(k.Key); err != nil {
		t.Fatal(err)
	}
	out, err := k.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParsePublicJWK(out)
	if err != nil {
		t.Fatalf("%s does not read back: %v", out, err)
	}
	one, err1 := k.Thumbprint()
	two, err2 := back.Thumbprint()
	if err := errors.Join(err1, err2); err != nil || one != two || len(one) != 43 {
		t.Fatalf("thumbprints %q and %q, %v", one, two, err)
	}
}
