package upstream

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/jose"
)

// issuer is a real HTTP server with real keys, in the place of a provider.
type issuer struct {
	*httptest.Server
	jwksHits, discoveryHits atomic.Int32

	mu        sync.Mutex
	keys      []jose.PublicKey
	maxAge    int
	misbehave http.HandlerFunc // in the place of /jwks; nil: well-behaved
	discovery string           // in the place of the document
	token     http.HandlerFunc // Apple's /auth/token
}

func newIssuer(t testing.TB, keys ...*jose.Signer) *issuer {
	t.Helper()
	i := &issuer{maxAge: 3600}
	i.publish(keys...)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /jwks", i.serveKeys)
	mux.HandleFunc("GET /.well-known/openid-configuration", i.serveDiscovery)
	mux.HandleFunc("POST /auth/token", func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		h := i.token
		i.mu.Unlock()
		h(w, r)
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) publish(keys ...*jose.Signer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = nil
	for _, k := range keys {
		i.keys = append(i.keys, k.Public())
	}
}

func (i *issuer) set(change func(*issuer)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change(i)
}

func (i *issuer) serveKeys(w http.ResponseWriter, r *http.Request) {
	i.jwksHits.Add(1)
	i.mu.Lock()
	misbehave, maxAge := i.misbehave, i.maxAge
	data, err := jose.MarshalSet(i.keys)
	i.mu.Unlock()
	switch {
	case misbehave != nil:
		misbehave(w, r)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		w.Header().Set("Cache-Control", "public, max-age="+strconv.Itoa(maxAge))
		_, _ = w.Write(data)
	}
}

func (i *issuer) serveDiscovery(w http.ResponseWriter, _ *http.Request) {
	i.discoveryHits.Add(1)
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.discovery != "" {
		_, _ = w.Write([]byte(i.discovery))
		return
	}
	_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, i.URL, i.URL+"/jwks")
}

// clock is set by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Unix(1893456000, 0)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// testKeys are made once: RSA keys are slow to make.
var testKeys = map[string]*jose.Signer{
	"rsa": newSigner(jose.RS256, "rsa"), "rsa2": newSigner(jose.RS256, "rsa2"), "ec": newSigner(jose.ES256, "ec"), "team": newSigner(jose.ES256, "KEY"),
}

func newSigner(alg jose.Alg, kid string) *jose.Signer {
	key, err := jose.GenerateKey(alg)
	if err != nil {
		panic(err)
	}
	s, err := jose.NewSigner(alg, kid, key)
	if err != nil {
		panic(err)
	}
	return s
}

const (
	testAudience = "client-at-the-provider"
	testNonce    = "a nonce of ours"
)

// scene is a provider, the server behind it and a clock.
type scene struct {
	*Provider
	server *issuer
	clock  *clock
}

func newScene(t testing.TB, s Settings, keys ...*jose.Signer) *scene {
	t.Helper()
	server := newIssuer(t, keys...)
	c := newClock()
	if s.Name == "" {
		s.Name = s.Type
	}
	if s.Type == "oidc" && s.Issuer == "" {
		s.Issuer = server.URL
	} else if s.Type != "oidc" {
		s.Standin = server.URL + "/"
	}
	p, err := New(s, fetch.New(fetch.Options{AllowLoopback: true, Timeout: time.Second}), c.now)
	if err != nil {
		t.Fatal(err)
	}
	return &scene{Provider: p, server: server, clock: c}
}

func (s *scene) expect() Expect {
	return Expect{Audiences: []string{testAudience}, Nonce: testNonce, Now: s.clock.now()}
}

// claims is a sound token's content; changes replace members, nil removes one.
func (s *scene) claims(changes map[string]any) map[string]any {
	now := s.clock.now().Unix()
	c := map[string]any{
		"iss": s.issuers[0], "sub": "000123.subject.0456", "aud": testAudience, "nonce": testNonce, "iat": now - 5, "exp": now + 3600,
		"email": "someone@example.com", "email_verified": true, "name": "Some One",
	}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func sign(t testing.TB, key *jose.Signer, claims any) string {
	t.Helper()
	raw, err := key.Sign("", claims)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// mustJSON is for claims a Go map cannot hold.
func mustJSON(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func mustObject(t testing.TB, data string) jose.Claims {
	t.Helper()
	c, err := jose.ParseObject([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
