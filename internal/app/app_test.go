package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/app"
	"github.com/countersign/countersign/internal/config"
	"github.com/countersign/countersign/test/pgcluster"
)

const secret = "nightly-secret-0123456789-abcdefghijklmnop"

// configuration of one service client, on the given ports and database; more is added to it.
const configuration = `issuer: http://localhost:%s
listen: %s
admin: {listen: "%s"}
database: %q
master_key_file: ./master.key
limits: {auth_failures_per_minute: -1}
resources:
  - {id: todo-api, audience: "https://api.example.com", scopes: [todos.read]}
clients:
  - {id: nightly, type: service, secret_file: ./nightly.secret, resources: [todo-api], scopes: [todos.read]}
%s`

// server is one running App.
type server struct {
	*app.App
	dir  string
	log  *logBuffer
	stop context.CancelFunc
	done chan error
}

// folder makes what a configuration names.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "nightly.secret"), secret)
	write(t, filepath.Join(dir, "master.key"), app.MasterKeyLine())
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// start runs a server on the database; the folder may be shared with another.
func start(t *testing.T, dir, database, more string) *server {
	t.Helper()
	public, admin := listen(t), listen(t)
	_, port, _ := net.SplitHostPort(public.Addr().String())
	text := fmt.Sprintf(configuration, port, public.Addr(), admin.Addr(), database, more)
	file := filepath.Join(dir, "countersign-"+port+".yaml")
	write(t, file, text)
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return run(t, cfg, app.Options{Public: public, Admin: admin}, dir)
}

func run(t *testing.T, cfg *config.Config, o app.Options, dir string) *server {
	t.Helper()
	s := &server{dir: dir, log: &logBuffer{}, done: make(chan error, 1)}
	o.Log = slog.New(slog.NewTextHandler(s.log, nil))
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	t.Cleanup(s.stop)
	var err error
	if s.App, err = app.New(ctx, cfg, o); err != nil {
		t.Fatal(err)
	}
	go func() { s.done <- s.Run(ctx) }()
	<-s.Ready()
	t.Cleanup(func() {
		s.stop()
		if err := s.wait(); err != nil {
			t.Errorf("the server did not stop well: %v\n%s", err, s.log)
		}
	})
	return s
}

// wait waits for Run to return; it may be called again.
func (s *server) wait() error {
	select {
	case err := <-s.done:
		s.done <- err
		return err
	case <-time.After(20 * time.Second):
		return context.DeadlineExceeded
	}
}

func (s *server) get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// token asks for an access token of the service client.
func (s *server) token(t *testing.T, client string) (int, string) {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.PublicURL()+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(client, secret)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer.AccessToken
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// onBothEngines runs a test with a fresh database of each kind.
func onBothEngines(t *testing.T, test func(t *testing.T, dir, database string)) {
	t.Run("SQLite", func(t *testing.T) {
		test(t, folder(t), "sqlite:./countersign.db")
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		test(t, folder(t), pgcluster.Shared(t))
	})
}

// eventually waits for what another goroutine or process is about to do.
func eventually(t *testing.T, within time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(within)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("within %v: %s", within, what)
		}
	}
}
