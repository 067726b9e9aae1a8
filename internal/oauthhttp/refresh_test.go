package oauthhttp_test

import (
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/standin"
)

// RT10 RT11 rfc6749-5.2-04 rfc6749-6-03 rfc6749-6-04 rfc9449-5-03 rfc9449-5-04 rfc9700-2.2.2-01
func TestWhoMayRefresh(t *testing.T) {
	h := build(t)
	phone, thief := h.phone(t), h.phone(t)
	bound := phone.signIn(t, "app", "pat")["refresh_token"].(string)
	for _, c := range []struct {
		name   string
		ask    func() answer
		status int
		error  string
	}{
		{"RT11 a bound token without a proof", func() answer { return h.bearerPhone().refresh(t, "app", bound) }, 400, "invalid_dpop_proof"},
		{"RT11 a bound token with a proof by another key", func() answer { return thief.refresh(t, "app", bound) }, 400, "invalid_grant"},
		{"RT10 another client", func() answer { return phone.refresh(t, "modest", bound) }, 400, "invalid_grant"},
		{"an unknown client", func() answer { return phone.refresh(t, "nobody", bound) }, 401, "invalid_client"},
		{"RT09 a changed token", func() answer { return phone.refresh(t, "app", bound[:20]+"x"+bound[21:]) }, 400, "invalid_grant"},
		{"and after all that its own phone", func() answer { return phone.refresh(t, "app", bound) }, 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := c.ask()
			if c.status == 200 && a.StatusCode == 200 {
				return
			}
			if !a.failed(t, c.status, c.error) {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		})
	}
}

// rfc6749-3.2.1-01 rfc6749-6-03 rfc9449-5-05
func TestAConfidentialClientKeepsItsRefreshToken(t *testing.T) {
	h := build(t)
	first, second := h.phone(t), h.phone(t)
	form := signInAs(t, h, "web")
	in := post(t, h.url+"/token", form, append(basic("web", secret), first.proof(t, "POST", "/token", "")...)...).json(t)
	refresh := func(headers ...string) answer {
		return post(t, h.url+"/token", []string{"grant_type", "refresh_token", "refresh_token", in["refresh_token"].(string)}, headers...)
	}
	a := refresh(append(basic("web", secret), second.proof(t, "POST", "/token", "")...)...)
	got := a.json(t)
	if a.StatusCode != 200 || got["refresh_token"] != in["refresh_token"] || got["token_type"] != "DPoP" ||
		claims(t, got["access_token"])["cnf"].(map[string]any)["jkt"] != second.key.JKT() {
		t.Errorf("by another key: %d %s", a.StatusCode, a.body)
	}
	if a := refresh(basic("web", secret)...); a.StatusCode != 200 || a.json(t)["token_type"] != "Bearer" {
		t.Errorf("without a key: %d %s", a.StatusCode, a.body)
	}
	if a := refresh(basic("web", "wrong")...); !a.failed(t, 401, "invalid_client") {
		t.Errorf("with a wrong secret: %d %s", a.StatusCode, a.body)
	}
	named := []string{"grant_type", "refresh_token", "client_id", "web", "refresh_token", in["refresh_token"].(string)}
	if a := post(t, h.url+"/token", named); !a.failed(t, 401, "invalid_client") {
		t.Errorf("without its secret: %d %s", a.StatusCode, a.body)
	}
}

// RT10: a token that its client's secret guarded is not everybody's once the client is registered without one.
func TestAStableTokenIsWorthNothingWithoutTheClientsAuthentication(t *testing.T) {
	h := build(t)
	in := post(t, h.url+"/token", signInAs(t, h, "web"), basic("web", secret)...).json(t)
	catalog := declared()
	for i := range catalog.Clients {
		if c := &catalog.Clients[i]; c.ID == "web" {
			c.Type, c.AuthMethod, c.SecretHash = domain.ClientNative, domain.AuthNone, nil
		}
	}
	h.declare(t, catalog)
	form := []string{"grant_type", "refresh_token", "client_id", "web", "refresh_token", in["refresh_token"].(string)}
	if a := post(t, h.url+"/token", form); !a.failed(t, 400, "unauthorized_client") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	h.declare(t, declared()) // it was a slip
	if a := post(t, h.url+"/token", form, basic("web", secret)...); a.StatusCode != 200 {
		t.Errorf("mended: %d %s", a.StatusCode, a.body)
	}
}

