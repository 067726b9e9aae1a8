package app_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/app"
	"github.com/countersign/countersign/internal/config"
)

func TestAServerServes(t *testing.T) {
	onBothEngines(t, func(t *testing.T, dir, database string) {
		s := start(t, dir, database, "")
		for _, path := range []string{"/healthz", "/readyz"} {
			if status, body := s.get(t, s.AdminURL()+path); status != http.StatusOK {
				t.Errorf("%s: %d %s", path, status, body)
			}
			if status, _ := s.get(t, s.PublicURL()+path); status != http.StatusNotFound {
				t.Errorf("%s is on the public listener too: %d", path, status)
			}
		}
		if status, body := s.get(t, s.PublicURL()+"/.well-known/openid-configuration"); status != http.StatusOK || !strings.Contains(body, `"issuer": "http://localhost:`) {
			t.Errorf("metadata: %d %s", status, body)
		}
		if status, token := s.token(t, "nightly"); status != http.StatusOK || token == "" {
			t.Errorf("token: %d", status)
		}
		if status, _ := s.get(t, s.PublicURL()+"/admin/v1/accounts"); status != http.StatusNotFound { // AD06
			t.Errorf("the admin API is on the public listener: %d", status)
		}
		if !strings.Contains(s.log.String(), "the issuer is plain http on this machine") {
			t.Errorf("the start did not warn:\n%s", s.log)
		}
	})
}

func TestKeysOutliveTheProcess(t *testing.T) {
	onBothEngines(t, func(t *testing.T, dir, database string) {
		first := start(t, dir, database, "")
		_, before := first.get(t, first.PublicURL()+"/jwks")
		first.stop()
		if err := first.wait(); err != nil {
			t.Fatal(err)
		}
		second := start(t, dir, database, "")
		if _, after := second.get(t, second.PublicURL()+"/jwks"); after != before {
			t.Errorf("keys before: %s\nafter: %s", before, after)
		}
	})
}

// A request in flight is answered, later ones are refused, probes see the stop coming.
func TestAStopFinishesWhatIsInFlight(t *testing.T) {
	s := start(t, folder(t), "sqlite:./countersign.db", "")
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.PublicURL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const body = "grant_type=client_credentials"
	_, err = fmt.Fprintf(conn, "POST /token HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic bmlnaHRseTp3cm9uZw==\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(body))
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") { // the handler is reading the body now
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}

	s.stop()
	eventually(t, 5*time.Second, "the probe says that it is stopping", func() bool {
		status, answer := s.get(t, s.AdminURL()+"/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(answer, "stopping")
	})
	eventually(t, 5*time.Second, "new connections are refused", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.PublicURL(), "http://"))
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	if _, err := conn.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "401") {
		t.Errorf("the request in flight got %q, %v", line, err)
	}
	if err := s.wait(); err != nil {
		t.Error(err)
	}
}

// What one node's file declares, the others know within two seconds. The client is asked for until it is known, so
// failures must not be limited.
func TestNodesLearnOfNewClients(t *testing.T) {
	onBothEngines(t, func(t *testing.T, dir, database string) {
		first := start(t, dir, database, "")
		if status, _ := first.token(t, "hourly"); status != http.StatusUnauthorized {
			t.Fatalf("before: %d", status)
		}
		start(t, dir, database, "  - {id: hourly, type: service, secret_file: ./nightly.secret, resources: [todo-api], scopes: [todos.read]}\n")
		eventually(t, 2*time.Second, "the first node knows the second's client", func() bool {
			status, _ := first.token(t, "hourly")
			return status == http.StatusOK
		})
	})
}

// A node that starts with last week's file, in the midst of a roll-out or by mistake, takes nothing from the others.
func TestAnOlderFileWithdrawsNothing(t *testing.T) {
	const hourly = "  - {id: hourly, type: service, secret_file: ./nightly.secret, resources: [todo-api], scopes: [todos.read]}\n"
	onBothEngines(t, func(t *testing.T, dir, database string) {
		newer := start(t, dir, database, hourly+"revision: 8\n")
		for _, more := range []string{"", "revision: 7\n"} {
			older := start(t, dir, database, more)
			for name, s := range map[string]*server{"the newer": newer, "the older": older} {
				if status, _ := s.token(t, "hourly"); status != http.StatusOK {
					t.Errorf("%s node: %d", name, status)
				}
			}
			log := older.log.String()
			for _, want := range []string{"level=WARN", "newer revision was declared before", "raise its revision", "declared=8"} {
				if !strings.Contains(log, want) {
					t.Errorf("the older node did not say %q:\n%s", want, log)
				}
			}
		}
		if strings.Contains(newer.log.String(), "newer revision") {
			t.Errorf("the newer node warned:\n%s", newer.log)
		}
		start(t, dir, database, "revision: 9\n") // the old file once more, and meant
		if status, _ := newer.token(t, "hourly"); status != http.StatusUnauthorized {
			t.Errorf("withdrawn by a newer revision: %d", status)
		}
	})
}

