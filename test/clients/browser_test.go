package clients_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/countersign/countersign/test/harness"
)

// As the documentation of both libraries has it: discover, send the person away, exchange the code, verify the ID token,
// ask /userinfo, and let a token source refresh.
func TestOAuth2AndGoOIDCSignInInTheBrowser(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		for _, tt := range []struct {
			client, secret, redirect string
			style                    oauth2.AuthStyle
			alg                      string
		}{
			{harness.WebID, harness.WebSecret, webRedirect, oauth2.AuthStyleAutoDetect, oidc.RS256},
			{"post-web", tricky, webRedirect, oauth2.AuthStyleInParams, oidc.RS256},
			{harness.ClientID, "", loopback, oauth2.AuthStyleAutoDetect, oidc.ES256},
		} {
			config := &oauth2.Config{
				ClientID: tt.client, ClientSecret: tt.secret, RedirectURL: tt.redirect, Endpoint: w.provider.Endpoint(),
				Scopes: strings.Fields(todos),
			}
			config.Endpoint.AuthStyle = tt.style
			token, id := w.signIn(t, config, tt.alg)
			info, err := w.provider.UserInfo(w.ctx, config.TokenSource(w.ctx, token))
			if err != nil {
				t.Fatal(err)
			}
			if info.Subject != id.Subject || info.Email != w.Google.PersonNamed("ada").Email {
				t.Errorf("%s: %+v", tt.client, info)
			}
			fresh, err := config.TokenSource(w.ctx, spent(token.RefreshToken)).Token()
			if err != nil {
				t.Fatal(err)
			}
			if fresh.AccessToken == token.AccessToken || !w.Active(fresh.AccessToken) {
				t.Errorf("%s: not refreshed", tt.client)
			}
			public := tt.secret == ""
			if changed := fresh.RefreshToken != token.RefreshToken; changed != public {
				t.Errorf("%s: the refresh token changes: %t", tt.client, changed)
			}
		}
	}, confidential("post-web", "auth_method: client_secret_post, secret_file: "+secretFile(t)))
}

// signIn walks a person through the pages for a client that knows nothing of ours but the issuer.
func (w *world) signIn(t *testing.T, config *oauth2.Config, alg string) (*oauth2.Token, *oidc.IDToken) {
	t.Helper()
	verifier, state, nonce := oauth2.GenerateVerifier(), oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
	q := query(t, w.walk(w.Browser(), config.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier), oidc.Nonce(nonce))).URL)
	if q.Get("state") != state || q.Get("iss") != w.Issuer {
		t.Fatalf("came back with %v", q)
	}
	token, err := config.Exchange(w.ctx, q.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := token.Extra("id_token").(string)
	pinned := oidc.Config{ClientID: config.ClientID, SupportedSigningAlgs: []string{alg}}
	id, err := w.provider.VerifierContext(w.ctx, &pinned).Verify(w.ctx, raw)
	if err != nil {
		t.Fatal(err)
	}
	if id.Nonce != nonce || token.RefreshToken == "" || !w.Active(token.AccessToken) {
		t.Errorf("nonce %q, a refresh token: %t", id.Nonce, token.RefreshToken != "")
	}
	return token, id
}

func TestOAuth2GetsTokensForATV(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		config := oauth2.Config{ClientID: harness.TVID, Endpoint: w.provider.Endpoint(), Scopes: []string{"openid", "offline_access", "todos.read"}}
		config.Endpoint.AuthStyle = oauth2.AuthStyleInParams
		shown, err := config.DeviceAuth(w.ctx)
		if err != nil {
			t.Fatal(err)
		}
		// the person begins once the first poll was answered
		polls := &polls{next: w.http.Transport}
		polls.first = func() { w.agree(shown.VerificationURIComplete) }
		w.http.Transport = polls
		token, err := config.DeviceAccessToken(w.ctx, shown)
		if err != nil {
			t.Fatal(err)
		}
		if len(polls.errors) != 2 || polls.errors[0] != "authorization_pending" || token.RefreshToken == "" || !w.Active(token.AccessToken) {
			t.Errorf("polled %q", polls.errors)
		}
	})
}

// polls hears what each request was answered, and does something after the first.
type polls struct {
	next   http.RoundTripper
	first  func()
	errors []string
}

func (p *polls) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := p.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	var refusal struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(body, &refusal); err != nil {
		return nil, err
	}
	p.errors = append(p.errors, refusal.Error)
	if len(p.errors) == 1 {
		p.first()
	}
	return res, nil
}

// A device that polls every five seconds is heard every five seconds, give or take how long each poll was on its way.
func TestAPollThatWasQuickerOnItsWayIsNotTooSoon(t *testing.T) { // DV02
	onEngines(t, func(t *testing.T, w *world) {
		w.Clock.Freeze()
		began := w.Post("/device_authorization", url.Values{"client_id": {harness.TVID}, "scope": {"openid todos.read"}})
		for _, tt := range []struct {
			after time.Duration
			want  string
		}{
			{5 * time.Second, "authorization_pending"}, {4200 * time.Millisecond, "authorization_pending"},
			{3 * time.Second, "slow_down"}, {9200 * time.Millisecond, "authorization_pending"}, {6 * time.Second, "slow_down"},
		} {
			w.Clock.Step(tt.after)
			a := w.Post("/token", url.Values{
				"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {harness.TVID}, "device_code": {began.String("device_code")},
			})
			if a.Error() != tt.want {
				t.Errorf("after %v: %d %s, want %s", tt.after, a.Status, a.Body, tt.want)
			}
		}
	})
}
