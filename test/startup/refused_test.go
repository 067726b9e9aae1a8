package startup_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/test/harness"
)

// good is a configuration that starts. The ports are filled in.
const good = `issuer: https://login.example.com
listen: 127.0.0.1:PUBLIC
admin: {listen: "127.0.0.1:ADMIN"}
database: sqlite:./countersign.db
master_key_file: ./master.key
providers:
  - {name: google, type: google}
resources:
  - {id: todo-api, audience: "https://api.example.com", scopes: [todos.read]}
clients:
  - id: com.example.todo
    type: native
    providers: [{name: google, audiences: [web.example]}]
    resources: [todo-api]
    scopes: [openid, offline_access, todos.read]
  - id: nightly
    type: service
    secret_file: ./nightly.secret
    resources: [todo-api]
    scopes: [todos.read]
`

// refusal is a change to the good configuration, and what it makes the binary say.
type refusal struct {
	name     string
	old, new string            // in the configuration
	files    map[string]string // beside it
	env      []string
	says     []string // the place with what is wrong, then the remedy
}

const sampleKey = "change-me-change-me-change-me-change-me-123"

var keys = []refusal{
	{
		name: "the master key is too short", files: map[string]string{"master.key": base64.RawURLEncoding.EncodeToString([]byte("sixteen bytes!!!"))},
		says: []string{"countersign.yaml:5: master_key_file: master key, line 1: 16 bytes are too short, 32 are needed", "countersign key new-master"},
	},
	{
		name: "the master key is all zeros", files: map[string]string{"master.key": strings.Repeat("A", 43)},
		says: []string{"countersign.yaml:5: master_key_file: master key, line 1: all bytes are equal", "countersign key new-master"},
	},
	{
		name: "the master key is from an example", files: map[string]string{"master.key": "# ours\n" + sampleKey},
		says: []string{"countersign.yaml:5: master_key_file: master key, line 2: ", "countersign key new-master"},
	},
	{
		name: "the master key counts up", files: map[string]string{"master.key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"},
		says: []string{"countersign.yaml:5: master_key_file: master key, line 1: it follows a pattern and is not random", "countersign key new-master"},
	},
	{
		name: "the master key file is of no bytes", files: map[string]string{"master.key": ""},
		says: []string{"countersign.yaml:5: master_key_file: master.key is empty", "countersign key new-master --out master.key"},
	},
	{
		name: "the master key file never ends", old: "./master.key", new: "/dev/zero",
		says: []string{"countersign.yaml:5: master_key_file: /dev/zero is larger than 64 KiB", "-> name the right file"},
	},
	{
		name: "the master key file holds only a comment", files: map[string]string{"master.key": "# to be filled in\n"},
		says: []string{"countersign.yaml:5: master_key_file: master key: the file holds no key", "countersign key new-master"},
	},
	{
		name: "the master key file is not there", old: "./master.key", new: "./absent.key",
		says: []string{"countersign.yaml:5: master_key_file: there is no file absent.key", "-> make one: countersign key new-master --out absent.key"},
	},
	{
		name: "no master key is named", old: "master_key_file: ./master.key\n",
		says: []string{"countersign.yaml: master_key_file: there is no master key", "countersign key new-master --out ./master.key"},
	},
	{
		name: "the master key of the environment is too short", env: []string{"COUNTERSIGN_MASTER_KEY=c2hvcnQ"},
		says: []string{"COUNTERSIGN_MASTER_KEY: master key, line 1: 5 bytes are too short", "countersign key new-master"},
	},
	{
		name: "a client's secret is too short", files: map[string]string{"nightly.secret": "hunter2"},
		says: []string{"countersign.yaml:18: clients[1].secret_file: the secret has 7 characters; it needs 32", "-> "},
	},
}

