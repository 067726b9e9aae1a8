package adminhttp_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/adminhttp"
	"github.com/countersign/countersign/internal/apikey"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/signin"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/token"
	"github.com/countersign/countersign/test/house"
)

// world is a house with its admin API on a socket, and somebody signed in.
type world struct {
	*house.House
	door *adminhttp.Door
	addr string
	in   *signin.Result
}

// strangerID is a client that registered itself; its id is no segment of a path.
const strangerID = "https://stranger.example/client.json"

func open(t *testing.T, h *house.House) world {
	t.Helper()
	door := &adminhttp.Door{DB: h.DB, APIKeys: h.APIKeys, Ring: h.Ring, Providers: h.Providers, SignIn: h.SignIn}
	server := httptest.NewServer(httpd.Handler(httpd.Options{}, door.Routes()))
	t.Cleanup(server.Close)
	in := h.Enter(t, h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, ""))
	stranger := domain.Client{ID: strangerID, Type: domain.ClientWeb, Registered: domain.RegisteredByAnybody, RegisteredAt: h.DB.Now()}
	if _, err := h.DB.AddRegistration(t.Context(), store.NewRegistration{Registration: store.Registration{Client: stranger, Metadata: "{}"}}); err != nil {
		t.Fatal(err)
	}
	return world{h, door, strings.TrimPrefix(server.URL, "http://"), in}
}

func (w world) key(t *testing.T, scopes ...string) string {
	t.Helper()
	text, _, err := w.APIKeys.Mint(t.Context(), "test", scopes, domain.Event{Actor: "system"})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// fill puts real names into the path of a route.
func (w world) fill(t *testing.T, route httpd.Route) string {
	t.Helper()
	path := route.Path
	if strings.HasSuffix(path, "/registration-tokens/{id}") {
		_, token, err := w.APIKeys.MintRegistration(t.Context(), "test", 1, time.Hour, domain.Event{})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Replace(path, "{id}", token.ID.String(), 1)
	}
	if strings.HasSuffix(path, "/clients/{id}") { // of those that registered themselves
		return strings.Replace(path, "{id}", oauth.Segment(strangerID), 1)
	}
	return strings.NewReplacer(
		"/accounts/{id}", "/accounts/"+w.in.Session.AccountID.String(),
		"/sessions/{id}", "/sessions/"+w.in.Session.ID.String(),
		"/clients/{id}", "/clients/"+house.Todo,
		"/keys/{kid}", "/keys/"+w.Ring.PublicKeys()[0].Kid,
	).Replace(path)
}

type answer struct {
	status int
	header http.Header
	body   string
}

// send asserts what holds for every answer.
func (w world) send(t *testing.T, method, path, authorization, body string) answer {
	t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+w.addr+path, in)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode >= 500 || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s %s: %d, Cache-Control %q: %s", method, path, res.StatusCode, res.Header.Get("Cache-Control"), text)
	}
	if secret, ok := strings.CutPrefix(authorization, "Bearer "); ok && secret != "" && strings.Contains(string(text), secret) {
		t.Error("the answer shows the API key")
	}
	return answer{res.StatusCode, res.Header, string(text)}
}

func (a answer) wantProblem(t *testing.T, status int) {
	t.Helper()
	var problem struct {
		Type, Title, Detail string
		Status              int
	}
	err := json.Unmarshal([]byte(a.body), &problem)
	if a.status != status || err != nil || problem.Status != status || problem.Title == "" || problem.Detail == "" ||
		a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %d %s, want a problem with %d: %s", a.status, a.header.Get("Content-Type"), status, a.body)
	}
	challenged := a.header.Get("WWW-Authenticate") != ""
	if challenged != (status == http.StatusUnauthorized || status == http.StatusForbidden) {
		t.Errorf("status %d with WWW-Authenticate %q", status, a.header.Get("WWW-Authenticate"))
	}
}

