package httpd_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/httpd"
)

func TestInDevModeForeignHostsAreMisdirected(t *testing.T) { // PX01
	srv, _ := serve(t, httpd.Options{Host: "localhost:8080"})
	for host, want := range map[string]int{
		"localhost:8080": 200, "LOCALHOST:8080": 200, "evil.example": 421, "localhost:8081": 421, "127.0.0.1:8080": 421,
	} {
		if a := do(t, "GET", srv.URL+"/silent", "", "Host", host); a.StatusCode != want {
			t.Errorf("%s: %d", host, a.StatusCode)
		}
	}
}

func TestTheClientAddressIsTheRightmostUntrustedOne(t *testing.T) { // PX02 rfc9700-4.13-01
	for _, c := range []struct {
		name    string
		trusted []string
		header  []string
		key, ip string
	}{
		{"without trusted proxies the header is ignored", nil, []string{"X-Forwarded-For", "203.0.113.9"}, "127.0.0.1/32", "127.0.0.0/24"},
		{"a trusted peer is believed", []string{"127.0.0.0/8"}, []string{"X-Forwarded-For", "203.0.113.9"}, "203.0.113.9/32", "203.0.113.0/24"},
		{"a forged first hop is not", []string{"127.0.0.0/8"}, []string{"X-Forwarded-For", "10.0.0.1, 203.0.113.9"}, "203.0.113.9/32", "203.0.113.0/24"},
		{"trusted hops are skipped", []string{"127.0.0.0/8", "10.0.0.0/8"}, []string{"X-Forwarded-For", "6.6.6.6, 203.0.113.9, 10.1.2.3"}, "203.0.113.9/32", "203.0.113.0/24"},
		{"several headers are one list", []string{"127.0.0.0/8", "10.0.0.0/8"}, []string{"X-Forwarded-For", "203.0.113.9", "X-Forwarded-For", "10.1.2.3"}, "203.0.113.9/32", "203.0.113.0/24"},
		{"IPv6 is known by its /64", []string{"127.0.0.0/8"}, []string{"X-Forwarded-For", "2001:db8:1:2:3:4:5:6"}, "2001:db8:1:2::/64", "2001:db8:1::/48"},
		{"IPv4 in IPv6 is IPv4", []string{"127.0.0.0/8"}, []string{"X-Forwarded-For", "::ffff:203.0.113.9"}, "203.0.113.9/32", "203.0.113.0/24"},
		{"a port is ignored", []string{"127.0.0.0/8"}, []string{"X-Forwarded-For", "203.0.113.9:4711"}, "203.0.113.9/32", "203.0.113.0/24"},
		{"nonsense ends the search", []string{"127.0.0.0/8"}, []string{"X-Forwarded-For", "203.0.113.9, unknown"}, "127.0.0.1/32", "127.0.0.0/24"},
		{"other headers are ignored", []string{"127.0.0.0/8"}, []string{"X-Real-Ip", "203.0.113.9", "Forwarded", "for=203.0.113.9"}, "127.0.0.1/32", "127.0.0.0/24"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv, _ := serve(t, httpd.Options{TrustedProxies: c.trusted})
			got := do(t, "GET", srv.URL+"/who", "", c.header...).json(t)
			if got["key"] != c.key || got["ip"] != c.ip {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestOneEventPerRequest(t *testing.T) {
	type observation struct {
		route  string
		status int
	}
	var observed []observation
	srv, log := serve(t, httpd.Options{Observe: func(route string, status int, took time.Duration, said []slog.Attr) {
		if took < 0 {
			t.Errorf("took %v", took)
		}
		if route == "/alarm" && (len(said) != 1 || said[0].Key != "alarm") {
			t.Errorf("said %v", said)
		}
		observed = append(observed, observation{route, status})
	}})
	do(t, "POST", srv.URL+"/form", "a=topsecret", "Content-Type", formType)
	do(t, "DELETE", srv.URL+"/thing/acc_1", "")
	do(t, "BREW", srv.URL+"/wp-admin", "")
	do(t, "GET", srv.URL+"/alarm", "")
	srv.Close()

	want := []map[string]any{
		{"method": "POST", "route": "/form", "status": 200., "level": "INFO", "echoed": true},
		{"method": "DELETE", "route": "/thing/{id}", "status": 409., "level": "INFO", "problem": "It is the last one"},
		{"method": "other", "route": "none", "status": 404., "level": "INFO", "error": "invalid_request"},
		{"method": "GET", "route": "/alarm", "status": 200., "level": "WARN", "alarm": "refresh.counter_ahead"},
	}
	got := log.all(t)
	if len(got) != len(want) || len(observed) != len(want) {
		t.Fatalf("%d events, %d observations", len(got), len(observed))
	}
	for i := range want {
		for key, value := range want[i] {
			if got[i][key] != value {
				t.Errorf("event %d: %s = %v, want %v", i, key, got[i][key], value)
			}
		}
		if got[i]["took"] == nil || got[i]["request_id"] == "" || got[i]["ip"] != "127.0.0.0/24" {
			t.Errorf("event %d: %v", i, got[i])
		}
		if float64(observed[i].status) != got[i]["status"] || observed[i].route != got[i]["route"] {
			t.Errorf("observation %d: %v", i, observed[i])
		}
	}
	if strings.Contains(log.buf.String(), "topsecret") || strings.Contains(log.buf.String(), "acc_1") {
		t.Errorf("what the client sent is in the log: %s", log.buf.String())
	}
}

func TestAnswersOfDPoPRoutesCarryAFreshNonce(t *testing.T) {
	n := 0
	srv, _ := serve(t, httpd.Options{DPoPNonce: func() string { n++; return "nonce-" + string(rune('0'+n)) }})
	first := do(t, "POST", srv.URL+"/form", "a=1", "Content-Type", formType).Header.Get("DPoP-Nonce")
	second := do(t, "GET", srv.URL+"/form", "").Header.Get("DPoP-Nonce")
	if first != "nonce-1" || second != "nonce-2" {
		t.Errorf("%q then, on an error, %q", first, second)
	}
	if got := do(t, "GET", srv.URL+"/cached", "").Header.Get("DPoP-Nonce"); got != "" {
		t.Errorf("a cached answer carries a nonce: %q", got)
	}
}

func TestCrossOrigin(t *testing.T) { // SE16
	srv, _ := serve(t, httpd.Options{Origin: func(o string) bool { return o == "https://app.example" }})
	call := func(method, path, origin string, more ...string) answer {
		return do(t, method, srv.URL+path, "a=1", append([]string{"Content-Type", formType, "Origin", origin}, more...)...)
	}
	t.Run("a registered origin reads the answer and three headers", func(t *testing.T) {
		a := call("POST", "/form", "https://app.example")
		if a.Header.Get("Access-Control-Allow-Origin") != "https://app.example" || a.Header.Get("Vary") != "Origin" ||
			a.Header.Get("Access-Control-Expose-Headers") != "DPoP-Nonce, WWW-Authenticate, Retry-After" {
			t.Errorf("%v", a.Header)
		}
	})
	t.Run("errors too can be read", func(t *testing.T) {
		a := call("PUT", "/form", "https://app.example")
		if a.StatusCode != 405 || a.Header.Get("Access-Control-Allow-Origin") == "" {
			t.Errorf("%d %v", a.StatusCode, a.Header)
		}
	})
	t.Run("its preflight is answered", func(t *testing.T) {
		a := call("OPTIONS", "/form", "https://app.example", "Access-Control-Request-Method", "POST")
		if a.StatusCode != 204 || a.Header.Get("Access-Control-Allow-Methods") != "POST" ||
			a.Header.Get("Access-Control-Allow-Headers") != "Authorization, Content-Type, DPoP" {
			t.Errorf("%d %v", a.StatusCode, a.Header)
		}
	})
	for _, origin := range []string{"https://evil.example", "null", "https://app.example.evil", "https://APP.example"} {
		t.Run("not "+origin, func(t *testing.T) {
			plain, preflight := call("POST", "/form", origin), call("OPTIONS", "/form", origin)
			if plain.Header.Get("Access-Control-Allow-Origin") != "" || preflight.Header.Get("Access-Control-Allow-Origin") != "" ||
				preflight.StatusCode != 403 || plain.Header.Get("Vary") != "Origin" {
				t.Errorf("%v, %d %v", plain.Header, preflight.StatusCode, preflight.Header)
			}
		})
	}
	t.Run("never with credentials, never on other routes", func(t *testing.T) {
		a, b := call("POST", "/form", "https://app.example"), call("GET", "/silent", "https://app.example")
		if a.Header.Get("Access-Control-Allow-Credentials") != "" || b.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%v %v", a.Header, b.Header)
		}
	})
}
