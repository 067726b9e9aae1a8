package upstream

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/jose"
)

const testCode = "c0de.0.xyz"

func pkcs8(t testing.TB, alg jose.Alg) (key crypto.Signer, block []byte) {
	t.Helper()
	key, err := jose.GenerateKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func newApple(t testing.TB) (s *scene, teamKey crypto.Signer) {
	t.Helper()
	key, block := pkcs8(t, jose.ES256)
	return newScene(t, Settings{Type: "apple", TeamID: "TEAM", KeyID: "KEY", PrivateKeyPEM: block}, testKeys["rsa"]), key
}

func (s *scene) answerToken(status int, body string) {
	s.server.set(func(i *issuer) {
		i.token = func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	})
}

// apple.md sections 3 and 8.
func TestAnAppleCodeIsRedeemed(t *testing.T) {
	s, teamKey := newApple(t)
	idToken := sign(t, testKeys["rsa"], s.claims(map[string]any{"at_hash": "x"}))
	s.server.set(func(i *issuer) {
		i.token = func(w http.ResponseWriter, r *http.Request) {
			if err := checkAppleSecret(r.Context(), r.PostFormValue("client_secret"), teamKey.Public(), s.clock.now()); err != nil {
				t.Error(err)
			}
			if r.PostFormValue("grant_type") != "authorization_code" || r.PostFormValue("code") != testCode ||
				r.PostFormValue("client_id") != testAudience || r.PostForm.Has("redirect_uri") {
				t.Errorf("form %v", r.PostForm)
			}
			_ = json.NewEncoder(w).Encode(map[string]any{
				"access_token": "a", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "Apple's refresh token", "id_token": idToken,
			})
		}
	})
	got, err := s.RedeemAppleCode(t.Context(), testAudience, testCode)
	if err != nil {
		t.Fatal(err)
	}
	if got.RefreshToken != "Apple's refresh token" || got.Subject != "000123.subject.0456" {
		t.Errorf("%+v", got)
	}
}

func checkAppleSecret(ctx context.Context, secret string, public crypto.PublicKey, now time.Time) error {
	claims, h, err := jose.Verify(ctx, secret, jose.Policy{Algs: []jose.Alg{jose.ES256}}, func(context.Context, jose.Header) (crypto.PublicKey, error) {
		return public, nil
	})
	if err != nil {
		return err
	}
	exp, _, _ := claims.Time("exp")
	iss, _, _ := claims.String("iss")
	sub, _, _ := claims.String("sub")
	aud, _, _ := claims.String("aud")
	if h.Kid != "KEY" || iss != "TEAM" || sub != testAudience || aud != "https://appleid.apple.com" || exp.Sub(now) != 5*time.Minute {
		return errors.New("the client secret is not what Apple asks for")
	}
	return nil
}

func TestWhatAppleMayAnswer(t *testing.T) {
	s, _ := newApple(t)
	grant := func(change map[string]any) string {
		return mustJSON(t, map[string]any{"refresh_token": "r", "id_token": sign(t, testKeys["rsa"], s.claims(change))})
	}
	for name, tc := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"the code is used or expired":       {400, `{"error":"invalid_grant"}`, ErrToken},
		"our key is wrong":                  {400, `{"error":"invalid_client"}`, ErrUnavailable},
		"another error":                     {400, `{"error":"invalid_request"}`, ErrUnavailable},
		"no error":                          {400, `{}`, ErrUnavailable},
		"invalid_grant from a broken front": {502, `{"error":"invalid_grant"}`, ErrUnavailable},
		"an error twice":                    {400, `{"error":"x","error":"invalid_grant"}`, ErrUnavailable},
		"down":                              {503, `<html>`, ErrUnavailable},
		"a redirect":                        {302, `{}`, ErrUnavailable},
		"too many requests":                 {429, `{}`, ErrUnavailable},
		"200 without tokens":                {200, `{}`, ErrUnavailable},
		"200 without refresh_token":         {200, `{"id_token":"x"}`, ErrUnavailable},
		"200 without id_token":              {200, `{"refresh_token":"r"}`, ErrUnavailable},
		"200, no JSON":                      {200, `ok`, ErrUnavailable},
		"an id_token that is none":          {200, `{"refresh_token":"r","id_token":"evil"}`, ErrToken},
		"an id_token of another app":        {200, grant(map[string]any{"aud": "another.app"}), ErrToken},
		"an id_token of another issuer":     {200, grant(map[string]any{"iss": "https://evil.example"}), ErrToken},
		"an id_token of another code":       {200, grant(map[string]any{"c_hash": "x"}), ErrToken},
		"an expired id_token":               {200, grant(map[string]any{"exp": 1}), ErrToken},
	} {
		t.Run(name, func(t *testing.T) {
			s.answerToken(tc.status, tc.body)
			got, err := s.RedeemAppleCode(t.Context(), testAudience, testCode)
			if !errors.Is(err, tc.want) || got != nil || errors.Is(err, ErrToken) && errors.Is(err, ErrUnavailable) {
				t.Errorf("%+v, %v; want %v", got, err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), testCode) {
				t.Errorf("the error tells the code: %v", err)
			}
		})
	}
	s.server.Close()
	if _, err := s.RedeemAppleCode(t.Context(), testAudience, testCode); !errors.Is(err, ErrUnavailable) {
		t.Errorf("nobody there: %v", err)
	}
}

