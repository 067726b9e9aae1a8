package main

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/jose"
)

// process is a child of the benchmark that is stopped by its own pid.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

func (p *process) stop() {
	_ = p.stdin.Close()
	_ = p.cmd.Process.Signal(os.Interrupt)
	done := make(chan struct{})
	go func() { _ = p.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-done
	}
}

// cpu is the processor time the process has spent in user and kernel mode (Linux; zero elsewhere).
func (p *process) cpu() time.Duration {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	// The fields after the name, which may hold anything: state is the first, utime and stime the twelfth and thirteenth.
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * (time.Second / 100) // USER_HZ is 100 wherever Go runs
}

// resident is the resident set in MiB (Linux; zero elsewhere).
func (p *process) resident() float64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(data), "VmRSS:")
	var kb float64
	_, _ = fmt.Sscan(rest, &kb)
	return kb / 1024
}

// target is a running Countersign.
type target struct {
	process
	addr   string // host:port to dial
	issuer string
	ready  time.Duration // from start to the first 200 of /readyz
}

const (
	resourceSecret = "bench-resource-secret-0123456789abcdef"
	serviceSecret  = "bench-service-secret-0123456789abcdef0"
)

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

const configuration = `issuer: http://localhost:%[1]s
listen: 127.0.0.1:%[1]s
admin: {listen: "%[2]s"}
database: "%[3]s"
database_max_connections: %[5]d
master_key_file: ./master.key
log: {format: json, level: info}
limits: {refresh_retries_per_minute: -1, refreshes_per_minute: -1, trips_per_minute: -1}
providers:
  - {name: google, type: google, standin: "%[4]s"}
  - {name: corp, type: oidc, issuer: "%[6]s", client_id: bench, client_secret_file: ./resource.secret}
resources:
  - {id: todo-api, audience: "https://api.example.com", scopes: [todos.read], secret_file: ./resource.secret}
clients:
  - id: com.example.todo
    type: native
    dpop: allowed
    providers: [{name: google, audiences: [web.example], azp: [android.example]}]
    resources: [todo-api]
    scopes: [openid, offline_access, todos.read]
  - id: todo-spa
    type: browser
    first_party: true
    id_token_alg: ES256
    providers: [{name: corp}]
    redirect_uris: ["https://todo.example/cb"]
    resources: [todo-api]
    scopes: [openid, offline_access, todos.read]
  - {id: todo-tv, type: native, device_grant: true, providers: [{name: corp}], resources: [todo-api], scopes: [openid, todos.read]}
  - id: bank
    type: web
    profile: fapi2
    auth_method: private_key_jwt
    jwks_file: ./bank.jwks
    first_party: true
    providers: [{name: corp}]
    redirect_uris: ["https://bank.example/cb"]
    resources: [todo-api]
    scopes: [openid, offline_access, todos.read]
  - {id: bank-nightly, type: service, profile: fapi2, auth_method: private_key_jwt, jwks_file: ./bank.jwks, resources: [todo-api], scopes: [todos.read]}
  - {id: nightly, type: service, secret_file: ./service.secret, resources: [todo-api], scopes: [todos.read]}
`

// lifted is what the configuration above lifts; the report says so.
const lifted = "limits lifted for the load: refresh_retries_per_minute, refreshes_per_minute, trips_per_minute"

// startServer writes a configuration into the site's folder and runs the binary on it. Its log goes to a file, as in
// service.
func startServer(ctx context.Context, s *site, maxConns int) (*target, error) {
	public, err := freePort()
	if err != nil {
		return nil, err
	}
	admin, err := freePort()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(public)
	text := fmt.Sprintf(configuration, port, admin, s.database, s.provider.url, maxConns, s.corp.Issuer())
	if err := writeFiles(ctx, s, text); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(s.dir, "server.log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.CommandContext(ctx, s.binary, "serve", "--config", filepath.Join(s.dir, "countersign.yaml"))
	cmd.Stdout, cmd.Stderr = log, log
	t := &target{addr: public, issuer: "http://localhost:" + port}
	t.cmd, t.stdin = cmd, io.NopCloser(nil)
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if err := waitReady(ctx, "http://"+admin+"/readyz"); err != nil {
		t.stop()
		text, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%w; its log:\n%s", err, text)
	}
	t.ready = time.Since(start)
	return t, nil
}

// writeFiles writes what a server reads; the master key is made once and kept.
func writeFiles(ctx context.Context, s *site, configuration string) error {
	files := map[string]string{
		"countersign.yaml": configuration, "resource.secret": resourceSecret, "service.secret": serviceSecret,
		assuredJWKS: s.bankKeys,
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	key := filepath.Join(s.dir, "master.key")
	if _, err := os.Stat(key); err == nil {
		return nil
	}
	if out, err := exec.CommandContext(ctx, s.binary, "key", "new-master", "--out", key).CombinedOutput(); err != nil {
		return fmt.Errorf("new-master: %w: %s", err, out)
	}
	return nil
}

// waitReady asks until it is answered 200. It is a measurement, so it asks every two milliseconds.
func waitReady(ctx context.Context, url string) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	client := &http.Client{Timeout: time.Second}
	for range 10_000 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		<-tick.C
	}
	return fmt.Errorf("%s did not become ready", url)
}

// bare is a running ceiling.
type bare struct {
	process
	addr string
}

// startCeiling runs this very program as the bare handler.
func startCeiling(ctx context.Context, database, idpKey string, bank *jose.Signer) (*bare, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	bankKey, err := x509.MarshalPKIXPublicKey(bank.Public().Key)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "ceiling", database, idpKey, base64.StdEncoding.EncodeToString(bankKey))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	b := &bare{process: process{cmd: cmd, stdin: in}}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.stop()
		return nil, fmt.Errorf("ceiling: %w", err)
	}
	b.addr = strings.TrimSpace(addr)
	return b, nil
}
