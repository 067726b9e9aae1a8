package harness

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/standin"
)

// watch passes requests on and fails the test on an answer of the servers that none may get.
type watch struct {
	t       testing.TB
	servers []string // hosts of the issuer and of its alias
	log     *Log
	next    http.RoundTripper
}

func (w *World) watching(next http.RoundTripper) http.RoundTripper {
	return &watch{t: w.T, servers: []string{host(w.Issuer), host(w.Mutual)}, log: w.Log, next: next}
}

func (v *watch) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := v.next.RoundTrip(r)
	if err != nil || !slices.Contains(v.servers, r.URL.Host) && !slices.Contains(v.servers, r.Host) {
		return res, err
	}
	if res.StatusCode == http.StatusInternalServerError {
		v.t.Errorf("%s %s was answered 500", r.Method, r.URL.Path)
	}
	for _, c := range res.Cookies() {
		if _, secret, _ := strings.Cut(c.Value, "."); secret != "" { // id.secret
			v.log.Never(secret)
		} else if c.Value != "" {
			v.log.Never(c.Value)
		}
	}
	public := strings.HasPrefix(r.URL.Path, "/.well-known/") || r.URL.Path == "/jwks" ||
		strings.HasPrefix(r.URL.Path, "/assets/") || strings.HasPrefix(r.URL.Path, "/logo/")
	if !public && !strings.Contains(res.Header.Get("Cache-Control"), "no-store") {
		v.t.Errorf("%s %s was answered %d with Cache-Control %q", r.Method, r.URL.Path, res.StatusCode, res.Header.Get("Cache-Control"))
	}
	return res, nil
}

// Answer is what came back, read to its end.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	JSON   map[string]any // of a JSON object
}

// Error is the OAuth error code, from the body or from WWW-Authenticate.
func (a Answer) Error() string {
	if s, ok := a.JSON["error"].(string); ok {
		return s
	}
	_, rest, _ := strings.Cut(a.Header.Get("WWW-Authenticate"), `error="`)
	code, _, _ := strings.Cut(rest, `"`)
	return code
}

// Description is the OAuth error description.
func (a Answer) Description() string { return a.String("error_description") }

// String is a string member.
func (a Answer) String(name string) string {
	s, _ := a.JSON[name].(string)
	return s
}

// Do sends a request and reads the answer. A broken connection fails the test.
func (w *World) Do(r *http.Request) Answer {
	w.T.Helper()
	return w.DoBy(w.transit, r)
}

// DoBy is Do over a way of the test's own.
func (w *World) DoBy(way *http.Client, r *http.Request) Answer {
	w.T.Helper()
	res, err := way.Do(r)
	if err != nil {
		w.T.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		return Answer{Header: http.Header{}}
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.T.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	a := Answer{Status: res.StatusCode, Header: res.Header, Body: body}
	_ = json.Unmarshal(body, &a.JSON)
	return a
}

// Request makes a request to a path of the issuer; mods change it.
func (w *World) Request(method, path, body string, mods ...func(*http.Request)) *http.Request {
	w.T.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, w.Issuer+path, strings.NewReader(body))
	if err != nil {
		w.T.Fatal(err)
	}
	for _, m := range mods {
		m(r)
	}
	return r
}

// Post sends a form to a path of the issuer.
func (w *World) Post(path string, form url.Values, mods ...func(*http.Request)) Answer {
	w.T.Helper()
	mods = append([]func(*http.Request){Set("Content-Type", "application/x-www-form-urlencoded")}, mods...)
	return w.Do(w.Request(http.MethodPost, path, form.Encode(), mods...))
}

// Set sets a header.
func Set(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// Basic sets HTTP basic authentication as RFC 6749 §2.3.1 wants it.
func Basic(id, secret string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret)) }
}

// At sends the request to a given node instead of the issuer's own address; Host stays the issuer's.
func At(n *Node) func(*http.Request) {
	return func(r *http.Request) {
		r.Host = r.URL.Host
		r.URL.Host = host(n.Public)
	}
}

// Introspect asks as the given resource.
func (w *World) Introspect(token, resource, secret string) Answer {
	w.T.Helper()
	return w.Post("/introspect", url.Values{"token": {token}}, Basic(resource, secret))
}

// Active tells whether introspection by the default resource calls the token active.
func (w *World) Active(token string) bool {
	w.T.Helper()
	a := w.Introspect(token, ResourceID, ResourceSecret)
	if a.Status != http.StatusOK {
		w.T.Errorf("introspection was answered %d %s", a.Status, a.Body)
	}
	active, _ := a.JSON["active"].(bool)
	return active
}

// Refresh presents a refresh token without a proof.
func (w *World) Refresh(clientID, token string, mods ...func(*http.Request)) Answer {
	w.T.Helper()
	return w.Post("/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {clientID}, "refresh_token": {token}}, mods...)
}

// GooglePrompt is the sheet on which a person signs in with Google for the default client.
func (w *World) GooglePrompt(subject string) standin.Prompt {
	return w.Google.Prompt(standin.GoogleAndroid(GoogleWeb, GoogleAndroid, Person(subject)))
}

// ApplePrompt is the same with Apple.
func (w *World) ApplePrompt(subject string) standin.Prompt {
	return w.Apple.Prompt(standin.AppleNative(ClientID, Person(subject)))
}

// Person makes somebody up.
func Person(subject string) standin.Person {
	return standin.Person{Subject: subject, Email: subject + "@gmail.com", Name: "Person " + subject}
}

// Phone makes a phone of the default client with a key; mods change it.
func (w *World) Phone(name string, mods ...func(*standin.PhoneConfig)) *standin.Phone {
	w.T.Helper()
	c := standin.PhoneConfig{
		Name: name, Issuer: w.Issuer, ClientID: ClientID, DeviceName: name, Now: w.Clock.Now,
		Scope: "openid profile email offline_access todos.read account.read account.manage", Resources: []string{Audience, w.Issuer},
	}
	for _, m := range mods {
		m(&c)
	}
	if c.HTTPClient == nil {
		c.HTTPClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	}
	c.HTTPClient.Transport = w.watching(c.HTTPClient.Transport)
	p, err := standin.NewPhone(c)
	if err != nil {
		w.T.Fatal(err)
	}
	return p
}

// As makes it a phone of another client.
func As(clientID, scope string, resources ...string) func(*standin.PhoneConfig) {
	return func(c *standin.PhoneConfig) { c.ClientID, c.Scope, c.Resources = clientID, scope, resources }
}

// Bearer makes it a phone without a key.
func Bearer(c *standin.PhoneConfig) { c.Bearer = true }

// Through lets the phone's traffic go through the world's network.
func (w *World) Through(c *standin.PhoneConfig) { c.HTTPClient = w.Network.Client() }

// SignedIn makes a phone and signs a person in on it.
func (w *World) SignedIn(name, subject string, mods ...func(*standin.PhoneConfig)) *standin.Phone {
	w.T.Helper()
	p := w.Phone(name, mods...)
	if _, err := p.SignIn(context.Background(), w.GooglePrompt(subject)); err != nil {
		w.T.Fatalf("sign in: %v", err)
	}
	return p
}
