// Package chromium tests the browser flows with a real browser: what a person sees, clicks and types, and what only a
// browser does, such as holding a form's redirects to a policy, going back, running scripts or not.
package chromium

import (
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/browser"
	"github.com/countersign/countersign/test/harness"
)

func TestMain(m *testing.M) { browser.Main(m) }

const (
	shop   = "shop"
	every  = "openid profile email offline_access todos.read todos.write"
	modest = "openid offline_access todos.read"
)

const shopYAML = `
  - id: shop
    type: web
    secret_file: ./web.secret
    name: Bluebird Books
    providers: [{name: google}, {name: apple}, {name: corp}, {name: microsoft}, {name: github}]
    email: true
    passkeys: true
    redirect_uris: ["%[1]s/cb", "%[2]s/hop"]
    post_logout_redirect_uris: ["%[1]s/bye"]
    client_uri: https://bluebird.example
    policy_uri: https://bluebird.example/privacy
    tos_uri: https://bluebird.example/terms
    resources: [todo-api, mail-api]
    scopes: [openid, profile, email, offline_access, todos.read, todos.write, mail.read]
`

// site is a world with an app of its own: a server that browsers can reach, on another host than the issuer's.
type site struct {
	*harness.World
	app, other string // the app's two origins: two hosts, two ports
}

func newSite(t *testing.T) *site {
	t.Helper()
	other := httptest.NewServer(http.HandlerFunc(land))
	t.Cleanup(other.Close)
	app := httptest.NewServer(appAt(other.URL))
	t.Cleanup(app.Close)
	s := &site{app: app.URL, other: other.URL}
	s.World = harness.New(t, harness.SQLite, harness.Clients(fmt.Sprintf(shopYAML, app.URL, s.hop())))
	return s
}

// hop is the app under its second name, from which it sends browsers on.
func (s *site) hop() string { return strings.Replace(s.app, "127.0.0.1", "localhost", 1) }

// appAt is the app: most of it shows what came, and /hop sends that on to its other host.
func appAt(other string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", land)
	mux.HandleFunc("/hop", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		http.Redirect(w, r, other+"/landed?"+r.Form.Encode(), http.StatusSeeOther)
	})
	return mux
}

var landed = template.Must(template.New("").Parse(`<!doctype html><html lang="en"><title>The app</title>
<h1>The app</h1><p id="method">{{.Method}}</p><pre id="parameters">{{.Parameters}}</pre></html>`))

func land(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	text, _ := json.Marshal(r.Form)
	w.Header().Set("Content-Type", "text/html")
	_ = landed.Execute(w, map[string]string{"Method": r.Method, "Parameters": string(text)})
}

// trip is an authorization request of the shop.
func (s *site) trip(scope string, more ...string) *harness.Trip {
	return harness.NewTrip(shop, s.app+"/cb", scope, more...)
}

// person is somebody with a browser.
type person struct {
	*browser.Browser
	t *testing.T
	s *site
}

func (s *site) person(t *testing.T, size browser.Size) *person {
	t.Helper()
	return &person{Browser: browser.New(t, size), t: t, s: s}
}

// begins sets out on a trip.
func (p *person) begins(trip *harness.Trip) *harness.Trip {
	p.t.Helper()
	p.Open(p.s.Issuer + trip.Path())
	return trip
}

// signsInWith presses a provider's button and fills in its form.
func (p *person) signsInWith(name, username string) {
	p.t.Helper()
	p.Click("#provider-" + name)
	p.Type("#username", username)
	p.Click("#standin-allow")
}

var sixDigits = regexp.MustCompile(`\b\d{6}\b`)

// signsInByMail asks for a code and types it.
func (p *person) signsInByMail(address string) {
	p.t.Helper()
	p.Type("#email", address)
	p.Click("#login-submit")
	p.Type("#code", p.mailedCode(address))
	p.Click("#code-submit")
}

func (p *person) mailedCode(address string) string {
	p.t.Helper()
	p.Wait("#code") // by then it is sent
	m, err := p.s.Mails.WaitFor(context.Background(), address)
	if err != nil {
		p.t.Fatal(err)
	}
	return sixDigits.FindString(m.Text())
}

// agrees allows what the shop asks for, and wants no passkey.
func (p *person) agrees() {
	p.t.Helper()
	p.Click("#consent-allow")
	p.Click("#passkey-skip")
}

// arrives waits until the browser is back at the app, and returns what it carried there.
func (p *person) arrives(trip *harness.Trip) url.Values {
	p.t.Helper()
	var q url.Values
	if err := json.Unmarshal([]byte(p.Text("#parameters")), &q); err != nil {
		p.t.Fatal(err)
	}
	if q.Get("state") != trip.State || q.Get("iss") != p.s.Issuer {
		p.t.Fatalf("came back with %v", q)
	}
	return q
}

// redeems is arrives, and the app's own part after it.
func (p *person) redeems(trip *harness.Trip) harness.Answer {
	p.t.Helper()
	q := p.arrives(trip)
	a := p.s.Post("/token", trip.Redeem(q.Get("code")), harness.Basic(trip.Client, harness.WebSecret))
	if a.Status != http.StatusOK {
		p.t.Fatalf("%v: %d %s", q, a.Status, a.Body)
	}
	return a
}

// finishes is redeems where nothing more is asked of the tokens than that there are some.
func (p *person) finishes(trip *harness.Trip) {
	p.t.Helper()
	_ = p.redeems(trip)
}

// claims are those of an answer's ID token.
func claims(t *testing.T, a harness.Answer) map[string]any {
	t.Helper()
	c, err := standin.Claims(a.String("id_token"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
