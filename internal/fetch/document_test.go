package fetch

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The spellings of places that no document is fetched from (ATTACKS RG01).
var private = []string{
	"127.0.0.1", "127.1", "127.0.1", "2130706433", "017700000001", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.0.0.0x1", "0x7f.0x0.0x0.0x1",
	"10.0.0.1", "172.16.5.4", "192.168.1.1", "100.64.0.1", "169.254.169.254", "2852039166", "0xa9fea9fe", "0.0.0.0", "0", "255.255.255.255",
	"192.0.2.1", "198.18.0.1", "224.0.0.1",
	"[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:10.0.0.1]", "[::127.0.0.1]",
	"[64:ff9b::7f00:1]", "[64:ff9b::10.0.0.1]", "[64:ff9b::169.254.169.254]", "[64:ff9b:1::8.8.8.8]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]",
	"[2001::1]", "[fc00::1]", "[fd12:3456::1]", "[fe80::1]", "[fe80::1%25eth0]", "[2a00::1%25eth0]", "[fec0::1]", "[ff02::1]",
	"localhost", "LocalHost", "localhost.", "app.localhost", "printer.local", "metadata.google.internal", "metadata", "intranet", "router.home.arpa",
	"127.0.0.1.", "１２７.0.0.1", "127。0。0。1", "ⓛocalhost", "a..example", ".example.com", "-x.example", "exa mple.com", "*.example.com",
}

func TestNoSpellingOfAPrivatePlaceIsPublic(t *testing.T) {
	for _, host := range private {
		if err := New(Options{}).CheckPublic("https://" + host + "/jwks"); !errors.Is(err, ErrAddress) && !errors.Is(err, ErrURL) {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, target := range []string{
		"http://app.example/", "ftp://app.example/", "//app.example/", "app.example", "", "https://", "https:///x", "https:app.example",
		"https://me@app.example/", "https://me:secret@app.example/", "file:///etc/passwd", "data:,x", "javascript:alert(1)", "https://%31%32%37.0.0.1/",
	} {
		if err := New(Options{}).CheckPublic(target); !errors.Is(err, ErrAddress) && !errors.Is(err, ErrURL) {
			t.Errorf("%s: %v", target, err)
		}
	}
	for _, target := range []string{
		"https://app.example.com/jwks", "https://app.example.com:8443/", "https://8.8.8.8/", "https://[2a00:1450:4001:829::1]/", "https://1.1.1.1.example.com/",
		"https://xn--bcher-kva.example/", "https://APP.example.com./x?y=z#f", "https://my_app.example.com/", "https://my.notlocal/",
	} {
		if err := New(Options{}).CheckPublic(target); err != nil {
			t.Errorf("%s: %v", target, err)
		}
	}
}

// RG01: what is refused opens no socket: this server listens on all of loopback, under every name it has here.
func TestWhatIsRefusedOpensNoSocket(t *testing.T) {
	var connections atomic.Int32
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.StartTLS()
	defer s.Close()
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := New(Options{Roots: pool(s)})
	for _, host := range private {
		if _, err := c.GetDocument(t.Context(), "https://"+host+":"+port+"/jwks", KeySet); !errors.Is(err, ErrAddress) && !errors.Is(err, ErrURL) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
	allowed := New(Options{Roots: pool(s), Allow: loopback})
	if _, err := allowed.GetDocument(t.Context(), s.URL, KeySet); !errors.Is(err, ErrStatus) || connections.Load() != 1 {
		t.Errorf("allowed: %v, %d connections", err, connections.Load())
	}
}

func pool(s *httptest.Server) *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return roots
}

// RG02: a name that is public when it is registered and private when it is asked for. The address is judged as it is
// connected to, after whatever was resolved.
func TestANameThatTurnsPrivateIsNotConnectedTo(t *testing.T) {
	var connections atomic.Int32
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ConnState = func(net.Conn, http.ConnState) { connections.Add(1) }
	s.Start()
	defer s.Close()
	c := New(Options{})
	if err := c.CheckPublic("https://rebind.example/jwks"); err != nil {
		t.Fatal(err)
	}
	// What the resolver answers in the end, as the dialer hands it to the guard.
	dialer := &net.Dialer{Control: guard(c.allowed), Timeout: time.Second}
	for _, address := range []string{s.Listener.Addr().String(), "localhost:" + strings.Split(s.Listener.Addr().String(), ":")[1]} {
		conn, err := dialer.DialContext(t.Context(), "tcp", address)
		if !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v", address, err)
		}
		if conn != nil {
			_ = conn.Close()
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

func TestAnAllowedNetworkAllowsNothingElse(t *testing.T) {
	c := New(Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}})
	for target, want := range map[string]bool{
		"http://127.0.0.2/": true, "https://127.0.0.2/": true, "http://127.0.0.1/": false, "http://localhost/": false, "http://[::ffff:127.0.0.2]/": true,
		"http://10.0.0.1/": false, "http://app.example.com/": false, "https://app.example.com/": true,
	} {
		if err := c.CheckPublic(target); (err == nil) != want {
			t.Errorf("%s: %v", target, err)
		}
	}
	whole := New(Options{Allow: loopback})
	for _, target := range []string{"http://localhost:80/", "http://127.0.0.1/", "http://[::1]/"} {
		if err := whole.CheckPublic(target); err != nil {
			t.Errorf("%s: %v", target, err)
		}
	}
}

func TestADocumentIsAskedForByItsKind(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Header.Get("Accept"))) })
	c := New(Options{Allow: loopback})
	for _, kind := range []Kind{KeySet, RequestObject, JSON} {
		got, err := c.GetDocument(t.Context(), base, kind)
		if err != nil || string(got.Body) != kind.Accept {
			t.Errorf("%v: %v", got, err)
		}
	}
}

