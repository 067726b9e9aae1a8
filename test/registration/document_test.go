package registration

import (
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/test/harness"
)

const documentsYAML = `
fetch_allow: [127.0.0.0/8]
registration:
  documents: true
  resources: [todo-api]
  scopes: [openid, email, offline_access, todos.read]
  providers: [corp]
`

// described is a world whose clients are named by their documents, on a site with https.
func described(t *testing.T, yaml string, test func(*testing.T, *world)) {
	t.Helper()
	t.Parallel()
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		t.Parallel()
		s := &site{pages: map[string]page{}, asked: map[string]int{}}
		server := httptest.NewTLSServer(s)
		t.Cleanup(server.Close)
		s.url = server.URL
		pool := x509.NewCertPool()
		pool.AddCert(server.Certificate())
		w := newWorld(t, e, yaml, harness.Roots(pool))
		w.site = s
		test(t, w)
	})
}

// describe puts a document at a path, and returns its address, which is the client's id.
func (w *world) describe(path, control string, m members) string {
	id := w.site.url + path
	return w.site.put(path, page{body: m.with("client_id", id).String(), control: control})
}

func publicApp() members {
	return members{"client_name": "Notes", "redirect_uris": []string{"http://127.0.0.1/cb"}, "token_endpoint_auth_method": "none"}
}

const loopback = "http://127.0.0.1:49152/cb"

// begin opens /authorize and tells whether the person may go on.
func (w *world) begin(id, redirect string) bool {
	b := w.Browser().Open(harness.NewTrip(id, redirect, "openid").Path())
	return b.Status == http.StatusOK && b.Has("provider-corp")
}

// cimd-3-01, cimd-4-01, cimd-4.1-01, cimd-5-01
func TestAClientIsNamedByItsDocument(t *testing.T) {
	described(t, documentsYAML, func(t *testing.T, w *world) {
		id := w.describe("/client.json", "max-age=3600", publicApp())
		trip, code := w.signIn(t, id, loopback, "openid email offline_access todos.read")
		tokens := w.Post("/token", trip.Redeem(code, "client_id", id))
		if tokens.Status != 200 || tokens.String("refresh_token") == "" {
			t.Fatalf("%d %s", tokens.Status, tokens.Body)
		}
		if a := w.Refresh(id, tokens.String("refresh_token")); a.Status != 200 {
			t.Errorf("refresh: %d %s", a.Status, a.Body)
		}
		if n := w.site.count("/client.json"); n != 1 {
			t.Errorf("fetched %d times", n)
		}
		metadata := w.Do(w.Request("GET", "/.well-known/oauth-authorization-server", ""))
		if metadata.JSON["client_id_metadata_document_supported"] != true || metadata.JSON["registration_endpoint"] != nil {
			t.Errorf("%s", metadata.Body)
		}
		if a := w.post(webApp().String()); a.Status != http.StatusNotFound {
			t.Errorf("there is a registration endpoint: %d", a.Status)
		}
	})
}

