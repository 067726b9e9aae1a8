package resource_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/resource"
)

const audience = "https://api.example.com"

// clock is the time of one test, moved by hand.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Now().Unix())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(c.at.Load(), 0) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d / time.Second)) }

// issuer publishes real keys over a real socket and signs with them.
type issuer struct {
	*httptest.Server
	clock *clock

	mu       sync.Mutex
	signers  []*jose.Signer // the first signs
	cache    string         // Cache-Control of /jwks
	answer   http.HandlerFunc
	inactive bool
	basic    string // what came to /introspect

	fetches atomic.Int32
}

func newIssuer(t testing.TB, c *clock) *issuer {
	t.Helper()
	i := openIssuer(c)
	t.Cleanup(i.Close)
	return i
}

func openIssuer(c *clock) *issuer {
	i := &issuer{clock: c, cache: "max-age=300"}
	i.rotate("k1-es256", jose.ES256)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /jwks", i.jwks)
	mux.HandleFunc("POST /introspect", i.introspect)
	i.Server = httptest.NewServer(mux)
	return i
}

func (i *issuer) jwks(w http.ResponseWriter, r *http.Request) {
	i.fetches.Add(1)
	i.mu.Lock()
	cache, answer := i.cache, i.answer
	i.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	w.Header().Set("Cache-Control", cache)
	_, _ = w.Write(i.published())
}

// published is the set as it is now.
func (i *issuer) published() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	var keys []jose.PublicKey
	for _, s := range i.signers {
		keys = append(keys, s.Public())
	}
	return must(jose.MarshalSet(keys))
}

func (i *issuer) introspect(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	id, secret, _ := r.BasicAuth()
	i.basic = id + ":" + secret
	if i.answer != nil {
		i.answer(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"active": !i.inactive && r.PostFormValue("token") != ""})
}

// answering replaces the answers of the issuer; nil: its own again.
func (i *issuer) answering(h http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = h
}

func (i *issuer) set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

// rotate puts a new key in front; the old ones stay published.
func (i *issuer) rotate(kid string, alg jose.Alg) {
	s := newSigner(kid, alg)
	i.set(func() { i.signers = append([]*jose.Signer{s}, i.signers...) })
}

func (i *issuer) signer() *jose.Signer {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.signers[0]
}

// claims of a good access token with the scope todos.read.
func (i *issuer) claims() map[string]any {
	now := i.clock.now()
	return map[string]any{
		"iss": i.URL, "sub": "acc_AAAAAAAAAAAAAAAAAAAAAA", "aud": audience, "client_id": "com.example.todo",
		"exp": now.Add(10 * time.Minute).Unix(), "iat": now.Unix(), "jti": "AAAAAAAAAAAAAAAAAAAAAA",
		"scope": "openid todos.read", "sid": "ses_AAAAAAAAAAAAAAAAAAAAAA",
	}
}

// token signs a good token, changed by edit.
func (i *issuer) token(edit func(claims map[string]any)) string {
	claims := i.claims()
	if edit != nil {
		edit(claims)
	}
	return sign(i.signer(), "at+jwt", claims)
}

// bound signs a token that is bound to the prover's key.
func (i *issuer) bound(p *dpop.Prover) string {
	return i.token(func(c map[string]any) { c["cnf"] = map[string]string{"jkt": p.JKT()} })
}

func newSigner(kid string, alg jose.Alg) *jose.Signer {
	return must(jose.NewSigner(alg, kid, must(jose.GenerateKey(alg))))
}

func sign(s *jose.Signer, typ string, claims any) string { return must(s.Sign(typ, claims)) }

func newProver() *dpop.Prover { return must(dpop.NewProver()) }

// must is for what fails only where the machine does.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// api is an app server behind the middleware, on a real socket.
type api struct {
	*httptest.Server
	issuer *issuer
	clock  *clock
	*resource.Verifier
}

func newAPI(t testing.TB, edit func(*resource.Config)) *api {
	t.Helper()
	c := newClock()
	a := &api{issuer: newIssuer(t, c), clock: c}
	a.Server = httptest.NewUnstartedServer(nil)
	config := resource.Config{
		Issuer: a.issuer.URL, Audience: audience, BaseURL: "http://" + a.Listener.Addr().String(), Now: c.now,
	}
	if edit != nil {
		edit(&config)
	}
	v, err := resource.New(config)
	if err != nil {
		t.Fatal(err)
	}
	a.Verifier = v
	mux := http.NewServeMux()
	mux.Handle("/todos", v.Middleware("todos.read")(http.HandlerFunc(whoCalls)))
	mux.Handle("/deep/", http.StripPrefix("/deep", v.Middleware()(http.HandlerFunc(whoCalls))))
	mux.Handle("/write", v.Middleware("todos.read", "todos.write")(http.HandlerFunc(whoCalls)))
	a.Config.Handler = mux
	a.Start()
	t.Cleanup(a.Close)
	return a
}

func whoCalls(w http.ResponseWriter, r *http.Request) {
	token, ok := resource.FromContext(r.Context())
	if !ok {
		http.Error(w, "no token in the context", http.StatusInternalServerError)
		return
	}
	body, _ := io.ReadAll(r.Body)
	_, _ = fmt.Fprintf(w, "%s %s %s %s", token.Subject, token.ClientID, strings.Join(token.Scope, ","), body)
}

// answer is what came back.
type answer struct {
	status    int
	header    http.Header
	body      string
	code      string // of the JSON body
	challenge string // all WWW-Authenticate values
}

func (a *api) do(t testing.TB, r *http.Request) answer {
	t.Helper()
	resp, err := a.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := answer{status: resp.StatusCode, header: resp.Header, body: string(body)}
	got.challenge = strings.Join(resp.Header.Values("WWW-Authenticate"), " | ")
	var e struct {
		Error string `json:"error"`
	}
	if resp.StatusCode >= 400 {
		if err := json.Unmarshal(body, &e); err != nil {
			t.Errorf("the body of %d is no JSON: %s", resp.StatusCode, body)
		}
		if cache := resp.Header.Get("Cache-Control"); cache != "no-store" {
			t.Errorf("%d with Cache-Control %q", resp.StatusCode, cache)
		}
	}
	got.code = e.Error
	return got
}

func (a *api) request(t testing.TB, method, path, authorization string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, a.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

func (a *api) get(t testing.TB, authorization string) answer {
	t.Helper()
	return a.do(t, a.request(t, http.MethodGet, "/todos", authorization))
}

// getBound sends a bound token with a proof.
func (a *api) getBound(t testing.TB, token, proof string) answer {
	t.Helper()
	r := a.request(t, http.MethodGet, "/todos", "DPoP "+token)
	r.Header.Set("DPoP", proof)
	return a.do(t, r)
}

func (a *api) proof(t testing.TB, p *dpop.Prover, nonce, token string) string {
	t.Helper()
	proof, err := p.Proof(http.MethodGet, a.URL+"/todos", nonce, token, a.clock.now())
	if err != nil {
		t.Fatal(err)
	}
	return proof
}

func (got answer) want(t testing.TB, status int, code string) {
	t.Helper()
	if got.status != status || got.code != code {
		t.Errorf("got %d %q, want %d %q\n%s\n%s", got.status, got.code, status, code, got.challenge, got.body)
	}
}

// closedAddress is an address at which nobody listens.
func closedAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}