// AD06: the listener as it is put together refuses other spellings of its paths; it does not lead to the right one.
func TestAD06NoListenerKnowsAPathByAnotherSpelling(t *testing.T) {
	s := start(t, folder(t), "sqlite:./countersign.db", "")
	direct := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for listener, paths := range map[string][]string{
		s.AdminURL(): {"//admin/v1/accounts", "/admin/v1//accounts", "/admin/v1/accounts/", "/x/../admin/v1/accounts", "/ADMIN/v1/accounts",
			"/admin;x/v1/accounts", "//readyz", "/readyz/", "/./metrics"},
		s.PublicURL(): {"//token", "/./token", "/token/", "/token;x", "/TOKEN", "/x/../jwks"},
	} {
		for _, path := range paths {
			res, err := direct.Get(listener + path)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != http.StatusNotFound || res.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s got %d to %q, Cache-Control %q", path, res.StatusCode, res.Header.Get("Location"), res.Header.Get("Cache-Control"))
			}
		}
	}
}

func TestFiguresAreCounted(t *testing.T) {
	s := start(t, folder(t), "sqlite:./countersign.db", "")
	s.token(t, "nightly")
	s.token(t, "nobody")
	s.get(t, s.PublicURL()+"/a-path-a-stranger-made-up")
	_, body := s.get(t, s.AdminURL()+"/metrics")
	for _, want := range []string{
		`countersign_requests_total{listener="public",route="/token",status="200"} 1`,
		`countersign_requests_total{listener="public",route="/token",status="401"} 1`,
		`countersign_requests_total{listener="public",route="none",status="404"} 1`,
		`countersign_request_seconds_count{listener="public",route="/token"} 2`,
		`go_goroutines`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("missing: %s", want)
		}
	}
	if strings.Contains(body, "stranger") {
		t.Error("a stranger added a series")
	}
}

func TestWhatKeepsAServerFromStarting(t *testing.T) {
	taken := listen(t)
	defer taken.Close()
	tests := []struct {
		name, want string
		edit       func(dir string, c *config.Config)
	}{
		{"a port that is taken", "stop what uses the address, or choose another", func(_ string, c *config.Config) { c.Listen = taken.Addr().String() }},
		{"a database that is none", "open the database", func(dir string, c *config.Config) {
			write(t, dir+"/broken.db", strings.Repeat("this is no database. ", 1000))
			c.Database = "sqlite:" + dir + "/broken.db"
		}},
		{"a database server that is not there", "database", func(_ string, c *config.Config) {
			c.Database = "postgres://nobody@127.0.0.1:1/none?connect_timeout=2"
		}},
		{"a master key of another database", "master", func(dir string, c *config.Config) {
			started := start(t, dir, "sqlite:./used.db", "")
			started.stop()
			if err := started.wait(); err != nil {
				t.Fatal(err)
			}
			c.Database = "sqlite:" + dir + "/used.db"
			c.MasterKey = config.Secret(app.MasterKeyLine())
		}},
		{"a schema nobody made", "not ready", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := folder(t)
			write(t, dir+"/c.yaml", fmt.Sprintf(configuration, "8080", "127.0.0.1:0", "127.0.0.1:0", "sqlite:./countersign.db", ""))
			cfg, err := config.Load(dir + "/c.yaml")
			if err != nil {
				t.Fatal(err)
			}
			o := app.Options{NoMigrate: tt.edit == nil, Stderr: &logBuffer{}}
			if tt.edit != nil {
				tt.edit(dir, cfg)
			}
			_, err = app.New(t.Context(), cfg, o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v\nwant it to say %q", err, tt.want)
			}
			if strings.Contains(err.Error(), string(cfg.MasterKey)) {
				t.Error("the error shows the master key")
			}
		})
	}
}

func TestADeclaredRecoveryIsAnnounced(t *testing.T) {
	onBothEngines(t, func(t *testing.T, dir, database string) {
		until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		s := start(t, dir, database, "recovery_until: "+until+"\n")
		if !strings.Contains(s.log.String(), "recovery is declared") || !strings.Contains(s.log.String(), until) {
			t.Errorf("nothing tells of the recovery:\n%s", s.log.String())
		}
	})
}
