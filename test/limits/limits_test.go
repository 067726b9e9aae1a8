// Package limits_test does what strangers do to a server in the open: too much, too slowly, too often, from elsewhere,
// and while the database is down. Each time somebody else goes on working beside it.
package limits_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

const (
	todos    = "openid offline_access todos.read"
	formType = "application/x-www-form-urlencoded"
)

// onEngines gives a test a world of its own on each engine.
func onEngines(t *testing.T, test func(*testing.T, *world), options ...harness.Option) {
	t.Helper()
	t.Parallel()
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		t.Parallel()
		test(t, &world{harness.New(t, e, options...)})
	})
}

// onSQLite is for what no engine can change.
func onSQLite(t *testing.T, options ...harness.Option) *world {
	t.Helper()
	t.Parallel()
	return &world{harness.New(t, harness.SQLite, options...)}
}

type world struct{ *harness.World }

// bearer is a phone without a key that is signed in.
func (w *world) bearer(t *testing.T, clientID string) *standin.Tokens {
	t.Helper()
	p := w.Phone("phone", harness.As(clientID, todos), harness.Bearer)
	tokens, err := p.SignIn(t.Context(), w.GooglePrompt("ada"))
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// service asks for a service's token.
func (w *world) service(secret string, mods ...func(*http.Request)) harness.Answer {
	w.T.Helper()
	return w.Post("/token", url.Values{"grant_type": {"client_credentials"}}, append(mods, harness.Basic(harness.ServiceID, secret))...)
}

// works fails the test if the server does not serve others any more, or lets them wait.
func (w *world) works(t *testing.T) {
	t.Helper()
	began := time.Now()
	a := w.service(harness.ServiceSecret)
	if took := time.Since(began); a.Status != http.StatusOK || took > patience {
		t.Errorf("somebody else got %d %s after %v", a.Status, a.Body, took)
	}
}

// patience is what another client's request may take while the server is under attack.
const patience = 2 * time.Second

// dial is a raw connection to the server, gone with the test.
func (w *world) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.Nodes[0].Public, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// send writes what may never be read to its end, and returns the answer that comes meanwhile.
func (w *world) send(t *testing.T, text ...io.Reader) harness.Answer {
	t.Helper()
	conn := w.dial(t)
	go func() { _, _ = io.Copy(conn, io.MultiReader(text...)) }()
	return answer(t, conn)
}

func answer(t *testing.T, conn net.Conn) harness.Answer {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Errorf("no answer: %v", err)
		return harness.Answer{Header: http.Header{}}
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return harness.Answer{Status: res.StatusCode, Header: res.Header, Body: body}
}
