package account_test

import (
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// tokens signs somebody in and returns what the phone got.
func (w *world) tokens(t *testing.T, mods ...func(*standin.PhoneConfig)) (*standin.Phone, *standin.Tokens) {
	t.Helper()
	p := w.Phone("phone", mods...)
	got, err := p.SignIn(t.Context(), w.GooglePrompt("ada"))
	if err != nil {
		t.Fatal(err)
	}
	return p, got
}

func (w *world) revoke(clientID, token string, more ...string) harness.Answer {
	w.T.Helper()
	f := url.Values{"client_id": {clientID}, "token": {token}}
	for i := 0; i+1 < len(more); i += 2 {
		f.Set(more[i], more[i+1])
	}
	return w.Post("/revoke", f)
}

// IR01: who may ask about tokens.
func TestIR01WhoMayIntrospect(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		_, got := w.tokens(t)
		form := url.Values{"token": {got.AccessToken}}
		for name, tt := range map[string]struct {
			answer harness.Answer
			status int
		}{
			"nobody":                {w.Post("/introspect", form), 401},
			"a wrong secret":        {w.Introspect(got.AccessToken, harness.ResourceID, "guess"), 401},
			"an unknown resource":   {w.Introspect(got.AccessToken, "nobody", harness.ResourceSecret), 401},
			"another's secret":      {w.Introspect(got.AccessToken, harness.ResourceID, harness.OtherSecret), 401},
			"a client":              {w.Introspect(got.AccessToken, harness.ServiceID, harness.ServiceSecret), 401},
			"the token itself":      {w.Post("/introspect", form, harness.Set("Authorization", "Bearer "+got.AccessToken)), 401},
			"by GET":                {w.Do(w.Request("GET", "/introspect?token=x", "", harness.Basic(harness.ResourceID, harness.ResourceSecret))), 405},
			"the token in an URL":   {w.Post("/introspect?token="+got.AccessToken, url.Values{}, harness.Basic(harness.ResourceID, harness.ResourceSecret)), 400},
			"without a token":       {w.Post("/introspect", url.Values{}, harness.Basic(harness.ResourceID, harness.ResourceSecret)), 400},
			"the operator's key":    {w.Post("/introspect", form, harness.Set("Authorization", "Bearer "+w.APIKey())), 401},
			"the secret in a field": {w.Post("/introspect", url.Values{"token": {"x"}, "client_id": {harness.ResourceID}, "client_secret": {harness.ResourceSecret}}), 401},
		} {
			if tt.answer.Status != tt.status || strings.Contains(string(tt.answer.Body), "active") {
				t.Errorf("%s: %d %s", name, tt.answer.Status, tt.answer.Body)
			}
		}
	})
}

