// Package harness builds small worlds for black-box tests: one or several Countersign nodes over a real database,
// stand-in providers, phones and a lossy network, all over real sockets on loopback. It watches every answer and the
// log for what no test may cause: a 500, a panic, a cacheable token, a secret written down.
package harness

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/client"
	"github.com/countersign/countersign/internal/app"
	"github.com/countersign/countersign/internal/config"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/pgcluster"
)

// Engine is a database engine.
type Engine string

// The engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// Engines runs a test on both engines.
func Engines(t *testing.T, f func(t *testing.T, e Engine)) {
	t.Helper()
	for _, e := range []Engine{SQLite, Postgres} {
		t.Run(string(e), func(t *testing.T) { f(t, e) })
	}
}

// World is one authorization server and everything around it.
type World struct {
	T      testing.TB
	Engine Engine
	Issuer string
	Mutual string // mtls.url; empty: nobody is asked for a certificate
	Clock  *Clock
	Log    *Log
	Nodes  []*Node

	Google, Apple, Corp, Microsoft, GitHub *standin.Provider
	Others                                 map[standin.Kind]*standin.Provider // by Federation
	Mails                                  *standin.MailServer
	Network                                *standin.Network

	Database string
	dir      string
	options  options
	transit  *http.Client
	apiKey   string
	apiOnce  sync.Once
}

// Node is one running server.
type Node struct {
	App           *app.App
	Public, Admin string // where its listeners are
	mutual        string
	stop          context.CancelFunc
	done          chan error
}

// New builds a world and starts it. It stops with the test.
func New(t testing.TB, e Engine, opts ...Option) *World {
	t.Helper()
	w := &World{T: t, Engine: e, Clock: &Clock{}, Log: &Log{}, dir: t.TempDir(), options: options{nodes: 1}}
	for _, o := range opts {
		o(&w.options)
	}
	w.provide()
	w.Database = w.options.databases
	switch {
	case w.Database != "":
	case e == Postgres:
		w.Database = pgcluster.Shared(t)
	default:
		w.Database = "sqlite:" + filepath.Join(w.dir, "countersign.db")
	}
	if w.options.secure != nil {
		w.options.secure.servers = NewAuthority(t, "An authority of servers")
	}
	for range w.options.nodes {
		w.startNode(nil, nil, nil)
	}
	w.transit = &http.Client{
		Transport:     w.watching(w.trust()),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       20 * time.Second,
	}
	t.Cleanup(func() {
		w.StopAll()
		w.Log.check(t)
	})
	return w
}

func (w *World) provide() {
	w.T.Helper()
	for kind, into := range map[standin.Kind]**standin.Provider{
		standin.Google: &w.Google, standin.Apple: &w.Apple, standin.OIDC: &w.Corp, standin.Microsoft: &w.Microsoft, standin.GitHub: &w.GitHub,
	} {
		p, err := standin.NewProvider(kind, standin.WithClock(w.Clock.Now))
		if err != nil {
			w.T.Fatal(err)
		}
		w.T.Cleanup(p.Close)
		*into = p
	}
	w.provideOthers()
	var err error
	if w.Mails, err = standin.NewMailServer(); err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(w.Mails.Close)
	n, err := standin.NewNetwork()
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(n.Close)
	w.Network = n
}

// register makes the server known to the providers as the client it is there.
func (w *World) register() {
	w.T.Helper()
	for _, at := range []struct {
		p        *standin.Provider
		name, id string
	}{
		{w.Google, "google", GoogleWeb}, {w.Apple, "apple", "com.example.web"}, {w.Corp, "corp", "countersign"},
		{w.Microsoft, "microsoft", "entra.example"}, {w.GitHub, "github", "Iv1.example"},
	} {
		a := standin.Application{ClientID: at.id, RedirectURIs: []string{w.Issuer + "/federation/" + at.name + "/callback"}}
		if at.p != w.Apple {
			a.Secret = providerSecret
		}
		if err := at.p.Register(a); err != nil {
			w.T.Fatal(err)
		}
	}
	w.registerOthers()
}

const providerSecret = "provider-secret-0123456789abcdef01234567"

// listen makes a listener at the address, or a fresh one.
func (w *World) listen(addr string) net.Listener {
	w.T.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		w.T.Fatal(err)
	}
	return l
}

