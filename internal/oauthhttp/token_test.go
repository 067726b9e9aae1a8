package oauthhttp_test

import (
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/standin"
)

// claims reads what a JWT of ours says; its signature is judged elsewhere.
func claims(t *testing.T, jwt any) map[string]any {
	t.Helper()
	c, err := standin.Claims(jwt.(string))
	fatal(t, err)
	return c
}

// rfc6749-5.1-01 rfc6749-5.1-02 rfc6749-5.1-03 rfc6749-5.1-04 rfc8693-2.1-01 rfc8693-2.2.1-01 rfc8693-2.2.1-02 rfc8693-2.2.1-03
// rfc6749-3.3-01 rfc8693-2.2.1-04 rfc9449-5-02 rfc9449-6.1-01 TK16
func TestANativeSignInOnABoundPhone(t *testing.T) {
	h := build(t)
	phone := h.phone(t)
	a := post(t, h.url+"/token", phone.signInForm(t, "app", "pat", "scope", "openid offline_access todos.read"), phone.proof(t, "POST", "/token", "")...)
	got := a.json(t)
	if a.StatusCode != 200 || got["token_type"] != "DPoP" || got["issued_token_type"] != oauth.TypeAccessToken ||
		got["expires_in"] != 600. || got["scope"] != "openid offline_access todos.read" {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Pragma") != "no-cache" || len(a.Header.Values("DPoP-Nonce")) != 1 {
		t.Errorf("%v", a.Header)
	}
	access := claims(t, got["access_token"])
	if access["aud"] != todoAPI || access["iss"] != h.url || access["client_id"] != "app" ||
		!strings.HasPrefix(access["sub"].(string), "acc_") || !strings.HasPrefix(access["sid"].(string), "ses_") ||
		access["cnf"].(map[string]any)["jkt"] != phone.key.JKT() {
		t.Errorf("access token %v", access)
	}
	if id := claims(t, got["id_token"]); id["aud"] != "app" || id["sub"] != access["sub"] || id["sid"] != access["sid"] {
		t.Errorf("id token %v", id)
	}
	if refresh, _ := got["refresh_token"].(string); len(refresh) != 88 || strings.Contains(h.log.String(), refresh) {
		t.Errorf("refresh token %q, or it is in the log", refresh)
	}
}

func TestWhatASignInBringsFollowsItsScope(t *testing.T) {
	h := build(t)
	t.Run("without a key, bearer and shorter", func(t *testing.T) {
		got := h.bearerPhone().signIn(t, "app", "pat")
		if got["token_type"] != "Bearer" || got["expires_in"] != 300. || claims(t, got["access_token"])["cnf"] != nil {
			t.Errorf("%v", got)
		}
	})
	t.Run("without scope, openid offline_access for the issuer", func(t *testing.T) { // rfc6749-3.3-02
		got := h.phone(t).signIn(t, "app", "pat")
		if got["scope"] != "openid offline_access" || claims(t, got["access_token"])["aud"] != h.url || got["id_token"] == nil || got["refresh_token"] == nil {
			t.Errorf("%v", got)
		}
	})
	t.Run("without offline_access, no refresh token", func(t *testing.T) { // rfc9700-4.14.2-01
		got := h.phone(t).signIn(t, "app", "pat", "scope", "openid")
		if _, there := got["refresh_token"]; there {
			t.Errorf("%v", got)
		}
	})
	t.Run("without openid, no id token", func(t *testing.T) {
		got := h.phone(t).signIn(t, "app", "pat", "scope", "todos.read")
		if _, there := got["id_token"]; there || got["scope"] != "todos.read" {
			t.Errorf("%v", got)
		}
	})
	t.Run("two resources: one audience, its scopes", func(t *testing.T) { // rfc9700-2.3-02
		got := h.phone(t).signIn(t, "app", "pat", "scope", "openid todos.read notes.read", "resource", notesAPI, "resource", todoAPI)
		if got["scope"] != "openid notes.read" || claims(t, got["access_token"])["aud"] != notesAPI {
			t.Errorf("%v", got)
		}
	})
}

