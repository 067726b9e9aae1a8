package upstream

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/standin"
)

const (
	ourID     = "countersign.at.the.provider"
	ourSecret = "a secret with +, % and : in it, and long enough for LINE"
	ourReturn = "https://id.example/federation/p/callback"
)

// journey is a stand-in provider, our settings of it, and a browser.
type journey struct {
	*Provider
	there   *standin.Provider
	browser *http.Client
	clock   *clock
}

// newJourney registers us at a stand-in. change may alter the settings; a kind of provider with an address of its own is
// found by discovery, the others through Standin.
func newJourney(t testing.TB, kind standin.Kind, change func(*Settings)) *journey {
	t.Helper()
	c := newClock()
	options := []standin.ProviderOption{standin.WithClock(c.now)}
	if kind == standin.OIDC {
		options = append(options, standin.WithES256()) // RSA keys are slow to make
	}
	there, err := standin.NewProvider(kind, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(there.Close)
	app := standin.Application{ClientID: ourID, Secret: ourSecret, RedirectURIs: []string{ourReturn}}
	s := Settings{Name: "p", Type: string(kind), ClientID: ourID, ClientSecret: ourSecret, Standin: there.URL()}
	switch kind {
	case standin.OIDC, standin.GitLab:
		s.Issuer, s.Standin = there.Issuer(), ""
	case standin.Microsoft:
		s.Tenant = "common"
	case standin.Apple:
		key := there.AppleKey()
		s.ClientSecret, s.TeamID, s.KeyID, s.PrivateKeyPEM = "", key.TeamID, key.KeyID, key.PrivateKeyPEM
	case standin.LINE:
		s.Scopes = []string{"openid", "profile", "email"}
	case standin.Google, standin.GitHub, standin.Facebook, standin.Discord:
	}
	if change != nil {
		change(&s)
	}
	app.WithoutPKCE = s.WithoutPKCE
	if err := there.Register(app); err != nil {
		t.Fatal(err)
	}
	p, err := New(s, fetch.New(fetch.Options{AllowLoopback: true, Timeout: time.Second}), c.now)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &journey{Provider: p, there: there, browser: &http.Client{Jar: jar}, clock: c}
}

func newTrip() Trip {
	return Trip{RedirectURI: ourReturn, State: rand.Text(), Nonce: rand.Text(), Verifier: rand.Text() + rand.Text()}
}

// comeBack walks to the provider and returns what came to the callback.
func (j *journey) comeBack(t testing.TB, trip Trip, username string) Returned {
	t.Helper()
	address, err := j.AuthorizeURL(t.Context(), trip)
	if err != nil {
		t.Fatal(err)
	}
	r, err := j.there.SignInAt(t.Context(), j.browser, address, username)
	if err != nil {
		t.Fatal(err)
	}
	return j.read(t, trip, r)
}

func (j *journey) read(t testing.TB, trip Trip, r *http.Request) Returned {
	t.Helper()
	if !strings.HasPrefix(r.URL.String(), ourReturn) || (r.Method == http.MethodPost) != j.FormPost() {
		t.Fatalf("back by %s %s", r.Method, r.URL)
	}
	q, err := standin.ReadCallback(r)
	if err != nil || q.Get("state") != trip.State {
		t.Fatalf("%v, %v", q, err)
	}
	return Returned{Code: q.Get("code"), Error: q.Get("error"), Issuer: q.Get("iss"), User: q.Get("user")}
}

func (j *journey) trip(t testing.TB, username string) (*Redeemed, error) {
	t.Helper()
	trip := newTrip()
	return j.Redeem(t.Context(), trip, j.comeBack(t, trip, username))
}

// wantNo is wantRefusal for a person: the sentence names no claims, and there is nothing to hand over.
func wantNo(t *testing.T, got *Redeemed, err error) {
	t.Helper()
	if wantSentence(t, got, err).Cancelled {
		t.Error("taken for the person's own no")
	}
}

func wantSentence(t *testing.T, got *Redeemed, err error) *Refusal {
	t.Helper()
	var r *Refusal
	if got != nil || !errors.As(err, &r) || !errors.Is(err, ErrToken) || errors.Is(err, ErrUnavailable) {
		t.Fatalf("%+v, %v, want a refusal", got, err)
	}
	if !strings.HasSuffix(r.Description, ".") || strings.Contains(r.Description, "id_token") || strings.Contains(r.Description, "evil") {
		t.Errorf("description: %s", r.Description)
	}
	return r
}

func wantDown(t *testing.T, got *Redeemed, err error) {
	t.Helper()
	if got != nil || !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrToken) {
		t.Fatalf("%+v, %v, want unavailable", got, err)
	}
	if strings.Contains(err.Error(), ourSecret) {
		t.Errorf("the secret is in %v", err)
	}
}

