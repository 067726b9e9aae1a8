package faults_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/client"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/resource"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// ahead is how long a signing key is published before it signs, even in haste.
const ahead = 6 * time.Minute

// eventually waits for something that a node does within a second or two.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), promptly)
	defer cancel()
	for !holds() {
		if rest(ctx, 20*time.Millisecond) != nil {
			t.Fatalf("not within %v: %s", promptly, what)
		}
	}
}

// turnKeys lets the next key of every kind take over once both nodes know it, and lets the time pass that may lie before
// that: in the rows, for no clock of a process can be moved. It returns the keys that take over.
func (p *pair) turnKeys(t *testing.T) []client.Key {
	t.Helper()
	var fresh []client.Key
	eventually(t, "a key of every kind is next", func() bool {
		all, err := p.api.Keys(t.Context())
		must(t, err)
		fresh = slices.DeleteFunc(all, func(k client.Key) bool { return k.State != "next" })
		return len(fresh) == 3
	})
	for _, n := range p.nodes {
		eventually(t, n.name+" publishes the next keys", func() bool {
			return !slices.ContainsFunc(fresh, func(k client.Key) bool { return k.Use == "sign" && !n.publishes(t, k.Kid) })
		})
	}
	_, err := p.api.RotateKeys(t.Context(), true)
	must(t, err)
	const passes = `UPDATE keys SET active_at = active_at - CASE WHEN active_at > $1 AND active_at <= $1 + $2 THEN $2::bigint ELSE 0 END,
		retired_at = retired_at - CASE WHEN retired_at > $1 AND retired_at <= $1 + $2 THEN $2::bigint ELSE 0 END`
	p.exec(passes, time.Now().UnixMicro(), ahead.Microseconds())
	return fresh
}

func (n *node) publishes(t *testing.T, kid string) bool {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+n.public+"/jwks", nil)
	must(t, err)
	res, err := direct.Do(r)
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	must(t, err)
	keys, err := jose.ParseSet(body)
	must(t, err)
	for _, k := range keys {
		if k.Kid == kid {
			return true
		}
	}
	return false
}

// RT20
func retryAcrossKeys(t *testing.T, p *pair) {
	a, b := p.nodes[0], p.nodes[1]
	defer p.towards(t, a, b)
	phone, pilot := p.signedIn("slow", p.way.Client()), p.signedIn("pilot", p.way.Client())
	present := func(n *node, token string) string {
		t.Helper()
		p.towards(t, n)
		got, err := phone.Present(t.Context(), token)
		must(t, err)
		if got.Tokens == nil {
			t.Fatalf("%s answered %d %s", n.name, got.Status, got.Body)
		}
		return got.Tokens.RefreshToken
	}
	first := phone.RefreshToken()
	lost := present(a, first)

	var data uint32
	for _, k := range p.turnKeys(t) {
		if k.Use == "data" {
			data = k.ID
		}
	}
	for _, n := range p.nodes {
		eventually(t, n.name+" mints with the new key", func() bool {
			p.towards(t, n)
			tokens, err := pilot.Refresh(t.Context())
			must(t, err)
			minted, _ := parse(tokens.RefreshToken)
			return minted.keyID == data
		})
	}
	for _, n := range []*node{b, a} {
		if present(n, first) != lost {
			t.Errorf("%s brought another successor", n.name)
		}
	}
	next := present(b, lost)
	if minted, _ := parse(next); minted.keyID != data {
		t.Errorf("the next one was minted with key %d, want %d", minted.keyID, data)
	}
	if present(a, lost) != next {
		t.Errorf("%s brought another successor under the new key", a.name)
	}
}

// appServer is a team's own server with package resource in front; clock is its and its phones' time.
func (p *pair) appServer(t *testing.T, clock *harness.Clock) (address string) {
	t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	v, err := resource.New(resource.Config{
		Issuer: p.issuer, Audience: audience, BaseURL: server.URL, HTTPClient: p.way.Client(), Now: clock.Now,
	})
	must(t, err)
	mux.Handle("GET /todos", v.Middleware("todos.read")(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("[]"))
	})))
	return server.URL + "/todos"
}

