package standin_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/standin"
)

const (
	webClient = "web.example"
	webSecret = "a secret with +, % and :"
	webReturn = "https://rp.example/callback"
	verifier1 = "a-verifier-of-43-characters-0123456789-abcd"
)

var webKinds = []standin.Kind{standin.Google, standin.Apple, standin.Microsoft, standin.GitHub, standin.Facebook, standin.LINE, standin.Discord, standin.GitLab, standin.OIDC}

// plain are those whose trips end without an id_token.
var plain = []standin.Kind{standin.GitHub, standin.Facebook, standin.Discord}

func newWebProvider(t *testing.T, kind standin.Kind, options ...standin.ProviderOption) *standin.Provider {
	t.Helper()
	p := newProvider(t, kind, options...)
	err := p.Register(standin.Application{ClientID: webClient, Secret: webSecret, RedirectURIs: []string{webReturn}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func authorizePath(p *standin.Provider) string {
	switch p.Kind() {
	case standin.Apple:
		return "/auth/authorize"
	case standin.GitLab:
		return "/oauth/authorize"
	default:
		return "/authorize"
	}
}

// authorizeURL is a sound request; change may spoil it.
func authorizeURL(p *standin.Provider, change func(url.Values)) string {
	q := url.Values{
		"response_type": {"code"}, "client_id": {webClient}, "redirect_uri": {webReturn}, "state": {"the state"}, "nonce": {"the nonce"},
		"scope": {"openid email"}, "code_challenge": {oauth.Challenge(verifier1)}, "code_challenge_method": {"S256"},
	}
	switch p.Kind() {
	case standin.Apple:
		q.Set("scope", "name email")
		q.Set("response_mode", "form_post")
	case standin.GitHub:
		q.Set("scope", "read:user user:email")
	case standin.Google, standin.Microsoft, standin.Facebook, standin.LINE, standin.Discord, standin.GitLab, standin.OIDC:
	}
	if change != nil {
		change(q)
	}
	return p.URL() + authorizePath(p) + "?" + q.Encode()
}

func walk(t *testing.T, p *standin.Provider, browser *http.Client, username string, change func(url.Values)) url.Values {
	t.Helper()
	r, err := p.SignInAt(t.Context(), browser, authorizeURL(p, change), username)
	if err != nil {
		t.Fatal(err)
	}
	q, err := standin.ReadCallback(r)
	if err != nil || q.Get("state") != "the state" {
		t.Fatalf("%v, %v", q, err)
	}
	return q
}

func webRedemption(t *testing.T, p *standin.Provider, code string) (path string, form url.Values) {
	t.Helper()
	form = url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "client_id": {webClient}, "client_secret": {webSecret},
		"redirect_uri": {webReturn}, "code_verifier": {verifier1},
	}
	if p.Kind() == standin.Apple {
		form.Set("client_secret", appleSecret(t, p.AppleKey(), webClient, nil))
		return "/auth/token", form
	}
	if p.Kind() == standin.GitLab {
		return "/oauth/token", form
	}
	return "/token", form
}

func redeem(t *testing.T, p *standin.Provider, code string, change func(url.Values)) (int, map[string]any) {
	t.Helper()
	path, form := webRedemption(t, p, code)
	if change != nil {
		change(form)
	}
	return postForm(t, p.URL()+path, form)
}

func TestAPersonSignsInOnThePageOfEveryProvider(t *testing.T) {
	for _, kind := range webKinds {
		t.Run(string(kind), func(t *testing.T) {
			p := newWebProvider(t, kind)
			back := walk(t, p, nil, "alice", nil)
			if iss := back.Get("iss"); (iss == p.Issuer()) != (kind == standin.OIDC || kind == standin.GitHub) || back.Has("error") {
				t.Errorf("back with %v", back)
			}
			status, answer := redeem(t, p, back.Get("code"), nil)
			if status != http.StatusOK || answer["access_token"] == "" {
				t.Fatalf("%d %v", status, answer)
			}
			if slices.Contains(plain, kind) {
				if _, there := answer["id_token"]; there {
					t.Error("an id_token all the same")
				}
				return
			}
			claims, err := standin.Claims(answer["id_token"].(string))
			if err != nil {
				t.Fatal(err)
			}
			who := p.PersonNamed("alice")
			subject := claims["sub"]
			if kind == standin.Microsoft {
				subject = claims["oid"]
				if claims["tid"] != standin.MicrosoftTenant || claims["sub"] == claims["oid"] || claims["email_verified"] != nil {
					t.Errorf("claims %v", claims)
				}
			} else if kind != standin.LINE { // whose tokens for the web no published key signed
				verifiedClaims(t, p, webClient, answer["id_token"].(string)) // a real client agrees
			}
			_, hasAuthTime := claims["auth_time"]
			if subject != who.Subject || claims["nonce"] != "the nonce" || claims["email"] != "alice@example.com" || claims["iss"] != p.Issuer() ||
				hasAuthTime != (kind == standin.OIDC || kind == standin.Apple || kind == standin.GitLab) {
				t.Errorf("claims %v", claims)
			}
		})
	}
}

func TestACodeIsGoodOnceForItsClientItsRedirectAndItsVerifier(t *testing.T) {
	clock := time.Now()
	for _, kind := range webKinds {
		p := newWebProvider(t, kind, standin.WithClock(func() time.Time { return clock }))
		other := standin.Application{ClientID: "other.example", Secret: "x", RedirectURIs: []string{webReturn}}
		if err := p.Register(other); err != nil {
			t.Fatal(err)
		}
		began := clock
		for name, change := range map[string]func(url.Values){
			"twice":             nil,
			"another redirect":  func(f url.Values) { f.Set("redirect_uri", webReturn+"/") },
			"no redirect":       func(f url.Values) { f.Del("redirect_uri") },
			"another verifier":  func(f url.Values) { f.Set("code_verifier", strings.ToUpper(verifier1)) },
			"no verifier":       func(f url.Values) { f.Del("code_verifier") },
			"a code of nobody":  func(f url.Values) { f.Set("code", "nobody's") },
			"after its time":    func(url.Values) { clock = clock.Add(time.Minute) },
			"by another client": func(f url.Values) { f.Set("client_id", "other.example"); f.Set("client_secret", "x") },
		} {
			clock = began
			code := walk(t, p, nil, "alice", nil).Get("code")
			if name == "by another client" && kind == standin.Apple {
				change = func(f url.Values) {
					f.Set("client_id", "other.example")
					f.Set("client_secret", appleSecret(t, p.AppleKey(), "other.example", nil))
				}
			}
			if change == nil {
				if status, answer := redeem(t, p, code, nil); status != http.StatusOK {
					t.Errorf("%s: %d %v", kind, status, answer)
				}
			}
			status, answer := redeem(t, p, code, change)
			wantStatus, wantError := http.StatusBadRequest, "invalid_grant"
			if kind == standin.GitHub {
				wantStatus, wantError = http.StatusOK, "bad_verification_code"
			}
			said := answer["error"]
			if kind == standin.Facebook {
				wantError = "100"
				said = fmt.Sprint(said.(map[string]any)["code"])
			}
			if status != wantStatus || said != wantError || answer["access_token"] != nil {
				t.Errorf("%s, %s: %d %v", kind, name, status, answer)
			}
		}
		clock = began
	}
}

func TestAClientMustProveWhoItIs(t *testing.T) {
	p := newWebProvider(t, standin.OIDC)
	code := walk(t, p, nil, "alice", nil).Get("code")
	for name, change := range map[string]func(url.Values){
		"another secret": func(f url.Values) { f.Set("client_secret", "x") },
		"no secret":      func(f url.Values) { f.Del("client_secret") },
		"another client": func(f url.Values) { f.Set("client_id", "x") },
	} {
		if status, answer := redeem(t, p, code, change); status != http.StatusUnauthorized || answer["error"] != "invalid_client" {
			t.Errorf("%s: %d %v", name, status, answer)
		}
	}
	_, form := webRedemption(t, p, code)
	form.Del("client_secret")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL()+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(webClient), url.QueryEscape(webSecret))
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("in the header: %d; a refused client must not have burned the code", answer.StatusCode)
	}
}