func oauth2Settings(s *Settings, base string) {
	s.Type, s.Issuer, s.Standin = "oauth2", base, ""
	s.AuthorizeURL, s.TokenURL, s.UserInfoURL = base+"/authorize", base+"/token", base+"/userinfo"
	s.EmailClaim, s.EmailVerifiedClaim, s.NameClaim = "email", "email_verified", "name"
}

func TestATripToEveryProviderBringsSomebodyBack(t *testing.T) {
	alice := func(p *standin.Provider) Subject {
		who := p.PersonNamed("alice")
		return Subject{
			Provider: "p", Issuer: p.Issuer(), Subject: who.Subject, Audience: ourID,
			Email: who.Email, EmailVerified: true, Name: who.Name, GivenName: who.GivenName, FamilyName: who.FamilyName,
		}
	}
	for name, tc := range map[string]struct {
		kind   standin.Kind
		change func(*Settings)
		want   func(*Subject, time.Time)
	}{
		"Google":    {standin.Google, nil, func(*Subject, time.Time) {}},
		"Apple":     {standin.Apple, nil, func(s *Subject, now time.Time) { s.AuthTime = now }},
		"Microsoft": {standin.Microsoft, nil, func(s *Subject, _ time.Time) { s.EmailVerified = false }},
		"GitHub":    {standin.GitHub, nil, func(s *Subject, _ time.Time) { s.GivenName, s.FamilyName = "", "" }},
		"Facebook":  {standin.Facebook, nil, func(s *Subject, _ time.Time) { s.EmailVerified = false }},
		"LINE":      {standin.LINE, nil, func(s *Subject, _ time.Time) { s.EmailVerified = false }},
		"Discord":   {standin.Discord, nil, func(s *Subject, _ time.Time) { s.GivenName, s.FamilyName = "", "" }},
		"GitLab":    {standin.GitLab, nil, func(s *Subject, now time.Time) { s.AuthTime = now }},
		"OpenID":    {standin.OIDC, nil, func(s *Subject, now time.Time) { s.AuthTime = now }},
		"OAuth 2.0": {standin.OIDC, func(s *Settings) { oauth2Settings(s, s.Issuer) }, func(s *Subject, _ time.Time) { s.GivenName, s.FamilyName = "", "" }},
		"OAuth 2.0 without PKCE": {standin.OIDC, func(s *Settings) {
			oauth2Settings(s, s.Issuer)
			s.WithoutPKCE = true
		}, func(s *Subject, _ time.Time) { s.GivenName, s.FamilyName = "", "" }},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJourney(t, tc.kind, tc.change)
			got, err := j.trip(t, "alice")
			if err != nil {
				t.Fatal(err)
			}
			want := alice(j.there)
			want.IssuedAt = j.clock.now()
			tc.want(&want, j.clock.now())
			if *got.Subject != want || got.ClientID != ourID || (got.RefreshToken != "") != (tc.kind == standin.Apple) {
				t.Errorf("%+v %+v, want %+v", got, got.Subject, want)
			}
		})
	}
}

