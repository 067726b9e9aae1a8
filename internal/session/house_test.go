package session

import (
	"context"
	"crypto/rand"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/test/pgcluster"
)

// clock stands still until it is stepped.
type clock struct{ nanos atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.nanos.Store(time.Now().Truncate(time.Second).UnixNano())
	return c
}

func (c *clock) now() time.Time       { return time.Unix(0, c.nanos.Load()).UTC() }
func (c *clock) step(d time.Duration) { c.nanos.Add(int64(d)) }

// house is one node on a real database.
type house struct {
	newURL func() string // of another empty database on the same engine
	url    string
	clock  *clock
	line   string // of the master key file
	master *keyring.Master
	db     *store.DB
	keys   *keyring.Ring
	s      *Service
}

// The clients of these tests.
var (
	phone   = &domain.Client{ID: "com.example.todo", Type: domain.ClientNative, DPoP: domain.DPoPAllowed, AuthMethod: domain.AuthNone}
	browser = &domain.Client{ID: "spa", Type: domain.ClientBrowser, DPoP: domain.DPoPAllowed, AuthMethod: domain.AuthNone}
	web     = &domain.Client{ID: "web", Type: domain.ClientWeb, DPoP: domain.DPoPAllowed, AuthMethod: domain.AuthSecretBasic, SecretHash: make([]byte, 32)}
)

// onBothEngines runs a test on an empty SQLite file and on an empty PostgreSQL database.
func onBothEngines(t *testing.T, test func(t *testing.T, h *house)) {
	t.Run("sqlite", func(t *testing.T) {
		test(t, newHouse(t, func() string { return "sqlite:" + filepath.Join(t.TempDir(), "countersign.db") }))
	})
	t.Run("postgres", func(t *testing.T) {
		test(t, newHouse(t, func() string { return pgcluster.Shared(t) }))
	})
}

func newHouse(t *testing.T, newURL func() string) *house {
	t.Helper()
	line := keyring.NewMasterLine()
	master, err := keyring.ParseMaster([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{newURL: newURL, url: newURL(), clock: newClock(), line: line, master: master}
	h.open(t)
	t.Cleanup(func() { h.db.Close() })
	if err := h.db.PutCatalog(t.Context(), domain.Catalog{Clients: []domain.Client{*phone, *browser, *web}}); err != nil {
		t.Fatal(err)
	}
	return h
}

// open starts the node, as after a restart.
func (h *house) open(t testing.TB) {
	t.Helper()
	var err error
	ctx := context.Background()
	if h.db, err = store.Open(ctx, store.Options{URL: h.url, Clock: h.clock.now, MaxConns: 4}); err != nil {
		t.Fatal(err)
	}
	if _, err = h.db.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	// Data keys change often, signing keys never: nothing is signed here.
	o := keyring.Options{DataPeriod: 6 * time.Hour, SigningPeriod: 100 * 365 * 24 * time.Hour}
	if h.keys, err = keyring.Open(ctx, h.db, h.master, o); err != nil {
		t.Fatal(err)
	}
	h.s = &Service{DB: h.db, Keys: h.keys}
}

// another is a second node on the same database.
func (h *house) another(t testing.TB) *house {
	t.Helper()
	return h.anotherUnder(t, h.master)
}

// anotherUnder has a master key file of its own.
func (h *house) anotherUnder(t testing.TB, master *keyring.Master) *house {
	t.Helper()
	second := &house{url: h.url, clock: h.clock, master: master}
	second.open(t)
	t.Cleanup(func() { second.db.Close() })
	return second
}

func (h *house) restart(t testing.TB) {
	t.Helper()
	if err := h.db.Close(); err != nil {
		t.Fatal(err)
	}
	h.open(t)
}

// rotateDataKey makes another data key mint.
func (h *house) rotateDataKey(t testing.TB) {
	t.Helper()
	before := h.keys.Current()
	h.clock.step(6 * time.Hour)
	if err := h.keys.Turn(context.Background()); err != nil {
		t.Fatal(err)
	}
	h.clock.step(2 * time.Minute)
	if h.keys.Current() == before {
		t.Fatal("the data key did not change")
	}
}

// signedIn is a session as its app holds it.
type signedIn struct {
	h       *house
	client  *domain.Client
	jkt     string
	id      domain.SessionID
	account domain.AccountID
	token   string
}

// signIn starts a session of a new account; jkt "" is an app without a key.
func (h *house) signIn(t testing.TB, client *domain.Client, jkt string) *signedIn {
	t.Helper()
	now := h.db.Now()
	row, token, err := h.s.Prepare(now, Start{
		Client: client, JKT: jkt, Scope: []string{"openid", "offline_access"}, Resources: []string{"https://api.example.com"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := store.SignIn{
		Now:        now,
		Nonce:      store.Nonce{ExpiresAt: now.Add(time.Hour)},
		NewAccount: domain.Account{ID: domain.NewID[domain.AccountID](), State: domain.AccountActive, CreatedAt: now},
		NewIdentity: domain.Identity{
			ID: domain.NewID[domain.IdentityID](), Provider: "google", Issuer: "https://accounts.google.com", Subject: rand.Text(), CreatedAt: now,
		},
		Session: row,
		Event:   domain.Event{At: now, Actor: "system"},
	}
	_, _ = rand.Read(s.Nonce.Hash[:])
	if jkt != "" {
		s.NewDevice = domain.Device{ID: domain.NewID[domain.DeviceID](), ClientID: client.ID, JKT: jkt, CreatedAt: now}
	}
	res, err := h.db.SignIn(t.Context(), s)
	if err != nil || res.Verdict != store.SignedIn {
		t.Fatalf("sign in: verdict %v, error %v", res.Verdict, err)
	}
	return &signedIn{h: h, client: client, jkt: jkt, id: res.Session.ID, account: res.Session.AccountID, token: string(token)}
}

func (a *signedIn) presents(token string) Presented {
	return Presented{Client: a.client, Token: token, JKT: a.jkt}
}

// row reads the session as the database has it.
func (a *signedIn) row(t testing.TB) *domain.SessionView {
	t.Helper()
	v, err := a.h.db.Session(t.Context(), a.id)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// use presents a token as the app does.
func (a *signedIn) use(token string) (*Rotated, error) {
	return a.h.s.Rotate(context.Background(), a.presents(token))
}

// refresh uses the stored token and stores the answer.
func (a *signedIn) refresh(t testing.TB) *Rotated {
	t.Helper()
	r, err := a.use(a.token)
	if err != nil {
		t.Fatalf("refresh: %v", err)
	}
	a.token = string(r.Token)
	return r
}

// ended fails the test unless the session ended for the reason.
func (a *signedIn) ended(t testing.TB, want domain.EndReason) {
	t.Helper()
	if got := a.row(t).EndReason; got != want {
		t.Errorf("the session ended for %q, want %q", got, want)
	}
}

// untouched runs do and fails the test if it changed the session's row.
func (a *signedIn) untouched(t testing.TB, do func()) {
	t.Helper()
	before := a.row(t)
	do()
	if diff := cmp.Diff(before, a.row(t)); diff != "" {
		t.Errorf("the row changed:\n%s", diff)
	}
}

func wantCode(t testing.TB, err error, want oauth.Code) {
	t.Helper()
	var e *oauth.Error
	if !errors.As(err, &e) || e.Code != want {
		t.Errorf("error %v, want %s", err, want)
		return
	}
	if e.Description == "" || (e.Status() == 429 || e.Status() == 503) && e.RetryAfter <= 0 {
		t.Errorf("%s tells nothing to do: %+v", want, e)
	}
}