// AD01, from the table, so that a new route cannot escape.
func TestEveryRouteWantsAnAPIKeyWithItsScope(t *testing.T) {
	w := open(t, house.OnSQLite(t))
	w.door.PerSecond = -1
	access, err := w.Tokens.MintAccess(w.DB.Now(), token.Access{
		Client: w.Client(house.Todo), AccountID: w.in.Session.AccountID, SessionID: w.in.Session.ID,
		Audience: house.Issuer, Scope: apikey.Scopes(),
	})
	if err != nil {
		t.Fatal(err)
	}
	all := w.key(t, apikey.Scopes()...)
	revoked := w.revoked(t)
	before := w.rows(t)
	for _, route := range w.door.Routes() {
		path := w.fill(t, route)
		t.Run(route.Method+" "+route.Path, func(t *testing.T) {
			for name, authorization := range map[string]string{
				"nothing":               "",
				"an empty bearer":       "Bearer ",
				"another scheme":        "Basic " + all,
				"a person's token":      "Bearer " + access.Token,
				"a refresh token":       "Bearer " + string(w.in.Refresh),
				"a damaged key":         "Bearer " + all[:len(all)-1] + "!",
				"a key in another case": "Bearer " + strings.ToLower(all),
				"a revoked key":         "Bearer " + revoked,
			} {
				t.Run(name, func(t *testing.T) { w.send(t, route.Method, path, authorization, "").wantProblem(t, 401) })
			}
			t.Run("a key without its scope", func(t *testing.T) {
				w.send(t, route.Method, path, "Bearer "+w.key(t, w.allBut(t, route, path)...), "").wantProblem(t, 403)
			})
		})
	}
	if after := w.rows(t); !maps.Equal(before, after) {
		t.Errorf("rows changed: %s", cmp.Diff(before, after))
	}
	for _, route := range w.door.Routes() { // and the key with all scopes gets through
		body := ""
		switch {
		case route.Method == http.MethodPut: // replaces something: by nothing only if that is said
			body = "{}"
		case strings.HasSuffix(route.Path, "/registration-tokens"):
			body = `{"name":"partners","uses":1,"expires_in":60}`
		}
		if a := w.send(t, route.Method, w.fill(t, route), "Bearer "+all, body); a.status/100 != 2 {
			t.Errorf("%s %s: %d %s", route.Method, route.Path, a.status, a.body)
		}
	}
}

// allBut finds the scope a route wants from its own refusal, and returns all others.
func (w world) allBut(t *testing.T, route httpd.Route, path string) []string {
	t.Helper()
	other := apikey.AuditRead
	if strings.HasSuffix(route.Path, "/events") {
		other = apikey.KeysRead
	}
	a := w.send(t, route.Method, path, "Bearer "+w.key(t, other), "")
	_, after, _ := strings.Cut(a.header.Get("WWW-Authenticate"), `scope="`)
	scope, _, _ := strings.Cut(after, `"`)
	if !slices.Contains(apikey.Scopes(), scope) {
		t.Fatalf("the refusal names no scope: %q", a.header.Get("WWW-Authenticate"))
	}
	return slices.DeleteFunc(apikey.Scopes(), func(s string) bool { return s == scope })
}

