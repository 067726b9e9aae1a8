package oauthhttp_test

import (
	"context"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/domain"
)

func TestAServiceAsksForItself(t *testing.T) { // TK12 rfc6749-4.4.2-01 rfc6749-4.4.3-01 rfc9700-2.6-02
	h := build(t)
	a := h.service(t, "nightly")
	got := a.json(t)
	if a.StatusCode != 200 || got["token_type"] != "Bearer" || got["scope"] != "todos.read todos.write" {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	for _, member := range []string{"refresh_token", "id_token", "issued_token_type"} {
		if _, there := got[member]; there {
			t.Errorf("%s in %s", member, a.body)
		}
	}
	if c := claims(t, got["access_token"]); c["sub"] != "nightly" || c["client_id"] != "nightly" || c["aud"] != todoAPI || c["sid"] != nil {
		t.Errorf("%v", c)
	}
	for _, c := range []struct {
		name string
		ask  func() answer
		want string
		code int
	}{
		{"offline_access", func() answer { return h.service(t, "nightly", "scope", "todos.read offline_access") }, "invalid_scope", 400},
		{"openid", func() answer { return h.service(t, "nightly", "scope", "openid") }, "invalid_scope", 400},
		{"the account API", func() answer { return h.service(t, "nightly", "resource", h.url) }, "invalid_target", 400},
		{"by a web client", func() answer { return h.service(t, "web") }, "unauthorized_client", 400},
		{"by a public client", func() answer {
			return post(t, h.url+"/token", []string{"grant_type", "client_credentials", "client_id", "app"})
		}, "unauthorized_client", 400},
		{"without its secret", func() answer {
			return post(t, h.url+"/token", []string{"grant_type", "client_credentials", "client_id", "nightly"})
		}, "invalid_client", 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			if a := c.ask(); !a.failed(t, c.code, c.want) {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		})
	}
}

func TestADisabledServiceGetsNothingAnyMore(t *testing.T) { // RT15
	h := build(t)
	fatal(t, h.db.SetClientDisabled(context.Background(), "nightly", true, domain.Event{At: h.db.Now(), Action: "client.disable"}))
	if a := h.service(t, "nightly"); !a.failed(t, 401, "invalid_client") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

// Another node's file withdrew everything. What this node says before it hears of it is what it says after.
func TestAWithdrawnClientIsUnknownAtOnce(t *testing.T) { // RT15 rfc6749-5.2-03
	h := build(t)
	phone := h.phone(t)
	in := phone.signIn(t, "app", "pat")
	form := phone.signInForm(t, "app", "pat")
	withdrawn, known := &domain.Catalog{Version: 99}, h.catalog.Load()
	fatal(t, h.db.PutCatalog(context.Background(), domain.Catalog{}))
	for name, ask := range map[string]func() answer{
		"refresh":            func() answer { return phone.refresh(t, "app", in["refresh_token"]) },
		"sign-in":            func() answer { return post(t, h.url+"/token", form, phone.proof(t, "POST", "/token", "")...) },
		"client credentials": func() answer { return h.service(t, "nightly") },
	} {
		h.catalog.Store(known)
		before := ask()
		h.catalog.Store(withdrawn)
		after := ask()
		if !before.failed(t, 401, "invalid_client") || before.body != after.body ||
			before.Header.Get("WWW-Authenticate") != after.Header.Get("WWW-Authenticate") {
			t.Errorf("%s: first %d %s\nthen %d %s", name, before.StatusCode, before.body, after.StatusCode, after.body)
		}
	}
	h.declare(t, declared())
	if a := phone.refresh(t, "app", in["refresh_token"]); a.StatusCode != 200 {
		t.Errorf("declared again: %d %s", a.StatusCode, a.body)
	}
	if a := post(t, h.url+"/token", form, phone.proof(t, "POST", "/token", "")...); a.StatusCode != 200 {
		t.Errorf("the sign-in, declared again: %d %s", a.StatusCode, a.body)
	}
}

// CA02 CA08 CA09 CA10 rfc6749-2.3.1-01 rfc6749-2.3.1-05 rfc6749-3.2.1-01 rfc6749-5.2-03
func TestClientsAuthenticateAtTheTokenEndpoint(t *testing.T) {
	h := build(t)
	form := []string{"grant_type", "client_credentials"}
	with := func(more ...string) []string { return append(append([]string(nil), form...), more...) }
	for _, c := range []struct {
		name    string
		form    []string
		headers []string
		status  int
		error   string
	}{
		{"Basic", form, basic("nightly", secret), 200, ""},
		{"the body", with("client_id", "poster", "client_secret", secret), nil, 200, ""},
		{"CA02 the body for a Basic client", with("client_id", "nightly", "client_secret", secret), nil, 401, "invalid_client"},
		{"CA02 Basic for a body client", form, basic("poster", secret), 401, "invalid_client"},
		{"CA02 a public client with a secret", with("client_id", "app", "client_secret", secret), nil, 401, "invalid_client"},
		{"TK02 a public client with an empty one is told about the grant", with("client_id", "app", "client_secret", ""), nil, 400, "unauthorized_client"},
		{"TK02 Basic and an empty secret beside it", with("client_secret", "", "client_assertion", ""), basic("nightly", secret), 200, ""},
		{"TK02 an empty secret alone proves nothing", with("client_id", "poster", "client_secret", ""), nil, 401, "invalid_client"},
		{"CA02 an assertion", with("client_id", "nightly", "client_assertion", "x"), nil, 401, "invalid_client"},
		{"CA08 both", with("client_id", "nightly", "client_secret", secret), basic("nightly", secret), 400, "invalid_request"},
		{"CA08 two headers", form, append(basic("nightly", secret), basic("nightly", secret)...), 400, "invalid_request"},
		{"CA09 a broken escape", form, []string{"Authorization", "Basic " + "bmlnaHRseTolenp6"}, 401, "invalid_client"},
		{"a token of ours as Authorization", form, []string{"Authorization", "Bearer x"}, 401, "invalid_client"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := post(t, h.url+"/token", c.form, c.headers...)
			if c.status == 200 && a.StatusCode == 200 {
				return
			}
			if !a.failed(t, c.status, c.error) || a.StatusCode == 401 && a.Header.Get("WWW-Authenticate") != `Basic realm="countersign"` {
				t.Errorf("%d %v %s", a.StatusCode, a.Header, a.body)
			}
		})
	}
}

func TestCA10GuessingIsThrottled(t *testing.T) {
	h := build(t)
	guess := func(id string) answer {
		return post(t, h.url+"/token", []string{"grant_type", "client_credentials"}, basic(id, "guess")...)
	}
	for range 20 {
		known, unknown := guess("nightly"), guess("nobody")
		if known.StatusCode != 401 || known.body != unknown.body || unknown.StatusCode != 401 {
			t.Fatalf("%d %s and %d %s", known.StatusCode, known.body, unknown.StatusCode, unknown.body)
		}
	}
	for _, id := range []string{"nightly", "nobody"} {
		if a := guess(id); a.StatusCode != 429 || a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %v", id, a.StatusCode, a.Header)
		}
	}
	if a := h.introspect(t, "todo-api", "x"); a.StatusCode != 200 {
		t.Errorf("others go on: %d", a.StatusCode)
	}
	if strings.Contains(h.log.String(), "guess") {
		t.Error("a guessed secret is in the log")
	}
}

