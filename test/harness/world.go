// Package harness builds small worlds for black-box tests: one or several Countersign nodes over a real database,
// stand-in providers, phones and a lossy network, all over real sockets on loopback. It watches every answer and the
// log for what no test may cause: a 500, a panic, a cacheable token, a secret written down.
package harness

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/client"
	"github.com/countersign/countersign/internal/app"
	"github.com/countersign/countersign/internal/config"
	"github.com/countersign/countersign/internal/keyring"
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

// The names of the world's configuration.
const (
	ClientID       = "com.example.todo" // native, dpop allowed, google + apple + corp
	BoundClientID  = "com.example.bank" // native, dpop required, google
	OtherClientID  = "com.example.other"
	BrowserID      = "todo-spa"
	WebID          = "todo-web" // confidential, client_secret_basic, third party
	OwnID          = "todo-own" // the same, first party
	TVID           = "todo-tv"  // device grant
	PostID         = "todo-post"
	ServiceID      = "nightly"
	ResourceID     = "todo-api"
	Audience       = "https://api.example.com"
	OtherResource  = "mail-api"
	OtherAudience  = "https://mail.example.com"
	WebSecret      = "web-secret-0123456789abcdef0123456789"
	PostSecret     = "post-secret-0123456789abcdef0123456789"
	ServiceSecret  = "service-secret-0123456789abcdef01234567"
	ResourceSecret = "resource-secret-0123456789abcdef0123456"
	OtherSecret    = "other-resource-secret-0123456789abcdef0"
	GoogleWeb      = "web.example" // audience of Google tokens
	GoogleAndroid  = "android.example"
)

const providersYAML = `
providers:
  - {name: google, type: google, client_id: web.example, client_secret_file: ./provider.secret, standin: %[1]q}
  - {name: apple, type: apple, client_id: com.example.web, team_id: %[2]q, key_id: %[3]q, private_key_file: ./apple.p8, standin: %[4]q}
  - {name: corp, type: oidc, issuer: %[5]q, client_id: countersign, client_secret_file: ./provider.secret}
  - {name: microsoft, type: microsoft, client_id: entra.example, client_secret_file: ./provider.secret, standin: %[6]q}
  - {name: github, type: github, client_id: Iv1.example, client_secret_file: ./provider.secret, standin: %[7]q}
%[8]sresources:
  - {id: todo-api, audience: "https://api.example.com", scopes: [todos.read, todos.write], secret_file: ./resource.secret}
  - {id: mail-api, audience: "https://mail.example.com", scopes: [mail.read], secret_file: ./other.secret}
`

const clientsYAML = `clients:
  - id: com.example.todo
    name: Todo
    type: native
    dpop: allowed
    providers:
      - {name: google, audiences: [web.example], azp: [ios.example, android.example]}
      - {name: apple, audiences: [com.example.todo]}
      - {name: corp, audiences: [mobile]}
    redirect_uris: ["com.example.todo:/cb", "http://127.0.0.1/cb", "https://todo.example/app"]
    email: true
    passkeys: true
    resources: [todo-api, mail-api]
    scopes: [openid, profile, email, offline_access, todos.read, todos.write, mail.read, account.read, account.manage]
  - id: com.example.bank
    type: native
    dpop: required
    providers: [{name: google, audiences: [bank.example]}]
    resources: [todo-api]
    scopes: [openid, offline_access, todos.read]
  - id: com.example.other
    type: native
    providers: [{name: google, audiences: [other.example]}]
    resources: [todo-api]
    scopes: [openid, offline_access, todos.read]
  - id: todo-spa
    type: browser
    origins: ["https://todo.example"]
    providers: [{name: google, audiences: [web.example]}, {name: corp}]
    redirect_uris: ["https://todo.example/spa"]
    resources: [todo-api]
    scopes: [openid, offline_access, todos.read, account.read]
  - id: todo-web
    type: web
    secret_file: ./web.secret
    name: Todo for the web
    providers: [{name: google, audiences: [web.example]}, {name: apple}, {name: corp}, {name: microsoft}, {name: github}]
    email: true
    passkeys: true
    redirect_uris: ["https://todo.example/cb", "https://todo.example/cb?with=query"]
    post_logout_redirect_uris: ["https://todo.example/bye"]
    client_uri: https://todo.example
    policy_uri: https://todo.example/privacy
    tos_uri: https://todo.example/terms
    resources: [todo-api]
    scopes: [openid, profile, email, offline_access, todos.read]
  - id: todo-own
    type: web
    secret_file: ./web.secret
    first_party: true
    providers: [{name: google}, {name: corp}]
    redirect_uris: ["https://own.example/cb"]
    resources: [todo-api]
    scopes: [openid, profile, email, offline_access, todos.read]
  - id: todo-tv
    name: Todo on TV
    type: native
    device_grant: true
    providers: [{name: google}, {name: corp}]
    resources: [todo-api]
    scopes: [openid, offline_access, todos.read]
  - id: todo-post
    type: web
    auth_method: client_secret_post
    secret_file: ./post.secret
    providers: [{name: google, audiences: [web.example]}]
    resources: [todo-api]
    scopes: [openid, offline_access, todos.read]
  - {id: nightly, type: service, secret_file: ./service.secret, resources: [todo-api], scopes: [todos.read]}
`

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

