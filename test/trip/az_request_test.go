package trip

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/countersign/countersign/test/harness"
)

// with is a good request of the web client with some parameters replaced; nil values leave one out.
func with(change url.Values) string {
	q := web().Query
	for name, values := range change {
		q[name] = values
	}
	return "/authorize?" + q.Encode()
}

const nativeClients = `  - {id: cli, type: native, email: true, redirect_uris: ["http://127.0.0.1/cb", "http://localhost:7000/cb", "com.ex.app:/cb"], resources: [todo-api], scopes: [openid]}
  - {id: local-web, type: web, secret_file: ./web.secret, email: true, redirect_uris: ["http://127.0.0.1/cb"], resources: [todo-api], scopes: [openid]}
  - {id: kept, type: web, secret_file: ./web.secret, email: true, redirect_uris: ["https://kept.example/cb"], resources: [todo-api], scopes: [openid]}
  - {id: old-web, type: web, secret_file: ./web.secret, email: true, pkce: optional, redirect_uris: ["https://old.example/cb"], resources: [todo-api], scopes: [openid]}
`

// Until it is known who asks and where the answer may go, nothing is sent anywhere: rfc6749-3.1.2.3-01 rfc6749-3.1.2.4-01
// rfc6749-3.1.2.2-01 rfc6749-4.1.2.1-01 rfc6749-10.15-01 rfc9700-2.1-01 rfc9700-2.1-03 rfc8252-7.3-01 rfc8252-8.3-01
// rfc8252-8.4-01
func TestARequestOfNobodyKnownStaysOnOurPage(t *testing.T) {
	w := harness.New(t, harness.SQLite, harness.Clients(nativeClients))
	if err := w.Admin().DisableClient(t.Context(), "kept"); err != nil {
		t.Fatal(err)
	}
	at := func(client, uri string) url.Values { return url.Values{"client_id": {client}, "redirect_uri": {uri}} }
	for _, tt := range []struct {
		name string
		q    url.Values
	}{
		{"AZ01 no client", url.Values{"client_id": nil}},
		{"AZ01 an empty client", url.Values{"client_id": {""}}},
		{"AZ01 an unknown client", url.Values{"client_id": {"todo-we"}}},
		{"AZ01 a client of another deployment", url.Values{"client_id": {"https://other.example"}}},
		{"AZ01 a disabled client", at("kept", "https://kept.example/cb")},
		{"AZ02 no redirect URI", url.Values{"redirect_uri": nil}},
		{"AZ02 a client that has none", at(harness.ServiceID, "https://todo.example/cb")},
		{"AZ02 a device's client that has none", at(harness.TVID, "https://todo.example/cb")},
		{"AZ04 a host behind a user name", at(harness.WebID, "https://todo.example@evil/cb")},
		{"AZ04 a host that goes on", at(harness.WebID, "https://todo.example.evil/cb")},
		{"AZ04 a backslash", at(harness.WebID, `https://todo.example\evil/cb`)},
		{"AZ04 another backslash", at(harness.WebID, `https://evil\@todo.example/cb`)},
		{"AZ04 a tab", at(harness.WebID, "https://todo.example/\tcb")},
		{"AZ04 a line feed", at(harness.WebID, "https://todo.example/cb\n")},
		{"AZ04 no slashes", at(harness.WebID, "https:todo.example/cb")},
		{"AZ04 upper case", at(harness.WebID, "https://TODO.example/cb")},
		{"AZ04 a port nobody wrote", at(harness.WebID, "https://todo.example:443/cb")},
		{"AZ04 an escape", at(harness.WebID, "https://todo.example/%63b")},
		{"AZ04 a longer path", at(harness.WebID, "https://todo.example/cb/")},
		{"AZ04 a climb", at(harness.WebID, "https://todo.example/x/../cb")},
		{"AZ04 one more parameter", at(harness.WebID, "https://todo.example/cb?with=query&more=1")},
		{"AZ05 a fragment", at(harness.WebID, "https://todo.example/cb#x")},
		{"AZ05 an empty fragment", at(harness.WebID, "https://todo.example/cb#")},
		{"AZ06 script", at(harness.WebID, "javascript:alert(1)")},
		{"AZ06 Script in mixed case", at(harness.WebID, "JaVaScRiPt:alert(1)")},
		{"AZ06 script behind a space", at(harness.WebID, " javascript:alert(1)")},
		{"AZ06 data", at(harness.WebID, "data:text/html,<script>alert(1)</script>")},
		{"AZ06 a file", at(harness.WebID, "file:///etc/passwd")},
		{"AZ06 a blob", at(harness.WebID, "blob:https://todo.example/cb")},
		{"AZ06 vbscript", at(harness.WebID, "vbscript:x")},
		{"AZ08 the other loopback", at("cli", "http://[::1]:4711/cb")},
		{"AZ08 any port of localhost", at("cli", "http://localhost:4711/cb")},
		{"AZ08 a short address", at("cli", "http://127.1:4711/cb")},
		{"AZ08 a number", at("cli", "http://2130706433:4711/cb")},
		{"AZ08 every address", at("cli", "http://0.0.0.0:4711/cb")},
		{"AZ08 a host that only begins like it", at("cli", "http://127.0.0.1.evil.com/cb")},
		{"AZ08 a user name", at("cli", "http://127.0.0.1:1@evil.com/cb")},
		{"AZ08 no port at all", at("cli", "http://127.0.0.1:/cb")},
		{"AZ08 a port that is none", at("cli", "http://127.0.0.1:99999/cb")},
		{"AZ08 another path", at("cli", "http://127.0.0.1:4711/other")},
		{"AZ08 loopback over TLS", at("cli", "https://127.0.0.1:4711/cb")},
		{"AZ09 any port, for a web client", at("local-web", "http://127.0.0.1:4711/cb")},
		{"AZ09 plain http elsewhere", at(harness.WebID, "http://todo.example/cb")},
		{"AZ10 a host where none was registered", at("cli", "com.ex.app://evil/cb")},
		{"AZ10 another scheme", at("cli", "com.ex.ap:/cb")},
		{"AZ13 two clients", url.Values{"client_id": {harness.WebID, harness.OwnID}}},
		{"AZ13 two redirect URIs", url.Values{"redirect_uri": {webRedirect, "https://evil.example/cb"}}},
		{"AZ13 the same one twice", url.Values{"redirect_uri": {webRedirect, webRedirect}}},
		{"AZ20 a state of 8 KiB", url.Values{"state": {strings.Repeat("s", 8<<10)}}},
		{"AZ20 a nonce of 8 KiB", url.Values{"nonce": {strings.Repeat("s", 8<<10)}}},
		{"AZ20 a state one byte too long", url.Values{"state": {strings.Repeat("s", 2049)}}},
		{"AZ20 NUL in state", url.Values{"state": {"a\x00b"}}},
		{"AZ20 a state that is no UTF-8", url.Values{"state": {"a\xffb"}}},
		{"more parameters than any request has", crowd(65)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := w.Browser().Open(with(tt.q))
			staysHere(t, b)
			if state := tt.q.Get("state"); len(state) > 100 && strings.Contains(b.Page, state[:100]) {
				t.Error("the page repeats it")
			}
			if len(b.Header.Values("Set-Cookie")) > 0 {
				t.Error("a cookie for nobody")
			}
		})
	}
}