func TestNobodyIsSentAnywhereButToARegisteredAddress(t *testing.T) {
	p := newWebProvider(t, standin.OIDC)
	for name, change := range map[string]func(url.Values){
		"an unknown client": func(q url.Values) { q.Set("client_id", "x") },
		"another redirect":  func(q url.Values) { q.Set("redirect_uri", webReturn+"/") },
		"no redirect":       func(q url.Values) { q.Del("redirect_uri") },
		"two redirects":     func(q url.Values) { q.Add("redirect_uri", "https://evil.example") },
	} {
		if r, err := p.SignInAt(t.Context(), nil, authorizeURL(p, change), "alice"); err == nil || !strings.Contains(err.Error(), "400") {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
}

func TestARequestThatIsWrongIsToldTheClient(t *testing.T) {
	for name, tc := range map[string]struct {
		kind   standin.Kind
		change func(url.Values)
	}{
		"no code challenge":      {standin.OIDC, func(q url.Values) { q.Del("code_challenge") }},
		"a plain challenge":      {standin.OIDC, func(q url.Values) { q.Set("code_challenge_method", "plain") }},
		"a challenge too short":  {standin.GitHub, func(q url.Values) { q.Set("code_challenge", "short") }},
		"another response type":  {standin.OIDC, func(q url.Values) { q.Set("response_type", "token") }},
		"max_age that is none":   {standin.OIDC, func(q url.Values) { q.Set("max_age", "-1") }},
		"Google without openid":  {standin.Google, func(q url.Values) { q.Set("scope", "email") }},
		"Apple with a query":     {standin.Apple, func(q url.Values) { q.Del("response_mode") }},
		"Google with form_post":  {standin.Google, func(q url.Values) { q.Set("response_mode", "form_post") }},
		"Microsoft sans openid ": {standin.Microsoft, func(q url.Values) { q.Set("scope", "User.Read") }},
	} {
		back := walk(t, newWebProvider(t, tc.kind), nil, "alice", tc.change)
		if back.Get("error") != "invalid_request" || back.Has("code") {
			t.Errorf("%s: %v", name, back)
		}
	}
}

func TestABrowserThatIsKnownPassesUntilAFormIsAskedFor(t *testing.T) {
	clock := time.Now()
	for _, kind := range slices.DeleteFunc(slices.Clone(webKinds), func(k standin.Kind) bool { return k == standin.Facebook }) {
		p := newWebProvider(t, kind, standin.WithClock(func() time.Time { return clock }))
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		browser := &http.Client{Jar: jar}
		whoCame := func(username string, change func(url.Values)) string {
			code := walk(t, p, browser, username, change).Get("code")
			status, answer := redeem(t, p, code, nil)
			if status != http.StatusOK {
				t.Fatalf("%s: %d %v", kind, status, answer)
			}
			path := map[standin.Kind]string{standin.GitHub: "/user", standin.Discord: "/users/@me"}[kind]
			if path == "" {
				claims, err := standin.Claims(answer["id_token"].(string))
				if err != nil {
					t.Fatal(err)
				}
				return strings.TrimSuffix(claims["email"].(string), "@example.com")
			}
			var user struct{ Login, Username string }
			getJSON(t, p.URL()+path, answer["access_token"].(string), &user)
			return user.Login + user.Username
		}
		if back := walk(t, p, browser, "", func(q url.Values) { q.Set("prompt", "none") }); back.Get("error") != "login_required" {
			t.Errorf("%s: prompt=none, nobody known: %v", kind, back)
		}
		for _, visit := range []struct {
			username, want string
			change         func(url.Values)
		}{
			{"alice", "alice", nil},
			{"bob", "alice", nil},
			{"bob", "alice", func(q url.Values) { q.Set("prompt", "none") }},
			{"bob", "bob", func(q url.Values) { q.Set("prompt", "login") }},
			{"carol", "bob", func(q url.Values) { q.Set("max_age", "60") }},
			{"carol", "carol", func(q url.Values) { q.Set("max_age", "0") }},
			{"dan", "dan", func(q url.Values) { q.Set("prompt", "select_account") }},
		} {
			if got := whoCame(visit.username, visit.change); got != visit.want {
				t.Errorf("%s: %s came for %s, want %s", kind, got, visit.username, visit.want)
			}
		}
	}
}

func getJSON(t *testing.T, address, token string, v any) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode == http.StatusOK {
		if err := json.Unmarshal(body, v); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
	}
	return answer.StatusCode
}

func TestGitHubTellsWhoItIsByNumberAndAddressesApart(t *testing.T) {
	p := newWebProvider(t, standin.GitHub)
	if err := p.AddPerson(standin.Person{Username: "octo", Subject: "583231", Email: "octo@corp.example", Name: "Octo Cat"}); err != nil {
		t.Fatal(err)
	}
	_, answer := redeem(t, p, walk(t, p, nil, "octo", nil).Get("code"), nil)
	token := answer["access_token"].(string)
	var user map[string]any
	getJSON(t, p.URL()+"/user", token, &user)
	if user["id"] != 583231.0 || user["login"] != "octo" || user["email"] != nil || user["name"] != "Octo Cat" {
		t.Errorf("user %v", user)
	}
	var emails []struct {
		Email             string
		Primary, Verified bool
	}
	getJSON(t, p.URL()+"/user/emails", token, &emails)
	if len(emails) != 2 || emails[0].Primary || emails[1].Email != "octo@corp.example" || !emails[1].Primary || !emails[1].Verified {
		t.Errorf("emails %v", emails)
	}
	for _, path := range []string{"/user", "/user/emails"} {
		if status := getJSON(t, p.URL()+path, "nobody's", nil); status != http.StatusUnauthorized {
			t.Errorf("%s with a token of nobody: %d", path, status)
		}
	}
	if _, err := p.Issue(standin.OpenIDNative("x", standin.Person{Subject: "7"})); err == nil {
		t.Error("GitHub issued an id_token")
	}
}

func TestARealClientSignsInWithDiscoveryPKCEAndUserInfo(t *testing.T) {
	p := newWebProvider(t, standin.OIDC, standin.WithES256())
	found, err := oidc.NewProvider(t.Context(), p.Issuer())
	if err != nil {
		t.Fatal(err)
	}
	client := oauth2.Config{
		ClientID: webClient, ClientSecret: webSecret, RedirectURL: webReturn, Endpoint: found.Endpoint(), Scopes: []string{"openid", "email"},
	}
	address := client.AuthCodeURL("the state", oauth2.S256ChallengeOption(verifier1), oidc.Nonce("the nonce"))
	r, err := p.SignInAt(t.Context(), nil, address, "alice")
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := client.Exchange(t.Context(), r.URL.Query().Get("code"), oauth2.VerifierOption(verifier1))
	if err != nil {
		t.Fatal(err)
	}
	idToken, err := found.Verifier(&oidc.Config{ClientID: webClient}).Verify(t.Context(), tokens.Extra("id_token").(string))
	if err != nil || idToken.Nonce != "the nonce" || idToken.VerifyAccessToken(tokens.AccessToken) != nil {
		t.Fatalf("%+v, %v", idToken, err)
	}
	who, err := found.UserInfo(t.Context(), oauth2.StaticTokenSource(tokens))
	if err != nil || who.Subject != idToken.Subject || who.Email != "alice@example.com" || !who.EmailVerified {
		t.Errorf("%+v, %v", who, err)
	}
}
