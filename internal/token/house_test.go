package token

import (
	"context"
	"crypto/rand"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/test/pgcluster"
)

const (
	issuer = "https://login.example"
	api    = "https://api.example.com"
	thumb  = "k1pKh5nSBh8-4Yl0aB3vFfMZ3o5X0cPqk7yJxv2WJbA" // of the phone's key
)

// The clients and app servers of these tests.
var (
	phone  = &domain.Client{ID: "com.example.todo", Type: domain.ClientNative, AuthMethod: domain.AuthNone}
	other  = &domain.Client{ID: "com.example.other", Type: domain.ClientNative, AuthMethod: domain.AuthNone}
	web    = &domain.Client{ID: "web", Type: domain.ClientWeb, AuthMethod: domain.AuthSecretBasic, SecretHash: make([]byte, 32)}
	robot  = &domain.Client{ID: "nightly", Type: domain.ClientService, AuthMethod: domain.AuthSecretBasic, SecretHash: make([]byte, 32)}
	todos  = &domain.Resource{ID: "todo-api", Audience: api}
	photos = &domain.Resource{ID: "photo-api", Audience: "https://photos.example.com"}
)

// house is one node on a real database whose clock stands still until it is stepped.
type house struct {
	*Service
	nanos atomic.Int64
}

func (h *house) now() time.Time       { return time.Unix(0, h.nanos.Load()).UTC() }
func (h *house) step(d time.Duration) { h.nanos.Add(int64(d)) }

func onBothEngines(t *testing.T, test func(t *testing.T, h *house)) {
	t.Run("sqlite", func(t *testing.T) {
		test(t, newHouse(t, "sqlite:"+filepath.Join(t.TempDir(), "countersign.db")))
	})
	t.Run("postgres", func(t *testing.T) { test(t, newHouse(t, pgcluster.Shared(t))) })
}

func newHouse(t *testing.T, url string) *house {
	t.Helper()
	ctx, h := context.Background(), &house{}
	h.nanos.Store(time.Now().Truncate(time.Second).UnixNano())
	db, err := store.Open(ctx, store.Options{URL: url, Clock: h.now, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if _, err := db.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	master, err := keyring.ParseMaster([]byte(keyring.NewMasterLine()))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyring.Open(ctx, db, master, keyring.Options{})
	if err != nil {
		t.Fatal(err)
	}
	catalog := domain.Catalog{
		Clients:   []domain.Client{*phone, *other, *web, *robot},
		Resources: []domain.Resource{*todos, *photos},
	}
	if err := db.PutCatalog(ctx, catalog); err != nil {
		t.Fatal(err)
	}
	h.Service = &Service{Issuer: issuer, DB: db, Keys: keys, Sessions: &session.Service{DB: db, Keys: keys}}
	return h
}

// signedIn is a session as its app holds it.
type signedIn struct {
	h       *house
	client  *domain.Client
	jkt     string
	session domain.Session
	refresh string
	access  string
}

func (h *house) signIn(t testing.TB, client *domain.Client, jkt string) *signedIn {
	t.Helper()
	now := h.DB.Now()
	row, refresh, err := h.Sessions.Prepare(now, session.Start{Client: client, JKT: jkt, Resources: []string{api}})
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
	res, err := h.DB.SignIn(context.Background(), s)
	if err != nil || res.Verdict != store.SignedIn {
		t.Fatalf("sign in: verdict %v, error %v", res.Verdict, err)
	}
	a := &signedIn{h: h, client: client, jkt: jkt, session: res.Session, refresh: string(refresh)}
	a.access = h.mint(t, a.wants())
	return a
}

// wants is the access token the app asks for.
func (a *signedIn) wants() Access {
	return Access{
		Client: a.client, AccountID: a.session.AccountID, SessionID: a.session.ID,
		Audience: api, Scope: []string{"openid", "todos.read"}, JKT: a.jkt,
	}
}

func (h *house) mint(t testing.TB, a Access) string {
	t.Helper()
	m, err := h.MintAccess(h.DB.Now(), a)
	if err != nil {
		t.Fatal(err)
	}
	return m.Token
}

func (a *signedIn) endedFor(t testing.TB) domain.EndReason {
	t.Helper()
	v, err := a.h.DB.Session(context.Background(), a.session.ID)
	if err != nil {
		t.Fatal(err)
	}
	return v.EndReason
}

func wantCode(t testing.TB, err error, want oauth.Code) {
	t.Helper()
	var e *oauth.Error
	if !errors.As(err, &e) || e.Code != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