func crowd(n int) url.Values {
	q := url.Values{}
	for i := range n {
		q.Set("p"+strings.Repeat("x", i), "1")
	}
	return q
}

// The client is told, with its state and our name: rfc6749-3.1.1-01 rfc6749-4.1.2.1-02 rfc9207-2-01 rfc9700-2.1-02 AZ33
// rfc9700-2.1.1-01 rfc7636-4.3-01 rfc7636-4.4.1-01
func TestWhatIsWrongBesidesGoesBackToTheClient(t *testing.T) {
	w := harness.New(t, harness.SQLite, harness.Clients(nativeClients))
	one := func(name string, values ...string) url.Values { return url.Values{name: values} }
	many := strings.TrimSpace(strings.Repeat("todos.read x ", 300))
	for _, tt := range []struct {
		name string
		q    url.Values
		want string
	}{
		{"AZ13 two scopes", one("scope", "openid", "openid"), "invalid_request"},
		{"AZ13 two response types", one("response_type", "code", "code"), "invalid_request"},
		{"AZ13 two challenges", one("code_challenge", web().Query.Get("code_challenge"), "x"), "invalid_request"},
		{"AZ14 no response type", one("response_type"), "invalid_request"},
		{"AZ14 token", one("response_type", "token"), "unsupported_response_type"},
		{"AZ14 id_token token", one("response_type", "id_token token"), "unsupported_response_type"},
		{"AZ14 hybrid", one("response_type", "code id_token"), "unsupported_response_type"},
		{"AZ14 none", one("response_type", "none"), "unsupported_response_type"},
		{"a response mode with a fragment", one("response_mode", "fragment"), "invalid_request"},
		{"AZ17 no challenge", url.Values{"code_challenge": nil, "code_challenge_method": nil}, "invalid_request"},
		{"AZ17 no challenge but a method", one("code_challenge"), "invalid_request"},
		{"AZ18 plain", one("code_challenge_method", "plain"), "invalid_request"},
		{"AZ18 no method", one("code_challenge_method"), "invalid_request"},
		{"AZ18 s256", one("code_challenge_method", "s256"), "invalid_request"},
		{"AZ18 S512", one("code_challenge_method", "S512"), "invalid_request"},
		{"AZ18 a short challenge", one("code_challenge", strings.Repeat("a", 42)), "invalid_request"},
		{"AZ18 a long challenge", one("code_challenge", strings.Repeat("a", 44)), "invalid_request"},
		{"AZ18 another alphabet", one("code_challenge", strings.Repeat("+", 42)+"A"), "invalid_request"},
		{"AZ18 padding", one("code_challenge", strings.Repeat("a", 42)+"="), "invalid_request"},
		{"AZ21 a scope it may not have", one("scope", "openid todos.write"), "invalid_scope"},
		{"AZ21 a scope nobody has", one("scope", "openid everything"), "invalid_scope"},
		{"AZ21 a scope that is no scope", one("scope", `openid "x"`), "invalid_scope"},
		{"AZ21 a scope with an umlaut", one("scope", "openid \\ü\n"), "invalid_scope"},
		{"a resource that is no address", one("resource", `"\ü`), "invalid_target"},
		{"AZ21 too many", one("scope", many), "invalid_scope"},
		{"a resource it may not have", one("resource", harness.OtherAudience), "invalid_target"},
		{"AZ22 nobody is signed in", one("prompt", "none"), "login_required"},
		{"none is not alone", one("prompt", "none login"), "invalid_request"},
		{"a prompt that is none", one("prompt", "create"), "invalid_request"},
		{"AZ24 a negative age", one("max_age", "-1"), "invalid_request"},
		{"AZ24 letters", one("max_age", "abc"), "invalid_request"},
		{"AZ24 a fraction", one("max_age", "1.5"), "invalid_request"},
		{"AZ24 an endless number", one("max_age", strings.Repeat("9", 30)), "invalid_request"},
		{"AZ26 no token", one("id_token_hint", "x"), "invalid_request"},
		{"AZ25 nothing here is as strong", one("claims", `{"id_token":{"acr":{"essential":true,"value":"urn:other:loa4"}}}`), "unmet_authentication_requirements"},
		{"claims that are no JSON", one("claims", `{`), "invalid_request"},
		{"a signed request of nobody", one("request", "eyJ"), "invalid_request_object"},
		{"a key that is no thumbprint", one("dpop_jkt", "x"), "invalid_request"},
	} {
		for _, mode := range []string{"query", "form_post"} {
			t.Run(tt.name+" by "+mode, func(t *testing.T) {
				trip := web()
				for name, values := range tt.q {
					trip.Query[name] = values
				}
				if mode == "form_post" && !trip.Query.Has("response_mode") {
					trip.Query.Set("response_mode", mode)
				}
				b := w.Browser().Open(trip.Path())
				if trip.Query.Get("response_mode") != "form_post" {
					goesBack(t, trip, b, tt.want)
					return
				}
				posted(t, w, trip, b, tt.want)
			})
		}
	}
	t.Run("AZ13 two states", func(t *testing.T) { // which of them would be theirs?
		b := w.Browser().Open(with(one("state", "one", "two")))
		if b.Left == nil || b.Left.Query().Get("error") != "invalid_request" || b.Left.Query().Has("state") || b.Left.Query().Get("iss") != w.Issuer {
			t.Errorf("left for %v", b.Left)
		}
	})
}

