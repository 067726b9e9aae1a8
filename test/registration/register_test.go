package registration

import (
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/test/harness"
)

const tokenYAML = `
fetch_allow: [127.0.0.0/8]
registration:
  mode: token
  resources: [todo-api]
  scopes: [openid, offline_access, todos.read]
  providers: [corp]
`

// rfc7591-3.1-01, rfc7591-3.2.1-01, rfc7591-3-01
func TestAnAppThatNobodyDeclaredSignsPeopleIn(t *testing.T) {
	onEngines(t, openYAML, func(t *testing.T, w *world) {
		client := w.registered(t, webApp())
		trip, code := w.signIn(t, client.String("client_id"), redirect, "openid email offline_access todos.read")
		a := w.Post("/token", trip.Redeem(code), basicOf(client))
		if a.Status != 200 || a.String("access_token") == "" || a.String("refresh_token") == "" {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		if again := w.Refresh(client.String("client_id"), a.String("refresh_token"), basicOf(client)); again.Status != 200 {
			t.Errorf("refresh: %d %s", again.Status, again.Body)
		}
		metadata := w.Do(w.Request("GET", "/.well-known/openid-configuration", ""))
		if metadata.String("registration_endpoint") != w.Issuer+"/register" { // rfc8414-2: registration_endpoint
			t.Errorf("metadata: %s", metadata.Body)
		}
	})
}

// rfc7591-3.2.1-01, rfc7591-3.2.1-02, rfc7591-5-01, rfc7592-3-01, oidc-registration-3.2-01
func TestTheAnswerSaysAllThatIsRegistered(t *testing.T) {
	onEngines(t, openYAML, func(t *testing.T, w *world) {
		a := w.registered(t, webApp().with("scope", "openid account.manage").with("unheard", "of").with("contacts", []string{"ops@app.example"}))
		if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%v", a.Header)
		}
		if expires, there := a.JSON["client_secret_expires_at"]; !there || expires != float64(0) || !strings.HasPrefix(a.String("client_secret"), "cs_sk_") {
			t.Errorf("the secret: %s", a.Body)
		}
		if !strings.HasPrefix(a.String("registration_access_token"), "cs_rat_") || a.String("registration_client_uri") != w.Issuer+"/register/"+a.String("client_id") {
			t.Errorf("how to manage it: %s", a.Body)
		}
		if a.String("scope") != "openid" || a.String("token_endpoint_auth_method") != "client_secret_basic" || a.JSON["unheard"] != nil || a.JSON["client_id_issued_at"] == nil {
			t.Errorf("%s", a.Body)
		}
		w.Log.Never(a.String("client_secret"))
		w.Log.Never(a.String("registration_access_token"))

		public := w.registered(t, members{"redirect_uris": []string{"http://127.0.0.1/cb"}, "token_endpoint_auth_method": "none"})
		if public.JSON["client_secret"] != nil || public.JSON["client_secret_expires_at"] != nil || public.String("application_type") != "native" {
			t.Errorf("a public client: %s", public.Body)
		}
		trip, code := w.signIn(t, public.String("client_id"), "http://127.0.0.1:49152/cb", "openid")
		if a := w.Post("/token", trip.Redeem(code, "client_id", public.String("client_id"))); a.Status != 200 {
			t.Errorf("on loopback: %d %s", a.Status, a.Body)
		}
	})
}

// rfc7591-3.2.2-01, rfc7591-3.2.2-02, RG04
func TestWhatIsRefusedSaysWhy(t *testing.T) {
	onEngines(t, openYAML, func(t *testing.T, w *world) {
		for what, c := range map[string]struct{ body, code string }{
			"no redirect URI": {`{}`, "invalid_redirect_uri"},
			"RG04 a star":     {`{"redirect_uris":["https://*.app.example/"]}`, "invalid_redirect_uri"},
			"a wrong type":    {`{"redirect_uris":["https://app.example/"],"client_name":1}`, "invalid_client_metadata"},
			"no JSON":         {`redirect_uris=x`, "invalid_client_metadata"},
			"a member twice":  {`{"redirect_uris":["https://app.example/"],"scope":"a","scope":"b"}`, "invalid_client_metadata"},
			"RG05 statement":  {`{"redirect_uris":["https://app.example/"],"software_statement":"eyJhbGciOiJub25lIn0.e30."}`, "unapproved_software_statement"},
		} {
			wantError(t, what, w.post(c.body), http.StatusBadRequest, c.code)
		}
		if a := w.Do(w.Request("POST", "/register", webApp().String())); a.Status != http.StatusUnsupportedMediaType {
			t.Errorf("no media type: %d", a.Status)
		}
		wantError(t, "a basic header", w.post(webApp().String(), harness.Basic("a", "b")), http.StatusBadRequest, "invalid_request")
		wantError(t, "a token of another kind", w.post(webApp().String(), bearer("cs_sk_x")), http.StatusUnauthorized, "invalid_token")
	})
}

