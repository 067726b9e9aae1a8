package harness

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/standin"
)

// Web is a person with a browser that runs no script: it keeps cookies, follows redirects within the server, and fills in
// forms. Where the server sends it elsewhere it stops and shows where.
type Web struct {
	T      testing.TB
	world  *World
	client *http.Client

	Status int
	Header http.Header
	At     *url.URL // of the page that is shown
	Page   string
	Left   *url.URL // where it was sent to beyond the server; nil: nowhere
}

// Browser is a new browser.
func (w *World) Browser() *Web {
	w.T.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.T.Fatal(err)
	}
	return &Web{T: w.T, world: w, client: &http.Client{
		Jar: jar, Transport: w.watching(w.way()),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Open goes to a path of the server, or to an address.
func (b *Web) Open(to string) *Web {
	b.T.Helper()
	if strings.HasPrefix(to, "/") {
		to = b.world.Issuer + to
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, to, http.NoBody)
	if err != nil {
		b.T.Fatal(err)
	}
	return b.Send(r)
}

// Post sends a form to a path as a page of the server would.
func (b *Web) Post(path string, form url.Values) *Web {
	b.T.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, b.world.Issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.T.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.Send(r)
}

// Send sends a request and follows where it leads, as far as that is the server.
func (b *Web) Send(r *http.Request) *Web {
	b.T.Helper()
	b.Left = nil
	for range 10 {
		res, err := b.client.Do(r)
		if err != nil {
			b.T.Fatalf("%s %s: %v", r.Method, r.URL, err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil {
			b.T.Fatal(err)
		}
		b.Status, b.Header, b.Page, b.At = res.StatusCode, res.Header, string(body), r.URL
		location := res.Header.Get("Location")
		if location == "" {
			return b
		}
		if res.StatusCode != http.StatusSeeOther {
			b.T.Errorf("%s %s redirects with %d: only 303 makes a POST a GET everywhere (RFC 9700 §4.12)", r.Method, r.URL.Path, res.StatusCode)
		}
		to, err := r.URL.Parse(location)
		if err != nil {
			b.T.Fatalf("Location %q: %v", location, err)
		}
		if to.Scheme+"://"+to.Host != b.world.Issuer {
			b.Left = to
			return b
		}
		if r, err = http.NewRequestWithContext(context.Background(), http.MethodGet, to.String(), http.NoBody); err != nil {
			b.T.Fatal(err)
		}
	}
	b.T.Fatalf("redirects without end, at %s", b.At)
	return b
}

var (
	formTag   = regexp.MustCompile(`(?s)<form([^>]*)>(.*?)</form>`)
	inputTag  = regexp.MustCompile(`<input([^>]*)>`)
	attribute = regexp.MustCompile(`([a-z-]+)="([^"]*)"`)
)

func attributes(tag string) map[string]string {
	list := map[string]string{}
	for _, m := range attribute.FindAllStringSubmatch(tag, -1) {
		list[m[1]] = html.UnescapeString(m[2])
	}
	if strings.Contains(tag, " checked") {
		list["checked"] = "yes"
	}
	return list
}

// Form reads the form that holds an element with this id, or has it: where it goes, and what its fields are filled with.
func (b *Web) Form(id string) (action string, fields url.Values) {
	b.T.Helper()
	for _, m := range formTag.FindAllStringSubmatch(b.Page, -1) {
		if !strings.Contains(m[0], `id="`+id+`"`) {
			continue
		}
		fields = url.Values{}
		for _, in := range inputTag.FindAllStringSubmatch(m[2], -1) {
			a := attributes(in[1])
			if a["name"] == "" || (a["type"] == "checkbox" && a["checked"] == "") {
				continue
			}
			fields.Add(a["name"], a["value"])
		}
		return attributes(m[1])["action"], fields
	}
	b.T.Fatalf("no form with %q on the page at %s (%d):\n%s", id, b.At, b.Status, b.Page)
	return "", nil
}

// Submit sends the form that holds the element with this id, with some fields filled in otherwise.
func (b *Web) Submit(id string, with ...string) *Web {
	b.T.Helper()
	action, fields := b.Form(id)
	for i := 0; i+1 < len(with); i += 2 {
		fields.Set(with[i], with[i+1])
	}
	return b.Post(action, fields)
}

// Has tells whether the page has an element with this id.
func (b *Web) Has(id string) bool { return strings.Contains(b.Page, `id="`+id+`"`) }

// Want fails the test unless the page has an element with this id.
func (b *Web) Want(id string) *Web {
	b.T.Helper()
	if !b.Has(id) {
		b.T.Fatalf("no %q on the page at %s (%d, left for %v):\n%s", id, b.At, b.Status, b.Left, b.Page)
	}
	return b
}

// SignInWith presses a provider's button and signs in there.
func (b *Web) SignInWith(p *standin.Provider, name, username string) *Web {
	b.T.Helper()
	b.Want("provider-" + name).Submit("provider-" + name)
	if b.Left == nil {
		b.T.Fatalf("%s's button leads nowhere: %d at %s\n%s", name, b.Status, b.At, b.Page)
	}
	back, err := p.SignInAt(context.Background(), nil, b.Left.String(), username)
	if err != nil {
		b.T.Fatal(err)
	}
	answer, err := standin.ReadCallback(back)
	if err != nil {
		b.T.Fatal(err)
	}
	for _, name := range []string{"code", "state"} {
		if answer.Get(name) != "" {
			b.world.Log.Never(answer.Get(name))
		}
	}
	return b.Send(back)
}

// Trip is one authorization request with what its client keeps to itself.
type Trip struct {
	Client, RedirectURI, State, Nonce, Verifier string
	Query                                       url.Values
}

// NewTrip makes an authorization request; more are further parameters, name and value by turns; an empty value leaves one
// out.
func NewTrip(client, redirect, scope string, more ...string) *Trip {
	t := &Trip{Client: client, RedirectURI: redirect, State: "state-" + text(), Nonce: "nonce-" + text(), Verifier: text() + text()}
	t.Query = url.Values{
		"response_type": {"code"}, "client_id": {client}, "redirect_uri": {redirect}, "scope": {scope}, "state": {t.State},
		"nonce": {t.Nonce}, "code_challenge": {oauth.Challenge(t.Verifier)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i+1 < len(more); i += 2 {
		t.Query.Del(more[i])
		if more[i+1] != "" {
			t.Query.Set(more[i], more[i+1])
		}
	}
	return t
}

// Path is where the browser goes.
func (t *Trip) Path() string { return "/authorize?" + t.Query.Encode() }

// Code reads the response the browser carries back, and fails the test unless it is a code of ours for this very trip.
func (t *Trip) Code(b *Web) string {
	b.T.Helper()
	q := t.Response(b)
	if q.Get("code") == "" {
		b.T.Fatalf("no code: %v", q)
	}
	return q.Get("code")
}

// Response reads what the client is told, and holds state and iss against what they must be (RFC 9207 §2).
func (t *Trip) Response(b *Web) url.Values {
	b.T.Helper()
	if b.Left == nil {
		b.T.Fatalf("the browser was not sent back: %d at %s\n%s", b.Status, b.At, b.Page)
	}
	if !strings.HasPrefix(b.Left.String(), t.RedirectURI) {
		b.T.Fatalf("sent to %s, not to %s", b.Left, t.RedirectURI)
	}
	q := b.Left.Query()
	if q.Get("state") != t.Query.Get("state") || q.Get("iss") != b.world.Issuer {
		b.T.Fatalf("state %q, iss %q", q.Get("state"), q.Get("iss"))
	}
	return q
}

// Redeem is the token request of the trip.
func (t *Trip) Redeem(code string, more ...string) url.Values {
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {t.RedirectURI}, "code_verifier": {t.Verifier},
	}
	for i := 0; i+1 < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return form
}

// text is 192 random bits.
func text() string {
	var b [24]byte
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}