// cimd-4-02, cimd-4-03, cimd-4-04, cimd-4.1-01, cimd-4.1-02, cimd-4.1-03, cimd-4.1-04, cimd-6.6-01, RG02
func TestADocumentThatIsRefused(t *testing.T) {
	described(t, documentsYAML, func(t *testing.T, w *world) {
		at := w.site.url
		good := w.describe("/good", "", publicApp())
		for what, p := range map[string]page{
			"not there":        {status: 404, body: "{}"},
			"a page":           {body: publicApp().with("client_id", at+"/x").String(), kind: "text/html; charset=utf-8"},
			"JSON by chance":   {body: publicApp().with("client_id", at+"/x").String(), kind: "text/plain"},
			"an error":         {status: 500, body: publicApp().with("client_id", at+"/x").String()},
			"made":             {status: 201, body: publicApp().with("client_id", at+"/x").String()},
			"a redirect":       {status: 302, to: good},
			"no JSON":          {body: "hello"},
			"another client":   {body: publicApp().with("client_id", good).String()},
			"no client_id":     {body: publicApp().String()},
			"another spelling": {body: publicApp().with("client_id", at+"/X").String()},
			"a secret":         {body: publicApp().with("client_id", at+"/x").with("client_secret", "s").String()},
			"an expiry":        {body: publicApp().with("client_id", at+"/x").with("client_secret_expires_at", 0).String()},
			"a shared secret":  {body: publicApp().with("client_id", at+"/x").with("token_endpoint_auth_method", "client_secret_basic").String()},
			"too large":        {body: publicApp().with("client_id", at+"/x").with("more", strings.Repeat("x", 5<<10)).String()},
			"no redirect URI":  {body: members{"client_id": at + "/x", "token_endpoint_auth_method": "none"}.String()},
		} {
			w.site.put("/x", p)
			w.Clock.Step(time.Minute) // what is throttled is not what is tried here
			if w.begin(at+"/x", loopback) {
				t.Errorf("%s: the person may go on", what)
			}
		}
		if n := w.site.count("/good"); n != 0 {
			t.Error("a redirect was followed")
		}
		w.site.put("/x", page{body: publicApp().with("client_id", at+"/x").String(), kind: "Application/App+JSON; charset=utf-8"})
		w.Clock.Step(time.Minute)
		if !w.begin(at+"/x", loopback) { // cimd-4.4-02: no refusal is kept
			t.Error("what is mended is not read again")
		}
	})
}

// cimd-4-05: only what begins something reads a document.
func TestOnlyABeginningReadsADocument(t *testing.T) {
	described(t, documentsYAML, func(t *testing.T, w *world) {
		id := w.describe("/quiet", "", publicApp())
		_ = w.Post("/token", map[string][]string{"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "client_id": {id}})
		_ = w.Post("/revoke", map[string][]string{"token": {"x"}, "client_id": {id}})
		_ = w.Do(w.Request("GET", "/logout?client_id="+id, ""))
		if n := w.site.count("/quiet"); n != 0 {
			t.Fatalf("read %d times", n)
		}
		device := w.describe("/tv", "", members{"token_endpoint_auth_method": "none", "grant_types": []string{"urn:ietf:params:oauth:grant-type:device_code"}})
		if a := w.Post("/device_authorization", map[string][]string{"client_id": {device}, "scope": {"openid"}}); a.Status != 200 {
			t.Errorf("a device: %d %s", a.Status, a.Body)
		}
		pushed := harness.NewTrip(id, loopback, "openid")
		if a := w.Post("/par", pushed.Query); a.Status != http.StatusCreated {
			t.Errorf("a pushed request: %d %s", a.Status, a.Body)
		}
	})
}

// cimd-4.4-01, cimd-4.4-02
func TestADocumentIsReadAgainWhenItIsOld(t *testing.T) {
	described(t, documentsYAML, func(t *testing.T, w *world) {
		const other = "http://127.0.0.1/other"
		for path, c := range map[string]struct {
			control string
			fresh   time.Duration
		}{
			"/none": {"", time.Minute}, "/short": {"max-age=1", time.Minute}, "/hour": {"max-age=3600", time.Hour},
			"/long": {"max-age=99999999", 24 * time.Hour}, "/nostore": {"no-store", time.Minute},
		} {
			id := w.describe(path, c.control, publicApp())
			if !w.begin(id, loopback) {
				t.Fatalf("%s is not taken", path)
			}
			_ = w.describe(path, c.control, publicApp().with("redirect_uris", []string{other}))
			w.Clock.Step(c.fresh - time.Second)
			if !w.begin(id, loopback) || w.site.count(path) != 1 {
				t.Errorf("%s: read again too soon", path)
			}
			w.Clock.Step(2 * time.Second)
			if w.begin(id, loopback) || !w.begin(id, other) {
				t.Errorf("%s: what was is still taken", path)
			}
		}
	})
}

func TestADocumentIsKeptWhileItsServerIsDown(t *testing.T) {
	described(t, documentsYAML, func(t *testing.T, w *world) {
		id := w.describe("/down", "", publicApp())
		if !w.begin(id, loopback) {
			t.Fatal("not taken")
		}
		w.site.put("/down", page{status: 503})
		w.Clock.Step(23 * time.Hour)
		if !w.begin(id, loopback) {
			t.Error("it is not kept for a day")
		}
		w.Clock.Step(2 * time.Hour)
		if w.begin(id, loopback) {
			t.Error("it is kept for more than a day")
		}
		id = w.describe("/gone", "", publicApp())
		if !w.begin(id, loopback) {
			t.Fatal("not taken")
		}
		w.site.put("/gone", page{status: 404})
		w.Clock.Step(2 * time.Minute)
		if w.begin(id, loopback) {
			t.Error("a document that was taken away is still good")
		}
	})
}

func TestManyPeopleReadADocumentOnce(t *testing.T) {
	described(t, documentsYAML, func(t *testing.T, w *world) {
		id := w.describe("/crowd", "max-age=600", publicApp())
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if !w.begin(id, loopback) {
					t.Error("refused")
				}
			})
		}
		wg.Wait()
		if n := w.site.count("/crowd"); n > 3 {
			t.Errorf("read %d times", n)
		}
		broken := w.site.put("/broken", page{body: "{}"})
		for range 30 {
			_ = w.begin(broken, loopback)
		}
		if n := w.site.count("/broken"); n > 10 {
			t.Errorf("a broken one was read %d times in a minute", n)
		}
	})
}