// IR02: what an app server is told, and what not.
func TestIR02WhatIntrospectionTells(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		p, got := w.tokens(t)
		a := w.Introspect(got.AccessToken, harness.ResourceID, harness.ResourceSecret)
		cnf, _ := a.JSON["cnf"].(map[string]any)
		if a.JSON["active"] != true || a.String("aud") != harness.Audience || a.String("client_id") != harness.ClientID ||
			a.String("token_type") != "DPoP" || cnf["jkt"] != p.JKT() || !strings.Contains(a.String("scope"), "todos.read") || strings.Contains(string(a.Body), "@") {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		for name, token := range map[string]string{
			"a refresh token": got.RefreshToken, "an id_token": got.IDToken, "garbage": "garbage", "a huge one": strings.Repeat("a", 30<<10),
			"cut": got.AccessToken[:len(got.AccessToken)-2],
		} {
			if a := w.Introspect(token, harness.ResourceID, harness.ResourceSecret); a.Status != 200 || string(a.Body) != `{"active":false}` {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
		if a := w.Introspect(got.AccessToken, harness.OtherResource, harness.OtherSecret); a.Status != 200 || string(a.Body) != `{"active":false}` {
			t.Errorf("another's token: %d %s", a.Status, a.Body)
		}
		w.Clock.Step(11 * time.Minute)
		if w.Active(got.AccessToken) {
			t.Error("an expired token is active")
		}
	})
}

// rfc7662-4-02: whatever ends the right to a token ends it in the same moment, on every node.
func TestIntrospectionSeesEveryEndAtOnce(t *testing.T) {
	t.Parallel()
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		t.Parallel()
		nodes := map[harness.Engine]int{harness.SQLite: 1, harness.Postgres: 2}[e]
		hw := harness.New(t, e, harness.Nodes(nodes))
		w := &world{World: hw, admin: hw.Admin()}
		ctx := t.Context()
		active := func(token string) bool {
			a := w.Post("/introspect", url.Values{"token": {token}}, harness.Basic(harness.ResourceID, harness.ResourceSecret), harness.At(w.Nodes[nodes-1]))
			return a.JSON["active"] == true
		}
		subject := func(got *standin.Tokens, name string) string {
			claims, err := standin.Claims(got.AccessToken)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := claims[name].(string)
			return text
		}
		for name, end := range map[string]func(*standin.Phone, *standin.Tokens) error{
			"signed out":       func(p *standin.Phone, _ *standin.Tokens) error { return p.SignOut(ctx) },
			"ended by its own": func(p *standin.Phone, got *standin.Tokens) error { return p.EndSession(ctx, subject(got, "sid"), nil) },
			"ended by another": func(_ *standin.Phone, _ *standin.Tokens) error {
				other, _ := w.tokens(t)
				_, err := other.EndOtherSessions(ctx, w.GooglePrompt("ada"))
				return err
			},
			"ended by the operator": func(_ *standin.Phone, got *standin.Tokens) error { return w.admin.EndSession(ctx, subject(got, "sid")) },
			"client disabled":       func(*standin.Phone, *standin.Tokens) error { return w.admin.DisableClient(ctx, harness.ClientID) },
			"account disabled": func(_ *standin.Phone, got *standin.Tokens) error {
				_, err := w.admin.DisableAccount(ctx, subject(got, "sub"))
				return err
			},
		} {
			if _, err := w.admin.EnableAccount(ctx, subject(first(w.tokens(t)), "sub")); err != nil {
				t.Fatal(err)
			}
			p, got := w.tokens(t)
			if !active(got.AccessToken) {
				t.Errorf("%s: inactive before", name)
			}
			if err := end(p, got); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if active(got.AccessToken) {
				t.Errorf("%s: active afterwards", name)
			}
			if _, err := w.admin.EnableAccount(ctx, subject(got, "sub")); err != nil {
				t.Fatal(err)
			}
			if err := w.admin.EnableClient(ctx, harness.ClientID); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func first(_ *standin.Phone, got *standin.Tokens) *standin.Tokens { return got }

// IR04: whose token may be revoked by whom.
func TestIR04WhoRevokesWhat(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		p, got := w.tokens(t)
		for name, a := range map[string]harness.Answer{
			"another client's refresh token": w.revoke(harness.OtherClientID, got.RefreshToken),
			"another client's access token":  w.revoke(harness.OtherClientID, got.AccessToken),
		} {
			if a.Status != 400 || a.Error() != "unauthorized_client" {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
		for name, a := range map[string]harness.Answer{
			"an unknown token":   w.revoke(harness.ClientID, "unknown"),
			"a damaged one":      w.revoke(harness.ClientID, got.RefreshToken[:80]),
			"an unknown kind":    w.revoke(harness.ClientID, "unknown", "token_type_hint", "chocolate"),
			"an id_token":        w.revoke(harness.ClientID, got.IDToken),
			"nothing we know of": w.revoke(harness.ClientID, strings.Repeat("a", 4096)),
		} {
			if a.Status != 200 || len(a.Body) != 0 {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
		if a := w.revoke(harness.WebID, got.RefreshToken); a.Status != 401 {
			t.Errorf("a confidential client without its secret: %d %s", a.Status, a.Body)
		}
		if _, err := p.Refresh(ctx); err != nil {
			t.Fatalf("none of it may change anything: %v", err)
		}
		for name, token := range map[string]func(*standin.Phone, *standin.Tokens) string{
			"the current refresh token": func(p *standin.Phone, _ *standin.Tokens) string { return p.RefreshToken() },
			"an older one":              func(_ *standin.Phone, got *standin.Tokens) string { return got.RefreshToken },
			"an access token":           func(_ *standin.Phone, got *standin.Tokens) string { return got.AccessToken },
		} {
			p, got := w.tokens(t)
			for range 3 {
				if _, err := p.Refresh(ctx); err != nil {
					t.Fatal(err)
				}
			}
			if a := w.revoke(harness.ClientID, token(p, got), "token_type_hint", "wrong"); a.Status != 200 {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
			if _, err := p.Refresh(ctx); !errors.Is(err, standin.ErrSignedOut) || w.Active(got.AccessToken) {
				t.Errorf("%s: the session goes on: %v", name, err)
			}
		}
		t.Run("an expired access token", func(t *testing.T) {
			p, got := w.tokens(t)
			w.Clock.Step(time.Hour)
			if a := w.revoke(harness.ClientID, got.AccessToken); a.Status != 200 {
				t.Errorf("%d %s", a.Status, a.Body)
			}
			if _, err := p.Refresh(ctx); !errors.Is(err, standin.ErrSignedOut) {
				t.Error(err)
			}
		})
	})
}

// IR05: the database errs while revoking.
func TestIR05AStorageErrorIsNeverARevocation(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		p, got := w.tokens(t)
		mend := w.Break()
		for name, token := range map[string]string{"refresh token": got.RefreshToken, "access token": got.AccessToken} {
			if a := w.revoke(harness.ClientID, token); a.Status != 503 || a.Header.Get("Retry-After") == "" {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
		if a := w.Introspect(got.AccessToken, harness.ResourceID, harness.ResourceSecret); a.Status != 503 {
			t.Errorf("introspection: %d %s", a.Status, a.Body)
		}
		mend()
		if _, err := p.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// IR06: no refresh is answered that began after the revocation was, and what was answered during it is dead.
func TestIR06NothingOutlivesARevocation(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		for range 5 {
			p, got := w.tokens(t)
			var (
				all sync.WaitGroup
				mu  sync.Mutex
				won []*standin.Tokens
			)
			for range 10 {
				all.Go(func() {
					a, err := p.Present(t.Context(), got.RefreshToken)
					if err != nil {
						t.Error(err)
						return
					}
					if a.Tokens != nil {
						mu.Lock()
						defer mu.Unlock()
						won = append(won, a.Tokens)
					} else if a.Error != "invalid_grant" {
						t.Errorf("%d %s", a.Status, a.Body)
					}
				})
			}
			if a := w.revoke(harness.ClientID, got.RefreshToken); a.Status != 200 {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			if a, err := p.Present(t.Context(), got.RefreshToken); err != nil || a.Error != "invalid_grant" {
				t.Errorf("%+v, %v", a, err)
			}
			all.Wait()
			for _, tokens := range append(won, got) {
				if a, err := p.Present(t.Context(), tokens.RefreshToken); err != nil || a.Error != "invalid_grant" || w.Active(tokens.AccessToken) {
					t.Errorf("%+v, %v", a, err)
				}
			}
		}
	})
}

// /userinfo tells what the scopes allow, from any live token of a person.
func TestUserInfo(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		ask := func(p *standin.Phone) *standin.Answer {
			t.Helper()
			a, err := p.Call(t.Context(), "GET", w.Issuer+"/userinfo", nil)
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		for _, tt := range []struct{ scope, has, lacks string }{
			{"openid", `"sub":"acc_`, "ada"},
			{"openid email", `"email":"ada@gmail.com","email_verified":true`, "Person"},
			{"openid profile", `"name":"Person ada"`, "gmail"},
			{"openid profile email todos.read", `"email":"ada@gmail.com","email_verified":true,"name":"Person ada"`, "todos"},
		} {
			p, _ := w.tokens(t, harness.As(harness.ClientID, tt.scope+" offline_access"))
			if a := ask(p); a.Status != 200 || !strings.Contains(string(a.Body), tt.has) || strings.Contains(string(a.Body), tt.lacks) {
				t.Errorf("%s: %d %s", tt.scope, a.Status, a.Body)
			}
		}
		p, _ := w.tokens(t, harness.As(harness.ClientID, "offline_access todos.read"))
		if a := ask(p); a.Status != 403 || a.Error != "insufficient_scope" {
			t.Errorf("without openid: %d %s", a.Status, a.Body)
		}
		p, got := w.tokens(t, harness.As(harness.ClientID, "openid offline_access"), harness.Bearer)
		bearer := harness.Set("Authorization", "Bearer "+got.AccessToken)
		if a := w.Do(w.Request("POST", "/userinfo", "", bearer)); a.Status != 200 {
			t.Errorf("by POST: %d %s", a.Status, a.Body)
		}
		if err := p.SignOut(t.Context()); err != nil {
			t.Fatal(err)
		}
		if a := w.Do(w.Request("GET", "/userinfo", "", bearer)); a.Status != 401 || a.Error() != "invalid_token" {
			t.Errorf("after the sign-out: %d %s", a.Status, a.Body)
		}
	})
}
