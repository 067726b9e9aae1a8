package limits_test

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// page is where the browser client lives.
const page = "https://todo.example"

// shared are the paths a web page may use, each with what it takes and needs.
var shared = map[string]string{
	"/token": "POST", "/challenge": "POST", "/revoke": "POST", "/userinfo": "GET, HEAD, POST", "/jwks": "GET, HEAD",
	"/.well-known/openid-configuration": "GET, HEAD", "/.well-known/oauth-authorization-server": "GET, HEAD",
	"/.well-known/oauth-protected-resource": "GET, HEAD",
}

// SE16: the page of a browser client reads every answer, good or bad, and never with cookies.
func TestSE16ABrowserClientsPageMayAsk(t *testing.T) {
	w := onSQLite(t)
	for path, methods := range shared {
		method, _, _ := strings.Cut(methods, ",")
		a := w.Do(w.Request(method, path, "", harness.Set("Origin", page)))
		h := a.Header
		if h.Get("Access-Control-Allow-Origin") != page || h.Get("Vary") != "Origin" || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %d %v", path, a.Status, h)
		}
		for _, name := range []string{"DPoP-Nonce", "WWW-Authenticate", "Retry-After"} { // rfc9449-8-04
			if !strings.Contains(h.Get("Access-Control-Expose-Headers"), name) {
				t.Errorf("%s: %s is not exposed", path, name)
			}
		}
		asked := w.Do(w.Request(http.MethodOptions, path, "", harness.Set("Origin", page),
			harness.Set("Access-Control-Request-Method", method), harness.Set("Access-Control-Request-Headers", "dpop,authorization")))
		h = asked.Header
		if asked.Status != http.StatusNoContent || h.Get("Access-Control-Allow-Origin") != page || h.Get("Access-Control-Allow-Methods") != methods ||
			h.Get("Access-Control-Allow-Headers") != "Authorization, Content-Type, DPoP" || h.Get("Access-Control-Max-Age") == "" ||
			h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s asked before: %d %v", path, asked.Status, h)
		}
	}
	a := w.Refresh(harness.BrowserID, w.bearer(t, harness.BrowserID).RefreshToken, harness.Set("Origin", page))
	if a.Status != http.StatusOK || a.Header.Get("Access-Control-Allow-Origin") != page || a.Header.Get("DPoP-Nonce") == "" {
		t.Errorf("a refresh: %d %v", a.Status, a.Header)
	}
}

// SE16: any other page may send what it likes and reads nothing.
func TestSE16ForeignPagesReadNothing(t *testing.T) {
	w := onSQLite(t)
	for _, origin := range []string{
		"null", "https://evil.example", "https://todo.example.evil.example", "https://eviltodo.example", "http://todo.example",
		"https://todo.example:444", "https://todo.example/", "HTTPS://TODO.EXAMPLE", "https://todo.example, https://evil.example", "*", w.Issuer,
	} {
		for path, methods := range shared {
			method, _, _ := strings.Cut(methods, ",")
			w.unreadable(t, method, path, origin)
		}
		for path, method := range map[string]string{
			"/introspect": "POST", "/account/v1": "GET", "/account/v1/sessions": "DELETE", "/account/v1/identities": "POST", "/nothing": "GET",
		} {
			w.unreadable(t, method, path, origin)
		}
	}
	// not even the browser client's page reaches what is for app servers and apps
	for path, method := range map[string]string{"/introspect": "POST", "/account/v1": "GET", "/account/v1/identities": "POST"} {
		w.unreadable(t, method, path, page)
	}
	several := w.Request(http.MethodGet, "/jwks", "")
	several.Header["Origin"] = []string{"https://evil.example", page}
	if a := w.Do(several); a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("two origins: %v", a.Header)
	}
}

// unreadable checks that a page of the origin may read neither the answer nor ask beforehand.
func (w *world) unreadable(t *testing.T, method, path, origin string) {
	t.Helper()
	for _, m := range []string{method, http.MethodOptions} {
		a := w.Do(w.Request(m, path, "", harness.Set("Origin", origin), harness.Set("Access-Control-Request-Method", method)))
		for name := range a.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s %s for %q: %s: %s", m, path, origin, name, a.Header.Get(name))
			}
		}
		if m == http.MethodOptions && a.Status < 400 {
			t.Errorf("%s %s for %q: %d", m, path, origin, a.Status)
		}
	}
}

// pretending is what a client or a careless proxy may claim about where a request goes and comes from.
func pretending(r *http.Request) {
	r.Host = "evil.example"
	for name, value := range map[string]string{
		"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher", "X-Forwarded-Port": "1", "X-Forwarded-Prefix": "/evil",
		"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9", "X-Original-URL": "/admin/v1/accounts", "X-Rewrite-URL": "/evil",
		"Forwarded": `for=203.0.113.9;host=evil.example;proto=gopher`, "X-HTTP-Method-Override": "DELETE", "X-Client-Cert": "x",
	} {
		r.Header.Set(name, value)
	}
}

// PX01 PX02: every address is built from the issuer, and an untrusted peer is who it is.
func TestPX01ForeignHostsAndForwardingHeadersChangeNothing(t *testing.T) {
	w := onSQLite(t)
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/jwks"} {
		honest, forged := w.Do(w.Request(http.MethodGet, path, "")), w.Do(w.Request(http.MethodGet, path, "", pretending))
		if honest.Status != http.StatusOK || forged.Status != http.StatusOK || !bytes.Equal(honest.Body, forged.Body) {
			t.Errorf("%s: %d %s", path, forged.Status, forged.Body)
		}
	}
	a := w.Refresh(harness.ClientID, w.bearer(t, harness.ClientID).RefreshToken, pretending)
	claims, err := standin.Claims(a.String("access_token"))
	if err != nil || claims["iss"] != w.Issuer || strings.Contains(string(a.Body), "evil") {
		t.Errorf("%d %v %v", a.Status, claims, err)
	}
	for _, address := range []string{"203.0.113", "evil.example"} {
		if strings.Contains(w.Log.String(), address) {
			t.Errorf("the log believed in %s", address)
		}
	}
	if !strings.Contains(w.Log.String(), `"ip":"127.0.0.0/24"`) {
		t.Error("the log does not name the peer's network")
	}
}

// PX01: a proof is for the address under the issuer's name, whatever the request calls it.
func TestPX01AProofIsForTheIssuersAddress(t *testing.T) {
	w := onSQLite(t)
	key, err := dpop.NewProver()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		url    string
		status int
	}{
		{w.Issuer + "/token", http.StatusOK},
		{"http://evil.example/token", http.StatusBadRequest},
		{"gopher://evil.example/evil/token", http.StatusBadRequest},
		{w.Nodes[0].Public + "/token", http.StatusBadRequest},
	} {
		proof, err := key.Proof(http.MethodPost, tt.url, "", "", w.Clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		a := w.Post("/token", url.Values{"grant_type": {"client_credentials"}}, pretending,
			harness.Basic(harness.ServiceID, harness.ServiceSecret), harness.Set("DPoP", proof))
		if a.Status != tt.status || tt.status != http.StatusOK && a.Error() != "invalid_dpop_proof" {
			t.Errorf("%s: %d %s", tt.url, a.Status, a.Body)
		}
	}
}