func (w world) revoked(t *testing.T) string {
	t.Helper()
	text, k, err := w.APIKeys.Mint(t.Context(), "old", apikey.Scopes(), domain.Event{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.APIKeys.Revoke(t.Context(), k.ID, domain.Event{}); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rows counts everything but the API keys the tests make themselves.
func (w world) rows(t *testing.T) map[string]int64 {
	t.Helper()
	n, err := w.DB.Rows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	delete(n, "api_keys")
	delete(n, "registration_tokens")
	delete(n, "events")
	return n
}

// AD02: a body with anything in it that a route does not know changes nothing.
func TestBodiesAreReadStrictly(t *testing.T) {
	w := open(t, house.OnSQLite(t))
	w.door.PerSecond = -1
	key := "Bearer " + w.key(t, apikey.Scopes()...)
	for _, route := range w.door.Routes() {
		if route.Method == http.MethodGet {
			continue
		}
		for _, body := range []string{`{"verified":true}`, `{"now":true,"now":false}`, `{"state":"active"}`, `[]`, `{}{}`, `x`} {
			a := w.send(t, route.Method, w.fill(t, route), key, body)
			a.wantProblem(t, 400)
			if body == `[]` && !strings.Contains(a.body, "The body must be a JSON object.") {
				t.Errorf("%s %s: %s", route.Method, route.Path, a.body)
			}
		}
	}
	a, err := w.DB.Account(t.Context(), w.in.Session.AccountID)
	if err != nil || a.State != domain.AccountActive {
		t.Errorf("account %+v, %v", a, err)
	}
	if state, err := w.DB.ClientState(t.Context(), house.Todo); err != nil || state != domain.ClientLive {
		t.Errorf("client %s, %v", state, err)
	}
}

func TestQueriesAreReadStrictly(t *testing.T) {
	w := open(t, house.OnSQLite(t))
	key := "Bearer " + w.key(t, apikey.Scopes()...)
	for _, path := range []string{
		"/admin/v1/accounts?issuer=x", "/admin/v1/accounts?iss=x", "/admin/v1/accounts?sub=x", "/admin/v1/accounts?iss=&sub=x",
		"/admin/v1/accounts?limit=0", "/admin/v1/accounts?limit=201", "/admin/v1/accounts?limit=x", "/admin/v1/accounts?limit=1&limit=2",
		"/admin/v1/accounts?after=ses_x", "/admin/v1/accounts?after=%zz", "/admin/v1/accounts?a=1;b=2",
		"/admin/v1/accounts/" + w.in.Session.AccountID.String() + "/sessions?ended=yes",
		"/admin/v1/clients?all=1", "/admin/v1/clients?limit=0", "/admin/v1/clients/x?a=1", "/admin/v1/registration-tokens?a=1",
		"/admin/v1/keys?all=1", "/admin/v1/events?account=ses_x", "/admin/v1/events?session=x", "/admin/v1/events?limit=-1",
	} {
		t.Run(path, func(t *testing.T) { w.send(t, "GET", path, key, "").wantProblem(t, 400) })
	}
}

func TestNamesThatAreNotThere(t *testing.T) {
	w := open(t, house.OnSQLite(t))
	key := "Bearer " + w.key(t, apikey.Scopes()...)
	nobody := domain.AccountID{1}.String()
	for _, tt := range []struct{ method, path string }{
		{"GET", "/admin/v1/accounts/" + nobody},
		{"GET", "/admin/v1/accounts/" + w.in.Session.ID.String()}, // an id of another kind
		{"GET", "/admin/v1/accounts/%00"},
		{"GET", "/admin/v1/accounts/" + strings.Repeat("a", 5000)},
		{"POST", "/admin/v1/accounts/" + nobody + "/disable"},
		{"POST", "/admin/v1/accounts/" + nobody + "/enable"},
		{"GET", "/admin/v1/accounts/" + nobody + "/sessions"},
		{"DELETE", "/admin/v1/accounts/" + nobody + "/sessions"},
		{"GET", "/admin/v1/sessions/" + domain.SessionID{1}.String()},
		{"DELETE", "/admin/v1/sessions/" + domain.SessionID{1}.String()},
		{"DELETE", "/admin/v1/keys/nothing"},
		{"DELETE", "/admin/v1/keys/%27%20OR%201"},
		{"GET", "/admin/v1/clients/nothing"},
		{"GET", "/admin/v1/clients/" + house.Todo}, // the configuration's
		{"DELETE", "/admin/v1/clients/" + house.Todo},
		{"DELETE", "/admin/v1/registration-tokens/" + domain.RegistrationTokenID{1}.String()},
		{"DELETE", "/admin/v1/registration-tokens/" + nobody}, // an id of another kind
		{"POST", "/admin/v1/clients/nothing/disable"},
		{"POST", "/admin/v1/clients/nothing/enable"},
	} {
		t.Run(tt.method+" "+tt.path[:min(60, len(tt.path))], func(t *testing.T) {
			w.send(t, tt.method, tt.path, key, "").wantProblem(t, 404)
		})
	}
}

// AD04: a key cannot make another, whatever it may do.
func TestNoRouteMintsAPIKeys(t *testing.T) {
	w := open(t, house.OnSQLite(t))
	key := "Bearer " + w.key(t, apikey.Scopes()...)
	before, err := w.APIKeys.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/admin/v1/api-keys", "/admin/v1/api_keys", "/admin/v1/keys"} {
		if a := w.send(t, "POST", path, key, `{"name":"more","scopes":["accounts.read"]}`); a.status != 404 && a.status != 405 {
			t.Errorf("POST %s: %d", path, a.status)
		}
	}
	after, err := w.APIKeys.List(t.Context())
	if err != nil || len(after) != len(before) {
		t.Errorf("%d keys before, %d after, %v", len(before), len(after), err)
	}
}

// AD06: one spelling of a path, or none. The requests are written by hand: a client would tidy them.
func TestOtherSpellingsOfAPath(t *testing.T) {
	w := open(t, house.OnSQLite(t))
	key := w.key(t, apikey.Scopes()...)
	for _, path := range []string{
		"/admin;x/v1/accounts", "//admin/v1/accounts", "/admin//v1/accounts", "/admin/v1/accounts/", "/ADMIN/v1/accounts",
		"/admin/v1/x/../accounts", "/x/%2e%2e/admin/v1/accounts", "/admin/v1/%2e/accounts", "/admin%2fv1%2faccounts", "/admin",
	} {
		t.Run(path, func(t *testing.T) {
			var d net.Dialer
			conn, err := d.DialContext(t.Context(), "tcp", w.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", path, w.addr, key); err != nil {
				t.Fatal(err)
			}
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if res.StatusCode != 404 {
				t.Errorf("status %d", res.StatusCode)
			}
		})
	}
}

func TestOneKeyHasItsPace(t *testing.T) {
	w := open(t, house.OnSQLite(t))
	w.door.PerSecond = 1
	fast, slow := "Bearer "+w.key(t, apikey.KeysRead), "Bearer "+w.key(t, apikey.KeysRead)
	var limited answer
	for range 50 {
		if limited = w.send(t, "GET", "/admin/v1/keys", fast, ""); limited.status == http.StatusTooManyRequests {
			break
		}
	}
	limited.wantProblem(t, 429)
	if limited.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", limited.header.Get("Retry-After"))
	}
	if a := w.send(t, "GET", "/admin/v1/keys", slow, ""); a.status != 200 {
		t.Errorf("another key: %d", a.status)
	}
}
