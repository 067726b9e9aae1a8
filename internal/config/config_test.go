package config

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Every file under testdata/refused gets exactly the sentences of its golden file: all problems at once, each with its
// line and a remedy. KL04 is among them.
// rfc6749-3.1.2-01, rfc6749-3.2-01, rfc6749-10.1-01, rfc6749-10.10-03, rfc7519-4.1.2-01, rfc8414-2-01, rfc8693-2.1-04,
// rfc8725-3.2-01, fapi2-security-5.3.2.1-03, fapi2-security-5.3.2.1-06, fapi2-security-5.3.2.2-08, fapi2-security-5.4.1-02
func TestEveryProblemIsToldWithItsLineAndRemedy(t *testing.T) {
	files, err := filepath.Glob("testdata/refused/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := load(file, nil)
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatalf("want Problems, got %v", err)
			}
			for _, p := range problems {
				if p.Remedy == "" {
					t.Errorf("no remedy: %s", p)
				}
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", err.Error()+"\n")
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("run with -update if this is meant (-want +got):\n%s", diff)
	}
}

func accepted(t *testing.T, env ...string) *Config {
	t.Helper()
	c, err := load("testdata/accepted/full.yaml", env)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAFullFileIsReadAsWritten(t *testing.T) {
	c := accepted(t)
	if got, want := c.Database, "sqlite:testdata/accepted/countersign.db"; got != want {
		t.Errorf("database %q, want %q: relative to the file", got, want)
	}
	if c.Clients[0].SessionIdle != 90*24*time.Hour || c.Clients[0].AccessTokenTTL != 5*time.Minute {
		t.Errorf("durations: %v, %v", c.Clients[0].SessionIdle, c.Clients[0].AccessTokenTTL)
	}
	if c.MasterKey == "" || c.Clients[1].Secret == "" || c.Resources[0].Secret == "" {
		t.Error("a named file was not read")
	}
	if strings.HasSuffix(string(c.Clients[1].Secret), "\n") {
		t.Error("the newline is no part of the secret")
	}
	if c.Dev {
		t.Error("a file is not dev mode")
	}
	c.masterKeyExposed = false // a checkout cannot say that a file is for its owner alone
	if !slices.Equal(c.Warnings(), []string{"the issuer is plain http on this machine: fit for trying out, not for real people"}) {
		t.Errorf("warnings: %q", c.Warnings())
	}
}

func TestAMasterKeyOthersCanReadIsWarnedOf(t *testing.T) {
	key := accepted(t).MasterKey
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o604: true, 0o444: true} {
		path := filepath.Join(t.TempDir(), "master.key")
		if err := os.WriteFile(path, []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		warnings := accepted(t, EnvMasterKeyFile+"="+path).Warnings()
		if got := slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, path) && strings.Contains(w, "chmod 600") }); got != want {
			t.Errorf("mode %o: %q", mode, warnings)
		}
	}
	if w := accepted(t, EnvMasterKey+"="+string(key)).Warnings(); len(w) != 1 {
		t.Errorf("no file, and yet: %q", w)
	}
}

// This package knows no driver; who does says what is wrong with a URL, and here it gets its line and remedy.
func TestAURLTheDriverRefusesIsToldWithItsLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	asked := 0
	refuse := func(string) error {
		asked++
		return errors.New("the driver cannot use it")
	}
	for database, want := range map[string]bool{"postgres://u:hunter2@h/d?sslmode=bogus": true, "postgresql://h": true, "postgres://%zz": false, "sqlite:./x.db": false} {
		text := fmt.Sprintf("issuer: https://login.example.com\ndatabase: %q\n", database)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		asked = 0
		_, err := load(file, environ{EnvMasterKey + "=" + string(accepted(t).MasterKey)}, refuse)
		if got := err != nil && strings.Contains(err.Error(), "c.yaml:2: database: the driver cannot use it\n    -> "); got != want || (asked > 0) != want {
			t.Errorf("%s: asked %d times: %v", database, asked, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("it shows the password: %v", err)
		}
	}
}