var addresses = []refusal{
	{
		name: "a plain http issuer that is not on this machine", old: "https://login", new: "http://login",
		says: []string{"countersign.yaml:1: issuer: it is plain http, and not on this machine", "-> write https://login.example.com"},
	},
	{
		name: "a plain http issuer with a listener others can reach", old: "https://login.example.com\nlisten: 127.0.0.1", new: "http://localhost:8080\nlisten: 0.0.0.0",
		says: []string{"countersign.yaml:2: listen: other machines can reach it, but the issuer is plain http", "-> listen on 127.0.0.1, or give the issuer https"},
	},
	{
		name: "a listener others can reach, without TLS or a proxy in front", old: "listen: 127.0.0.1:PUBLIC", new: "listen: :PUBLIC",
		says: []string{"countersign.yaml:2: listen: other machines can reach it without TLS", "-> set tls.cert_file and tls.key_file, or name the proxy"},
	},
	{
		name: "the same by the environment", env: []string{"COUNTERSIGN_LISTEN=0.0.0.0:0"},
		says: []string{"COUNTERSIGN_LISTEN: other machines can reach it without TLS", "-> set tls.cert_file and tls.key_file, or name the proxy"},
	},
	{
		name: "a proxy that is everybody", old: "database:", new: "trusted_proxies: [0.0.0.0/0]\ndatabase:",
		says: []string{"countersign.yaml:4: trusted_proxies[0]: it trusts every address", "-> name the network of the proxy"},
	},
	{
		name: "a stand-in where the issuer is not on this machine", old: "type: google}", new: `type: google, standin: "http://127.0.0.1:9090"}`,
		says: []string{"countersign.yaml:7: providers[0].standin: a stand-in signs in anybody as anybody", "-> remove the line, or put the issuer and both listeners on loopback"},
	},
	{
		name: "a stand-in on another machine", old: "type: google}", new: `type: google, standin: "http://192.0.2.7:9090"}`,
		says: []string{"countersign.yaml:7: providers[0].standin: a stand-in runs on this machine", "-> write its address on loopback"},
	},
	{
		name: "an upstream over plain http", old: "  - {name: google, type: google}", new: "  - {name: google, type: google}\n  - {name: corp, type: oidc, issuer: \"http://login.corp.example\"}",
		says: []string{"countersign.yaml:8: providers[1].issuer: it is plain http, and not on this machine", "-> write https://login.corp.example"},
	},
	{
		name: "half of a certificate", old: "database:", new: "tls: {cert_file: ./tls.pem}\ndatabase:",
		says: []string{"countersign.yaml:4: tls.key_file: cert_file is there, key_file is missing", "-> name the private key of the certificate"},
	},
	{
		name: "a certificate that is none", old: "database:", new: "tls: {cert_file: ./master.key, key_file: ./master.key}\ndatabase:",
		says: []string{"countersign.yaml:4: tls: the pair cannot be used", "-> name a PEM certificate and the private key that belongs to it"},
	},
}

var databases = []refusal{
	{
		name: "a folder that is not there", old: "sqlite:./", new: "sqlite:./nodir/",
		says: []string{"countersign.yaml:4: database: there is no folder nodir", "-> make it, for the server's user alone: (umask 077; mkdir -p nodir)"},
	},
	{
		name: "a parameter the driver does not know the value of", old: "sqlite:./countersign.db", new: "postgres://u:hunter2@127.0.0.1:1/d?sslmode=bogus",
		says: []string{"countersign.yaml:4: database: the parameter sslmode of the database URL cannot be used", "-> correct the parameter or leave it out"},
	},
	{
		name: "a parameter that should be a number", old: "sqlite:./countersign.db", new: "postgres://u:hunter2@127.0.0.1:1/d?connect_timeout=x",
		says: []string{"countersign.yaml:4: database: the parameter connect_timeout of the database URL cannot be used: it is not a number", "-> correct the parameter"},
	},
	{
		name: "commits that are answered before they are kept", old: "sqlite:./countersign.db", new: "postgres://u:hunter2@127.0.0.1:1/d?options=-csynchronous_commit%3Doff",
		says: []string{"countersign.yaml:4: database: synchronous_commit is off: a database that is killed would then lose refreshes", "-> correct the parameter or leave it out"},
	},
}