// startNode starts a server on fresh ports, or on those it had.
func (w *World) startNode(public, admin, mutual net.Listener) {
	w.T.Helper()
	if public == nil {
		public, admin = w.listen(""), w.listen("")
	}
	if w.options.secure != nil && mutual == nil {
		mutual = w.listen("")
	}
	if w.Issuer == "" {
		w.Issuer = w.scheme() + "localhost:" + port(public)
		if mutual != nil {
			w.Mutual = "https://localhost:" + port(mutual)
		}
		w.register()
	}
	more := ""
	if mutual != nil {
		more = w.certify(mutual.Addr().String())
	}
	c, err := config.Load(w.writeConfig(public.Addr().String(), admin.Addr().String(), more))
	if err != nil {
		w.T.Fatalf("configuration: %v", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	a, err := app.New(ctx, c, app.Options{
		Log:    slog.New(slog.NewJSONHandler(w.Log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Public: public, Admin: admin, MTLS: mutual, Clock: w.Clock.Now, Keys: w.options.keys, Roots: w.options.roots,
	})
	if err != nil {
		stop()
		w.T.Fatalf("start: %v", err)
	}
	n := &Node{App: a, Public: a.PublicURL(), Admin: a.AdminURL(), mutual: a.MutualURL(), stop: stop, done: make(chan error, 1)}
	go func() { n.done <- a.Run(ctx) }()
	<-a.Ready()
	w.Nodes = append(w.Nodes, n)
}

func port(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func (w *World) writeConfig(public, admin, more string) string {
	w.T.Helper()
	apple := w.Apple.AppleKey()
	text := fmt.Sprintf("issuer: %q\nlisten: %q\nadmin: {listen: %q}\ndatabase: %q\nmaster_key_file: ./master.key\n", w.Issuer, public, admin, w.Database)
	if w.options.maxConns > 0 {
		text += fmt.Sprintf("database_max_connections: %d\n", w.options.maxConns)
	}
	text += fmt.Sprintf("mail: {host: 127.0.0.1, port: %d, tls: none, from: \"Todo <login@todo.example>\"}\n", w.Mails.Port())
	text += more + w.options.yaml
	text += fmt.Sprintf(providersYAML, w.Google.URL(), apple.TeamID, apple.KeyID, w.Apple.URL(), w.Corp.Issuer(),
		w.Microsoft.URL(), w.GitHub.URL(), w.othersYAML())
	text += w.options.resources + clientsYAML + w.options.clients
	files := map[string]string{
		"countersign.yaml": text, "apple.p8": string(apple.PrivateKeyPEM), "web.secret": WebSecret, "post.secret": PostSecret,
		"service.secret": ServiceSecret, "resource.secret": ResourceSecret, "other.secret": OtherSecret,
		"provider.secret": providerSecret,
	}
	if _, err := os.Stat(filepath.Join(w.dir, "master.key")); err != nil {
		files["master.key"] = app.MasterKeyLine() + "\n"
	}
	maps.Copy(files, w.options.files)
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
			w.T.Fatal(err)
		}
	}
	return filepath.Join(w.dir, "countersign.yaml")
}

// Redeclare replaces the clients that Clients added; they count from the next Restart.
func (w *World) Redeclare(clients string) { w.options.clients = clients }

// Config loads the world's configuration.
func (w *World) Config() *config.Config {
	w.T.Helper()
	c, err := config.Load(filepath.Join(w.dir, "countersign.yaml"))
	if err != nil {
		w.T.Fatal(err)
	}
	return c
}

// StopAll stops every node and waits for them.
func (w *World) StopAll() {
	for _, n := range w.Nodes {
		n.stop()
		if err := <-n.done; err != nil {
			w.T.Errorf("a node stopped with: %v", err)
		}
	}
	w.Nodes = nil
}

// Restart stops every node, does what is to be done meanwhile, and starts as many again on the same ports and database.
func (w *World) Restart(meanwhile ...func()) {
	w.T.Helper()
	old := w.Nodes
	w.StopAll()
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		t.CloseIdleConnections() // of the admin client: of a POST on a dead one nobody knows the outcome
	}
	for _, do := range meanwhile {
		do()
	}
	for _, n := range old {
		var mutual net.Listener
		if n.mutual != "" {
			mutual = w.listen(host(n.mutual))
		}
		w.startNode(w.listen(host(n.Public)), w.listen(host(n.Admin)), mutual)
	}
}

// host takes the scheme from an address.
func host(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	return rest
}

// Store opens the world's database a second time, to look at rows and audit events.
func (w *World) Store() *store.DB {
	w.T.Helper()
	db, err := store.Open(context.Background(), store.Options{URL: w.Database, Clock: w.Clock.Now})
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() { _ = db.Close() })
	return db
}

// APIKey returns an admin API key with every scope.
func (w *World) APIKey() string {
	w.T.Helper()
	w.apiOnce.Do(func() {
		text, _, err := app.NewAPIKey(context.Background(), w.Config(), "test", app.APIKeyScopes())
		if err != nil {
			w.T.Fatal(err)
		}
		w.apiKey = text
	})
	return w.apiKey
}

// Admin returns a client of the admin API of the first node.
func (w *World) Admin() *client.Client {
	w.T.Helper()
	c, err := client.New(w.Nodes[0].Admin, w.APIKey())
	if err != nil {
		w.T.Fatal(err)
	}
	return c
}