// RG02: no document takes more memory or time than it is worth, and a redirect is none.
func TestADocumentIsBoundedAndAPlain200(t *testing.T) {
	var followed atomic.Bool
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/fits":
			_, _ = w.Write(make([]byte, JSON.MaxBytes))
		case "/over":
			_, _ = w.Write(make([]byte, JSON.MaxBytes+1))
		case "/endless":
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		case "/drip":
			for r.Context().Err() == nil {
				if _, err := w.Write([]byte(" ")); err != nil {
					return
				}
				w.(http.Flusher).Flush()
			}
		case "/moved":
			http.Redirect(w, r, "/target", http.StatusPermanentRedirect)
		case "/target":
			followed.Store(true)
		case "/missing":
			http.NotFound(w, r)
		case "/partial":
			w.WriteHeader(http.StatusPartialContent)
		}
	})
	c := New(Options{Allow: loopback, Timeout: 2 * time.Second})
	for path, want := range map[string]error{
		"/fits": nil, "/over": ErrTooLarge, "/endless": ErrTooLarge, "/moved": ErrStatus, "/missing": ErrStatus, "/partial": ErrStatus,
	} {
		if _, err := c.GetDocument(t.Context(), base+path, JSON); !errors.Is(err, want) || (want == nil) != (err == nil) {
			t.Errorf("%s: %v", path, err)
		}
	}
	slow := New(Options{Allow: loopback, Timeout: 50 * time.Millisecond})
	if _, err := slow.GetDocument(t.Context(), base+"/drip", Kind{MaxBytes: 1 << 40}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("/drip: %v", err)
	}
	if followed.Load() {
		t.Error("the redirect was followed")
	}
}

// FuzzCheckPublic: whatever is called public is https and no address of ours, however it is written.
func FuzzCheckPublic(f *testing.F) {
	for _, host := range private {
		f.Add("https://" + host + "/")
	}
	f.Add("https://app.example.com/jwks")
	c := New(Options{})
	f.Fuzz(func(t *testing.T, target string) {
		if c.CheckPublic(target) != nil {
			return
		}
		u, err := url.Parse(target)
		if err != nil || u.Scheme != "https" || u.User != nil {
			t.Fatalf("%q passes", target)
		}
		name := strings.TrimSuffix(u.Hostname(), ".")
		if addr, err := netip.ParseAddr(name); err == nil {
			if !public(addr.Unmap()) {
				t.Fatalf("%q passes", target)
			}
			return
		}
		if last := name[strings.LastIndex(name, ".")+1:]; !strings.Contains(name, ".") || strings.Trim(last, "0123456789") == "" {
			t.Fatalf("%q passes", target)
		}
	})
}