// posted reads the form that takes the answer to the client.
func posted(t *testing.T, w *harness.World, trip *harness.Trip, b *harness.Web, wantError string) url.Values {
	t.Helper()
	guarded(t, b)
	m := strings.Index(b.Page, `<form`)
	if b.Status != 200 || b.Left != nil || m < 0 || !strings.Contains(b.Page, `action="`+trip.RedirectURI+`"`) {
		t.Fatalf("%d, left for %v:\n%s", b.Status, b.Left, b.Page)
	}
	_, fields := b.Form(formID(b.Page))
	if fields.Get("state") != trip.Query.Get("state") || fields.Get("iss") != w.Issuer || fields.Get("error") != wantError {
		t.Errorf("%v", fields)
	}
	described(t, fields)
	return fields
}

// formID is the id of the first form of a page, or of something in it.
func formID(page string) string {
	_, rest, _ := strings.Cut(page, "<form")
	_, rest, _ = strings.Cut(rest, `id="`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

// AZ21: what is larger than any request is cut off before anything reads it.
func TestAZ21TenThousandScopesAreCutOff(t *testing.T) {
	w := harness.New(t, harness.SQLite)
	q := web().Query
	q.Set("scope", strings.Repeat("todos.read ", 10_000))
	for name, r := range map[string]*http.Request{
		"in the address": w.Request(http.MethodGet, "/authorize?"+q.Encode(), ""),
		"in a form":      w.Request(http.MethodPost, "/authorize", q.Encode(), harness.Set("Content-Type", "application/x-www-form-urlencoded")),
	} {
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(name, err)
		}
		_ = res.Body.Close()
		if res.StatusCode != 431 && res.StatusCode != 413 && res.StatusCode != 414 {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
}

// AZ30: what an address in the request leads to is never fetched.
func TestAZ30ARequestURIOpensNoConnection(t *testing.T) {
	w := harness.New(t, harness.SQLite)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	var calls atomic.Int32
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			calls.Add(1)
			_ = c.Close()
		}
	}()
	for _, uri := range []string{
		"http://" + l.Addr().String() + "/request.jwt", "https://" + l.Addr().String() + "/request.jwt", w.Issuer + "/jwks",
		"file:///etc/passwd", "urn:example:request",
	} {
		trip := web("request_uri", uri)
		goesBack(t, trip, w.Browser().Open(trip.Path()), "request_uri_not_supported")
		trip = web("request_uri", uri, "redirect_uri", "")
		staysHere(t, w.Browser().Open(trip.Path()))
	}
	if n := calls.Load(); n > 0 {
		t.Errorf("%d connections", n)
	}
}

// AZ40 rfc6749-3.1-02
func TestAZ40TheAuthorizationEndpointTakesGetAndFormsAndNothingElse(t *testing.T) {
	w := harness.New(t, harness.SQLite)
	for _, method := range []string{http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPatch} {
		if a := w.Do(w.Request(method, web().Path(), "")); a.Status != http.StatusMethodNotAllowed || a.Header.Get("Location") != "" {
			t.Errorf("%s: %d %v", method, a.Status, a.Header)
		}
	}
	for _, kind := range []string{"application/json", "multipart/form-data; boundary=x", "text/plain", ""} {
		a := w.Do(w.Request(http.MethodPost, "/authorize", web().Query.Encode(), harness.Set("Content-Type", kind)))
		if a.Status != http.StatusUnsupportedMediaType || a.Header.Get("Location") != "" {
			t.Errorf("%q: %d %v", kind, a.Status, a.Header)
		}
	}
	both := w.Post(web().Path(), web().Query)
	if both.Status != 400 || both.Header.Get("Location") != "" {
		t.Errorf("query and form: %d", both.Status)
	}
}

// rfc6749-3.1-03 rfc6749-3.1-04: what is not known is not looked at, and what is empty was not sent.
func TestWhatIsUnknownOrEmptyIsIgnored(t *testing.T) {
	w := harness.New(t, harness.SQLite)
	b := w.Browser().Open(with(url.Values{
		"utm_source": {"mail"}, "audience": {"x"}, "id_token_hint": {""}, "max_age": {""}, "prompt": {""}, "request": {""},
	}))
	if b.Status != 200 {
		t.Fatal(b.Status)
	}
	b.Want("login-form")
}

// rfc8252-6-01: an app has no other way to show that it is the one that asked.
func TestANativeAppMustUsePKCE(t *testing.T) {
	w := harness.New(t, harness.SQLite)
	trip := app(loopback, "code_challenge", "", "code_challenge_method", "")
	goesBack(t, trip, w.Browser().Open(trip.Path()), "invalid_request")
}

// rfc9207-2-02 rfc9207-2.3-01 rfc9700-2.1.1-02 AZ33: what the metadata announce is what every answer carries.
func TestAnswersComeFromTheIssuerOfTheMetadata(t *testing.T) {
	w := harness.New(t, harness.SQLite)
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		m := w.Do(w.Request(http.MethodGet, path, ""))
		methods, _ := m.JSON["code_challenge_methods_supported"].([]any)
		if m.JSON["authorization_response_iss_parameter_supported"] != true || len(methods) != 1 || methods[0] != "S256" {
			t.Errorf("%s: %s", path, m.Body)
		}
		bad := own("scope", "everything")
		if q := goesBack(t, bad, w.Browser().Open(bad.Path()), "invalid_scope"); q.Get("iss") != m.String("issuer") {
			t.Errorf("%v", q)
		}
		trip := own()
		b, _ := coded(w, trip)
		if q := trip.Response(b); q.Get("iss") != m.String("issuer") {
			t.Errorf("%v", q)
		}
	}
}