// A resource that was lost from the configuration for a day signs nobody out: what cannot be answered spends nothing.
func TestARefreshThatCannotBeAnsweredSpendsNothing(t *testing.T) {
	for _, tt := range []struct {
		name   string
		key    bool
		more   []string
		remedy []string // what would be answered meanwhile
	}{
		{"bearer", false, nil, []string{"resource", notesAPI}},
		{"bearer, with a scope", false, []string{"scope", "todos.read"}, []string{"scope", "notes.read"}},
		{"bearer, with a resource", false, []string{"resource", todoAPI}, nil},
		{"bound", true, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := build(t)
			phone := h.bearerPhone()
			if tt.key {
				phone = h.phone(t)
			}
			token := phone.signIn(t, "app", "pat", "scope", "openid offline_access todos.read notes.read",
				"resource", todoAPI, "resource", notesAPI)["refresh_token"]
			shrunk := declared()
			shrunk.Clients[0].Resources = []string{"notes-api"}
			h.declare(t, shrunk)
			for range 2 {
				if a := phone.refresh(t, "app", token, tt.more...); !a.failed(t, 400, "invalid_target") {
					t.Fatalf("%d %s", a.StatusCode, a.body)
				}
				if !tt.key {
					h.ahead.Add(int64(25 * time.Hour)) // past the grace of a retry
				}
			}
			if len(tt.remedy) > 0 {
				a := phone.refresh(t, "app", token, tt.remedy...)
				if a.StatusCode != 200 || claims(t, a.json(t)["access_token"])["aud"] != notesAPI {
					t.Fatalf("what is left of the grant: %d %s", a.StatusCode, a.body)
				}
				token = a.json(t)["refresh_token"]
			}
			h.declare(t, declared()) // it was a slip
			a := phone.refresh(t, "app", token)
			if a.StatusCode != 200 || claims(t, a.json(t)["access_token"])["aud"] != todoAPI {
				t.Errorf("mended: %d %s", a.StatusCode, a.body)
			}
		})
	}
}

// A phone whose answer was lost before the slip keeps its retry, and no retry meanwhile is counted as a late one.
func TestARetryThatCannotBeAnsweredCountsForNothing(t *testing.T) {
	h := build(t)
	phone := h.bearerPhone()
	token := phone.signIn(t, "app", "pat", "scope", "openid offline_access todos.read")["refresh_token"]
	successor := phone.refresh(t, "app", token).json(t)["refresh_token"]
	shrunk := declared()
	shrunk.Clients[0].Resources = nil
	h.declare(t, shrunk)
	h.ahead.Add(int64(time.Hour))
	for range 3 {
		if a := phone.refresh(t, "app", token); !a.failed(t, 400, "invalid_target") {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
	}
	account, err := h.db.AccountByIdentity(t.Context(), standin.GoogleIssuer, "pat")
	fatal(t, err)
	list, err := h.db.AccountSessions(t.Context(), account.ID, true)
	fatal(t, err)
	if len(list) != 1 || list[0].Refresh.LateStreak != 0 {
		t.Errorf("%+v", list)
	}
	h.declare(t, declared())
	if a := phone.refresh(t, "app", token); a.StatusCode != 200 || a.json(t)["refresh_token"] != successor {
		t.Errorf("mended: %d %s", a.StatusCode, a.body)
	}
}

// signInAs is a sign-in form of a client that authenticates by a header.
func signInAs(t *testing.T, h *house, client string) []string {
	t.Helper()
	nonce := post(t, h.url+"/challenge", nil, basic(client, secret)...).json(t)["nonce"].(string)
	return h.credentialForm(t, nonce, "pat")
}

func TestTK13TokensOfAnotherIssuerAreWorthNothing(t *testing.T) {
	here, there := build(t), build(t)
	foreign := there.bearerPhone().signIn(t, "app", "pat")
	phone := here.bearerPhone()
	if a := phone.refresh(t, "app", foreign["refresh_token"]); !a.failed(t, 400, "invalid_grant") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if a := get(t, here.url+"/userinfo", "Authorization", "Bearer "+foreign["access_token"].(string)); !a.failed(t, 401, "invalid_token") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	form := phone.signInForm(t, "app", "pat")
	for i := range form {
		if i > 0 && form[i-1] == "nonce" {
			form[i] = there.bearerPhone().challenge(t, "app")
		}
	}
	if a := post(t, here.url+"/token", form); !a.failed(t, 400, "invalid_request") {
		t.Errorf("a nonce of another issuer: %d %s", a.StatusCode, a.body)
	}
}
