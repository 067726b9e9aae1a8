package fetch

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestADocumentIsFetched(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=300")
		w.WriteHeader(http.StatusTeapot)
		_, _ = fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, r.UserAgent())
	})
	got, err := New(Options{AllowLoopback: true}).Get(t.Context(), base+"/jwks")
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != http.StatusTeapot || string(got.Body) != "GET /jwks countersign" || got.MaxAge != 5*time.Minute {
		t.Errorf("%+v %s", got, got.Body)
	}
}

func TestAFormIsPosted(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s %s", r.Method, r.Header.Get("Content-Type"), r.PostFormValue("code"))
	})
	got, err := New(Options{AllowLoopback: true}).PostForm(t.Context(), base, url.Values{"code": {"a&b"}})
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Body) != "POST application/x-www-form-urlencoded a&b" {
		t.Errorf("%s", got.Body)
	}
}

func TestWhoAsksIsSaidInAHeaderThatNobodyElseSends(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s %s", r.Method, r.Header.Get("Authorization"), r.PostFormValue("code"))
	})
	c := New(Options{AllowLoopback: true})
	for want, ask := range map[string]func() (*Response, error){
		"GET Bearer a ": func() (*Response, error) { return c.GetAs(t.Context(), base, "Bearer a") },
		"GET Bearer b ": func() (*Response, error) { return c.GetAs(t.Context(), base, "Bearer b") },
		"GET  ":         func() (*Response, error) { return c.Get(t.Context(), base) },
		"POST Basic a x": func() (*Response, error) {
			return c.PostFormAs(t.Context(), base, "Basic a", url.Values{"code": {"x"}})
		},
	} {
		if got, err := ask(); err != nil || string(got.Body) != want {
			t.Errorf("%v, %v, want %q", got, err, want)
		}
	}
}

// ID21, RG02: a redirect is handed back, never followed.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var followed atomic.Bool
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/target" {
			followed.Store(true)
		}
		http.Redirect(w, r, "/target", http.StatusFound)
	})
	got, err := New(Options{AllowLoopback: true}).Get(t.Context(), base)
	if err != nil || got.Status != http.StatusFound || followed.Load() {
		t.Errorf("%+v, %v, followed %v", got, err, followed.Load())
	}
}

// ID21
func TestBodiesAreCapped(t *testing.T) {
	sizes := map[string]int{"/fits": defaultMaxBytes, "/over": defaultMaxBytes + 1, "/huge": 10 << 20}
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		chunk := []byte(strings.Repeat("x", 1<<10))
		for left := sizes[r.URL.Path]; left > 0; left -= len(chunk) {
			if _, err := w.Write(chunk[:min(left, len(chunk))]); err != nil {
				return
			}
		}
	})
	c := New(Options{AllowLoopback: true})
	if got, err := c.Get(t.Context(), base+"/fits"); err != nil || len(got.Body) != defaultMaxBytes {
		t.Errorf("512 KiB: %v", err)
	}
	for _, path := range []string{"/over", "/huge"} {
		if _, err := c.Get(t.Context(), base+path); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestTheCapCountsWhatACompressedBodyUnpacksTo(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write(make([]byte, 8<<20))
		_ = z.Close()
	})
	if _, err := New(Options{AllowLoopback: true}).Get(t.Context(), base); !errors.Is(err, ErrTooLarge) {
		t.Errorf("err = %v", err)
	}
}

// ID21: neither a slow head nor a slow body holds us longer than the timeout.
func TestSlowAnswersAreCutOff(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			_, _ = w.Write([]byte("{"))
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
	})
	c := New(Options{AllowLoopback: true, Timeout: 50 * time.Millisecond})
	for _, path := range []string{"/head", "/body"} {
		if _, err := c.Get(t.Context(), base+path); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestCallersOfOneURLShareOneFlight(t *testing.T) {
	var underWay, most atomic.Int32
	arrived, release := make(chan struct{}, 100), make(chan struct{})
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		most.Store(max(most.Load(), underWay.Add(1)))
		arrived <- struct{}{}
		<-release
		underWay.Add(-1)
		_, _ = w.Write([]byte("ok"))
	})
	c := New(Options{AllowLoopback: true})

	// The first caller gives up while the request is under way: the others still get the answer.
	impatient, giveUp := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := c.Get(impatient, base); !errors.Is(err, context.Canceled) {
			t.Errorf("the impatient caller got %v", err)
		}
	})
	<-arrived
	giveUp()
	for range 20 {
		wg.Go(func() {
			if got, err := c.Get(t.Context(), base); err != nil || string(got.Body) != "ok" {
				t.Errorf("%v", err)
			}
		})
	}
	close(release)
	wg.Wait()
	if n := most.Load(); n != 1 {
		t.Errorf("%d requests at one time", n)
	}
}

func TestURLsThatAreRefusedBeforeAnySocketOpens(t *testing.T) {
	for _, target := range []string{
		"http://accounts.example/", "http://127.0.0.1.evil.example/", "http://localhost.evil.example/", "http://10.0.0.1/", "ftp://example.com/",
		"file:///etc/passwd", "https://", "https:///path", "//example.com/", "https://user:secret@example.com/", "https://user@example.com/", "", "https://[::1", "gopher://x",
	} {
		for _, loopback := range []bool{false, true} {
			if _, err := New(Options{AllowLoopback: loopback}).Get(t.Context(), target); !errors.Is(err, ErrURL) {
				t.Errorf("%s: %v", target, err)
			}
		}
	}
	if _, err := New(Options{}).Get(t.Context(), "http://localhost:1/"); !errors.Is(err, ErrURL) {
		t.Errorf("plain http to loopback, not allowed: %v", err)
	}
}

// RG01, RG02: whatever a host is called, the address it resolves to is judged when we connect. A listener counts.
func TestConnectionsToLoopbackAreRefusedUnlessAllowed(t *testing.T) {
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
	c := New(Options{})
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"} {
		if _, err := c.Get(t.Context(), "https://"+host+":"+port); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, literal := range []string{"10.0.0.1", "169.254.169.254", "[fd00::1]", "[fe80::1]", "100.64.0.1", "[64:ff9b::7f00:1]"} {
		if _, err := c.Get(t.Context(), "https://"+literal+":"+port); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v", literal, err)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
	// Allowed, the connection is made, and fails at the certificate of the test server.
	if _, err := New(Options{AllowLoopback: true}).Get(t.Context(), s.URL); err == nil || errors.Is(err, ErrAddress) || connections.Load() != 1 {
		t.Errorf("allowed: %v, %d connections", err, connections.Load())
	}
}

func TestTheEnvironmentNamesNoProxy(t *testing.T) {
	if New(Options{}).http.Transport.(*http.Transport).Proxy != nil {
		t.Error("a proxy would hide the target from the guard")
	}
}

func TestErrorsNameTheHostAndNoPath(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	})
	_, err := New(Options{AllowLoopback: true}).Get(t.Context(), base+"/secret?code=secret")
	if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("err = %v", err)
	}
}

func TestACallerThatIsGoneGetsNoAnswer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New(Options{AllowLoopback: true}).PostForm(ctx, serve(t, http.NotFound), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
}
