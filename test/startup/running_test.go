package startup_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// answer is what came back, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

func get(t *testing.T, address, host string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

// dev starts dev mode on ports of its own choice.
func dev(t *testing.T, dir string) *process {
	t.Helper()
	return start(t, command(t, dir, []string{"COUNTERSIGN_LISTEN=127.0.0.1:0", "COUNTERSIGN_ADMIN_LISTEN=127.0.0.1:0"}, "serve"))
}

func TestDevModeNeedsNoFileAndSaysWhatItIs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := dev(t, dir)
	key := filepath.Join(dir, "countersign-dev.key")
	info, err := os.Stat(key)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the master key: %v, %v", info, err)
	}
	text, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	said := p.out.String()
	for _, want := range []string{
		"Countersign in dev mode: for this machine alone, not for real people.", "http://localhost:8080", p.admin,
		"countersign demo", "countersign serve --config FILE", "countersign-dev.db", "countersign-dev.key",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	if strings.Contains(said, strings.TrimSpace(string(text))) {
		t.Error("it shows the master key")
	}
}

// PX01: a web page that points its own name at this machine gets nothing.
func TestDevModeAnswersNoForeignHost(t *testing.T) {
	t.Parallel()
	p := dev(t, t.TempDir())
	own := strings.TrimPrefix(p.admin, "http://")
	for _, tt := range []struct {
		address, host string
		status        int
	}{
		{p.public + "/.well-known/openid-configuration", "localhost:8080", http.StatusOK},
		{p.public + "/.well-known/openid-configuration", "evil.example", http.StatusMisdirectedRequest},
		{p.public + "/.well-known/openid-configuration", "localhost:8080.evil.example", http.StatusMisdirectedRequest},
		{p.public + "/.well-known/openid-configuration", "localhost", http.StatusMisdirectedRequest},
		{p.public + "/jwks", "evil.example:8080", http.StatusMisdirectedRequest},
		{p.public + "/nothing-here", "evil.example", http.StatusMisdirectedRequest},
		{p.admin + "/readyz", own, http.StatusOK},
		{p.admin + "/readyz", "evil.example", http.StatusMisdirectedRequest},
		{p.admin + "/metrics", "evil.example", http.StatusMisdirectedRequest},
		{p.admin + "/admin/v1/accounts", "evil.example", http.StatusMisdirectedRequest},
		{p.admin + "/admin/v1/accounts", own, http.StatusUnauthorized},
	} {
		a := get(t, tt.address, tt.host)
		if a.status != tt.status || a.header.Get("X-Request-Id") == "" {
			t.Errorf("%s as %s: %d %s", tt.address, tt.host, a.status, a.body)
		}
		if a.status == http.StatusMisdirectedRequest && strings.Contains(a.body, "evil") {
			t.Errorf("it repeats what it was sent: %s", a.body)
		}
	}
}

// KL04: dev mode is for this machine alone, whatever the environment would like.
func TestDevModeIsReachedFromThisMachineOnly(t *testing.T) {
	t.Parallel()
	p := dev(t, t.TempDir())
	for _, listener := range []string{p.public, p.admin} {
		u, err := url.Parse(listener)
		if err != nil || !net.ParseIP(u.Hostname()).IsLoopback() {
			t.Fatalf("it listens on %s: %v", listener, err)
		}
		for _, address := range outside(t) {
			conn, err := net.Dial("tcp", net.JoinHostPort(address, u.Port()))
			if err == nil {
				_ = conn.Close()
				t.Errorf("it is reached at %s:%s", address, u.Port())
			}
		}
	}
	for _, tt := range []struct{ variable, says string }{
		{"COUNTERSIGN_LISTEN=0.0.0.0:0", "COUNTERSIGN_LISTEN: other machines can reach it"},
		{"COUNTERSIGN_LISTEN=:0", "COUNTERSIGN_LISTEN: other machines can reach it"},
		{"COUNTERSIGN_ADMIN_LISTEN=[::]:0", "COUNTERSIGN_ADMIN_LISTEN: other machines can reach it"},
		{"COUNTERSIGN_ISSUER=https://login.example.com", "COUNTERSIGN_ISSUER: dev mode is for this machine alone"},
		{"COUNTERSIGN_ISSUER=http://login.example.com", "COUNTERSIGN_ISSUER: it is plain http, and not on this machine"},
	} {
		dir := t.TempDir()
		if said := refuses(t, dir, []string{tt.variable}, "serve"); !strings.Contains(said, tt.says) || !strings.Contains(said, "-> ") {
			t.Errorf("%s: %s", tt.variable, said)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: it left %v, %v", tt.variable, left, err)
		}
	}
}

// outside lists the addresses under which other machines know this one.
func outside(t *testing.T) []string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, a := range all {
		if network, ok := a.(*net.IPNet); ok && network.IP.IsGlobalUnicast() {
			list = append(list, network.IP.String())
		}
	}
	return list
}

const plain = `issuer: http://localhost:8080
listen: 127.0.0.1:0
admin: {listen: "127.0.0.1:0"}
database: sqlite:./countersign.db
master_key_file: ./master.key
resources:
  - {id: todo-api, audience: "https://api.example.com", scopes: [todos.read]}
clients:
  - {id: nightly, type: service, secret_file: ./nightly.secret, resources: [todo-api], scopes: [todos.read]}
`

// What is in flight when the signal comes is answered, and what comes after it is not taken.
func TestOnSIGTERMWhatIsInFlightIsAnswered(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	write(t, dir, "countersign.yaml", plain)
	p := start(t, command(t, dir, nil, "serve", "--config", "countersign.yaml"))
	address := strings.TrimPrefix(p.public, "http://")
	const body = "grant_type=client_credentials&client_id=nightly"
	conn, in := halfSent(t, address, len(body))
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is not ready any more", p.out, func() bool {
		a := get(t, p.admin+"/readyz", "")
		return a.status == http.StatusServiceUnavailable && strings.Contains(a.body, "stopping")
	})
	eventually(t, "it takes no new connections", p.out, func() bool {
		late, err := net.Dial("tcp", address)
		if err == nil {
			_ = late.Close()
		}
		return err != nil
	})
	if _, err := io.WriteString(conn, body); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(token), "access_token") {
		t.Errorf("%d %s %v", res.StatusCode, token, err)
	}
	if err := p.wait(); err != nil || !strings.Contains(p.out.String(), "msg=stopping") {
		t.Errorf("%v\n%s", err, p.out)
	}
}

// halfSent is a request of which the server has begun to read the body.
func halfSent(t *testing.T, address string, length int) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	head, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost:8080/token", nil)
	if err != nil {
		t.Fatal(err)
	}
	head.SetBasicAuth("nightly", secret)
	_, err = fmt.Fprintf(conn, "POST /token HTTP/1.1\r\nHost: localhost:8080\r\nAuthorization: %s\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
		head.Header.Get("Authorization"), length)
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return conn, in
}
