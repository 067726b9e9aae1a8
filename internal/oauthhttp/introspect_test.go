package oauthhttp_test

import (
	"context"
	"crypto"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/accesstoken"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
)

// IR01 rfc7662-2.1-01 rfc7662-2.1-03 rfc7662-2.3-01
func TestWhoMayIntrospect(t *testing.T) {
	h := build(t)
	token := h.bearerPhone().signIn(t, "app", "pat", "scope", "todos.read")["access_token"].(string)
	form := []string{"token", token}
	for _, c := range []struct {
		name    string
		form    []string
		headers []string
		status  int
		error   string
	}{
		{"nobody", form, nil, 401, "invalid_client"},
		{"a resource without its secret", append([]string{"client_id", "todo-api"}, form...), nil, 401, "invalid_client"},
		{"a wrong secret", form, basic("todo-api", "wrong"), 401, "invalid_client"},
		{"an unknown resource", form, basic("nobody", secret), 401, "invalid_client"},
		{"a client", form, basic("nightly", secret), 401, "invalid_client"},
		{"a resource with its secret in the body", append([]string{"client_id", "todo-api", "client_secret", secret}, form...), nil, 401, "invalid_client"},
		{"the token itself", form, []string{"Authorization", "Bearer " + token}, 401, "invalid_client"},
		{"a resource without a token to ask about", nil, basic("todo-api", secret), 400, "invalid_request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := post(t, h.url+"/introspect", c.form, c.headers...)
			if !a.failed(t, c.status, c.error) || strings.Contains(a.body, "active") ||
				c.status == 401 && a.Header.Get("WWW-Authenticate") != `Basic realm="countersign"` {
				t.Errorf("%d %v %s", a.StatusCode, a.Header, a.body)
			}
			if missing := c.headers == nil && !slices.Contains(c.form, "client_secret"); missing != strings.Contains(a.body, "HTTP Basic") {
				t.Errorf("a developer is not told what is missing: %s", a.body)
			}
		})
	}
}

