package standin_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/standin"
)

var someone = standin.Person{Subject: "000123.abc.0456", Email: "someone@mail.example", Name: "Some One"}

func newProvider(t *testing.T, kind standin.Kind, options ...standin.ProviderOption) *standin.Provider {
	t.Helper()
	p, err := standin.NewProvider(kind, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func issue(t *testing.T, p *standin.Provider, r standin.TokenRequest) *standin.Credential {
	t.Helper()
	c, err := p.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// verifier is a real OpenID client that finds the provider's keys by discovery.
func verifier(t *testing.T, p *standin.Provider, audience string) *oidc.IDTokenVerifier {
	t.Helper()
	// Google and Apple sign under issuers that are not where the stand-in lives.
	ctx := oidc.InsecureIssuerURLContext(t.Context(), p.Issuer())
	client, err := oidc.NewProvider(ctx, p.URL())
	if err != nil {
		t.Fatal(err)
	}
	return client.Verifier(&oidc.Config{ClientID: audience})
}

func verifiedClaims(t *testing.T, p *standin.Provider, audience, token string) map[string]any {
	t.Helper()
	verified, err := verifier(t, p, audience).Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := verified.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func leftHalf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func TestAnOpenIDClientVerifiesWhatEachProviderIssues(t *testing.T) {
	signedAt := time.Unix(time.Now().Unix(), 0)
	clock := standin.WithClock(func() time.Time { return signedAt })
	at := float64(signedAt.Unix())
	tests := map[string]struct {
		kind    standin.Kind
		options []standin.ProviderOption
		request standin.TokenRequest
		want    func(*standin.Credential) map[string]any
	}{
		"Google on Android: the audience is the web client": {
			kind:    standin.Google,
			request: standin.GoogleAndroid("web.example", "android.example", someone),
			want: func(*standin.Credential) map[string]any {
				return map[string]any{
					"iss": standin.GoogleIssuer, "aud": "web.example", "azp": "android.example", "sub": someone.Subject,
					"email": someone.Email, "email_verified": true, "name": someone.Name,
				}
			},
		},
		"Google on iOS: at_hash of the access token that comes along": {
			kind:    standin.Google,
			request: standin.GoogleIOS("", "ios.example", standin.Person{Subject: "7", HostedDomain: "corp.example"}),
			want: func(c *standin.Credential) map[string]any {
				return map[string]any{
					"iss": standin.GoogleIssuer, "aud": "ios.example", "azp": "ios.example", "sub": "7",
					"hd": "corp.example", "at_hash": leftHalf(c.AccessToken),
				}
			},
		},
		"Apple: c_hash of the code, auth_time, no name": {
			kind:    standin.Apple,
			request: standin.AppleNative("com.example.todo", someone),
			want: func(c *standin.Credential) map[string]any {
				return map[string]any{
					"iss": standin.AppleIssuer, "aud": "com.example.todo", "sub": someone.Subject,
					"email": someone.Email, "email_verified": true, "real_user_status": 2.0,
					"auth_time": at, "c_hash": leftHalf(c.Code),
				}
			},
		},
		"Apple with booleans as strings and a relay address": {
			kind: standin.Apple,
			request: standin.TokenRequest{
				Audience: "com.example.todo", Subject: "1", Email: "x@privaterelay.appleid.com",
				PrivateEmail: true, StringBooleans: true, Nonce: "n",
			},
			want: func(*standin.Credential) map[string]any {
				return map[string]any{
					"iss": standin.AppleIssuer, "aud": "com.example.todo", "sub": "1", "auth_time": at, "nonce": "n",
					"email": "x@privaterelay.appleid.com", "email_verified": "true", "is_private_email": "true",
					"nonce_supported": "true",
				}
			},
		},
		"an OpenID provider with ES256": {
			kind: standin.OIDC, options: []standin.ProviderOption{standin.WithES256()},
			request: standin.OpenIDNative("mobile", someone),
			want: func(*standin.Credential) map[string]any {
				return map[string]any{
					"aud": "mobile", "sub": someone.Subject, "email": someone.Email, "email_verified": true,
					"name": someone.Name,
				}
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t, test.kind, append(test.options, clock)...)
			c := issue(t, p, test.request)
			want := test.want(c)
			want["iat"], want["exp"] = at, at+3600
			if test.kind == standin.OIDC {
				want["iss"] = p.URL()
			}
			got := verifiedClaims(t, p, test.request.Audience, c.IDToken)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheNonceIsEchoedInTheFormTheAppGaveIt(t *testing.T) {
	p := newProvider(t, standin.OIDC, standin.WithES256())
	sum := sha256.Sum256([]byte("the nonce"))
	for form, want := range map[standin.NonceForm]string{
		standin.NonceRaw: "the nonce", standin.NonceHex: hex.EncodeToString(sum[:]),
		standin.NonceBase64URL: base64.RawURLEncoding.EncodeToString(sum[:]),
	} {
		prompt := p.Prompt(standin.TokenRequest{Audience: "mobile", Subject: "1", NonceForm: form})
		c, err := prompt(t.Context(), "the nonce")
		if err != nil {
			t.Fatal(err)
		}
		if got := verifiedClaims(t, p, "mobile", c.IDToken)["nonce"]; got != want {
			t.Errorf("form %d: nonce %q, want %q", form, got, want)
		}
	}
}

func TestAnOpenIDClientRefusesEveryForgery(t *testing.T) {
	p := newProvider(t, standin.OIDC)
	genuine := standin.TokenRequest{Audience: "mobile", Subject: "1"}
	past := time.Now().Add(-2 * time.Hour)
	tests := map[string]func(*standin.TokenRequest){
		"alg none":                       func(r *standin.TokenRequest) { r.Forgery = standin.AlgNone },
		"HS256 with the public key":      func(r *standin.TokenRequest) { r.Forgery = standin.HMACWithPublicKey },
		"a kid nobody published":         func(r *standin.TokenRequest) { r.Forgery = standin.UnknownKid },
		"another key under the kid":      func(r *standin.TokenRequest) { r.Forgery = standin.ForeignKey },
		"ES256 under the RSA key's kid":  func(r *standin.TokenRequest) { r.Forgery = standin.ForeignAlg },
		"the forger's key in the header": func(r *standin.TokenRequest) { r.Forgery = standin.EmbeddedKey },
		"a flipped bit":                  func(r *standin.TokenRequest) { r.Forgery = standin.BadSignature },
		"expired":                        func(r *standin.TokenRequest) { r.IssuedAt = past },
		"another audience":               func(r *standin.TokenRequest) { r.Audience = "other" },
		"another issuer": func(r *standin.TokenRequest) {
			r.Mutate = func(claims map[string]any) { claims["iss"] = "https://evil.example" }
		},
		"no audience": func(r *standin.TokenRequest) {
			r.Mutate = func(claims map[string]any) { delete(claims, "aud") }
		},
		"a payload that is no JSON": func(r *standin.TokenRequest) {
			r.Payload = func([]byte) []byte { return []byte("{") }
		},
		"a token cut short": func(r *standin.TokenRequest) {
			r.Token = func(compact string) string { return compact[:len(compact)-8] }
		},
	}
	v := verifier(t, p, "mobile")
	if _, err := v.Verify(t.Context(), issue(t, p, genuine).IDToken); err != nil {
		t.Fatalf("the genuine token: %v", err)
	}
	for name, forge := range tests {
		t.Run(name, func(t *testing.T) {
			r := genuine
			forge(&r)
			if _, err := v.Verify(t.Context(), issue(t, p, r).IDToken); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestHeadersAndBytesCanBeMalformed(t *testing.T) {
	p := newProvider(t, standin.OIDC, standin.WithES256())
	c := issue(t, p, standin.TokenRequest{
		Audience: "mobile", Subject: "1",
		Header:  func(h map[string]any) { h["jku"], h["crit"] = "https://evil.example/jwks", []string{"exp"} },
		Payload: func(b []byte) []byte { return []byte(strings.Replace(string(b), "{", `{"sub":"2",`, 1)) },
	})
	head, err := base64.RawURLEncoding.DecodeString(strings.Split(c.IDToken, ".")[0])
	if err != nil {
		t.Fatal(err)
	}
	var header map[string]any
	if err := json.Unmarshal(head, &header); err != nil || header["jku"] == nil || header["crit"] == nil {
		t.Errorf("header %s: %v", head, err)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(c.IDToken, ".")[1])
	if err != nil || strings.Count(string(payload), `"sub"`) != 2 {
		t.Errorf("payload %s: %v", payload, err)
	}
}

func TestKeysRotate(t *testing.T) {
	p := newProvider(t, standin.OIDC, standin.WithES256())
	r := standin.TokenRequest{Audience: "mobile", Subject: "1"}
	good := func(when, token string, want bool) {
		t.Helper()
		// A fresh client each time: what counts is what the provider publishes.
		if _, err := verifier(t, p, "mobile").Verify(t.Context(), token); (err == nil) != want {
			t.Errorf("%s: %v", when, err)
		}
	}
	first := issue(t, p, r).IDToken
	if _, err := p.RotateKeys(); err != nil {
		t.Fatal(err)
	}
	second := issue(t, p, r).IDToken
	good("the old key after a rotation", first, true)
	good("the new key after a rotation", second, true)
	p.DropOldKeys()
	good("a dropped key", first, false)
	good("the key that is left", second, true)
	if _, err := p.RotateKeysUnpublished(); err != nil {
		t.Fatal(err)
	}
	late := issue(t, p, r).IDToken
	good("a key before it is published", late, false)
	p.PublishKeys()
	good("a key published late", late, true)
}

// visit is what a plain HTTP client finds at an address.
type visit struct {
	status int
	header http.Header
	body   []byte
	err    error
}

func get(ctx context.Context, address string) visit {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return visit{err: err}
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(r)
	if err != nil {
		return visit{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return visit{resp.StatusCode, resp.Header, body, err}
}

func TestAProviderBehavesBadlyWhenTold(t *testing.T) {
	p := newProvider(t, standin.OIDC, standin.WithES256(), standin.WithMaxAge(5*time.Minute))
	jwks := p.URL() + "/jwks"

	v := get(t.Context(), jwks)
	if v.err != nil || v.header.Get("Cache-Control") != "public, max-age=300, must-revalidate" {
		t.Errorf("healthy: %v, Cache-Control %q", v.err, v.header.Get("Cache-Control"))
	}
	p.Behave(standin.Behaviour{Status: http.StatusServiceUnavailable})
	if v = get(t.Context(), jwks); v.status != http.StatusServiceUnavailable {
		t.Errorf("down: %d %v", v.status, v.err)
	}
	p.Behave(standin.Behaviour{RedirectTo: "http://169.254.169.254/"})
	if v = get(t.Context(), jwks); v.status != http.StatusFound || v.header.Get("Location") != "http://169.254.169.254/" {
		t.Errorf("redirect: %d %v", v.status, v.err)
	}
	p.Behave(standin.Behaviour{JWKSBytes: 10 << 20})
	if v = get(t.Context(), jwks); len(v.body) != 10<<20 || !json.Valid(v.body) {
		t.Errorf("10 MB: %v, %d bytes", v.err, len(v.body))
	}
	if got := p.Requests("/jwks"); got != 4 {
		t.Errorf("%d requests counted, want 4", got)
	}
}

func TestASlowProviderAnswersThePatient(t *testing.T) {
	p := newProvider(t, standin.OIDC, standin.WithES256())
	until := make(chan struct{})
	p.Behave(standin.Behaviour{Until: until})
	impatient, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if v := get(impatient, p.URL()+"/jwks"); !errors.Is(v.err, context.DeadlineExceeded) {
		t.Errorf("an impatient visitor: %d %v", v.status, v.err)
	}
	close(until)
	if v := get(t.Context(), p.URL()+"/jwks"); v.status != http.StatusOK {
		t.Errorf("a patient visitor: %d %v", v.status, v.err)
	}
}

func TestAStoppedProviderRefusesConnectionsAndComesBackAtItsAddress(t *testing.T) {
	p := newProvider(t, standin.OIDC, standin.WithES256())
	p.Stop()
	if v := get(t.Context(), p.URL()+"/jwks"); v.err == nil {
		t.Errorf("stopped: %d", v.status)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if v := get(t.Context(), p.URL()+"/jwks"); v.status != http.StatusOK {
		t.Errorf("started again: %d %v", v.status, v.err)
	}
	if err := p.Start(); err == nil {
		t.Error("started twice")
	}
}

func TestAProviderListensOnLoopbackOnly(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0"} {
		if _, err := standin.NewProvider(standin.OIDC, standin.WithES256(), standin.WithAddr(addr)); err == nil {
			t.Errorf("%s: accepted", addr)
		}
	}
}

func TestARequestMustMakeSense(t *testing.T) {
	p := newProvider(t, standin.Google)
	for name, r := range map[string]standin.TokenRequest{
		"no audience":          {Subject: "1"},
		"no subject":           {Audience: "a"},
		"a code from Google":   {Audience: "a", Subject: "1", AuthorizationCode: true},
		"claims JSON can't be": {Audience: "a", Subject: "1", Mutate: func(c map[string]any) { c["x"] = func() {} }},
	} {
		if _, err := p.Issue(r); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := standin.NewProvider(standin.Google, standin.WithES256()); err == nil {
		t.Error("Google with ES256: accepted")
	}
	if _, err := standin.NewProvider("friendster"); err == nil {
		t.Error("an unknown kind: accepted")
	}
}

func postForm(t *testing.T, address string, form url.Values) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := (&http.Client{}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body map[string]any
	_ = json.NewDecoder(resp.Body).Decode(&body) // /auth/revoke answers nothing
	return resp.StatusCode, body
}
