package httpd_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/httpd"
)

// listen serves the table with the limits of Server, tightened by the test.
func listen(t *testing.T, tighten func(*http.Server)) net.Addr {
	t.Helper()
	srv := httpd.Server(httpd.Handler(httpd.Options{}, table()))
	tighten(srv)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	return ln.Addr()
}

func dial(t *testing.T, addr net.Addr) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

func TestTheServerHasTheLimitsOfTheHouse(t *testing.T) {
	s := httpd.Server(nil)
	if s.ReadHeaderTimeout != 5*time.Second || s.ReadTimeout != 10*time.Second || s.IdleTimeout != time.Minute ||
		s.MaxHeaderBytes != 16<<10 || s.WriteTimeout == 0 || s.HTTP2.MaxConcurrentStreams != 100 {
		t.Errorf("%+v", s)
	}
}

func TestHeadersOverTheCapAre431(t *testing.T) { // DS01
	addr := listen(t, func(*http.Server) {})
	for name, headers := range map[string]string{
		"one header of 64 KiB": "X-Big: " + strings.Repeat("x", 64<<10) + "\r\n",
		"100 000 cookies":      strings.Repeat("Cookie: a=b\r\n", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, addr)
			go func() { _, _ = io.WriteString(conn, "GET /silent HTTP/1.1\r\nHost: x\r\n"+headers+"\r\n") }()
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("status %d", resp.StatusCode)
			}
		})
	}
}

func TestWhoeverDribblesIsCutOff(t *testing.T) { // DS02
	addr := listen(t, func(s *http.Server) { s.ReadHeaderTimeout, s.ReadTimeout = 20*time.Millisecond, 40*time.Millisecond })
	t.Run("headers that never end", func(t *testing.T) {
		conn := dial(t, addr)
		_, _ = io.WriteString(conn, "POST /form HTTP/1.1\r\nHost: x\r\nX-Slow:")
		if b, err := io.ReadAll(conn); err != nil || strings.Contains(string(b), "200 OK") {
			t.Errorf("%q %v", b, err)
		}
	})
	t.Run("a body that never comes", func(t *testing.T) {
		conn := dial(t, addr)
		_, _ = io.WriteString(conn, "POST /form HTTP/1.1\r\nHost: x\r\nContent-Type: "+formType+"\r\nContent-Length: 10\r\n\r\na=")
		b, err := io.ReadAll(conn)
		// It may be a phone on a bad network, which must not take this for a verdict on what it sent.
		if err != nil || !strings.Contains(string(b), "503 Service Unavailable") || !strings.Contains(string(b), "Retry-After: 1") {
			t.Errorf("%q %v", b, err)
		}
	})
}

// DS02: a place among the requests in flight is for those that are all there.
func TestASlowBodyTakesNobodysPlace(t *testing.T) {
	srv, _ := serve(t, httpd.Options{InFlight: 1})
	conn := dial(t, srv.Listener.Addr())
	in := bufio.NewReader(conn)
	_, _ = io.WriteString(conn, "POST /form HTTP/1.1\r\nHost: x\r\nContent-Type: "+formType+"\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") { // somebody reads the body now
		t.Fatalf("%q %v", line, err)
	}
	if a := do(t, "POST", srv.URL+"/form", "a=quick", "Content-Type", formType); a.StatusCode != 200 {
		t.Errorf("somebody else: %d %s", a.StatusCode, a.body)
	}
	_, _ = in.ReadString('\n')
	_, _ = io.WriteString(conn, "a=b")
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("the slow one: %d", resp.StatusCode)
	}
}
