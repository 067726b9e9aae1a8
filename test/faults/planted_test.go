package faults_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
	"github.com/countersign/countersign/test/pgcluster"
)

// TestJudgesCatchADatabaseThatPromisesTooMuch: with asynchronous commits a killed database forgets rotations that were
// acknowledged. The same kills of a database that keeps its promises cost nothing.
func TestJudgesCatchADatabaseThatPromisesTooMuch(t *testing.T) {
	t.Parallel()
	t.Run("synchronous_commit=on", func(t *testing.T) {
		f := onPostgres(t, []int{0})
		const rounds = 2
		for round := range rounds {
			f.killAfterAcknowledgement(round).holds(t)
		}
	})
	t.Run("synchronous_commit=off", func(t *testing.T) {
		f := onPostgres(t, []int{0}, pgcluster.Set("synchronous_commit", "off"), pgcluster.Set("wal_writer_delay", "1s"))
		const rounds = 6 // the WAL writer may have come by just in time
		var found []breach
		for round := range rounds {
			found = f.killAfterAcknowledgement(round).judge()
			if len(missing(found, "I3", "I10", linearizable)) == 0 {
				t.Logf("round %d: %s: %s", round, found[0].rule, found[0].what)
				return
			}
		}
		t.Errorf("in %d rounds the judges found %v broken", rounds, found)
	})
}

// missing lists the rules that nothing was found against.
func missing(found []breach, wanted ...string) []string {
	return slices.DeleteFunc(wanted, func(rule string) bool {
		return slices.ContainsFunc(found, func(b breach) bool { return b.rule == rule })
	})
}

// killAfterAcknowledgement lets new phones refresh a few times and kills the database as soon as the last one has its
// answer.
func (f *fleet) killAfterAcknowledgement(round int) *evidence {
	f.t.Helper()
	history, way := newHistory(time.Now), f.network().Client()
	var phones []*standin.Phone
	for i := range 4 {
		phones = append(phones, f.signedIn(fmt.Sprintf("phone-%d-%d", round, i), way, history.watch, impatient))
	}
	f.exec("CHECKPOINT") // this is not about the sign-ins
	for range 3 {
		var all sync.WaitGroup
		for _, p := range phones {
			all.Go(func() {
				_, err := p.Refresh(context.Background())
				check(f.t, err)
			})
		}
		all.Wait()
	}
	before := f.look()
	must(f.t, f.cluster.Kill())
	must(f.t, f.restartDatabase())
	return &evidence{told: history.tell(), looks: []look{before}, ledger: f.ledger(), grace: grace}
}

// rotator is what answers refreshes: session.Service, or one of the wrong ones below.
type rotator interface {
	Rotate(ctx context.Context, p session.Presented) (*session.Rotated, error)
}

// TestJudgesCatchWrongRotations plants the mistakes of peers in front of a real server and lets phones live through
// what brings them to light. The right rotation passes the same way unharmed.
func TestJudgesCatchWrongRotations(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		plant  func(*session.Service, *crowd) rotator
		broken []string
	}{
		{"the right one", func(s *session.Service, _ *crowd) rotator { return s }, nil},
		{"read, then write", newReadThenWrite, []string{"I1", linearizable}},
		{"a retry mints a fresh pair", func(s *session.Service, _ *crowd) rotator { return freshPair{s} }, []string{"I1", linearizable}},
		{"a bearer parent is accepted for ever", func(s *session.Service, _ *crowd) rotator { return acceptForEver{s} }, []string{"I5"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := misadventures(t, tt.plant)
			if tt.broken == nil {
				e.holds(t)
				if e.thefts[0].refused.IsZero() {
					t.Error("the thief was not refused")
				}
				return
			}
			found := e.judge()
			for _, rule := range missing(found, tt.broken...) {
				t.Errorf("%s was not found broken, only: %v", rule, found)
			}
		})
	}
}

// misadventures is what may happen to a phone without a key: two processes refresh at once, an answer is lost, and a
// thief comes with a token whose grace is over.
func misadventures(t *testing.T, plant func(*session.Service, *crowd) rotator) *evidence {
	t.Helper()
	w := harness.New(t, harness.SQLite)
	together := &crowd{}
	history := newHistory(w.Clock.Now)
	standInFront(t, w, func(s *session.Service) rotator { return plant(s, together) })
	briefly := func(c *standin.PhoneConfig) { c.Patience = time.Second } // after a wrong rotation a phone waits in vain
	p := w.Phone("phone", w.Through, harness.Bearer, impatient, briefly, history.watch)
	_, err := p.SignIn(t.Context(), w.GooglePrompt("somebody"))
	must(t, err)
	refresh := func() { _, _ = p.Refresh(t.Context()) } // the history has what became of it

	refresh()
	held := p.RefreshToken()
	together.expect(2)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			_, err := p.Present(t.Context(), held)
			check(t, err)
		})
	}
	both.Wait()
	together.expect(1)
	w.Network.Next("/token", standin.Fault{Kind: standin.LoseResponse})
	refresh()
	refresh()
	stolen := p.RefreshToken()
	refresh()
	w.Clock.Step(grace + time.Hour)
	a, err := p.Present(t.Context(), stolen)
	must(t, err)
	history.rob(stolen, a.Error == "invalid_grant")
	books, err := open(w.Database)
	must(t, err)
	e := &evidence{told: history.tell(), grace: grace}
	e.ledger, err = books.close(t.Context())
	must(t, err)
	return e
}