// PX02: without the proxy's name every client has the proxy's address, and limits per address are limits of all.
func TestAProxyNobodyNamedIsWarnedOf(t *testing.T) {
	warned := func(c Config) bool {
		return slices.ContainsFunc(c.Warnings(), func(w string) bool { return strings.HasPrefix(w, "trusted_proxies is empty") })
	}
	c := Config{Issuer: "https://login.example.com", Listen: "127.0.0.1:8080", Admin: Admin{Listen: "127.0.0.1:8081"}}
	if !warned(c) {
		t.Error("no warning")
	}
	named, direct, local := c, c, c
	named.TrustedProxies = []string{"127.0.0.1"}
	direct.TLS = TLS{CertFile: "cert.pem", KeyFile: "key.pem"}
	local.Issuer = "http://localhost:8080"
	for _, c := range []Config{named, direct, local} {
		if warned(c) {
			t.Errorf("a warning for no reason: %q", c.Warnings())
		}
	}
}

func TestTheCatalogHoldsHashesOnly(t *testing.T) {
	cat := accepted(t).Catalog()
	native, service := cat.Clients[0], cat.Clients[1]
	if native.AuthMethod != domain.AuthNone || native.DPoP != domain.DPoPAllowed || native.SecretHash != nil {
		t.Errorf("native: %+v", native)
	}
	if service.AuthMethod != domain.AuthSecretBasic || len(service.SecretHash) != 32 {
		t.Errorf("service: %+v", service)
	}
	if cat.Revision != 7 {
		t.Errorf("revision %d, want the file's", cat.Revision)
	}
	if len(cat.Resources[0].SecretHash) != 32 || len(native.Providers) != 3 {
		t.Errorf("catalog: %+v", cat)
	}
}

func TestNoSecretIsEverShown(t *testing.T) {
	c := accepted(t, "COUNTERSIGN_DATABASE=postgres://root:hunter2@db/x?password=hunter3")
	secrets := []string{"hunter2", "hunter3", string(c.Clients[1].Secret), string(c.Resources[0].Secret), strings.Fields(string(c.MasterKey))[3]}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, value := range []any{c, *c, c.Clients, c.Resources[0], c.MasterKey} {
			if text := fmt.Sprintf(verb, value); slices.ContainsFunc(secrets, func(s string) bool { return strings.Contains(text, s) }) {
				t.Errorf("%s of %T shows a secret:\n%s", verb, value, text)
			}
		}
	}
	if !strings.Contains(c.String(), "com.example.todo") || !strings.Contains(c.String(), "postgres://root:xxxxx@db/x") {
		t.Errorf("String shows too little:\n%s", c)
	}
}

func TestDevModeNeedsNoFile(t *testing.T) {
	t.Chdir(t.TempDir())
	c, err := load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Dev || c.Issuer != "http://localhost:8080" || c.Database != "sqlite:./countersign-dev.db" || c.MasterKey != "" {
		t.Errorf("%+v", c)
	}
	if _, err := load("", environ{"COUNTERSIGN_LISTEN=0.0.0.0:8080"}); err == nil {
		t.Error("dev mode off loopback was accepted")
	}
	for _, listener := range []string{"COUNTERSIGN_LISTEN", "COUNTERSIGN_ADMIN_LISTEN"} {
		if _, err := load("", environ{"COUNTERSIGN_ISSUER=https://localhost:8443", listener + "=0.0.0.0:9090"}); err == nil || !strings.Contains(err.Error(), "dev mode") {
			t.Errorf("%s beyond loopback, with https: %v", listener, err)
		}
	}
	if _, err := load("", environ{"COUNTERSIGN_ISSUER=https://login.example.com"}); err == nil {
		t.Error("dev mode with a public issuer was accepted")
	}
}

func TestTheEnvironmentOverridesTheFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := strings.Fields(string(accepted(t).MasterKey))[3]
	tests := []struct {
		name string
		env  environ
		ok   func(*Config) bool
	}{
		{"a plain variable", environ{"COUNTERSIGN_ADMIN_LISTEN=127.0.0.1:9999"}, func(c *Config) bool { return c.Admin.Listen == "127.0.0.1:9999" }},
		{"an empty one counts as not set", environ{"COUNTERSIGN_LISTEN="}, func(c *Config) bool { return c.Listen == "127.0.0.1:8080" }},
		{"the database from a file", environ{"COUNTERSIGN_DATABASE_FILE=" + write("url", "postgres://u@h/d\n")}, func(c *Config) bool { return c.Database == "postgres://u@h/d" }},
		{"the master key itself", environ{"COUNTERSIGN_MASTER_KEY=" + key}, func(c *Config) bool { return string(c.MasterKey) == key && c.MasterKeyFile == "" }},
		{"the master key from a file", environ{"COUNTERSIGN_MASTER_KEY_FILE=" + write("key", key+"\n")}, func(c *Config) bool { return string(c.MasterKey) == key+"\n" }},
		{"what a container platform adds", environ{
			"COUNTERSIGN_PORT=tcp://10.0.0.1:80", "COUNTERSIGN_SERVICE_HOST=10.0.0.1", "COUNTERSIGN_SERVICE_PORT=80", "COUNTERSIGN_SERVICE_PORT_HTTP=80",
			"COUNTERSIGN_PORT_80_TCP=tcp://10.0.0.1:80", "COUNTERSIGN_PORT_80_TCP_ADDR=10.0.0.1", "COUNTERSIGN_ADMIN_SERVICE_HOST=10.0.0.2", "COUNTERSIGN_ADMIN_PORT=tcp://10.0.0.2:81",
		}, func(*Config) bool { return true }},
		{"what the command line reads", environ{"COUNTERSIGN_API_KEY=cs_sk_x", "COUNTERSIGN_SERVER=http://127.0.0.1:1", "COUNTERSIGN_CONFIG=x"}, func(*Config) bool { return true }},
		{"what the tests read", environ{"COUNTERSIGN_TEST_POSTGRES=x", "COUNTERSIGN_TEST_LONG=1", "COUNTERSIGN_FAULTS_SEED=1"}, func(*Config) bool { return true }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if c := accepted(t, tt.env...); !tt.ok(c) {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestABadEnvironmentIsNamed(t *testing.T) {
	tests := []struct {
		name, want string
		env        environ
	}{
		{"both twins", "COUNTERSIGN_DATABASE: it is set, and so is COUNTERSIGN_DATABASE_FILE", environ{"COUNTERSIGN_DATABASE=sqlite:x", "COUNTERSIGN_DATABASE_FILE=/x"}},
		{"a misspelt name", "COUNTERSIGN_DATABSE: there is no such variable\n    -> did you mean COUNTERSIGN_DATABASE?", environ{"COUNTERSIGN_DATABSE=sqlite:x"}},
		{"a name that is like none of ours", "COUNTERSIGN_FOO: there is no such variable\n    -> unset it; known are: COUNTERSIGN_ISSUER, COUNTERSIGN_LISTEN, ", environ{"COUNTERSIGN_FOO=bar"}},
		{"a key of the file that is no variable", "COUNTERSIGN_TRUSTED_PROXIES: there is no such variable", environ{"COUNTERSIGN_TRUSTED_PROXIES=10.0.0.1"}},
		{"half a name", "COUNTERSIGN_ADMIN: there is no such variable\n    -> did you mean COUNTERSIGN_ADMIN_LISTEN?", environ{"COUNTERSIGN_ADMIN=127.0.0.1:1"}},
		{"a port that no platform made up", "COUNTERSIGN_PORT: there is no such variable", environ{"COUNTERSIGN_PORT=8080"}},
		{"a file that never ends", "COUNTERSIGN_DATABASE_FILE: /dev/zero is larger than 64 KiB\n    -> name the right file", environ{"COUNTERSIGN_DATABASE_FILE=/dev/zero"}},
		{"a master key that never ends", "COUNTERSIGN_MASTER_KEY_FILE: /dev/zero is larger than 64 KiB", environ{"COUNTERSIGN_MASTER_KEY_FILE=/dev/zero"}},
		{"an empty file", "COUNTERSIGN_MASTER_KEY_FILE: /dev/null is empty\n    -> ", environ{"COUNTERSIGN_MASTER_KEY_FILE=/dev/null"}},
		{"a value the file's line has nothing to do with", `COUNTERSIGN_LISTEN: "here" is not an address to listen on`, environ{"COUNTERSIGN_LISTEN=here"}},
		{"a file that is not there", "COUNTERSIGN_MASTER_KEY_FILE: there is no file /nowhere/key\n    -> make one: countersign key new-master --out /nowhere/key", environ{"COUNTERSIGN_MASTER_KEY_FILE=/nowhere/key"}},
		{"a short master key", "COUNTERSIGN_MASTER_KEY: master key, line 1: 5 bytes are too short", environ{"COUNTERSIGN_MASTER_KEY=c2hvcnQ"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load("testdata/accepted/full.yaml", tt.env)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v\nwant it to say %s", err, tt.want)
			}
		})
	}
}

// Nothing is told twice: the file was empty, so that it gave no database follows.
func TestAnEmptyFileIsOneProblem(t *testing.T) {
	_, err := load("testdata/accepted/full.yaml", environ{EnvDatabaseFile + "=/dev/null"})
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != 1 || problems[0].Text != "/dev/null is empty" {
		t.Errorf("%v", err)
	}
}

func TestAConfigurationThatNeverEndsIsRefused(t *testing.T) {
	if _, err := load("/dev/zero", nil); err == nil || !strings.Contains(err.Error(), "/dev/zero is larger than 1024 KiB") {
		t.Errorf("got %v", err)
	}
}

func TestWithoutAFileAtThePathNothingStarts(t *testing.T) {
	_, err := load("testdata/nowhere.yaml", nil)
	if err == nil || !strings.Contains(err.Error(), "there is no file testdata/nowhere.yaml") {
		t.Errorf("got %v", err)
	}
}

// A Config put together in code has no lines, and is judged all the same.
func TestValidateJudgesAConfigFromNoFile(t *testing.T) {
	c := accepted(t)
	c.src = source{}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	c.Clients[1].Secret = "short"
	if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), "clients[1].secret_file: the secret has 5 characters; it needs 32") {
		t.Errorf("got %v", err)
	}
}

