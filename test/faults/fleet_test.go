package faults_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/client"
	"github.com/countersign/countersign/internal/app"
	"github.com/countersign/countersign/internal/config"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/pgcluster"
)

// The names of the fleet's configuration.
const (
	appID          = "com.example.todo" // native, with or without a key
	webID          = "todo-web"         // confidential: a stable token
	serviceID      = "nightly"
	resourceID     = "todo-api"
	audience       = "https://api.example.com"
	googleWeb      = "web.example"
	googleAndroid  = "android.example"
	webSecret      = "web-secret-0123456789abcdef0123456789"
	serviceSecret  = "service-secret-0123456789abcdef01234567"
	resourceSecret = "resource-secret-0123456789abcdef0123456"
)

// configuration is a node's, without its pool. What slows down one app in a loop is lifted: here every phone is one.
const configuration = `issuer: %q
listen: %q
admin: {listen: %q}
database: %q
master_key_file: ./master.key
log: {format: json, level: debug}
limits: {refresh_retries_per_minute: -1, refreshes_per_minute: -1, sign_in_failures_per_minute: -1, auth_failures_per_minute: -1}
providers: [{name: google, type: google, standin: %q}]
resources: [{id: todo-api, audience: "https://api.example.com", scopes: [todos.read], secret_file: ./resource.secret}]
clients:
  - id: com.example.todo
    name: Todo
    type: native
    providers: [{name: google, audiences: [web.example], azp: [android.example]}]
    resources: [todo-api]
    scopes: [openid, offline_access, todos.read]
  - id: todo-web
    type: web
    secret_file: ./web.secret
    providers: [{name: google, audiences: [web.example]}]
    resources: [todo-api]
    scopes: [openid, offline_access, todos.read]
  - {id: nightly, type: service, secret_file: ./service.secret, resources: [todo-api], scopes: [todos.read]}
`

// fleet is one authorization server of one or several processes on a database of its own, and the way to it.
type fleet struct {
	t        testing.TB
	dir      string
	issuer   string
	database string
	cluster  *pgcluster.Cluster // nil on SQLite
	nodes    []*node
	google   *standin.Provider
}

// node is one server, whether it runs or not.
type node struct {
	name          string
	public, admin string // host:port
	config, log   string
	process       *process // nil while it is dead
}

// onSQLite starts a fleet of one.
func onSQLite(t testing.TB) *fleet {
	t.Helper()
	f := newFleet(t)
	f.database = "sqlite:" + filepath.Join(f.dir, "countersign.db")
	f.launch(0)
	return f
}

// onPostgres starts a fleet with a node for each given pool size (zero: the default), on a cluster of its own.
func onPostgres(t testing.TB, pools []int, settings ...pgcluster.Setting) *fleet {
	t.Helper()
	f := newFleet(t)
	cluster, err := pgcluster.Start(t.Context(), settings...)
	must(t, err)
	t.Cleanup(func() { check(t, cluster.Stop()) })
	f.cluster = cluster
	f.database, err = cluster.CreateDatabase(t.Context(), "countersign")
	must(t, err)
	f.launch(pools...)
	return f
}

func newFleet(t testing.TB) *fleet {
	t.Helper()
	google, err := standin.NewProvider(standin.Google)
	must(t, err)
	t.Cleanup(google.Close)
	f := &fleet{t: t, dir: t.TempDir(), google: google}
	for name, text := range map[string]string{
		"master.key": app.MasterKeyLine(), "web.secret": webSecret, "service.secret": serviceSecret, "resource.secret": resourceSecret,
	} {
		must(t, os.WriteFile(filepath.Join(f.dir, name), []byte(text+"\n"), 0o600))
	}
	return f
}

