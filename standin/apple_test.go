package standin_test

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/standin"
)

// appleSecret is a client secret as a back end makes it from the .p8 file. change may spoil it.
func appleSecret(t *testing.T, key standin.AppleKey, client string, change func(claims map[string]any)) string {
	t.Helper()
	block, _ := pem.Decode(key.PrivateKeyPEM)
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.ES256, key.KeyID, private.(crypto.Signer))
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{
		"iss": key.TeamID, "sub": client, "aud": standin.AppleIssuer,
		"iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix(),
	}
	if change != nil {
		change(claims)
	}
	secret, err := signer.Sign("", claims)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

const bundle = "com.example.todo"

func redemption(t *testing.T, apple *standin.Provider, code string) url.Values {
	t.Helper()
	return url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "client_id": {bundle},
		"client_secret": {appleSecret(t, apple.AppleKey(), bundle, nil)},
	}
}

func TestAppleRedeemsACodeOnce(t *testing.T) {
	apple := newProvider(t, standin.Apple)
	r := standin.AppleNative(bundle, someone)
	r.Nonce = "the nonce"
	form := redemption(t, apple, issue(t, apple, r).Code)

	status, answer := postForm(t, apple.URL()+"/auth/token", form)
	if status != http.StatusOK {
		t.Fatalf("first: %d %v", status, answer)
	}
	claims := verifiedClaims(t, apple, bundle, answer["id_token"].(string))
	if claims["sub"] != someone.Subject || claims["nonce"] != "the nonce" {
		t.Errorf("id_token of the redemption: %v", claims)
	}
	refresh := answer["refresh_token"].(string)
	if !slices.Equal(apple.AppleRefreshTokens(), []string{refresh}) {
		t.Errorf("refresh tokens %v, want %s", apple.AppleRefreshTokens(), refresh)
	}
	if status, answer = postForm(t, apple.URL()+"/auth/token", form); status != http.StatusBadRequest || answer["error"] != "invalid_grant" {
		t.Errorf("second: %d %v", status, answer)
	}
}

func TestAppleRefusesARedemption(t *testing.T) {
	clock := time.Now()
	apple := newProvider(t, standin.Apple, standin.WithClock(func() time.Time { return clock }))
	tests := map[string]struct {
		change func(url.Values)
		later  time.Duration
		want   string
	}{
		"of an unknown code":      {change: func(f url.Values) { f.Set("code", "c0") }, want: "invalid_grant"},
		"by another app":          {change: func(f url.Values) { asOther(t, apple, f) }, want: "invalid_grant"},
		"after five minutes":      {later: 5 * time.Minute, want: "invalid_grant"},
		"of another grant":        {change: func(f url.Values) { f.Set("grant_type", "password") }, want: "unsupported_grant_type"},
		"without a client secret": {change: func(f url.Values) { f.Del("client_secret") }, want: "invalid_client"},
		"with a secret for another app": {
			change: func(f url.Values) { f.Set("client_secret", appleSecret(t, apple.AppleKey(), "com.example.other", nil)) },
			want:   "invalid_client",
		},
		"with a secret that lives too long": {
			change: func(f url.Values) {
				f.Set("client_secret", appleSecret(t, apple.AppleKey(), bundle, func(c map[string]any) {
					c["exp"] = time.Now().Add(7 * 30 * 24 * time.Hour).Unix()
				}))
			},
			want: "invalid_client",
		},
		"with an expired secret": {
			change: func(f url.Values) {
				f.Set("client_secret", appleSecret(t, apple.AppleKey(), bundle, func(c map[string]any) {
					c["exp"] = time.Now().Add(-time.Minute).Unix()
				}))
			},
			want: "invalid_client",
		},
		"with another team's key": {
			change: func(f url.Values) {
				stranger := newProvider(t, standin.Apple)
				f.Set("client_secret", appleSecret(t, stranger.AppleKey(), bundle, nil))
			},
			want: "invalid_client",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			clock = time.Now()
			form := redemption(t, apple, issue(t, apple, standin.AppleNative(bundle, someone)).Code)
			if test.change != nil {
				test.change(form)
			}
			if test.later > 0 {
				clock = clock.Add(test.later)
				form.Set("client_secret", appleSecret(t, apple.AppleKey(), bundle, func(c map[string]any) {
					c["exp"] = clock.Add(time.Minute).Unix()
				}))
			}
			status, answer := postForm(t, apple.URL()+"/auth/token", form)
			if status != http.StatusBadRequest || answer["error"] != test.want {
				t.Errorf("%d %v, want %s", status, answer, test.want)
			}
		})
	}
}

func asOther(t *testing.T, apple *standin.Provider, form url.Values) {
	t.Helper()
	form.Set("client_id", "com.example.other")
	form.Set("client_secret", appleSecret(t, apple.AppleKey(), "com.example.other", nil))
}

func TestACodeCanRevealSomebodyElse(t *testing.T) {
	apple := newProvider(t, standin.Apple)
	r := standin.AppleNative(bundle, someone)
	r.CodeSubject = "somebody.else"
	_, answer := postForm(t, apple.URL()+"/auth/token", redemption(t, apple, issue(t, apple, r).Code))
	if got := verifiedClaims(t, apple, bundle, answer["id_token"].(string))["sub"]; got != "somebody.else" {
		t.Errorf("sub %v", got)
	}
}

func TestAppleAnswers200ToEveryRevocation(t *testing.T) {
	apple := newProvider(t, standin.Apple)
	_, answer := postForm(t, apple.URL()+"/auth/token",
		redemption(t, apple, issue(t, apple, standin.AppleNative(bundle, someone)).Code))
	form := url.Values{"client_id": {bundle}, "token": {answer["refresh_token"].(string)}, "client_secret": {"nonsense"}}
	if status, _ := postForm(t, apple.URL()+"/auth/revoke", form); status != http.StatusOK {
		t.Errorf("a bad secret: %d", status)
	}
	if len(apple.AppleRevoked()) != 0 {
		t.Errorf("a bad secret revoked %v", apple.AppleRevoked())
	}
	form.Set("client_secret", appleSecret(t, apple.AppleKey(), bundle, nil))
	if status, _ := postForm(t, apple.URL()+"/auth/revoke", form); status != http.StatusOK {
		t.Errorf("a good secret: %d", status)
	}
	if len(apple.AppleRevoked()) != 1 || len(apple.AppleRefreshTokens()) != 0 {
		t.Errorf("revoked %v, left %v", apple.AppleRevoked(), apple.AppleRefreshTokens())
	}
}

func TestAppleTellsTheNameOnce(t *testing.T) {
	apple := newProvider(t, standin.Apple)
	r := standin.AppleNative(bundle, someone)
	var user struct {
		Name struct {
			FirstName string `json:"firstName"`
			LastName  string `json:"lastName"`
		} `json:"name"`
	}
	if err := json.Unmarshal([]byte(issue(t, apple, r).User), &user); err != nil || user.Name.FirstName != "Some" || user.Name.LastName != "One" {
		t.Errorf("first: %+v %v", user, err)
	}
	if again := issue(t, apple, r).User; again != "" {
		t.Errorf("second: %s", again)
	}
	r.Audience = "com.example.other"
	if other := issue(t, apple, r).User; other == "" {
		t.Error("another app: no name")
	}
}