// rfc7591-3-02, rfc7591-3.1-02: one use of the token is one client, and there is no other way.
func TestAnInitialTokenLetsAsManyInAsItSays(t *testing.T) {
	onEngines(t, tokenYAML, func(t *testing.T, w *world) {
		a := w.post(webApp().String())
		if a.Status != http.StatusUnauthorized || strings.Join(a.Header.Values("WWW-Authenticate"), "|") != `Bearer realm="countersign"` || !strings.Contains(a.String("error_description"), "Bearer cs_irt_") {
			t.Errorf("without a token: %d %v %s", a.Status, a.Header, a.Body)
		}
		wantError(t, "without a token", a, http.StatusUnauthorized, "invalid_token")
		initial, err := w.Admin().CreateRegistrationToken(t.Context(), "partners", 3, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, "what is refused spends nothing", w.post(`{}`, bearer(initial.Token)), http.StatusBadRequest, "invalid_redirect_uri")
		var made atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if w.post(webApp().String(), bearer(initial.Token)).Status == http.StatusCreated {
					made.Add(1)
				}
			})
		}
		wg.Wait()
		if n := made.Load(); n != 3 {
			t.Errorf("%d clients by a token for 3", n)
		}
		wantError(t, "used up", w.post(webApp().String(), bearer(initial.Token)), http.StatusUnauthorized, "invalid_token")

		short, err := w.Admin().CreateRegistrationToken(t.Context(), "short", 1, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		service := w.registered(t, members{"grant_types": []string{"client_credentials"}}, bearer(short.Token))
		if a := w.Post("/token", map[string][]string{"grant_type": {"client_credentials"}}, basicOf(service)); a.Status != 200 {
			t.Errorf("a service: %d %s", a.Status, a.Body)
		}
		late, err := w.Admin().CreateRegistrationToken(t.Context(), "late", 1, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		w.Clock.Step(time.Minute)
		wantError(t, "expired", w.post(webApp().String(), bearer(late.Token)), http.StatusUnauthorized, "invalid_token")
	})
}

// rfc7591-3-03: where nobody may register there is no such endpoint.
func TestWithoutRegistrationThereIsNothingToFind(t *testing.T) {
	onEngines(t, "", func(t *testing.T, w *world) {
		for _, method := range []string{"POST", "GET", "PUT", "DELETE"} {
			for _, path := range []string{"/register", "/register/todo-web"} {
				if a := w.Do(w.Request(method, path, "{}", asJSON, bearer("cs_rat_x"))); a.Status != http.StatusNotFound {
					t.Errorf("%s %s: %d", method, path, a.Status)
				}
			}
		}
		a := w.Do(w.Request("GET", "/.well-known/oauth-authorization-server", ""))
		if a.JSON["registration_endpoint"] != nil || a.JSON["client_id_metadata_document_supported"] != nil {
			t.Errorf("metadata: %s", a.Body)
		}
		b := w.Browser().Open(harness.NewTrip("https://app.example/client", redirect, "openid").Path())
		if b.Left != nil || b.Status != http.StatusBadRequest {
			t.Errorf("a document: %d", b.Status)
		}
	})
}

// RG01: no socket is opened to an address of our own network, whatever it is called.
func TestNothingOfOurOwnNetworkIsAsked(t *testing.T) {
	yaml := strings.Replace(openYAML, "fetch_allow: [127.0.0.0/8]\n", "", 1)
	onEngines(t, yaml, func(t *testing.T, w *world) {
		var connections atomic.Int32
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				connections.Add(1)
				_ = c.Close()
			}
		}()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		hosts := []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "0177.0.0.1", "10.0.0.1", "169.254.169.254", "[fd00::1]", "100.64.0.1"}
		for _, name := range []string{"jwks_uri", "logo_uri", "sector_identifier_uri", "backchannel_logout_uri"} {
			for _, host := range hosts {
				w.Clock.Step(time.Minute) // the limit is not what is tried here
				wantError(t, "RG01 "+name+" "+host, w.post(webApp().with(name, "https://"+host+":"+port+"/x").String()), http.StatusBadRequest, "invalid_client_metadata")
			}
		}
		if n := connections.Load(); n != 0 {
			t.Errorf("%d connections", n)
		}
	})
}

