package store

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
)

func TestTheCatalogIsWhatTheFileDeclares(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		declared := domain.Catalog{
			Clients: []domain.Client{
				{ID: "app", Name: "Todo", Type: domain.ClientNative, DPoP: domain.DPoPRequired, AuthMethod: domain.AuthNone,
					Providers: []domain.ClientProvider{{Name: "google", Audiences: []string{"web"}, AZP: []string{"ios"}}},
					Resources: []string{"todo"}, Scopes: []string{"openid"}, AccessTokenTTL: time.Minute},
				{ID: "nightly", Type: domain.ClientService, AuthMethod: domain.AuthSecretBasic, SecretHash: []byte{1, 2}},
			},
			Resources: []domain.Resource{{ID: "todo", Audience: "https://api.example.com", Scopes: []string{"todos.read"}, SecretHash: []byte{3}}},
		}
		put := func(c domain.Catalog, version int64) {
			t.Helper()
			if err := db.PutCatalog(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			got, err := db.Catalog(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			c.Version = version
			if diff := cmp.Diff(&c, got); diff != "" {
				t.Error(diff)
			}
			if v, err := db.CatalogVersion(t.Context()); err != nil || v != version {
				t.Errorf("version %d, want %d (%v)", v, version, err)
			}
		}
		put(declared, 2) // after the small one
		put(declared, 2)
		declared.Clients[0].Name = "To do"
		put(declared, 3)
		put(domain.Catalog{Clients: declared.Clients[1:]}, 4)
		put(declared, 5)
	})
}

func mustPut(t *testing.T, db *DB, c domain.Catalog) {
	t.Helper()
	if err := db.PutCatalog(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func TestAClientLivesWhileItIsDeclaredAndNotDisabled(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := mustSignIn(t, db, newSignIn(db))
		is := func(step, id string, want domain.ClientState) {
			t.Helper()
			if got, err := db.ClientState(t.Context(), id); err != nil || got != want {
				t.Errorf("%s: %s is %s (%v)", step, id, got, err)
			}
			if v := mustSession(t, db, s.ID); id == "app" && (v.ClientState != want || v.Live(db.Now()) != (want == domain.ClientLive)) {
				t.Errorf("%s: its session sees a client that is %s", step, v.ClientState)
			}
		}
		disable := func(disabled bool) {
			t.Helper()
			if err := db.SetClientDisabled(t.Context(), "app", disabled, domain.Event{}); err != nil {
				t.Fatal(err)
			}
		}
		is("declared", "app", domain.ClientLive)
		is("unknown", "nobody", domain.ClientUndeclared)
		disable(true)
		disable(true)
		is("disabled", "app", domain.ClientDisabled)
		is("another is disabled", "other", domain.ClientLive)
		mustPut(t, db, domain.Catalog{})
		is("disabled and no longer declared", "app", domain.ClientUndeclared)
		mustPut(t, db, smallCatalog())
		is("declared again, still disabled", "app", domain.ClientDisabled)
		disable(false)
		is("enabled", "app", domain.ClientLive)
		mustPut(t, db, domain.Catalog{})
		is("no longer declared", "app", domain.ClientUndeclared)

		if err := db.SetClientDisabled(t.Context(), "nobody", true, domain.Event{}); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	})
}

// Invariant I9 of DESIGN section 3.
func TestTheTrailTellsOfEveryClientThatComesAndGoes(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		var seen int
		wrote := func(step string, want ...string) {
			t.Helper()
			events, err := db.Events(t.Context(), domain.AccountID{}, domain.SessionID{}, 1000)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range events[:len(events)-seen] {
				got = append([]string{e.Actor + ": " + e.Action + " " + e.ClientID}, got...)
				if e.At.IsZero() {
					t.Errorf("%s: %s has no time", step, e.Action)
				}
			}
			seen = len(events)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(step, diff)
			}
		}
		wrote("the first file", "config: client.declare app", "config: client.declare other")
		mustPut(t, db, smallCatalog())
		wrote("the same file again")
		next := smallCatalog()
		next.Clients[0].Name = "Todo"
		next.Resources = []domain.Resource{{ID: "todo", Audience: "https://api.example.com"}}
		mustPut(t, db, next)
		wrote("another definition of the same client")
		if err := db.SetClientDisabled(t.Context(), "app", true, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		wrote("disabled", "system: client.disable app")
		mustPut(t, db, domain.Catalog{Clients: []domain.Client{{ID: "other"}, {ID: "new"}}})
		wrote("one goes, one comes", "config: client.withdraw app", "config: client.declare new")
		mustPut(t, db, smallCatalog())
		wrote("back, still disabled", "config: client.withdraw new", "config: client.declare app")
	})
}

func TestAnOlderRevisionDeclaresNothing(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		lastWeek := smallCatalog()
		today := smallCatalog()
		today.Revision = 8
		today.Clients[0].Name = "Todo"
		today.Clients = slices.Insert(today.Clients, 1, domain.Client{ID: "new"})
		mustPut(t, db, today)
		holds := func(step string, want domain.Catalog) {
			t.Helper()
			got, err := db.Catalog(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got.Version = 0
			if diff := cmp.Diff(&want, got); diff != "" {
				t.Error(step, diff)
			}
		}
		holds("the first with a revision", today)
		before := mustRows(t, db)
		version, err := db.CatalogVersion(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, revision := range []int64{0, 7} {
			lastWeek.Revision = revision
			if err := db.PutCatalog(t.Context(), lastWeek); !errors.Is(err, ErrOlderRevision) {
				t.Errorf("revision %d: %v", revision, err)
			}
			holds("an older one", today)
		}
		if diff := cmp.Diff(before, mustRows(t, db)); diff != "" {
			t.Error("an older one wrote", diff)
		}
		if v, err := db.CatalogVersion(t.Context()); err != nil || v != version {
			t.Errorf("an older one made version %d of %d (%v)", v, version, err)
		}
		today.Clients[0].Name = "To do"
		mustPut(t, db, today)
		holds("the same revision declares as ever", today)
		lastWeek.Revision = 9
		mustPut(t, db, lastWeek)
		holds("the old content under a new revision", lastWeek)
	})
}

func TestNodesThatStartTogetherPutOneCatalog(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		next := domain.Catalog{Clients: []domain.Client{{ID: "app"}, {ID: "new"}}}
		atOnce(8, func(int) {
			if err := db.PutCatalog(t.Context(), next); err != nil {
				t.Error(err)
			}
		})
		if v, err := db.CatalogVersion(t.Context()); err != nil || v != 2 {
			t.Errorf("version %d (%v)", v, err)
		}
	})
}