type options struct {
	nodes     int
	yaml      string            // more top-level configuration
	clients   string            // more clients
	resources string            // more resources
	files     map[string]string // beside the configuration
	keys      keyring.Options
	maxConns  int
	databases string
	secure    *secure // nil: plain http
	others    []standin.Kind
	roots     *x509.CertPool // nil: the system's
}

// Option changes a world.
type Option func(*options)

// Nodes makes a world of n servers on one database (PostgreSQL).
func Nodes(n int) Option { return func(o *options) { o.nodes = n } }

// YAML adds top-level configuration, such as "limits: {…}".
func YAML(text string) Option { return func(o *options) { o.yaml += "\n" + text } }

// Clients adds clients: list items of two spaces' indent.
func Clients(text string) Option { return func(o *options) { o.clients += text } }

// Resources adds resources: list items of two spaces' indent.
func Resources(text string) Option { return func(o *options) { o.resources += text } }

// File puts a file beside the configuration, which may name it.
func File(name, text string) Option {
	return func(o *options) {
		if o.files == nil {
			o.files = map[string]string{}
		}
		o.files[name] = text
	}
}

// Roots makes the servers trust the certificates of sites that a test serves documents from.
func Roots(pool *x509.CertPool) Option { return func(o *options) { o.roots = pool } }

// Keys sets the key schedule.
func Keys(k keyring.Options) Option { return func(o *options) { o.keys = k } }

// MaxConns bounds the pool of each node.
func MaxConns(n int) Option { return func(o *options) { o.maxConns = n } }

// Database uses this database instead of a fresh one.
func Database(url string) Option { return func(o *options) { o.databases = url } }

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

// Log keeps what the nodes log.
type Log struct {
	mu      sync.Mutex
	text    bytes.Buffer
	secrets []string
}

// Never makes the test fail if the log holds this text: a secret that has no form of its own, such as a cookie's.
func (l *Log) Never(secret string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.secrets = append(l.secrets, secret)
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String is everything logged so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// jwt finds what begins like a JWT; an id of ours may hold the same letters further on.
var jwt = regexp.MustCompile(`(^|[^A-Za-z0-9_-])eyJ`)

// check looks for what no log may hold (ATTACKS.md, the assertions of every row).
func (l *Log) check(t testing.TB) {
	t.Helper()
	nevers := append([]string{
		"panic", "goroutine ", "cs_rt_", "cs_sk_", "cs_ac_", "cs_dc_", WebSecret, PostSecret, ServiceSecret, ResourceSecret,
		OtherSecret, providerSecret,
	}, l.secrets...)
	for line := range strings.Lines(l.String()) {
		for _, never := range nevers {
			if strings.Contains(line, never) {
				t.Errorf("the log holds %q: %s", never, line)
			}
		}
		if jwt.MatchString(line) {
			t.Errorf("the log holds a JWT: %s", line)
		}
	}
}