func TestChallenges(t *testing.T) {
	h := build(t)
	jkt := h.phone(t).key.JKT()
	for _, c := range []struct {
		name    string
		form    []string
		headers []string
		status  int
		error   string
	}{
		{"a client", []string{"client_id", "app"}, nil, 200, ""},
		{"and a key", []string{"client_id", "app", "dpop_jkt", jkt}, nil, 200, ""},
		{"to link", []string{"client_id", "app", "purpose", "link"}, nil, 200, ""},
		{"to prove oneself again", []string{"client_id", "app", "purpose", "reauth"}, nil, 200, ""},
		{"for something else", []string{"client_id", "app", "purpose", "world domination"}, nil, 400, "invalid_request"},
		{"a short thumbprint", []string{"client_id", "app", "dpop_jkt", jkt[:42]}, nil, 400, "invalid_request"},
		{"a thumbprint in base64", []string{"client_id", "app", "dpop_jkt", jkt[:42] + "="}, nil, 400, "invalid_request"},
		{"an unknown client", []string{"client_id", "nobody"}, nil, 401, "invalid_client"},
		{"no client", nil, nil, 401, "invalid_client"},
		{"a client without providers", []string{"client_id", "bare"}, nil, 400, "unauthorized_client"},
		{"a confidential client without its secret", []string{"client_id", "web"}, nil, 401, "invalid_client"},
		{"CA10 a confidential client with a wrong one", nil, basic("web", "wrong"), 401, "invalid_client"},
		{"CA02 a confidential client with its own in the body", []string{"client_id", "web", "client_secret", secret}, nil, 401, "invalid_client"},
		{"CA10 an unknown client with a secret", nil, basic("nobody", secret), 401, "invalid_client"},
		{"a confidential client with its secret", nil, basic("web", secret), 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := post(t, h.url+"/challenge", c.form, c.headers...)
			if len(a.Header.Values("DPoP-Nonce")) != 1 || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%v", a.Header)
			}
			if c.status != 200 {
				if !a.failed(t, c.status, c.error) {
					t.Errorf("%d %s", a.StatusCode, a.body)
				}
				return
			}
			if got := a.json(t); a.StatusCode != 200 || got["nonce"] == "" || got["expires_in"] != 600. {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		})
	}
}

// RT15: no person is sent through a provider's pages for a sign-in that will be refused.
func TestAClientThatCannotSignInGetsNoChallenge(t *testing.T) {
	h := build(t)
	ask := func() answer { return post(t, h.url+"/challenge", []string{"client_id", "app"}) }
	change := domain.Event{At: h.db.Now(), Action: "client.disable"}
	fatal(t, h.db.SetClientDisabled(t.Context(), "app", true, change))
	if a := ask(); !a.failed(t, 401, "invalid_client") || !strings.Contains(a.body, "disabled") || strings.Contains(a.body, "nonce") {
		t.Errorf("disabled: %d %s", a.StatusCode, a.body)
	}
	fatal(t, h.db.SetClientDisabled(t.Context(), "app", false, change))
	if a := ask(); a.StatusCode != 200 {
		t.Errorf("enabled again: %d %s", a.StatusCode, a.body)
	}
	fatal(t, h.db.PutCatalog(t.Context(), domain.Catalog{}))
	if a := ask(); !a.failed(t, 401, "invalid_client") || strings.Contains(a.body, "disabled") {
		t.Errorf("withdrawn: %d %s", a.StatusCode, a.body)
	}
}