func TestWithoutAKeyNoCodeIsRedeemed(t *testing.T) {
	s := newScene(t, Settings{Type: "apple"}, testKeys["rsa"])
	if _, err := s.RedeemAppleCode(t.Context(), testAudience, testCode); err == nil || errors.Is(err, ErrUnavailable) {
		t.Errorf("err = %v: trying again would not help", err)
	}
}

func TestSettingsThatAreRefused(t *testing.T) {
	_, ec := pkcs8(t, jose.ES256)
	_, rsa := pkcs8(t, jose.RS256)
	apple := func(team, key string, pem []byte) Settings {
		return Settings{Name: "apple", Type: "apple", TeamID: team, KeyID: key, PrivateKeyPEM: pem}
	}
	for name, s := range map[string]Settings{
		"no name":                        {Type: "google"},
		"no type":                        {Name: "x"},
		"an unknown type":                {Name: "x", Type: "saml"},
		"oidc without issuer":            {Name: "x", Type: "oidc"},
		"oidc with a path for an issuer": {Name: "x", Type: "oidc", Issuer: "/login"},
		"oidc with a query":              {Name: "x", Type: "oidc", Issuer: "https://a.example?x"},
		"oidc with a fragment":           {Name: "x", Type: "oidc", Issuer: "https://a.example#x"},
		"oidc with user information":     {Name: "x", Type: "oidc", Issuer: "https://x@a.example"},
		"oidc for Google":                {Name: "x", Type: "oidc", Issuer: "https://accounts.google.com"},
		"oidc for Apple":                 {Name: "x", Type: "oidc", Issuer: "https://account.apple.com"},
		"oidc with a file of keys":       {Name: "x", Type: "oidc", Issuer: "https://a.example", JWKSURI: "file:///keys"},
		"oidc with HS256":                {Name: "x", Type: "oidc", Issuer: "https://a.example", Algs: []jose.Alg{jose.ES256, "HS256"}},
		"a stand-in elsewhere":           {Name: "x", Type: "google", Standin: "https://evil.example"},
		"a stand-in in the local net":    {Name: "x", Type: "google", Standin: "http://192.168.1.1"},
		"a stand-in without scheme":      {Name: "x", Type: "google", Standin: "127.0.0.1:9000"},
		"Apple without team":             apple("", "KEY", ec),
		"Apple without key id":           apple("TEAM", "", ec),
		"Apple without key":              apple("TEAM", "KEY", nil),
		"Apple with an RSA key":          apple("TEAM", "KEY", rsa),
		"Apple with no PEM":              apple("TEAM", "KEY", []byte("key")),
		"Apple with two keys":            apple("TEAM", "KEY", append(ec, rsa...)),
		"Apple with a broken key":        apple("TEAM", "KEY", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(s, fetch.New(fetch.Options{}), time.Now); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestASetKnowsProvidersByEverySpelling(t *testing.T) {
	provider := func(s Settings) *Provider {
		t.Helper()
		p, err := New(s, fetch.New(fetch.Options{}), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	google := provider(Settings{Name: "google", Type: "google"})
	corp := provider(Settings{Name: "corp", Type: "oidc", Issuer: "https://login.corp.example"})
	set, err := NewSet(google, provider(Settings{Name: "apple", Type: "apple"}), corp)
	if err != nil {
		t.Fatal(err)
	}
	for iss, name := range map[string]string{
		"https://accounts.google.com": "google", "accounts.google.com": "google", "https://appleid.apple.com": "apple",
		"https://account.apple.com": "apple", "https://login.corp.example": "corp",
		"https://login.corp.example/": "", "HTTPS://accounts.google.com": "", "": "",
	} {
		p, ok := set.ByIssuer(iss)
		if ok != (name != "") || ok && p.Name() != name {
			t.Errorf("%q is %v, %v", iss, p, ok)
		}
	}
	if p, ok := set.ByName("corp"); !ok || p != corp {
		t.Error("corp is not found by its name")
	}
	if _, ok := set.ByName("nobody"); ok {
		t.Error("nobody is found")
	}
	if _, err := NewSet(google, provider(Settings{Name: "google2", Type: "google"})); err == nil {
		t.Error("two providers with one issuer")
	}
	if _, err := NewSet(google, provider(Settings{Name: "google", Type: "apple"})); err == nil {
		t.Error("two providers with one name")
	}
}