// cimd-6.5-01, RG01
func TestADocumentOnOurOwnNetworkIsNotRead(t *testing.T) {
	described(t, strings.Replace(documentsYAML, "fetch_allow: [127.0.0.0/8]\n", "", 1), func(t *testing.T, w *world) {
		id := w.describe("/client.json", "", publicApp())
		for _, id := range []string{id, strings.Replace(id, "127.0.0.1", "localhost", 1), strings.Replace(id, "127.0.0.1", "2130706433", 1), "https://10.0.0.1/client", "https://vault.internal/client"} {
			if w.begin(id, loopback) {
				t.Errorf("%s was taken", id)
			}
		}
		if n := w.site.count("/client.json"); n != 0 {
			t.Errorf("read %d times", n)
		}
	})
}

// A client of the operator's is never taken over by a document, also when it was withdrawn.
func TestADocumentTakesNobodysPlace(t *testing.T) {
	described(t, documentsYAML, func(t *testing.T, w *world) {
		id := w.describe("/taken", "", publicApp())
		w.Exec("INSERT INTO clients (id, declared, disabled, definition) VALUES ('" + id + "', FALSE, FALSE, '{}')")
		if w.begin(id, loopback) {
			t.Error("a withdrawn client is back")
		}
	})
}

// Whoever looks after an app reads which rule its document breaks, and the operator reads in the log which document it was.
func TestADocumentThatIsRefusedSaysWhy(t *testing.T) {
	described(t, documentsYAML, func(t *testing.T, w *world) {
		for path, c := range map[string]struct {
			m    members
			said string
		}{
			"/secret": {publicApp().with("client_id", w.site.url+"/secret").with("client_secret", "s"), "must have no client_secret"},
			"/other":  {publicApp().with("client_id", w.site.url+"/elsewhere"), "its client_id must be the address"},
			"/star":   {publicApp().with("client_id", w.site.url+"/star").with("redirect_uris", []string{"https://*.example/cb"}), "wildcards are not supported"},
		} {
			id := w.site.put(path, page{body: c.m.String()})
			a := w.Post("/device_authorization", map[string][]string{"client_id": {id}, "scope": {"openid"}})
			if a.Status != http.StatusBadRequest || !strings.Contains(a.String("error_description"), c.said) {
				t.Errorf("%s: %d %s", path, a.Status, a.Body)
			}
			if !strings.Contains(w.Log.String(), `"document":"`+id+`"`) {
				t.Errorf("%s is not in the log", id)
			}
		}
		_ = w.Post("/token", map[string][]string{"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "client_id": {"no-such\nclient"}})
		if !strings.Contains(w.Log.String(), `"unknown_client":"no-such?client"`) {
			t.Error("whom /token did not know is not in the log")
		}
	})
}
