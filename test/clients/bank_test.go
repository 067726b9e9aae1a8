package clients_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/countersign/countersign/test/harness"
)

// The bank of examples/ with its keys as examples/setup.sh makes them: signing in under each profile and, over TLS, with a
// certificate in place of assertions and proofs.
func TestTheBankOfTheExamplesSignsPeopleIn(t *testing.T) {
	dir, port := bankFolder(t), freePort(t)
	var portOf sync.Mutex // it stands in the configuration of both engines
	bank := func(id, more string) harness.Option {
		return harness.Clients("  - {id: " + id + ", type: web, " + more + ", jwks_file: " + filepath.Join(dir, "bank.jwks") + ", resources: [todo-api],\n" +
			"     access_token_ttl: 20s, providers: [{name: google}], redirect_uris: [\"https://127.0.0.1:" + strconv.Itoa(port) + "/callback\"],\n" +
			"     scopes: [openid, profile, offline_access, todos.read]}\n")
	}
	const asserted = ", auth_method: private_key_jwt"
	const shown = ", auth_method: self_signed_tls_client_auth, tls_client_certificate_bound_access_tokens: true"
	onSecureEngines(t, func(t *testing.T, w *world) {
		portOf.Lock()
		defer portOf.Unlock()
		for _, tt := range []struct {
			token string
			flags []string
		}{
			{"dpop", []string{"--id", "bank"}},
			{"dpop", []string{"--id", "bank-signing", "--message-signing"}},
			{"bearer", []string{"--id", "bank-shown", "--certificate"}},
			{"bearer", []string{"--id", "bank-shown-signing", "--certificate", "--message-signing"}},
		} {
			w.atBank(t, dir, port, tt.token, tt.flags...)
		}
	}, bank("bank", "profile: fapi2"+asserted), bank("bank-signing", "profile: fapi2-message-signing"+asserted),
		bank("bank-shown", "profile: fapi2"+shown), bank("bank-shown-signing", "profile: fapi2-message-signing"+shown))
}

// atBank runs the bank and signs in there.
func (w *world) atBank(t *testing.T, dir string, port int, tokenType string, flags ...string) {
	t.Helper()
	stop := w.runBank(t, dir, port, flags...)
	defer stop()
	home, person := "https://127.0.0.1:"+strconv.Itoa(port), bankCustomer(t, dir)
	if status, page, _ := see(t, person, home+"/callback?code=x"); status != http.StatusBadRequest || !strings.Contains(page, "not begun in this browser") {
		t.Errorf("%v: a stranger's answer: %d %s", flags, status, page)
	}
	status, page, away := see(t, person, home+"/login")
	if status != http.StatusSeeOther || !strings.HasPrefix(away, w.Issuer+"/authorize?") {
		t.Fatalf("%v: %d %s", flags, status, page)
	}
	back := w.walk(w.Browser(), away).URL
	if status, page, away = see(t, person, back); status != http.StatusSeeOther || away != "/" {
		t.Fatalf("%v: %d %s", flags, status, page)
	}
	before := strings.Count(w.Log.String(), `"grant":"refresh_token"`) // the token is good for 20 s, and the bank wants 30
	_, page, _ = see(t, person, home+"/")
	if strings.Count(w.Log.String(), `"grant":"refresh_token"`) != before+1 {
		t.Errorf("%v: the bank did not refresh", flags)
	}
	if !strings.Contains(page, "Ada Example") || !strings.Contains(page, "with a "+tokenType+" token") {
		t.Errorf("%v: %s", flags, page)
	}
	if status, page, _ = see(t, person, back); status != http.StatusBadRequest {
		t.Errorf("%v: the answer once more: %d %s", flags, status, page)
	}
}

// runBank starts the bank and waits until it listens.
func (w *world) runBank(t *testing.T, dir string, port int, flags ...string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	polyfill, err := filepath.Abs("node/lib/webcrypto.mjs")
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"--import", polyfill, "bank.mjs", "--issuer", w.Issuer, "--port", strconv.Itoa(port), "--api", "https://127.0.0.1:1/todos"}, flags...)
	bank := exec.CommandContext(ctx, "node", args...)
	bank.Dir = filepath.Join(dir, "bank")
	bank.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, w.env...)
	said, err := bank.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := bank.Start(); err != nil {
		t.Fatal(err)
	}
	heard := make(chan struct{})
	stop = func() {
		cancel()
		<-heard
		_ = bank.Wait()
	}
	lines := bufio.NewScanner(said)
	var before strings.Builder
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "listening on ") {
			go func() {
				defer close(heard)
				for lines.Scan() {
					t.Log("bank:", lines.Text())
				}
			}()
			return stop
		}
		before.WriteString(lines.Text() + "\n")
	}
	close(heard)
	stop()
	t.Fatalf("the bank does not listen:\n%s", before.String())
	return nil
}

// bankFolder is examples/ as somebody has it after setup.sh and npm.
func bankFolder(t *testing.T) string {
	t.Helper()
	installed(t)
	dir := t.TempDir()
	for _, name := range []string{"setup.sh", "bank/bank.mjs", "bank/package.json"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "examples", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	packages, err := filepath.Abs("node/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(packages, filepath.Join(dir, "bank", "node_modules")); err != nil {
		t.Fatal(err)
	}
	// the certificate of docs/fapi.md, for the key that bank.jwks has
	certify := "sh setup.sh && openssl req -x509 -key bank.pem -days 365 -subj /CN=bank -out bank-client.pem"
	setup := exec.CommandContext(t.Context(), "sh", "-ec", certify)
	setup.Dir, setup.Env = dir, append(os.Environ(), "COUNTERSIGN="+harness.Binary(t))
	if out, err := setup.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// bankCustomer is a browser that trusts the bank's certificate.
func bankCustomer(t *testing.T, dir string) *http.Client {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "bank-tls.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