// apple.md section 5: the name comes once, in the person's own words; the second trip knows it no more.
func TestApplesNameIsTakenWhenItComes(t *testing.T) {
	j := newJourney(t, standin.Apple, nil)
	first, err1 := j.trip(t, "alice")
	second, err2 := j.trip(t, "alice")
	if err1 != nil || err2 != nil || first.Subject.Name != "Alice Example" || second.Subject.Name != "" || first.Subject.Subject != second.Subject.Subject {
		t.Fatalf("%+v, %v; %+v, %v", first, err1, second, err2)
	}
	if len(j.there.AppleRefreshTokens()) != 2 {
		t.Errorf("refresh tokens: %v", j.there.AppleRefreshTokens())
	}
	if err := j.RevokeAppleToken(t.Context(), first.ClientID, first.RefreshToken); err != nil || len(j.there.AppleRevoked()) != 1 {
		t.Errorf("revoked: %v, %v", err, j.there.AppleRevoked())
	}
	for name, user := range map[string]string{
		"no JSON": "{", "duplicate": `{"name":{"firstName":"A","firstName":"B"}}`, "a number": `{"name":{"firstName":7}}`,
		"a line feed": `{"name":{"firstName":"A\nB"}}`, "too long": `{"name":{"firstName":"` + strings.Repeat("x", 2000) + `"}}`, "a list": `{"name":[]}`,
	} {
		s := Subject{}
		if nameFrom(user, &s); s != (Subject{}) {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestWhatTheBrowserIsSentWith(t *testing.T) {
	zero := int64(0)
	asked := Trip{Prompt: []string{"login", "consent"}, MaxAge: &zero, LoginHint: "alice@example.com", UILocales: []string{"pt-BR", "en"}}
	for name, tc := range map[string]struct {
		settings Settings
		asked    Trip
		base     string
		want     map[string]string // beside what all have; empty: must be absent
	}{
		"Google": {
			Settings{Type: "google"}, Trip{}, "https://accounts.google.com/o/oauth2/v2/auth",
			map[string]string{"scope": "openid email profile", "prompt": "", "max_age": "", "login_hint": "", "response_mode": ""},
		},
		"Google, asked for a sign-in it cannot prove": {
			Settings{Type: "google"}, asked, googleAuthorize,
			map[string]string{"prompt": "select_account", "max_age": "", "login_hint": "alice@example.com", "ui_locales": ""},
		},
		"Apple": {
			Settings{Type: "apple", TeamID: "TEAM", KeyID: "KEY"}, asked, "https://appleid.apple.com/auth/authorize",
			map[string]string{"scope": "name email", "response_mode": "form_post", "prompt": "", "login_hint": ""},
		},
		"Microsoft": {
			Settings{Type: "microsoft", Tenant: "organizations"}, Trip{Prompt: []string{"select_account"}},
			"https://login.microsoftonline.com/organizations/oauth2/v2.0/authorize",
			map[string]string{"scope": "openid email profile", "prompt": "select_account"},
		},
		"GitHub": {
			Settings{Type: "github"}, asked, "https://github.com/login/oauth/authorize",
			map[string]string{"scope": "read:user user:email", "nonce": "", "prompt": "select_account", "login_hint": "", "max_age": ""},
		},
		"GitHub Enterprise": {
			Settings{Type: "github", BaseURL: "https://git.corp.example"}, asked, "https://git.corp.example/login/oauth/authorize",
			map[string]string{"scope": "read:user user:email"},
		},
		"Facebook": {
			Settings{Type: "facebook"}, asked, "https://www.facebook.com/v24.0/dialog/oauth",
			map[string]string{"scope": "public_profile email", "nonce": "", "prompt": "", "login_hint": "", "max_age": "", "auth_type": ""},
		},
		"Facebook, another version": {
			Settings{Type: "facebook", GraphVersion: "v31.1", Scopes: []string{"public_profile"}}, Trip{}, "https://www.facebook.com/v31.1/dialog/oauth",
			map[string]string{"scope": "public_profile"},
		},
		"LINE": {
			Settings{Type: "line"}, Trip{}, "https://access.line.me/oauth2/v2.1/authorize",
			map[string]string{"scope": "openid profile", "prompt": "", "max_age": "", "disable_auto_login": ""},
		},
		"LINE, asked for a sign-in": {
			Settings{Type: "line", Scopes: []string{"openid", "profile", "email"}}, asked, "https://access.line.me/oauth2/v2.1/authorize",
			map[string]string{"scope": "openid profile email", "prompt": "", "max_age": "0", "disable_auto_login": "true", "ui_locales": "pt-BR en", "login_hint": ""},
		},
		"Discord": {
			Settings{Type: "discord"}, asked, "https://discord.com/api/oauth2/authorize",
			map[string]string{"scope": "identify email", "nonce": "", "prompt": "", "max_age": ""},
		},
		"GitLab": {
			Settings{Type: "gitlab"}, asked, "https://gitlab.com/oauth/authorize",
			map[string]string{"scope": "openid email profile", "prompt": "", "max_age": ""},
		},
		"GitLab of one's own": {
			Settings{Type: "gitlab", Issuer: "https://corp.example/gitlab"}, Trip{}, "https://corp.example/gitlab/oauth/authorize",
			map[string]string{"scope": "openid email profile"},
		},
		"OpenID, asked for a sign-in it can prove": {
			Settings{Type: "oidc", Issuer: "https://corp.example", AuthorizeURL: "https://corp.example/a?brand=us", TokenURL: "https://corp.example/t"}, asked,
			"https://corp.example/a",
			map[string]string{"brand": "us", "prompt": "login", "max_age": "0", "login_hint": "alice@example.com", "ui_locales": "pt-BR en"},
		},
		"OpenID, asked for another account": {
			Settings{Type: "oidc", Issuer: "https://corp.example", AuthorizeURL: "https://corp.example/a", TokenURL: "https://corp.example/t", Scopes: []string{"openid", "groups"}},
			Trip{Prompt: []string{"none", "select_account"}}, "https://corp.example/a",
			map[string]string{"prompt": "select_account", "scope": "openid groups", "max_age": ""},
		},
		"OAuth 2.0 without PKCE": {
			Settings{
				Type: "oauth2", Issuer: "https://old.example", AuthorizeURL: "https://old.example/a", TokenURL: "https://old.example/t",
				UserInfoURL: "https://old.example/u", WithoutPKCE: true,
			}, asked, "https://old.example/a",
			map[string]string{"scope": "", "code_challenge": "", "code_challenge_method": "", "nonce": "", "prompt": "", "login_hint": ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := tc.settings
			s.Name, s.ClientID, s.ClientSecret = "p", ourID, ourSecret
			if s.Type == "apple" {
				_, s.PrivateKeyPEM = pkcs8(t, "ES256")
				s.ClientSecret = ""
			}
			p, err := New(s, fetch.New(fetch.Options{}), time.Now)
			if err != nil || !p.Redirects() {
				t.Fatal(err)
			}
			trip := newTrip()
			trip.Prompt, trip.MaxAge, trip.LoginHint, trip.UILocales = tc.asked.Prompt, tc.asked.MaxAge, tc.asked.LoginHint, tc.asked.UILocales
			address, err := p.AuthorizeURL(t.Context(), trip)
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(address)
			if err != nil || !strings.HasPrefix(address, tc.base+"?") {
				t.Fatalf("%s, %v", address, err)
			}
			want := map[string]string{"response_type": "code", "client_id": ourID, "redirect_uri": ourReturn, "state": trip.State, "code_challenge_method": "S256"}
			if p.givesIDToken() {
				want["nonce"] = trip.Nonce
			}
			for name, value := range tc.want {
				want[name] = value
			}
			for name, value := range want {
				if u.Query().Get(name) != value || len(u.Query()[name]) > 1 {
					t.Errorf("%s = %q, want %q", name, u.Query()[name], value)
				}
			}
			if strings.Contains(address, trip.Verifier) || strings.Contains(address, "secret") {
				t.Errorf("a secret is in %s", address)
			}
		})
	}
}