// rfc9700-2.6-04: pages are for people. No script of another origin reads one, also not that of a browser client.
func TestNoOtherOriginReadsAPage(t *testing.T) {
	w := harness.New(t, harness.SQLite)
	for _, path := range []string{web().Path(), "/authorize", "/login", "/consent", "/device", "/logout"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions} {
			a := w.Do(w.Request(method, path, "", harness.Set("Origin", "https://todo.example"), harness.Set("Access-Control-Request-Method", "GET")))
			for _, name := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Allow-Methods"} {
				if a.Header.Get(name) != "" {
					t.Errorf("%s %s: %s %q", method, path, name, a.Header.Get(name))
				}
			}
		}
	}
}

// A form of the client's own site carries no cookie of ours (SameSite): the person is signed in all the same.
func TestARequestByPostFromAnotherSiteFindsWhoIsSignedIn(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		first := own()
		b := w.Browser().Open(first.Path()).SignInWith(w.Google, "google", "alice")
		first.Code(b)

		second := own()
		r := w.Request(http.MethodPost, "/authorize", second.Query.Encode(),
			harness.Set("Content-Type", "application/x-www-form-urlencoded"), harness.Set("Sec-Fetch-Site", "cross-site"),
			harness.Set("Origin", "https://own.example"))
		res, err := http.DefaultTransport.RoundTrip(r.WithContext(context.Background())) // without the browser's cookies
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusSeeOther || len(res.Header.Values("Set-Cookie")) > 0 {
			t.Fatalf("%d %v", res.StatusCode, res.Header)
		}
		second.Code(b.Open(res.Header.Get("Location"))) // the browser follows with them: nothing is asked
	})
}