// launch writes the configurations and starts the nodes. They stop with the test.
func (f *fleet) launch(pools ...int) {
	f.t.Helper()
	for i, pool := range pools {
		name := fmt.Sprintf("node %c", 'A'+i)
		file := filepath.Join(f.dir, strings.ReplaceAll(name, " ", "-"))
		n := &node{name: name, public: freeAddress(f.t), admin: freeAddress(f.t), config: file + ".yaml", log: file + ".log"}
		if f.issuer == "" {
			_, port, _ := net.SplitHostPort(n.public)
			f.issuer = "http://localhost:" + port
		}
		text := fmt.Sprintf(configuration, f.issuer, n.public, n.admin, f.database, f.google.URL())
		if pool > 0 {
			text += fmt.Sprintf("database_max_connections: %d\n", pool)
		}
		must(f.t, os.WriteFile(n.config, []byte(text), 0o600))
		f.nodes = append(f.nodes, n)
		must(f.t, n.start())
		f.t.Cleanup(func() {
			check(f.t, n.kill())
			checkLog(f.t, n.log)
		})
	}
}

// start starts a dead node and waits until it is ready.
func (n *node) start() (err error) {
	n.process, err = startProcess(n.config, n.log, "http://"+n.admin+"/readyz")
	if err != nil {
		return fmt.Errorf("start %s: %w", n.name, err)
	}
	return nil
}

// kill kills a running node.
func (n *node) kill() error {
	if n.process == nil {
		return nil
	}
	err := n.process.kill()
	n.process = nil
	if err != nil {
		return fmt.Errorf("%s: %w", n.name, err)
	}
	return nil
}

func (n *node) awaitReady() error { return waitFor("http://" + n.admin + "/readyz") }

// freeAddress finds a port below those the kernel gives to outgoing connections: a node that comes back finds its own
// free.
func freeAddress(t testing.TB) string {
	t.Helper()
	const lowest, tries = 15000, 100
	var err error
	for range tries {
		var l net.Listener
		l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", lowest+rand.IntN(32000-lowest)))
		if err == nil {
			must(t, l.Close())
			return l.Addr().String()
		}
	}
	t.Fatal(err)
	return ""
}

// network is a way from phones to all nodes in turn, with nothing happening on it yet.
func (f *fleet) network() *standin.Network {
	f.t.Helper()
	n, err := standin.NewNetwork()
	must(f.t, err)
	f.t.Cleanup(n.Close)
	addresses := make([]string, len(f.nodes))
	for i, node := range f.nodes {
		addresses[i] = node.public
	}
	must(f.t, n.Route(strings.TrimPrefix(f.issuer, "http://"), addresses...))
	return n
}

// phone makes a phone with a key on a network; mods change it.
func (f *fleet) phone(name string, way *http.Client, mods ...func(*standin.PhoneConfig)) *standin.Phone {
	f.t.Helper()
	c := standin.PhoneConfig{
		Name: name, Issuer: f.issuer, ClientID: appID, DeviceName: name, HTTPClient: way,
		Scope: "openid offline_access todos.read", Resources: []string{audience},
	}
	for _, m := range mods {
		m(&c)
	}
	p, err := standin.NewPhone(c)
	must(f.t, err)
	return p
}

func bearer(c *standin.PhoneConfig) { c.Bearer = true }

// signedIn makes a phone and signs somebody new in on it.
func (f *fleet) signedIn(name string, way *http.Client, mods ...func(*standin.PhoneConfig)) *standin.Phone {
	f.t.Helper()
	p := f.phone(name, way, mods...)
	_, err := p.SignIn(context.Background(), f.prompt(name))
	must(f.t, err)
	return p
}

// prompt is the sheet on which somebody signs in with Google.
func (f *fleet) prompt(who string) standin.Prompt {
	return f.google.Prompt(standin.GoogleAndroid(googleWeb, googleAndroid, standin.Person{Subject: who, Email: who + "@gmail.com"}))
}

// api is the admin API of the first node.
func (f *fleet) api() *client.Client {
	f.t.Helper()
	c, err := config.Load(f.nodes[0].config)
	must(f.t, err)
	key, _, err := app.NewAPIKey(f.t.Context(), c, "faults", app.APIKeyScopes())
	must(f.t, err)
	api, err := client.New("http://"+f.nodes[0].admin, key)
	must(f.t, err)
	return api
}

// restartDatabase brings a killed cluster back and waits until every running node has noticed.
func (f *fleet) restartDatabase() error {
	if err := f.cluster.Restart(context.Background()); err != nil {
		return err
	}
	var errs []error
	for _, n := range f.nodes {
		if n.process != nil {
			errs = append(errs, n.awaitReady())
		}
	}
	return errors.Join(errs...)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