const png = "\x89PNG\r\n\x1a\n and so on"

// RG02, RG06, oidc-registration-2-02: what a client points at is fetched once, within bounds, and served by us.
func TestALogoIsServedByUs(t *testing.T) {
	onEngines(t, openYAML, func(t *testing.T, w *world) {
		client := w.registered(t, webApp().with("logo_uri", w.site.put("/logo", page{body: png})))
		b := w.Browser()
		b.Open(harness.NewTrip(client.String("client_id"), redirect, "openid").Path())
		if strings.Contains(b.Page, w.site.url) || !strings.Contains(b.Page, "/logo/"+client.String("client_id")) {
			t.Errorf("the page: %s", b.Page)
		}
		if logo := w.Do(w.Request("GET", "/logo/"+client.String("client_id"), "")); string(logo.Body) != png || logo.Header.Get("Content-Type") != "image/png" {
			t.Errorf("%d %v", logo.Status, logo.Header)
		}
		if n := w.site.count("/logo"); n != 1 {
			t.Errorf("fetched %d times", n)
		}
		for what, at := range map[string]string{
			"a redirect":  w.site.put("/moved", page{status: 302, to: w.site.url + "/logo"}),
			"too large":   w.site.put("/large", page{body: png + strings.Repeat("x", 33<<10)}),
			"no picture":  w.site.put("/text", page{body: "hello"}),
			"a script":    w.site.put("/svg", page{body: `<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>`}),
			"nothing":     w.site.put("/empty", page{}),
			"not there":   w.site.url + "/none",
			"not allowed": "http://192.0.2.1/logo",
		} {
			wantError(t, what, w.post(webApp().with("logo_uri", at).String()), http.StatusBadRequest, "invalid_client_metadata")
		}
		if n := w.site.count("/logo"); n != 1 {
			t.Errorf("RG02: a redirect was followed")
		}
	})
}

// oidc-registration-5-01
func TestASectorDocumentListsTheRedirects(t *testing.T) {
	onEngines(t, openYAML, func(t *testing.T, w *world) {
		app := webApp().with("subject_type", "pairwise")
		good := w.site.put("/sector", page{body: `["` + redirect + `","https://other.example/"]`})
		if a := w.registered(t, app.with("sector_identifier_uri", good)); a.String("subject_type") != "pairwise" {
			t.Errorf("%s", a.Body)
		}
		for what, at := range map[string]string{
			"another list": w.site.put("/another", page{body: `["https://other.example/"]`}),
			"an object":    w.site.put("/object", page{body: `{}`}),
			"a redirect":   w.site.put("/moved", page{status: 301, to: good}),
			"too large":    w.site.put("/large", page{body: `["` + redirect + `","` + strings.Repeat("x", 65<<10) + `"]`}),
			"an error":     w.site.put("/error", page{status: 500, body: `["` + redirect + `"]`}),
		} {
			wantError(t, what, w.post(app.with("sector_identifier_uri", at).String()), http.StatusBadRequest, "invalid_client_metadata")
		}
	})
}

func TestOneAddressCannotRegisterWithoutEnd(t *testing.T) {
	onEngines(t, openYAML, func(t *testing.T, w *world) {
		var got []int
		for range 25 {
			got = append(got, w.post(`{}`).Status)
		}
		if !slices.Contains(got, http.StatusTooManyRequests) || got[0] != http.StatusBadRequest {
			t.Errorf("%v", got)
		}
		a := w.post(`{}`)
		if a.Header.Get("Retry-After") == "" {
			t.Errorf("%v", a.Header)
		}
		w.Clock.Step(time.Minute)
		_ = w.registered(t, webApp())
	})
}

// RG06: nothing of a name is HTML on a page.
func TestANameIsTextToThePages(t *testing.T) {
	onEngines(t, openYAML, func(t *testing.T, w *world) {
		client := w.registered(t, webApp().with("client_name", `<script>alert("x")</script>`))
		b := w.Browser().Open(harness.NewTrip(client.String("client_id"), redirect, "openid").Path())
		if strings.Contains(b.Page, "<script>alert") || !strings.Contains(b.Page, "&lt;script&gt;") {
			t.Errorf("%s", b.Page)
		}
	})
}

