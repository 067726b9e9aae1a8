package upstream

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/standin"
)

// mac signs as LINE does for the web.
func mac(t testing.TB, header string, claims any, secret []byte) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// ID04, rfc8725-3.1-01: the web has the secret, apps have the published key, and neither passes for the other.
func TestLINEsSecretAndLINEsKeyNeverStandInForEachOther(t *testing.T) {
	s := newScene(t, Settings{Type: "line", ClientID: ourID, ClientSecret: ourSecret}, testKeys["ec"])
	who := map[string]any{"sub": "U0123456789abcdef0123456789abcdef", "amr": []string{"pwd"}}
	native := sign(t, testKeys["ec"], s.claims(who))
	got, err := s.Verify(t.Context(), native, s.expect())
	if err != nil || got.Issuer != standin.LINEIssuer || got.EmailVerified || got.ProvedEmail != "" {
		t.Fatalf("%+v, %v", got, err)
	}
	der, err := x509.MarshalPKIXPublicKey(testKeys["ec"].Public().Key)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := testKeys["ec"].Public().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	kid := testKeys["ec"].Kid()
	for name, raw := range map[string]string{
		"the web's token, from an app":         mac(t, `{"alg":"HS256","typ":"JWT"}`, s.claims(who), []byte(ourSecret)),
		"the same under the kid of a key":      mac(t, `{"alg":"HS256","kid":"`+kid+`"}`, s.claims(who), []byte(ourSecret)),
		"the public key as a secret, PEM":      mac(t, `{"alg":"HS256","kid":"`+kid+`"}`, s.claims(who), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"the public key as a secret, DER":      mac(t, `{"alg":"HS256","kid":"`+kid+`"}`, s.claims(who), der),
		"the public key as a secret, JWK":      mac(t, `{"alg":"HS256"}`, s.claims(who), jwk),
		"the secret, called ES256":             mac(t, `{"alg":"ES256","kid":"`+kid+`"}`, s.claims(who), []byte(ourSecret)),
		"another key under its kid":            sign(t, signerNamed(t, kid), s.claims(who)),
		"RS256, which LINE does not sign with": sign(t, testKeys["rsa"], s.claims(who)),
		"another channel's (ID01)":             sign(t, testKeys["ec"], s.claims(map[string]any{"aud": "2"})),
		"a foreign nonce (ID08)":               sign(t, testKeys["ec"], s.claims(map[string]any{"nonce": "x"})),
	} {
		t.Run("an app sends "+name, func(t *testing.T) {
			got, err := s.Verify(t.Context(), raw, s.expect())
			if got != nil {
				t.Fatalf("%+v", got)
			}
			wantRefusal(t, err)
		})
	}
	for name, raw := range map[string]string{
		"an app's token":                  native,
		"the public key as a secret, PEM": mac(t, `{"alg":"HS256"}`, s.claims(who), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"another channel's secret":        mac(t, `{"alg":"HS256"}`, s.claims(who), []byte(strings.ToUpper(ourSecret))),
		"the secret, called ES256":        mac(t, `{"alg":"ES256"}`, s.claims(who), []byte(ourSecret)),
		"the secret, called HS512":        mac(t, `{"alg":"HS512"}`, s.claims(who), []byte(ourSecret)),
		"none":                            mac(t, `{"alg":"none"}`, s.claims(who), []byte(ourSecret)),
		"no signature":                    strings.TrimRight(mac(t, `{"alg":"HS256"}`, s.claims(who), []byte(ourSecret)), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
		"crit":                            mac(t, `{"alg":"HS256","crit":["x"],"x":1}`, s.claims(who), []byte(ourSecret)),
	} {
		t.Run("the token endpoint sends "+name, func(t *testing.T) {
			if opened, err := s.openRedeemed(t.Context(), raw); err == nil {
				t.Fatalf("%+v", opened)
			}
		})
	}
	if _, err := s.openRedeemed(t.Context(), mac(t, `{"alg":"HS256","typ":"JWT"}`, s.claims(who), []byte(ourSecret))); err != nil {
		t.Error(err)
	}
}

func signerNamed(t testing.TB, kid string) *jose.Signer {
	t.Helper()
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	s, err := jose.NewSigner(jose.ES256, kid, key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhatLINEsTokenEndpointGivesIsSignedWithTheChannelSecretOrRefused(t *testing.T) {
	for name, m := range map[string]standin.Mischief{
		"as for an app":           {AppKey: true},
		"under another secret":    {Secret: strings.Repeat("another secret ", 3)},
		"without a signature":     {Forgery: standin.AlgNone},
		"HS256 by the public key": {Forgery: standin.HMACWithPublicKey},
		"by a key in the header":  {Forgery: standin.EmbeddedKey},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJourney(t, standin.LINE, nil)
			j.there.Misbehave(m)
			got, err := j.trip(t, "alice")
			wantNo(t, got, err)
			if n := j.there.Requests("/jwks"); n != 0 {
				t.Errorf("the keys of apps were asked for %d times", n)
			}
		})
	}
	short := Settings{Name: "l", Type: "line", ClientID: "1", ClientSecret: "of less than 32 characters"}
	if _, err := New(short, fetch.New(fetch.Options{}), time.Now); err == nil {
		t.Error("a short secret is taken")
	}
}

// auth_time comes where max_age was asked for, and counts unless LINE itself let the person in.
func TestLINEsTimeOfASignInCountsOnlyIfThePersonDidSomething(t *testing.T) {
	s := newScene(t, Settings{Type: "line"}, testKeys["ec"])
	at := s.clock.now().Add(-time.Minute)
	for name, tc := range map[string]struct {
		amr  any
		want bool
	}{
		"a password": {[]string{"pwd"}, true}, "a QR code": {[]string{"lineqr"}, true}, "not said": {nil, true},
		"by itself": {[]string{"lineautologin"}, false}, "single sign-on": {[]string{"linesso"}, false},
		"both": {[]string{"pwd", "linesso"}, false}, "no list": {7, false},
	} {
		raw := sign(t, testKeys["ec"], s.claims(map[string]any{"auth_time": at.Unix(), "amr": tc.amr}))
		got, err := s.Verify(t.Context(), raw, s.expect())
		if err != nil || got.AuthTime.IsZero() == tc.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	j := newJourney(t, standin.LINE, nil)
	minute := int64(60)
	for _, want := range []bool{true, false} { // the second time the browser is known
		trip := newTrip()
		trip.MaxAge = &minute
		got, err := j.Redeem(t.Context(), trip, j.comeBack(t, trip, "alice"))
		if err != nil || got.Subject.AuthTime.IsZero() == want {
			t.Errorf("%+v, %v", got, err)
		}
	}
}
