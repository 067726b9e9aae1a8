package demo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/countersign/countersign/standin"
)

const (
	clientID   = "com.example.todo"
	configFile = "countersign.yaml"
)

// stage is everybody in the story.
type stage struct {
	tell   *teller
	dir    string
	issuer string
	admin  string
	secret string // of the app server, for introspection

	server  *server
	api     *api
	google  *standin.Provider
	apple   *standin.Provider
	network *standin.Network

	person, neighbour standin.Person
	pixel, iphone     *standin.Phone // with keys, one person
	old               *standin.Phone // without a key, the neighbour's
	thief, armed      *standin.Phone // without and with a key of his own

	subject string // of the person, once known
	ended   string // an access token of the session that was ended
}

func setUp(ctx context.Context, o Options, tell *teller) (_ *stage, err error) {
	s := &stage{
		tell: tell, secret: rand.Text() + rand.Text(),
		person:    standin.Person{Subject: "110169484474386276334", Email: "sam@gmail.com", Name: "Sam"},
		neighbour: standin.Person{Subject: "108765432109876543210", Email: "kim@gmail.com", Name: "Kim"},
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.tearDown())
		}
	}()
	if s.dir, err = os.MkdirTemp("", "countersign-demo-"); err != nil {
		return s, err
	}
	if s.google, err = standin.NewProvider(standin.Google); err != nil {
		return s, err
	}
	if s.apple, err = standin.NewProvider(standin.Apple); err != nil {
		return s, err
	}
	if s.network, err = standin.NewNetwork(); err != nil {
		return s, err
	}
	if s.api, err = newAPI(ctx); err != nil {
		return s, err
	}
	if err := s.startServer(ctx, o); err != nil {
		return s, err
	}
	if err := s.api.serve(s.issuer, s.freshToken); err != nil {
		return s, err
	}
	err = s.handOutPhones()
	return s, err
}

// startServer writes the configuration and starts the server, on the usual ports where they are free.
func (s *stage) startServer(ctx context.Context, o Options) error {
	listen, err := port(ctx, o.Once, "127.0.0.1:8080")
	if err != nil {
		return err
	}
	private, err := port(ctx, o.Once, "127.0.0.1:8081")
	if err != nil {
		return err
	}
	_, number, err := net.SplitHostPort(listen)
	if err != nil {
		return err
	}
	s.issuer, s.admin = "http://localhost:"+number, "http://"+private
	if o.Database == "" {
		o.Database = "sqlite:" + filepath.Join(s.dir, "countersign.db")
	}
	if err := s.writeFiles(listen, private, o.Database); err != nil {
		return err
	}
	key := exec.CommandContext(ctx, o.Binary, "key", "new-master", "--out", filepath.Join(s.dir, "master.key")) //nolint:gosec // our own binary
	if out, err := key.CombinedOutput(); err != nil {
		return fmt.Errorf("make a master key: %w: %s", err, out)
	}
	s.server = &server{binary: o.Binary, dir: s.dir, ready: s.admin + "/readyz"}
	s.tell.printf("\nThe server is %s, its database %s.", s.issuer, redact(o.Database))
	s.tell.printf("The app server is %s. Everything is on loopback and made for this run.", s.api.url)
	return s.server.start(ctx)
}

// redact leaves out what a database URL says after the host.
func redact(database string) string {
	if u, err := url.Parse(database); err == nil && u.Scheme != "sqlite" {
		return u.Scheme + "://" + u.Host + u.Path
	}
	return database
}

const configuration = `# Written by "countersign demo". A stand-in provider is accepted only while everything is on loopback.
issuer: %[1]q
listen: %[2]q
admin: {listen: %[3]q}
database: %[4]q
master_key_file: ./master.key
providers:
  - {name: google, type: google, standin: %[5]q}
  - {name: apple, type: apple, team_id: %[6]q, key_id: %[7]q, private_key_file: ./apple.p8, standin: %[8]q}
resources:
  - {id: todo-api, audience: %[9]q, scopes: [todos.read, todos.write], secret_file: ./todo-api.secret}
clients:
  - id: com.example.todo
    name: Todo
    type: native
    dpop: allowed
    providers:
      - {name: google, audiences: [web.example], azp: [ios.example, android.example]}
      - {name: apple, audiences: [com.example.todo]}
    resources: [todo-api]
    scopes: [openid, profile, email, offline_access, todos.read, todos.write, account.read, account.manage]
    redirect_uris: ["com.example.todo:/callback"]
`

func (s *stage) writeFiles(listen, private, database string) error {
	apple := s.apple.AppleKey()
	files := map[string]string{
		configFile: fmt.Sprintf(configuration, s.issuer, listen, private, database, s.google.URL(),
			apple.TeamID, apple.KeyID, s.apple.URL(), s.api.url),
		"apple.p8":        string(apple.PrivateKeyPEM),
		"todo-api.secret": s.secret,
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// port returns the usual address if a visitor will want to find it and it is free, otherwise any.
func port(ctx context.Context, once bool, usual string) (string, error) {
	var lc net.ListenConfig
	if !once {
		if l, err := lc.Listen(ctx, "tcp", usual); err == nil {
			return usual, l.Close()
		}
	}
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (s *stage) handOutPhones() error {
	phones := []struct {
		p      **standin.Phone
		name   string
		bearer bool
	}{
		{&s.pixel, "Pixel", false}, {&s.iphone, "iPhone", false}, {&s.old, "old phone", true},
		{&s.thief, "thief", true}, {&s.armed, "thief + key", false},
	}
	for _, x := range phones {
		phone, err := standin.NewPhone(standin.PhoneConfig{
			Name: x.name, Issuer: s.issuer, ClientID: clientID, DeviceName: x.name, Bearer: x.bearer,
			Scope:      "openid offline_access todos.read account.read account.manage",
			Resources:  []string{s.api.url, s.issuer},
			HTTPClient: s.network.Client(), Observe: s.tell.hear,
		})
		if err != nil {
			return err
		}
		*x.p = phone
	}
	return nil
}

// introspect asks as the app server whether a token is active (RFC 7662).
func (s *stage) introspect(ctx context.Context, token string) (active bool, err error) {
	form := url.Values{"token": {token}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.issuer+"/introspect", strings.NewReader(form.Encode()))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("todo-api", s.secret)
	res, err := visitor.Do(req)
	if err != nil {
		return false, err
	}
	defer func() { _ = res.Body.Close() }()
	var answer struct{ Active bool }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return false, err
	}
	s.tell.printf("    %-12s %-6s %-34s %d active=%v", "app server", "POST", "/introspect", res.StatusCode, answer.Active)
	return answer.Active, nil
}

func refreshTokenOf(body []byte) (string, error) {
	var t standin.Tokens
	if err := json.Unmarshal(body, &t); err != nil || t.RefreshToken == "" {
		return "", errHold("no refresh token in the answer: %v", err)
	}
	return t.RefreshToken, nil
}

func (s *stage) tearDown() error {
	var err error
	if s.server != nil {
		err = s.server.stop()
	}
	if s.api != nil {
		s.api.close()
	}
	if s.network != nil {
		s.network.Close()
	}
	for _, p := range []*standin.Provider{s.google, s.apple} {
		if p != nil {
			p.Close()
		}
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
