package store

import (
	"errors"
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

func TestAClientLivesWhileItIsDeclaredAndNotDisabled(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		live := func(step, id string, want bool) {
			t.Helper()
			if got, err := db.ClientLive(t.Context(), id); err != nil || got != want {
				t.Errorf("%s: %s lives %t (%v)", step, id, got, err)
			}
		}
		disable := func(disabled bool) {
			t.Helper()
			if err := db.SetClientDisabled(t.Context(), "app", disabled, domain.Event{}); err != nil {
				t.Fatal(err)
			}
		}
		live("declared", "app", true)
		live("unknown", "nobody", false)
		disable(true)
		disable(true)
		live("disabled", "app", false)
		live("another is disabled", "other", true)
		restore := func(c domain.Catalog) {
			t.Helper()
			if err := db.PutCatalog(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		restore(domain.Catalog{})
		restore(smallCatalog())
		live("declared again, still disabled", "app", false)
		disable(false)
		live("enabled", "app", true)
		restore(domain.Catalog{})
		live("no longer declared", "app", false)

		events, err := db.Events(t.Context(), domain.AccountID{}, domain.SessionID{}, 10)
		if err != nil || len(events) != 2 || events[1].Action != "client.disable" || events[0].Action != "client.enable" || events[0].ClientID != "app" {
			t.Errorf("%+v (%v)", events, err)
		}
		if err := db.SetClientDisabled(t.Context(), "nobody", true, domain.Event{}); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
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
