package signon_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/app"
	"github.com/countersign/countersign/internal/config"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// certify writes a certificate for localhost and its key, and returns whom to trust.
func certify(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	put(t, dir, "tls.pem", string(chain))
	put(t, dir, "tls.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(bytes.TrimSpace(chain))
	return pool
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// secured starts a server whose issuer is https, with sign-in by mail, and returns it with a client that trusts it.
func secured(t *testing.T, mails *standin.MailServer) (issuer string, browser *http.Client) {
	t.Helper()
	dir := t.TempDir()
	pool := certify(t, dir)
	var listeners []net.Listener
	for range 2 {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, l)
	}
	_, port, _ := net.SplitHostPort(listeners[0].Addr().String())
	issuer = "https://localhost:" + port
	put(t, dir, "master.key", app.MasterKeyLine()+"\n")
	put(t, dir, "web.secret", harness.WebSecret)
	put(t, dir, "countersign.yaml", fmt.Sprintf(`issuer: %q
listen: %q
admin: {listen: %q}
tls: {cert_file: ./tls.pem, key_file: ./tls.key}
database: "sqlite:./countersign.db"
master_key_file: ./master.key
mail: {host: 127.0.0.1, port: %d, tls: none, from: "login@todo.example"}
clients:
  - {id: todo-web, type: web, secret_file: ./web.secret, email: true, first_party: true, redirect_uris: ["https://todo.example/cb"], scopes: [openid]}
`, issuer, listeners[0].Addr(), listeners[1].Addr(), mails.Port()))
	c, err := config.Load(filepath.Join(dir, "countersign.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	a, err := app.New(ctx, c, app.Options{Log: slog.New(slog.DiscardHandler), Public: listeners[0], Admin: listeners[1]})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	<-a.Ready()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}}
	t.Cleanup(transport.CloseIdleConnections)
	return issuer, &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// seen is an answer, read to its end.
type seen struct {
	status  int
	header  http.Header
	cookies []*http.Cookie
	page    string
}

// visit sends a request with these cookies and nothing a jar would add.
func visit(t *testing.T, c *http.Client, method, address string, form url.Values, cookies ...*http.Cookie) seen {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, k := range cookies {
		r.AddCookie(&http.Cookie{Name: k.Name, Value: k.Value})
	}
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return seen{res.StatusCode, res.Header, res.Cookies(), string(body)}
}

// hostOnly fails the test unless the answer sets exactly these cookies, for this host, TLS and no script. It returns the
// first.
func hostOnly(t *testing.T, res seen, names ...string) *http.Cookie {
	t.Helper()
	if len(res.cookies) != len(names) {
		t.Fatalf("%d %v", res.status, res.header)
	}
	for i, k := range res.cookies {
		if !strings.HasPrefix(k.Name, names[i]) || !k.Secure || !k.HttpOnly || k.SameSite != http.SameSiteLaxMode || k.Path != "/" || k.Domain != "" {
			t.Errorf("%s", k.Raw)
		}
	}
	return res.cookies[0]
}

// On an https issuer the cookies are of this very host, over TLS only, and what a neighbour in the domain can plant, which
// is a cookie without the prefix, is not looked at.
func TestSE02CookiesOfAnHTTPSIssuerAreHostOnly(t *testing.T) {
	t.Parallel()
	mails, err := standin.NewMailServer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mails.Close)
	issuer, browser := secured(t, mails)
	trip := harness.NewTrip(harness.WebID, webRedirect, "openid")
	res := visit(t, browser, http.MethodGet, issuer+trip.Path(), nil)
	bound := hostOnly(t, res, "__Host-cs_flow_")
	flow := strings.TrimPrefix(res.header.Get("Location"), "/login?flow=")

	planted := &http.Cookie{Name: strings.TrimPrefix(bound.Name, "__Host-"), Value: bound.Value}
	if res := visit(t, browser, http.MethodGet, issuer+"/login?flow="+flow, nil, planted); res.status != http.StatusBadRequest {
		t.Errorf("a cookie without the prefix: %d", res.status)
	}
	visit(t, browser, http.MethodPost, issuer+"/login", url.Values{"flow": {flow}, "action": {"email"}, "email": {"alice@example.com"}}, bound)
	m, err := mails.WaitFor(t.Context(), "alice@example.com")
	if err != nil {
		t.Fatal(err)
	}
	res = visit(t, browser, http.MethodPost, issuer+"/login/code", url.Values{"flow": {flow}, "code": {sixDigits.FindString(m.Text())}}, bound)
	if !strings.HasPrefix(res.header.Get("Location"), webRedirect) {
		t.Fatalf("%d %v %s", res.status, res.header, res.page)
	}
	signed := hostOnly(t, res, "__Host-"+signOn, "__Host-"+known)
	if signed.MaxAge <= 0 {
		t.Errorf("%s", signed.Raw)
	}
	silent := harness.NewTrip(harness.WebID, webRedirect, "openid", "prompt", "none")
	for _, tc := range []struct {
		cookies []*http.Cookie
		want    string
	}{
		{[]*http.Cookie{signed}, "code="},
		{[]*http.Cookie{{Name: signOn, Value: signed.Value}}, "error=login_required"},
		{[]*http.Cookie{signed, {Name: signOn, Value: "planted"}}, "code="},
		{[]*http.Cookie{signed, signed}, "error=login_required"},
	} {
		if res := visit(t, browser, http.MethodGet, issuer+silent.Path(), nil, tc.cookies...); !strings.Contains(res.header.Get("Location"), tc.want) {
			t.Errorf("%v: %v, want %s", tc.cookies, res.header, tc.want)
		}
	}
	gone := visit(t, browser, http.MethodPost, issuer+"/logout", url.Values{"action": {"confirm"}}, signed)
	if k := hostOnly(t, gone, "__Host-"+signOn); k.MaxAge >= 0 || k.Value != "" {
		t.Errorf("%s", k.Raw)
	}
}