// IR02 RT18 rfc7662-2.1-02 rfc7662-2.2-01 rfc7662-2.2-02 rfc7662-2.2-03 rfc7662-2.3-02 rfc7662-4-02 rfc7662-4-03 rfc7662-4-07
// rfc7662-5-01 rfc7519-12-01 rfc9449-6.2-01
func TestWhatIntrospectionTells(t *testing.T) {
	h := build(t)
	phone := h.phone(t)
	in := phone.signIn(t, "app", "pat", "scope", "openid email offline_access todos.read")
	t.Run("of a live token of its own", func(t *testing.T) {
		a := h.introspect(t, "todo-api", in["access_token"])
		got := a.json(t)
		if a.StatusCode != 200 || got["active"] != true || got["aud"] != todoAPI || got["token_type"] != "DPoP" ||
			got["cnf"].(map[string]any)["jkt"] != phone.key.JKT() || got["scope"] != "openid email offline_access todos.read" {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
		if strings.Contains(a.body, "pat") {
			t.Errorf("who the person is at the provider: %s", a.body)
		}
	})
	ended := phone.signIn(t, "app", "pat", "scope", "todos.read")
	h.revoke(t, "app", ended["access_token"])
	for name, ask := range map[string]func() answer{
		"of another's token": func() answer { return h.introspect(t, "notes-api", in["access_token"]) },
		"of a refresh token": func() answer { return h.introspect(t, "todo-api", in["refresh_token"]) },
		"of an id_token":     func() answer { return h.introspect(t, "todo-api", in["id_token"]) },
		"of garbage":         func() answer { return h.introspect(t, "todo-api", "garbage") },
		"of what is no text": func() answer {
			return h.introspect(t, "todo-api", "\x00\xff"+in["access_token"].(string)+"\x00\r\n")
		},
		"of a forged token":     func() answer { return h.introspect(t, "todo-api", flipped(in["access_token"].(string))) },
		"of an ended session's": func() answer { return h.introspect(t, "todo-api", ended["access_token"]) },
		"whatever the hint": func() answer {
			return post(t, h.url+"/introspect", []string{"token", "garbage", "token_type_hint", "chocolate"}, basic("todo-api", secret)...)
		},
	} {
		t.Run("nothing "+name, func(t *testing.T) {
			if a := ask(); a.StatusCode != 200 || a.body != `{"active":false}` || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		})
	}
	t.Run("nothing of an expired token", func(t *testing.T) { // rfc7662-4-01
		h.ahead.Store(int64(11 * time.Minute))
		defer h.ahead.Store(0)
		if a := h.introspect(t, "todo-api", in["access_token"]); a.body != `{"active":false}` {
			t.Error(a.body)
		}
	})
	t.Run("a hint does not matter", func(t *testing.T) {
		a := post(t, h.url+"/introspect", []string{"token", in["access_token"].(string), "token_type_hint", "refresh_token"}, basic("todo-api", secret)...)
		if a.json(t)["active"] != true {
			t.Error(a.body)
		}
	})
}

// rfc9701-4-01 rfc9701-5-01 rfc9701-5-02 rfc9701-5-03 rfc9701-5-05 rfc9701-6-01 rfc9701-6-02 fapi2-ms-5.5.1-01
func TestAnAppServerThatAsksForItGetsASignedAnswer(t *testing.T) {
	h := build(t)
	c := declared()
	c.Resources[1].IntrospectionAlg = domain.RS256
	h.declare(t, c)
	phone := h.phone(t)
	in := phone.signIn(t, "app", "pat", "scope", "openid offline_access todos.read")
	notes := phone.signIn(t, "app", "pat", "scope", "notes.read")
	ask := func(resource string, token any, accept string) answer {
		return post(t, h.url+"/introspect", []string{"token", token.(string)}, append(basic(resource, secret), "Accept", accept)...)
	}
	for resource, w := range map[string]struct {
		token any
		alg   jose.Alg
	}{"todo-api": {in["access_token"], jose.ES256}, "notes-api": {notes["access_token"], jose.RS256}} {
		before := time.Now().Unix()
		a := ask(resource, w.token, "application/token-introspection+jwt")
		if a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/token-introspection+jwt" || a.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %v %s", a.StatusCode, a.Header, a.body)
		}
		h.published(t, a.body, w.alg, "token-introspection+jwt")
		got, plain := claims(t, a.body), ask(resource, w.token, "").json(t)
		if diff := cmp.Diff(plain, got["token_introspection"]); diff != "" || plain["active"] != true {
			t.Errorf("signed and unsigned differ: %s", diff)
		}
		if got["iss"] != h.url || got["aud"] != resource || got["iat"].(float64) < float64(before) || len(got) != 4 {
			t.Errorf("%v", got) // 4: no sub, no exp, nothing of a token's
		}
	}
	for name, token := range map[string]any{"another's": notes["access_token"], "garbage": "garbage", "a refresh token": in["refresh_token"]} {
		a := ask("todo-api", token, "application/token-introspection+jwt")
		if diff := cmp.Diff(map[string]any{"active": false}, claims(t, a.body)["token_introspection"]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if a := ask("todo-api", in["access_token"], "application/token-introspection+jwt;q=0.5, application/json"); a.json(t)["active"] != true {
		t.Errorf("who likes JSON better gets it: %s", a.body)
	}
	refused := post(t, h.url+"/introspect", []string{"token", "x", "client_id", "app"}, "Accept", "application/token-introspection+jwt")
	if !refused.failed(t, 401, "invalid_client") {
		t.Errorf("an error is JSON: %d %s", refused.StatusCode, refused.body)
	}
}

// published verifies a signature of ours with the keys everybody sees.
func (h *house) published(t *testing.T, token string, alg jose.Alg, typ string) {
	t.Helper()
	keys, err := jose.ParseSet([]byte(get(t, h.url+"/jwks").body))
	fatal(t, err)
	_, _, err = jose.Verify(t.Context(), token, jose.Policy{Algs: []jose.Alg{alg}, Typ: typ}, func(_ context.Context, j jose.Header) (crypto.PublicKey, error) {
		i := slices.IndexFunc(keys, func(k jose.PublicKey) bool { return k.Kid == j.Kid && k.Fits(j.Alg) })
		if i < 0 {
			return nil, errors.New("no such key is published")
		}
		return keys[i].Key, nil
	})
	fatal(t, err)
}

// IR04 IR06 rfc7009-2-01 rfc7009-2-02 rfc7009-2.1-01 rfc7009-2.1-02 rfc7009-2.1-03 rfc7009-2.1-04 rfc7009-2.1-06 rfc7009-2.1-07
// rfc7009-2.2-01 rfc7009-2.2-02 rfc7009-2.2.1-02
func TestRevocation(t *testing.T) {
	h := build(t)
	fresh := func(t *testing.T) (*device, map[string]any) {
		phone := h.phone(t)
		in := phone.signIn(t, "app", "pat", "scope", "openid offline_access todos.read")
		return phone, in
	}
	over := func(t *testing.T, phone *device, refreshToken, accessToken any) {
		t.Helper()
		if a := phone.refresh(t, "app", refreshToken); !a.failed(t, 400, "invalid_grant") {
			t.Errorf("refresh after revocation: %d %s", a.StatusCode, a.body)
		}
		if a := h.introspect(t, "todo-api", accessToken); a.body != `{"active":false}` {
			t.Errorf("introspection after revocation: %s", a.body)
		}
	}
	t.Run("by the refresh token", func(t *testing.T) {
		phone, in := fresh(t)
		if a := h.revoke(t, "app", in["refresh_token"]); a.StatusCode != 200 || a.body != "" {
			t.Errorf("%d %q", a.StatusCode, a.body)
		}
		over(t, phone, in["refresh_token"], in["access_token"])
		if a := h.revoke(t, "app", in["refresh_token"]); a.StatusCode != 200 {
			t.Errorf("again: %d %s", a.StatusCode, a.body)
		}
	})
	t.Run("by the access token", func(t *testing.T) {
		phone, in := fresh(t)
		if a := h.revoke(t, "app", in["access_token"]); a.StatusCode != 200 {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
		over(t, phone, in["refresh_token"], in["access_token"])
	})
	t.Run("by an older refresh token, with a wrong hint", func(t *testing.T) {
		phone, in := fresh(t)
		current := phone.refresh(t, "app", in["refresh_token"]).json(t)
		current = phone.refresh(t, "app", current["refresh_token"]).json(t)
		a := post(t, h.url+"/revoke", []string{"client_id", "app", "token", in["refresh_token"].(string), "token_type_hint", "access_token"})
		if a.StatusCode != 200 {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
		over(t, phone, current["refresh_token"], current["access_token"])
	})
	t.Run("by another client changes nothing", func(t *testing.T) {
		phone, in := fresh(t)
		for _, token := range []any{in["refresh_token"], in["access_token"]} {
			if a := h.revoke(t, "modest", token); !a.failed(t, 400, "unauthorized_client") {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		}
		if a := phone.refresh(t, "app", in["refresh_token"]); a.StatusCode != 200 {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	})
	t.Run("of an unknown token is no error", func(t *testing.T) {
		for _, hint := range []string{"", "refresh_token", "chocolate"} {
			a := post(t, h.url+"/revoke", []string{"client_id", "app", "token", "unknown", "token_type_hint", hint})
			if a.StatusCode != 200 {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		}
	})
	t.Run("of what is no text is no error", func(t *testing.T) {
		if a := h.revoke(t, "app", "\x00\xff\r\n"); a.StatusCode != 200 || a.body != "" {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	})
	t.Run("of nothing is one", func(t *testing.T) {
		if a := post(t, h.url+"/revoke", []string{"client_id", "app"}); !a.failed(t, 400, "invalid_request") {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	})
	t.Run("of a service's token is refused, for it would be untrue", func(t *testing.T) {
		token := h.service(t, "nightly").json(t)["access_token"].(string)
		a := post(t, h.url+"/revoke", []string{"token", token}, basic("nightly", secret)...)
		if !a.failed(t, 400, "unsupported_token_type") {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
		if still := h.introspect(t, "todo-api", token); still.json(t)["active"] != true {
			t.Error(still.body)
		}
	})
	t.Run("a confidential client authenticates first", func(t *testing.T) {
		if a := h.revoke(t, "web", "x"); !a.failed(t, 401, "invalid_client") {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	})
}

// IR06 rfc7009-2.1-05
func TestARefreshUnderWayDoesNotOutliveARevocation(t *testing.T) {
	h := build(t)
	phone := h.phone(t)
	in := phone.signIn(t, "app", "pat")
	var underWay sync.WaitGroup
	var won sync.Map // refresh tokens that were answered while the revocation was on its way
	for range 8 {
		underWay.Go(func() {
			if a := phone.refresh(t, "app", in["refresh_token"]); a.StatusCode == 200 {
				won.Store(a.json(t)["refresh_token"], true)
			}
		})
	}
	if a := h.revoke(t, "app", in["refresh_token"]); a.StatusCode != 200 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	begunAfter := phone.refresh(t, "app", in["refresh_token"])
	underWay.Wait()
	if !begunAfter.failed(t, 400, "invalid_grant") {
		t.Errorf("%d %s", begunAfter.StatusCode, begunAfter.body)
	}
	won.Range(func(token, _ any) bool {
		if a := phone.refresh(t, "app", token); !a.failed(t, 400, "invalid_grant") {
			t.Errorf("what it brought still works: %d %s", a.StatusCode, a.body)
		}
		return true
	})
}

// KL06 rfc7517-4.1-01 rfc7517-4.2-01 rfc7517-4.3-01 rfc7517-4.5-01 rfc7517-5-01 rfc7517-8.5-01 rfc7517-9.2-01 rfc8414-2-05
func TestThePublishedKeysVerifyOurTokensAndSayNothingElse(t *testing.T) {
	h := build(t)
	a := get(t, get(t, h.url+"/.well-known/oauth-authorization-server").json(t)["jwks_uri"].(string))
	if a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/jwk-set+json" || a.Header.Get("Cache-Control") != "public, max-age=300" {
		t.Fatalf("%d %v", a.StatusCode, a.Header)
	}
	public := strings.Fields("kty kid alg use crv x y n e")
	kids := map[any]bool{}
	for _, key := range a.json(t)["keys"].([]any) {
		members := key.(map[string]any)
		for name := range members {
			if !slices.Contains(public, name) {
				t.Errorf("member %s is published", name)
			}
		}
		if members["kty"] == nil || members["use"] != "sig" || members["alg"] == nil || members["kid"] == nil || kids[members["kid"]] {
			t.Errorf("%v", members)
		}
		kids[members["kid"]] = true
	}
	if again := get(t, h.url+"/jwks", "If-None-Match", a.Header.Get("ETag")); again.StatusCode != 304 {
		t.Errorf("a second time: %d", again.StatusCode)
	}

	set, err := jose.ParseSet([]byte(a.body))
	fatal(t, err)
	checker := &accesstoken.Checker{Issuer: h.url, Audience: []string{todoAPI}, Keys: func(_ context.Context, kid string, alg jose.Alg) (crypto.PublicKey, error) {
		for _, k := range set {
			if k.Kid == kid && k.Alg == alg {
				return k.Key, nil
			}
		}
		return nil, jose.ErrToken
	}}
	token := h.service(t, "nightly").json(t)["access_token"].(string)
	if _, err := checker.Check(context.Background(), token, h.db.Now()); err != nil {
		t.Error(err)
	}
}