// KL01
func turnAndDropKeys(t *testing.T, p *pair) {
	clock := &harness.Clock{}
	todos := p.appServer(t, clock)
	var refused, served atomic.Int64
	count := func(e standin.Event) {
		switch {
		case e.Act != standin.Calling || e.What != standin.Answered:
		case e.Status == http.StatusOK:
			served.Add(1)
		default:
			refused.Add(1)
		}
	}
	watched := func(c *standin.PhoneConfig) { c.Observe, c.Now = count, clock.Now }
	phones := []*standin.Phone{
		p.signedIn("load-1", p.way.Client(), watched), p.signedIn("load-2", p.way.Client(), watched),
		p.signedIn("load-3", p.way.Client(), bearer, watched),
	}
	var fresh []client.Key
	under(t, phones, todos, func() {
		fresh = p.turnKeys(t)
		for _, n := range p.nodes {
			eventually(t, n.name+" signs with the new key", func() bool { return n.signsWith(t) == es256(fresh) })
		}
		more := served.Load() + 20
		eventually(t, "the app server serves on", func() bool { return served.Load() > more })
	})
	if refused.Load() > 0 {
		t.Errorf("the app server refused %d of %d requests", refused.Load(), served.Load()+refused.Load())
	}
	p.drop(t, es256(fresh), phones[0], todos, clock)
}

// drop refuses the key that a phone's access token was signed with: at introspection at once, at app servers when
// their copy of the keys is too old.
func (p *pair) drop(t *testing.T, kid string, phone *standin.Phone, todos string, clock *harness.Clock) {
	t.Helper()
	tokens, err := phone.Refresh(t.Context())
	must(t, err)
	if kidOf(t, tokens.AccessToken) != kid {
		t.Fatal("the phone's token is not signed with the key")
	}
	must(t, p.api.DropKey(t.Context(), kid))
	if p.nodes[0].active(t, tokens.AccessToken) {
		t.Error("the node that dropped the key calls a token of it active")
	}
	eventually(t, "the other node calls it inactive", func() bool { return !p.nodes[1].active(t, tokens.AccessToken) })

	clock.Step(keysMaxAge + time.Second)
	before, _ := phone.AccessToken(t.Context(), "")
	a, err := phone.Call(t.Context(), http.MethodGet, todos, nil) // is refused, refreshes and calls again (C26)
	must(t, err)
	after, _ := phone.AccessToken(t.Context(), "")
	if before.AccessToken != tokens.AccessToken || after.AccessToken == tokens.AccessToken {
		t.Error("the app server did not refuse the token of a dropped key")
	}
	if a.Status != http.StatusOK || kidOf(t, after.AccessToken) == kid {
		t.Errorf("the app server answered the next token %d %s", a.Status, a.Body)
	}
}

// keysMaxAge is how long app servers may keep their copy of the keys.
const keysMaxAge = 5 * time.Minute

// signsWith is the kid of the access tokens that a node makes now.
func (n *node) signsWith(t *testing.T) string {
	t.Helper()
	a, err := n.post(t.Context(), "/token", url.Values{"grant_type": {"client_credentials"}}, serviceID, serviceSecret)
	must(t, err)
	return kidOf(t, a.body.AccessToken)
}

func kidOf(t *testing.T, jwt string) string {
	t.Helper()
	first, _, _ := strings.Cut(jwt, ".")
	raw, err := base64.RawURLEncoding.DecodeString(first)
	must(t, err)
	var header struct {
		Kid string `json:"kid"`
	}
	must(t, json.Unmarshal(raw, &header))
	return header.Kid
}

// under lets phones refresh and call an app server, over and over, while something else happens.
func under(t *testing.T, phones []*standin.Phone, url string, do func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer func() { stop(); all.Wait() }()
	for _, phone := range phones {
		all.Go(func() {
			for ctx.Err() == nil {
				if _, err := phone.Refresh(ctx); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				if _, err := phone.Call(ctx, http.MethodGet, url, nil); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	do()
}

func es256(keys []client.Key) (kid string) {
	for _, k := range keys {
		if k.Alg == "ES256" {
			kid = k.Kid
		}
	}
	return kid
}