// standInFront puts a server before the world's own that answers refreshes itself, from the same database and with the
// same keys, and passes everything else on.
func standInFront(t *testing.T, w *harness.World, plant func(*session.Service) rotator) {
	t.Helper()
	db := w.Store()
	master, err := keyring.ParseMaster([]byte(w.Config().MasterKey))
	must(t, err)
	keys, err := keyring.Open(t.Context(), db, master, keyring.Options{})
	must(t, err)
	node, err := url.Parse(w.Nodes[0].Public)
	must(t, err)
	f := &front{
		rotator: plant(&session.Service{DB: db, Keys: keys}),
		rest: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(node)
			r.Out.Host = r.In.Host
		}},
	}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	must(t, w.Network.Route(strings.TrimPrefix(w.Issuer, "http://"), server.Listener.Addr().String()))
}

// front is that server.
type front struct {
	rotator
	rest http.Handler
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	form, _ := url.ParseQuery(string(body)) // what is no form is for the server
	if r.URL.Path != "/token" || form.Get("grant_type") != "refresh_token" {
		r.Body = io.NopCloser(bytes.NewReader(body))
		f.rest.ServeHTTP(w, r)
		return
	}
	app := &domain.Client{ID: form.Get("client_id"), Type: domain.ClientNative, AuthMethod: domain.AuthNone}
	rotated, err := f.Rotate(r.Context(), session.Presented{Client: app, Token: form.Get("refresh_token")})
	status, answer := http.StatusOK, map[string]any{"access_token": "planted", "token_type": "Bearer", "expires_in": 300}
	if err != nil {
		e := oauth.AsError(err)
		status, answer = e.Status(), map[string]any{"error": e.Code, "error_description": e.Description}
	} else {
		answer["refresh_token"] = string(rotated.Token)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

// crowd makes callers wait for each other.
type crowd struct {
	mu   sync.Mutex
	here *sync.WaitGroup
}

// expect says how many come at once from now on.
func (c *crowd) expect(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.here = nil
	if n > 1 {
		c.here = &sync.WaitGroup{}
		c.here.Add(n)
	}
}

// meet returns when all are here.
func (c *crowd) meet() {
	c.mu.Lock()
	here := c.here
	c.mu.Unlock()
	if here != nil {
		here.Done()
		here.Wait()
	}
}

// readThenWrite judges by a read, and writes whatever the row has come to by then.
type readThenWrite struct {
	*session.Service
	together *crowd

	mu     sync.Mutex
	newest map[domain.SessionID]string
}

func newReadThenWrite(s *session.Service, together *crowd) rotator {
	return &readThenWrite{Service: s, together: together, newest: map[domain.SessionID]string{}}
}

func (r *readThenWrite) Rotate(ctx context.Context, p session.Presented) (*session.Rotated, error) {
	t, _ := parse(p.Token)
	row, err := r.DB.Session(ctx, t.session)
	if errors.Is(err, store.ErrNotFound) {
		return r.Service.Rotate(ctx, p)
	}
	if err != nil {
		return nil, oauth.Unavailable(err)
	}
	r.together.meet()
	if int(row.Refresh.Counter) != t.counter {
		return r.Service.Rotate(ctx, p)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if newest, ok := r.newest[t.session]; ok {
		p.Token = newest
	}
	rotated, err := r.Service.Rotate(ctx, p)
	if err == nil {
		r.newest[t.session] = string(rotated.Token)
	}
	return rotated, err
}

// freshPair answers a retry with a new token instead of the same one.
type freshPair struct{ *session.Service }

func (f freshPair) Rotate(ctx context.Context, p session.Presented) (*session.Rotated, error) {
	rotated, err := f.Service.Rotate(ctx, p)
	if err != nil || !rotated.Retry {
		return rotated, err
	}
	p.Token = string(rotated.Token)
	return f.Service.Rotate(ctx, p)
}

// acceptForEver answers the parent of a bearer session's token however old it is.
type acceptForEver struct{ *session.Service }

func (f acceptForEver) Rotate(ctx context.Context, p session.Presented) (*session.Rotated, error) {
	lax := *p.Client
	lax.BearerGrace = 100 * 365 * 24 * time.Hour
	p.Client = &lax
	return f.Service.Rotate(ctx, p)
}