// TX01 TX02 TX04 rfc8693-2.1-05 rfc8693-2.1-02 rfc8693-2.1-03 rfc8693-2.1-06 rfc8693-2.2.2-01 rfc8693-2.2.2-02 rfc8693-3-01
// rfc9068-5-01
func TestASignInThatIsRefused(t *testing.T) {
	h := build(t)
	phone := h.phone(t)
	ours := phone.signIn(t, "app", "pat")
	set := func(form []string, name, value string) []string {
		out := append([]string(nil), form...)
		for i := 0; i+1 < len(out); i += 2 {
			if out[i] == name {
				out[i+1] = value
				return out
			}
		}
		return append(out, name, value)
	}
	foreign := standin.OpenIDNative("web.example", standin.Person{Subject: "pat"})
	for _, c := range []struct {
		name   string
		change func(form []string, nonce string) []string
		want   string
	}{
		{"TX01 our refresh token as subject", func(f []string, _ string) []string {
			return set(f, "subject_token", ours["refresh_token"].(string))
		}, "invalid_request"},
		{"TX01 our access token as subject", func(f []string, _ string) []string {
			return set(f, "subject_token", ours["access_token"].(string))
		}, "invalid_request"},
		{"TX04 our id_token as subject", func(f []string, _ string) []string { return set(f, "subject_token", ours["id_token"].(string)) }, "invalid_request"},
		{"TX01 an id_token declared as access token", func(f []string, _ string) []string { return set(f, "subject_token_type", oauth.TypeAccessToken) }, "invalid_request"},
		{"TX02 a provider this client does not list", func(f []string, nonce string) []string {
			foreign.Nonce = nonce
			c, err := h.corp.Issue(foreign)
			fatal(t, err)
			return set(f, "subject_token", c.IDToken)
		}, "invalid_request"},
		{"TX02 an audience this client does not list", func(f []string, nonce string) []string {
			c, err := h.google.Issue(standin.TokenRequest{Audience: "other.example", Subject: "pat", Nonce: nonce})
			fatal(t, err)
			return set(f, "subject_token", c.IDToken)
		}, "invalid_request"},
		{"TX01 an expired id_token", func(f []string, nonce string) []string {
			c, err := h.google.Issue(standin.TokenRequest{
				Audience: "web.example", AZP: "android.example", Subject: "pat", Nonce: nonce,
				IssuedAt: time.Now().Add(-2 * time.Hour), ExpiresAt: time.Now().Add(-time.Hour),
			})
			fatal(t, err)
			return set(f, "subject_token", c.IDToken)
		}, "invalid_request"},
		{"TX04 an actor", func(f []string, _ string) []string {
			return set(set(f, "actor_token", "x"), "actor_token_type", oauth.TypeIDToken)
		}, "invalid_request"},
		{"an id_token asked for", func(f []string, _ string) []string { return set(f, "requested_token_type", oauth.TypeIDToken) }, "invalid_request"},
		{"an audience parameter", func(f []string, _ string) []string { return set(f, "audience", todoAPI) }, "invalid_target"},
		{"a foreign resource", func(f []string, _ string) []string { return set(f, "resource", "https://evil.example") }, "invalid_target"},
		{"an unknown scope", func(f []string, _ string) []string { return set(f, "scope", "admin") }, "invalid_scope"},
		{"no nonce", func(f []string, _ string) []string { return set(f, "nonce", "") }, "invalid_request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			form := phone.signInForm(t, "app", "pat")
			a := post(t, h.url+"/token", c.change(form, form[5]), phone.proof(t, "POST", "/token", "")...)
			if !a.failed(t, 400, c.want) || a.json(t)["error_description"] == "" || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		})
	}
}

// TK02: of all parameters, resource and audience alone may come more than once (RFC 8693 §2.1): it is their values that are
// refused, not their number.
func TestTK02ResourceAndAudienceMayRepeat(t *testing.T) {
	h := build(t)
	phone := h.phone(t)
	for _, c := range []struct {
		name string
		more []string
		want string
	}{
		{"audience", []string{"audience", "a", "audience", "b"}, "invalid_target"},
		{"audience, the same twice", []string{"audience", todoAPI, "audience", todoAPI}, "invalid_target"},
		{"resource", []string{"resource", todoAPI, "resource", "https://evil.example"}, "invalid_target"},
		{"and nothing else does", []string{"device_name", "a", "device_name", "b"}, "invalid_request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := post(t, h.url+"/token", phone.signInForm(t, "app", "pat", c.more...), phone.proof(t, "POST", "/token", "")...)
			twice := strings.Contains(a.body, "came twice")
			if !a.failed(t, 400, c.want) || twice != (c.want == "invalid_request") {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		})
	}
}

func TestTX05AChallengeThatNamedAKeyNeedsAProofByThatKey(t *testing.T) {
	h := build(t)
	phone, thief := h.phone(t), h.phone(t)
	form := phone.signInForm(t, "app", "pat")
	if a := post(t, h.url+"/token", form); !a.failed(t, 400, "invalid_dpop_proof") {
		t.Errorf("without a proof: %d %s", a.StatusCode, a.body)
	}
	if a := post(t, h.url+"/token", form, thief.proof(t, "POST", "/token", "")...); !a.failed(t, 400, "invalid_request") {
		t.Errorf("by another key: %d %s", a.StatusCode, a.body)
	}
	if a := post(t, h.url+"/token", form, phone.proof(t, "POST", "/token", "")...); a.StatusCode != 200 {
		t.Errorf("neither burned the nonce: %d %s", a.StatusCode, a.body)
	}
}