var names = []refusal{
	{
		name: "an unknown key", old: "database:", new: "databse:",
		says: []string{"countersign.yaml:4: databse: there is no such key", `-> did you mean "database"?`},
	},
	{
		name: "a key twice", old: "database:", new: "listen: 127.0.0.1:1\ndatabase:",
		says: []string{"countersign.yaml:4: listen: the key stands twice, first on line 2", "-> keep one of the two"},
	},
	{
		name: "a variable that is nearly one of ours", env: []string{"COUNTERSIGN_DATABSE=sqlite:./x.db"},
		says: []string{"COUNTERSIGN_DATABSE: there is no such variable", "-> did you mean COUNTERSIGN_DATABASE?"},
	},
	{
		name: "a variable that is like none of ours", env: []string{"COUNTERSIGN_FOO=bar"},
		says: []string{"COUNTERSIGN_FOO: there is no such variable", "-> unset it; known are: COUNTERSIGN_ISSUER, "},
	},
	{
		name: "a client that is named like an account", old: "id: nightly", new: "id: acc_nightly", // TK12
		says: []string{`countersign.yaml:16: clients[1].id: ids that start with "acc_" are accounts`, "-> choose another"},
	},
	{
		name: "a native client with a secret", old: "type: native", new: "type: native\n    secret_file: ./nightly.secret",
		says: []string{"countersign.yaml:13: clients[0].secret_file: a native client cannot keep a secret", "-> remove the line"},
	},
	{
		name: "an unknown provider", old: "providers: [{name: google,", new: "providers: [{name: gogle,",
		says: []string{`countersign.yaml:13: clients[0].providers[0].name: there is no provider "gogle"`, `-> did you mean "google"?`},
	},
	{
		name: "an unknown resource", old: "resources: [todo-api]\n    scopes: [openid", new: "resources: [todo-apy]\n    scopes: [openid",
		says: []string{`countersign.yaml:14: clients[0].resources[0]: there is no resource "todo-apy"`, `-> did you mean "todo-api"?`},
	},
	{
		name: "an unknown scope", old: "offline_access, todos.read", new: "offline_access, todos.raed",
		says: []string{`countersign.yaml:15: clients[0].scopes[2]: nothing owns the scope "todos.raed"`, `-> did you mean "todos.read"?`},
	},
	{
		name: "a scope with two owners", old: "clients:\n", new: "  - {id: mail-api, audience: \"https://mail.example.com\", scopes: [todos.read]}\nclients:\n",
		says: []string{"countersign.yaml:10: resources[1].scopes[0]: ", "-> "},
	},
	{
		name: "a service that would sign people in", old: "secret_file: ./nightly.secret", new: "secret_file: ./nightly.secret\n    providers: [{name: google, audiences: [x]}]",
		says: []string{"countersign.yaml:19: clients[1].providers: a service signs nobody in", "-> remove the line"},
	},
	{
		name: "text that is no YAML", old: "providers:\n", new: "providers: [\n",
		says: []string{"countersign.yaml:", "this is not YAML", "-> "},
	},
}

// KL04: what is unsafe or misspelt does not start. The ports of the configuration are taken: had the process come as
// far as listening, it would complain of that instead.
func TestKL04ABadConfigurationDoesNotStart(t *testing.T) {
	t.Parallel()
	binary(t)
	for _, list := range [][]refusal{keys, addresses, databases, names} {
		for _, tt := range list {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				tt.check(t)
			})
		}
	}
}

func (tt refusal) check(t *testing.T) {
	t.Helper()
	if !strings.Contains(good, tt.old) {
		t.Fatalf("%q does not stand in the good configuration", tt.old)
	}
	dir := folder(t)
	text := strings.Replace(good, tt.old, tt.new, 1)
	text = strings.NewReplacer("PUBLIC", taken(t), "ADMIN", taken(t)).Replace(text)
	write(t, dir, "countersign.yaml", text)
	for name, text := range tt.files {
		write(t, dir, name, text)
	}
	started := time.Now()
	said := refuses(t, dir, tt.env, "serve", "--config", "countersign.yaml")
	if took := time.Since(started); took > 10*time.Second {
		t.Errorf("it took %v to say so", took)
	}
	for _, want := range tt.says {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	for _, never := range []string{secret, "hunter2", sampleKey, "goroutine", ".go:"} {
		if strings.Contains(said, never) {
			t.Errorf("it shows %q:\n%s", never, said)
		}
	}
	if !strings.Contains(said, "nothing was started") {
		t.Errorf("it does not say that nothing was started:\n%s", said)
	}
	if _, err := os.Stat(filepath.Join(dir, "countersign.db")); err == nil {
		t.Error("the database was made all the same")
	}
	if checked := refuses(t, dir, tt.env, "config", "check", "--config", "countersign.yaml"); !strings.Contains(checked, tt.says[0]) || strings.Contains(checked, "nothing was started") {
		t.Errorf("config check says something else:\n%s", checked)
	}
}

// refuses runs a command that must fail by itself and returns what it said.
func refuses(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	out, err := command(t, dir, env, args...).CombinedOutput()
	if code := exitCode(err); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(string(out), "serving") || strings.Contains(string(out), "address already in use") {
		t.Errorf("it came as far as listening:\n%s", out)
	}
	return string(out)
}

// A schema of a release to come is left alone, on both engines.
func TestANewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	binary(t)
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		t.Parallel()
		w := harness.New(t, e)
		w.StopAll()
		w.Exec("INSERT INTO migrations (number, name, checksum, applied_at) VALUES (9999, '9999_of_the_future.sql', 'x', 0)")
		dir := folder(t)
		text := strings.Replace(good, "sqlite:./countersign.db", w.Database, 1)
		write(t, dir, "countersign.yaml", strings.NewReplacer("PUBLIC", taken(t), "ADMIN", taken(t)).Replace(text))
		for _, args := range [][]string{{"serve"}, {"migrate"}} {
			said := refuses(t, dir, nil, append(args, "--config", "countersign.yaml")...)
			for _, want := range []string{"the database schema is newer than this binary", "9999_of_the_future.sql", "start the release that made it"} {
				if !strings.Contains(said, want) {
					t.Errorf("%v does not say %q: %s", args, want, said)
				}
			}
		}
	})
}