// rfc6749-10.1-01: what ships to everybody's phone or browser holds no secret.
func TestAClientThatCannotKeepASecretGetsNone(t *testing.T) {
	for _, kind := range []domain.ClientType{domain.ClientNative, domain.ClientBrowser} {
		for name, give := range map[string]func(*Client){
			"a secret":           func(c *Client) { c.Secret = accepted(t).Clients[1].Secret },
			"a file with one":    func(c *Client) { c.SecretFile = "./nightly.secret" },
			"a method to use it": func(c *Client) { c.AuthMethod = string(domain.AuthSecretBasic) },
		} {
			t.Run(string(kind)+": "+name, func(t *testing.T) {
				c := accepted(t)
				c.src = source{}
				app := &c.Clients[0]
				app.Type, app.RedirectURIs = string(kind), []string{"https://app.example.com/callback"}
				if err := c.Validate(); err != nil {
					t.Fatalf("without: %v", err)
				}
				give(app)
				if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), "clients[0].") {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}

// rfc6749-3.1.2-01, and how far rfc9700-2.6-03 holds: loopback may be http for every kind of client.
func TestRedirectURIs(t *testing.T) {
	tests := []struct {
		uri         string
		native, web bool
	}{
		{"https://app.example.com/callback", true, true},
		{"https://app.example.com/callback?keep=1", true, true},
		{"http://127.0.0.1/callback", true, true},
		{"http://[::1]:7000/callback", true, true},
		{"http://localhost:3000/callback", true, true},
		{"com.example.app:/callback", true, false},
		{"com.example.app://callback", true, false},
		{"http://app.example.com/callback", false, false},
		{"com.example.app:callback", false, false},
		{"javascript://%0aalert(1)", false, false},
		{"/callback", false, false},
		{"http://127.0.0.1.evil.com/", false, false},
		{"http://2130706433/", false, false},
		{"http://0.0.0.0/", false, false},
		{"https://app.example@evil/", false, false},
		{"https:evil", false, false},
		{"https://app.example.com/#", false, false},
		{"https://app.example.com\\evil", false, false},
		{"https://app.example.com/\tx", false, false},
		{" javascript:alert(1)", false, false},
		{"JavaScript:alert(1)", false, false},
		{"data:text/html,x", false, false},
		{"file:///etc/passwd", false, false},
		{"myapp:/callback", false, false},
		{"", false, false},
	}
	for _, tt := range tests { // AZ04 to AZ10
		t.Run(tt.uri, func(t *testing.T) {
			if text, _ := oauth.CheckRedirect(tt.uri, true); (text == "") != tt.native {
				t.Errorf("native: %q", text)
			}
			if text, _ := oauth.CheckRedirect(tt.uri, false); (text == "") != tt.web {
				t.Errorf("web: %q", text)
			}
		})
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{"90d": 90 * 24 * time.Hour, "24h": 24 * time.Hour, "1m30s": 90 * time.Second, "0d": 0} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "-1d", "1.5d", "99999999999999d", "36501d", "5", "soon", "1d12h"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*/*.yaml")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("a: &a [*a, *a]\nclients: *a\n"))
	f.Add([]byte("? [x]\n: y\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := decoder{src: source{file: "x.yaml", lines: map[string]int{}}}
		c := defaults()
		d.decode(data, c)
		for _, p := range d.problems {
			if p.Line < 0 || p.Line > bytes.Count(data, []byte("\n"))+bytes.Count(data, []byte("\r"))+2 {
				t.Errorf("line %d of no such line: %s", p.Line, p)
			}
		}
	})
}