// RT13 rfc6749-6-01 rfc6749-6-02 rfc6749-6-05 rfc9700-4.14.2-02
func TestARefreshStaysWithinItsGrant(t *testing.T) {
	h := build(t)
	phone := h.phone(t)
	in := phone.signIn(t, "app", "pat", "scope", "openid offline_access todos.read notes.read", "resource", todoAPI, "resource", notesAPI)
	current := in["refresh_token"]
	for _, c := range []struct {
		name     string
		more     []string
		status   int
		error    string
		scope    string
		audience string
	}{
		{"wider is refused", []string{"scope", "todos.read todos.write"}, 400, "invalid_scope", "", ""},
		{"a foreign resource is refused", []string{"resource", h.url}, 400, "invalid_target", "", ""},
		{"two at once are refused", []string{"resource", todoAPI, "resource", notesAPI}, 400, "invalid_target", "", ""},
		{"narrower", []string{"scope", "todos.read"}, 200, "", "todos.read", todoAPI},
		{"the other resource", []string{"resource", notesAPI}, 200, "", "openid offline_access notes.read", notesAPI},
		{"and all of it again", nil, 200, "", "openid offline_access todos.read", todoAPI},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := phone.refresh(t, "app", current, c.more...)
			if c.status == 400 {
				if !a.failed(t, 400, c.error) {
					t.Fatalf("%d %s", a.StatusCode, a.body)
				}
				return // the token is as good as before: the next line uses it
			}
			got := a.json(t)
			if a.StatusCode != 200 || got["scope"] != c.scope || claims(t, got["access_token"])["aud"] != c.audience || got["refresh_token"] == current {
				t.Fatalf("%d %s", a.StatusCode, a.body)
			}
			if _, there := got["id_token"]; there {
				t.Error("a refresh brought an id_token")
			}
			current = got["refresh_token"]
		})
	}
}

// TK14 and the promise that a bad day of ours signs nobody out.
func TestWhileTheDatabaseIsDownEveryAnswerIs503(t *testing.T) {
	h := build(t)
	phone := h.phone(t)
	in := phone.signIn(t, "app", "pat", "scope", "openid offline_access todos.read")
	form := phone.signInForm(t, "app", "pat")
	fatal(t, h.db.Close())
	proof := func(path string) []string { return phone.proof(t, "POST", path, "") }
	for name, ask := range map[string]func() answer{
		"refresh":            func() answer { return phone.refresh(t, "app", in["refresh_token"]) },
		"narrowed refresh":   func() answer { return phone.refresh(t, "app", in["refresh_token"], "scope", "openid") },
		"sign-in":            func() answer { return post(t, h.url+"/token", form, proof("/token")...) },
		"challenge":          func() answer { return post(t, h.url+"/challenge", []string{"client_id", "app"}) },
		"client_credentials": func() answer { return h.service(t, "nightly") },
		"introspection":      func() answer { return h.introspect(t, "todo-api", in["access_token"]) },
		"IR05 revocation":    func() answer { return h.revoke(t, "app", in["refresh_token"]) },
		"revocation by access token": func() answer {
			return h.revoke(t, "app", in["access_token"])
		},
		"userinfo": func() answer {
			return get(t, h.url+"/userinfo", append([]string{"Authorization", "DPoP " + in["access_token"].(string)},
				phone.proof(t, "GET", "/userinfo", in["access_token"].(string))...)...)
		},
	} {
		t.Run(name, func(t *testing.T) { // rfc7009-2.2.1-01
			a := ask()
			if !a.failed(t, 503, "temporarily_unavailable") || a.Header.Get("Retry-After") == "" || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
			if strings.Contains(strings.ToLower(a.body), "sql") { // KL05
				t.Errorf("%s", a.body)
			}
		})
	}
}

// rfc6749-5.2-01 rfc6749-5.2-02 rfc6749-5.2-05 rfc6749-5.2-06 rfc6749-3.2-04
func TestGrantTypesThatDoNotWork(t *testing.T) {
	h := build(t)
	for _, c := range []struct {
		name string
		form []string
		want string
	}{
		{"none", []string{"client_id", "app"}, "invalid_request"},
		{"unknown", []string{"client_id", "app", "grant_type", "password"}, "unsupported_grant_type"},
		{"a code", []string{"client_id", "app", "grant_type", "authorization_code", "code", "x"}, "unauthorized_client"},
		{"no refresh token", []string{"client_id", "app", "grant_type", "refresh_token"}, "invalid_request"},
		{"an empty refresh token", []string{"client_id", "app", "grant_type", "refresh_token", "refresh_token", ""}, "invalid_request"},
		{"no subject token", []string{"client_id", "app", "grant_type", oauth.GrantTokenExchange}, "invalid_request"},
		{"no providers to sign in with", []string{"client_id", "bare", "grant_type", oauth.GrantTokenExchange}, "unauthorized_client"},
		{"RT18 nonsense as refresh token, unknown parameters aside", []string{"client_id", "app", "grant_type", "refresh_token", "refresh_token", "x", "color", "blue"}, "invalid_grant"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if a := post(t, h.url+"/token", c.form); !a.failed(t, 400, c.want) {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		})
	}
}
