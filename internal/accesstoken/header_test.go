package accesstoken

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/countersign/countersign/internal/jose"
)

// RS04: of a token that is ours in key and kid, what else its header says. A key in it is refused, for we never write one;
// addresses of keys are not followed, whether or not the key at the end would be the right one.
// rfc8725-3.10-01
func TestHeadersOfATokenOfOursLeadNowhereEither(t *testing.T) {
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.ES256, "kid-of-ours", key)
	if err != nil {
		t.Fatal(err)
	}
	c := checker()
	c.Keys = func(_ context.Context, kid string, alg jose.Alg) (crypto.PublicKey, error) {
		if kid != signer.Kid() || alg != jose.ES256 {
			return nil, errors.New("unknown kid")
		}
		return signer.Public().Key, nil
	}
	var asked atomic.Int64
	there := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer there.Close()
	for _, tt := range []struct {
		name, member string
		value        any
		refused      bool
	}{
		{"nothing more", "typ", "at+jwt", false},
		{"our key itself", "jwk", signer.Public(), true},
		{"the key of another", "jwk", signers[jose.ES256].Public(), true},
		{"a key of another algorithm", "jwk", signers[jose.RS256].Public(), true},
		{"jku", "jku", there.URL + "/jwks", false},
		{"x5u", "x5u", there.URL + "/chain.pem", false},
		{"x5c", "x5c", []string{there.URL + "/chain.pem"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			header := map[string]any{"alg": "ES256", "kid": signer.Kid(), "typ": "at+jwt"}
			header[tt.member] = tt.value
			raw := signByHand(t, key, header, payload())
			if tt.refused {
				wantInvalid(t, c, raw)
			} else if _, err := c.Check(t.Context(), raw, now); err != nil {
				t.Error(err) // RFC 7515 §4.1: members that are not understood are ignored
			}
			if n := asked.Load(); n != 0 {
				t.Errorf("%d requests followed the header", n)
			}
		})
	}
}

// signByHand signs whatever header there is.
func signByHand(t *testing.T, key crypto.Signer, header, claims any) string {
	t.Helper()
	var parts [2]string
	for i, part := range []any{header, claims} {
		text, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		parts[i] = base64.RawURLEncoding.EncodeToString(text)
	}
	input := parts[0] + "." + parts[1]
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key.(*ecdsa.PrivateKey), digest[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}