func TestAPageInABrowserReadsTheAnswers(t *testing.T) {
	onEngines(t, openYAML, func(t *testing.T, w *world) {
		_ = w.registered(t, members{"redirect_uris": []string{"https://spa.example/cb"}, "token_endpoint_auth_method": "none"})
		a := w.Do(w.Request("OPTIONS", "/token", "", harness.Set("Origin", "https://spa.example"), harness.Set("Access-Control-Request-Method", "POST")))
		if a.Header.Get("Access-Control-Allow-Origin") != "https://spa.example" || a.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%d %v", a.Status, a.Header)
		}
		for _, origin := range []string{"http://spa.example", "null"} {
			a := w.Do(w.Request("OPTIONS", "/token", "", harness.Set("Origin", origin)))
			if a.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: %v", origin, a.Header)
			}
		}
	})
}

// rfc7591-2.3-01, rfc7591-2.3-02, rfc7591-3.2.1-03, RG05
func TestAnIssuerOfStatementsVouchesForSoftware(t *testing.T) {
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.ES256, "trust", key)
	if err != nil {
		t.Fatal(err)
	}
	set, err := jose.MarshalSet([]jose.PublicKey{signer.Public()})
	if err != nil {
		t.Fatal(err)
	}
	yaml := openYAML + "  software_statements: [{issuer: \"https://trust.example\", jwks_file: ./trust.json}]\n"
	t.Parallel()
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := newWorld(t, e, yaml, harness.File("trust.json", string(set)))
		signed := func(claims members) string {
			text, err := signer.Sign("JWT", claims)
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		vouched := members{"iss": "https://trust.example", "client_name": "Vouched", "software_id": "notes", "redirect_uris": []string{redirect}}
		statement := signed(vouched)
		client := w.registered(t, members{"client_name": "Mine", "redirect_uris": []string{"https://evil.example/"}, "software_statement": statement})
		if client.String("client_name") != "Vouched" || client.String("software_statement") != statement || client.String("software_id") != "notes" {
			t.Errorf("%s", client.Body)
		}
		if b := w.Browser().Open(harness.NewTrip(client.String("client_id"), "https://evil.example/", "openid").Path()); b.Status != http.StatusBadRequest {
			t.Errorf("what the client says itself holds: %d", b.Status)
		}
		parts := strings.Split(statement, ".")
		for what, bad := range map[string]string{
			"alg none":         "eyJhbGciOiJub25lIn0." + parts[1] + ".",
			"another issuer":   signed(vouched.with("iss", "https://other.example")),
			"no issuer":        signed(members{"client_name": "x"}),
			"expired":          signed(vouched.with("exp", w.Clock.Now().Add(-time.Minute).Unix())),
			"of tomorrow":      signed(vouched.with("nbf", w.Clock.Now().Add(time.Hour).Unix())),
			"a wrong type":     signed(vouched.with("client_name", 7)),
			"a bad signature":  parts[0] + "." + parts[1] + "." + strings.Repeat("A", 86),
			"no statement":     "x",
			"another's member": parts[0] + "." + strings.Split(signed(vouched.with("client_name", "Evil")), ".")[1] + "." + parts[2],
		} {
			wantError(t, what, w.post(webApp().with("software_statement", bad).String()), http.StatusBadRequest, "invalid_software_statement")
		}
	})
}

// oidc-registration-2-04
func TestADefaultAgeHoldsForRequestsWithoutOne(t *testing.T) {
	onEngines(t, openYAML, func(t *testing.T, w *world) {
		client := w.registered(t, webApp().with("default_max_age", 60))
		b := w.Browser()
		open := func(more ...string) *harness.Web {
			b.Open(harness.NewTrip(client.String("client_id"), redirect, "openid", more...).Path())
			return b
		}
		open()
		w.throughPages(b)
		if b.Left == nil {
			t.Fatal("not signed in")
		}
		if w.throughPages(open()); b.Left == nil {
			t.Error("a fresh sign-in is not enough")
		}
		w.Clock.Step(2 * time.Minute)
		if open(); !b.Has("provider-corp") {
			t.Error("an old sign-in is enough")
		}
		if open("max_age", "3600"); b.Left == nil && b.Has("provider-corp") {
			t.Error("what the request says does not hold")
		}
	})
}
