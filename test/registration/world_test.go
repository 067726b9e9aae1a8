// Package registration tests over real sockets the clients that no operator declared: registered over HTTP, managed, named
// by the document at their id, and gone.
package registration

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

const openYAML = `
fetch_allow: [127.0.0.0/8]
registration:
  mode: open
  scopes: [openid, profile, email, offline_access, todos.read]
  resources: [todo-api]
  providers: [corp]
`

// world is a server that lets clients in, and a site where theirs are.
type world struct {
	*harness.World
	site *site
}

func onEngines(t *testing.T, yaml string, test func(*testing.T, *world)) {
	t.Helper()
	t.Parallel()
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		t.Parallel()
		test(t, newWorld(t, e, yaml))
	})
}

func newWorld(t *testing.T, e harness.Engine, yaml string, more ...harness.Option) *world {
	t.Helper()
	w := &world{World: harness.New(t, e, append(more, harness.YAML(yaml))...), site: newSite(t)}
	if err := w.Corp.AddPerson(standin.Person{Username: "ada", Subject: "corp-ada", Email: "ada@corp.example", Name: "Ada Lovelace"}); err != nil {
		t.Fatal(err)
	}
	return w
}

// site serves what clients point at: a real server, whose answers can be set.
type site struct {
	url string

	mu    sync.Mutex
	pages map[string]page
	asked map[string]int
}

type page struct {
	status  int
	body    string
	control string // Cache-Control
	kind    string // Content-Type; empty: JSON
	to      string // Location
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{pages: map[string]page{}, asked: map[string]int{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	p, known := s.pages[r.URL.Path]
	s.asked[r.URL.Path]++
	s.mu.Unlock()
	if !known {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", cmp.Or(p.kind, "application/json"))
	if p.control != "" {
		w.Header().Set("Cache-Control", p.control)
	}
	if p.to != "" {
		w.Header().Set("Location", p.to)
	}
	w.WriteHeader(max(p.status, http.StatusOK))
	_, _ = w.Write([]byte(p.body))
}

// put makes a path answer, and returns its address.
func (s *site) put(path string, p page) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages[path] = p
	return s.url + path
}

func (s *site) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

type members map[string]any

func (m members) with(name string, value any) members {
	out := members{}
	for k, v := range m {
		out[k] = v
	}
	out[name] = value
	return out
}

func (m members) String() string {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(text)
}

const redirect = "https://app.example/cb"

func webApp() members {
	return members{"client_name": "Notes", "redirect_uris": []string{redirect}, "grant_types": []string{"authorization_code", "refresh_token"}}
}

var asJSON = harness.Set("Content-Type", "application/json")

func bearer(token string) func(*http.Request) { return harness.Set("Authorization", "Bearer "+token) }

// post registers.
func (w *world) post(body string, mods ...func(*http.Request)) harness.Answer {
	return w.Do(w.Request("POST", "/register", body, append([]func(*http.Request){asJSON}, mods...)...))
}

// registered registers, and fails the test where that fails.
func (w *world) registered(t *testing.T, m members, mods ...func(*http.Request)) harness.Answer {
	t.Helper()
	a := w.post(m.String(), mods...)
	if a.Status != http.StatusCreated {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	return a
}

// manage asks the client's own endpoint.
func (w *world) manage(method string, client harness.Answer, body string) harness.Answer {
	mods := []func(*http.Request){bearer(client.String("registration_access_token"))}
	if body != "" {
		mods = append(mods, asJSON)
	}
	path := strings.TrimPrefix(client.String("registration_client_uri"), w.Issuer)
	return w.Do(w.Request(method, path, body, mods...))
}

// signIn takes ada through a trip and returns it with its code.
func (w *world) signIn(t *testing.T, client, redirect, scope string, more ...string) (*harness.Trip, string) {
	t.Helper()
	b := w.Browser()
	trip := harness.NewTrip(client, redirect, scope, more...)
	b.Open(trip.Path())
	w.throughPages(b)
	code := trip.Code(b)
	return trip, code
}

// throughPages answers whatever the pages ask.
func (w *world) throughPages(b *harness.Web) {
	for range 5 {
		switch {
		case b.Left != nil:
			return
		case b.Has("provider-corp"):
			b.SignInWith(w.Corp, "corp", "ada")
		case b.Has("consent-form"):
			b.Submit("consent-allow", "action", "allow")
		default:
			return
		}
	}
}

func basicOf(client harness.Answer) func(*http.Request) {
	return harness.Basic(client.String("client_id"), client.String("client_secret"))
}

func wantError(t *testing.T, what string, a harness.Answer, status int, code string) {
	t.Helper()
	if a.Status != status || a.String("error") != code {
		t.Errorf("%s: %d %s, want %d %s", what, a.Status, a.Body, status, code)
	}
	if a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: cacheable", what)
	}
}
