package clients_test

import (
	"bufio"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/countersign/countersign/test/harness"
)

func TestAppAuthSignsInThroughTheSystemsBrowserAndLoopback(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		path, address := systemBrowser(t)
		port := freePort(t)
		redirect := "http://127.0.0.1:" + strconv.Itoa(port) + "/cb"
		p := params(harness.ClientID, redirect, todos, "nonce", "a nonce of the app's own")
		p["port"] = port
		s := w.start(t, p, []string{"PATH=" + path}, "--import", "./appauth/resolve.mjs", "appauth/native.mjs")
		back := w.walk(s.browser, address(s))
		if !strings.HasPrefix(back.URL, redirect+"?") {
			t.Fatalf("sent to %s", back.URL)
		}
		w.arrive(t, back.URL)
		var got struct {
			Tokens    tokenSet `json:"tokens"`
			Refreshed tokenSet `json:"refreshed"`
			Revoked   bool     `json:"revoked"`
		}
		s.finish(&got)

		pinned := oidc.Config{ClientID: harness.ClientID, SupportedSigningAlgs: []string{oidc.ES256}}
		id, err := w.provider.VerifierContext(w.ctx, &pinned).Verify(w.ctx, got.Tokens.IDToken)
		if err != nil {
			t.Fatal(err)
		}
		if id.Nonce != "a nonce of the app's own" || got.Refreshed.AccessToken == "" || !got.Revoked {
			t.Errorf("nonce %q, revoked %t", id.Nonce, got.Revoked)
		}
		if got.Refreshed.RefreshToken == got.Tokens.RefreshToken || w.Active(got.Refreshed.AccessToken) {
			t.Error("the refresh token did not change, or the access token outlived its session")
		}
		config := oauth2.Config{ClientID: harness.ClientID, Endpoint: w.provider.Endpoint()}
		if _, err := config.TokenSource(w.ctx, spent(got.Refreshed.RefreshToken)).Token(); err == nil {
			t.Error("the revoked refresh token is still good")
		}
	})
}

// systemBrowser stands where AppAuth looks for the command that opens the person's browser: at the head of a PATH.
// What it is told to open can be read once.
func systemBrowser(t *testing.T) (path string, address func(*script) string) {
	t.Helper()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "address")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	tell := "#!/bin/sh\nprintf '%s\\n' \"$1\" >'" + pipe + "'\n"
	for _, name := range []string{"xdg-open", "open"} { // Linux, macOS
		if err := os.WriteFile(filepath.Join(dir, name), []byte(tell), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	told, err := os.OpenFile(pipe, os.O_RDWR, 0) // for writing too, so that opening it waits for nobody
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = told.Close() })
	return dir + string(os.PathListSeparator) + os.Getenv("PATH"), func(s *script) string {
		t.Helper()
		if err := told.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(told).ReadString('\n')
		if err != nil {
			_ = s.cmd.Process.Kill()
			s.fail(err)
		}
		return strings.TrimSpace(line)
	}
}

// arrive is the browser's request to the app that listens on loopback.
func (w *world) arrive(t *testing.T, address string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := w.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("the app answered %d", res.StatusCode)
	}
}

// freePort is a port nobody listens on, for AppAuth wants to be told one. It is below those that systems hand out by
// themselves, so that nobody gets it meanwhile.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 20000 + rand.IntN(10000)
		if l, err := net.ListenTCP("tcp", &net.TCPAddr{Port: port}); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}
