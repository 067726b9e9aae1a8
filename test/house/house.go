// Package house furnishes one node for tests of its rooms: a real database of either engine, a key ring, stand-in
// providers and a clock that can be set forward. It leaves out the app: no configuration file, no listeners.
package house

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/apikey"
	"github.com/countersign/countersign/internal/bearer"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/signin"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/token"
	"github.com/countersign/countersign/internal/upstream"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/pgcluster"
)

// Issuer is the node's.
const Issuer = "https://login.example"

// The clients of the catalog.
const (
	Todo  = "com.example.todo"  // Google, Apple and Corp
	Notes = "com.example.notes" // Google, under an audience of its own
	Kiosk = "com.example.kiosk" // Corp, whose SDK carries no nonce
)

// House is one node with the world around it.
type House struct {
	Clock               *Clock
	Google, Apple, Corp *standin.Provider

	DB        *store.DB
	Ring      *keyring.Ring
	Providers *upstream.Set
	Nonces    *dpop.Nonces
	Sessions  *session.Service
	SignIn    *signin.Service
	Tokens    *token.Service
	Bearer    *bearer.Service
	APIKeys   *apikey.Service

	catalog domain.Catalog
}

// OnBothEngines runs a test on SQLite and on PostgreSQL, each with a database of its own.
func OnBothEngines(t *testing.T, test func(t *testing.T, h *House)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, OnSQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, furnish(t, pgcluster.Shared(t))) })
}

// OnSQLite furnishes a house for tests that no engine can change.
func OnSQLite(t testing.TB) *House {
	t.Helper()
	return furnish(t, "sqlite:"+filepath.Join(t.TempDir(), "countersign.db"))
}

func furnish(t testing.TB, url string) *House {
	t.Helper()
	h := &House{Clock: &Clock{}, catalog: catalog()}
	h.Google, h.Apple = h.provider(t, standin.Google), h.provider(t, standin.Apple)
	h.Corp = h.provider(t, standin.OIDC, standin.WithES256())
	h.openDatabase(t, url)
	master, err := keyring.ParseMaster([]byte(keyring.NewMasterLine()))
	check(t, err)
	h.Ring, err = keyring.Open(t.Context(), h.DB, master, keyring.Options{})
	check(t, err)
	h.Providers = h.verifiers(t)
	h.Nonces = &dpop.Nonces{
		Key:     func(id uint32) ([]byte, bool) { return h.Ring.Key(id, keyring.DPoPNonce) },
		Current: h.Ring.Current,
	}
	h.Sessions = &session.Service{DB: h.DB, Keys: h.Ring}
	h.SignIn = &signin.Service{DB: h.DB, Keys: h.Ring, Sessions: h.Sessions, Providers: h.Providers, Issuer: Issuer}
	h.Tokens = &token.Service{Issuer: Issuer, DB: h.DB, Keys: h.Ring, Sessions: h.Sessions}
	h.Bearer = &bearer.Service{Tokens: h.Tokens, DPoP: &dpop.Verifier{Nonces: h.Nonces}, Replay: dpop.NewReplay(1000)}
	h.APIKeys = &apikey.Service{DB: h.DB, Keys: h.Ring}
	return h
}

func (h *House) openDatabase(t testing.TB, url string) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{URL: url, Clock: h.Clock.Now})
	check(t, err)
	t.Cleanup(func() { _ = db.Close() }) // a test may have closed it
	_, err = db.Migrate(t.Context())
	check(t, err)
	check(t, db.PutCatalog(t.Context(), h.catalog))
	h.DB = db
}

func (h *House) provider(t testing.TB, kind standin.Kind, options ...standin.ProviderOption) *standin.Provider {
	t.Helper()
	p, err := standin.NewProvider(kind, append(options, standin.WithClock(h.Clock.Now))...)
	check(t, err)
	t.Cleanup(p.Close)
	return p
}

func (h *House) verifiers(t testing.TB) *upstream.Set {
	t.Helper()
	client := fetch.New(fetch.Options{AllowLoopback: true})
	key := h.Apple.AppleKey()
	var all []*upstream.Provider
	for _, s := range []upstream.Settings{
		{Name: "google", Type: "google", Standin: h.Google.URL()},
		{
			Name: "apple", Type: "apple", Standin: h.Apple.URL(),
			TeamID: key.TeamID, KeyID: key.KeyID, PrivateKeyPEM: key.PrivateKeyPEM,
		},
		{Name: "corp", Type: "oidc", Issuer: h.Corp.Issuer()},
	} {
		p, err := upstream.New(s, client, h.Clock.Now)
		check(t, err)
		all = append(all, p)
	}
	set, err := upstream.NewSet(all...)
	check(t, err)
	return set
}

// Catalog is what the operator declared.
func (h *House) Catalog() *domain.Catalog { return &h.catalog }

// Client finds a client of the catalog.
func (h *House) Client(id string) *domain.Client {
	for i := range h.catalog.Clients {
		if h.catalog.Clients[i].ID == id {
			return &h.catalog.Clients[i]
		}
	}
	panic("no client " + id)
}

func catalog() domain.Catalog {
	scopes := []string{"openid", "profile", "email", "offline_access", "account.read", "account.manage", "todos.read"}
	client := func(id, name string, providers ...domain.ClientProvider) domain.Client {
		return domain.Client{
			ID: id, Name: name, Type: domain.ClientNative, DPoP: domain.DPoPAllowed, AuthMethod: domain.AuthNone,
			Providers: providers, Resources: []string{"todo-api"}, Scopes: scopes,
		}
	}
	return domain.Catalog{
		Clients: []domain.Client{
			client(Todo, "Todo",
				domain.ClientProvider{Name: "google", Audiences: []string{"web.example"}, AZP: []string{"ios.example", "android.example"}},
				domain.ClientProvider{Name: "apple", Audiences: []string{Todo}},
				domain.ClientProvider{Name: "corp", Audiences: []string{"mobile"}}),
			client(Notes, "Notes", domain.ClientProvider{Name: "google", Audiences: []string{"notes.example"}}),
			client(Kiosk, "Kiosk",
				domain.ClientProvider{Name: "corp", Audiences: []string{"mobile"}, AcceptTokensWithoutNonce: true}),
		},
		Resources: []domain.Resource{{ID: "todo-api", Audience: "https://api.example.com", Scopes: []string{"todos.read"}}},
	}
}

// Clock is the real time, set forward.
type Clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

// Now is what the node, the database and the providers take for the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

// Step sets the clock forward.
func (c *Clock) Step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
