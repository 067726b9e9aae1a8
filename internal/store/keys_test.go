package store

import (
	"bytes"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
)

func newKey(db *DB, id uint32, alg string) domain.Key {
	now := db.Now()
	return domain.Key{
		ID: id, Use: domain.KeyUseSign, Alg: alg, Public: []byte(`{"kty":"EC"}`), Sealed: []byte("sealed"),
		CreatedAt: now, ActiveAt: now.Add(time.Minute),
	}
}

func mustAddKey(t testing.TB, db *DB, k domain.Key, notSince time.Time, retire *RetireKeys, want bool) {
	t.Helper()
	if got, err := db.AddKey(t.Context(), k, notSince, retire, domain.Event{}); err != nil || got != want {
		t.Fatalf("key %d: added %t, want %t (%v)", k.ID, got, want, err)
	}
}

func mustKeys(t testing.TB, db *DB) []domain.Key {
	t.Helper()
	list, err := db.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestAddingAKeyRetiresTheOlderOnesOfItsKind(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		first, foreign, second, third := newKey(db, 100, "ES256"), newKey(db, 101, "RS256"), newKey(db, 102, "ES256"), newKey(db, 103, "ES256")
		second.CreatedAt, third.CreatedAt = first.CreatedAt.Add(time.Second), first.CreatedAt.Add(2*time.Second)
		foreign.CreatedAt = first.CreatedAt.Add(-time.Second)
		mustAddKey(t, db, first, time.Time{}, nil, true)
		mustAddKey(t, db, newKey(db, 110, "ES256"), time.Time{}, nil, false)
		mustAddKey(t, db, foreign, time.Time{}, nil, true)
		retire := &RetireKeys{RetiredAt: first.CreatedAt.Add(time.Hour), ExpiresAt: first.CreatedAt.Add(day)}
		mustAddKey(t, db, second, second.CreatedAt, retire, true)
		mustAddKey(t, db, third, second.CreatedAt, retire, false)
		later := &RetireKeys{RetiredAt: first.CreatedAt.Add(2 * time.Hour), ExpiresAt: first.CreatedAt.Add(2 * day)}
		mustAddKey(t, db, third, third.CreatedAt, later, true)

		first.RetiredAt, first.ExpiresAt = retire.RetiredAt, retire.ExpiresAt
		second.RetiredAt, second.ExpiresAt = later.RetiredAt, later.ExpiresAt
		if diff := cmp.Diff([]domain.Key{third, second, first, foreign}, mustKeys(t, db)); diff != "" {
			t.Error(diff)
		}
		taken := newKey(db, 100, "HKDF-SHA256")
		mustAddKey(t, db, taken, time.Time{}, nil, false)
		if n := mustRows(t, db)["events"]; n != 4 {
			t.Errorf("%d rows tell of 4 keys", n)
		}
	})
}

func TestParallelAddKeyAddsOne(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		var added atomic.Int32
		atOnce(20, func(i int) {
			ok, err := db.AddKey(t.Context(), newKey(db, uint32(100+i), "ES256"), time.Time{}, nil, domain.Event{})
			if err != nil {
				t.Error(err)
			}
			if ok {
				added.Add(1)
			}
		})
		if n := added.Load(); n != 1 || len(mustKeys(t, db)) != 1 {
			t.Errorf("%d added", n)
		}
	})
}

func TestAKeyIsDroppedOnce(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		k := newKey(db, 4_000_000_000, "ES256")
		mustAddKey(t, db, k, time.Time{}, nil, true)
		at := db.Now()
		for i := range 2 {
			if err := db.DropKey(t.Context(), k.ID, at.Add(time.Duration(i)*time.Hour), domain.Event{}); err != nil {
				t.Fatal(err)
			}
		}
		if got := mustKeys(t, db)[0]; !got.DroppedAt.Equal(at) || mustRows(t, db)["events"] != 2 {
			t.Errorf("dropped at %s, want %s", got.DroppedAt, at)
		}
		if err := db.DropKey(t.Context(), 1, at, domain.Event{}); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	})
}

func TestAKeyIsRewrappedOnlyFromWhatItWas(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		mustAddKey(t, db, newKey(db, 100, "ES256"), time.Time{}, nil, true)
		for _, c := range []struct{ old, sealed, want string }{{"not it", "x", "sealed"}, {"sealed", "new", "new"}, {"sealed", "y", "new"}} {
			if err := db.RewrapKey(t.Context(), 100, []byte(c.old), []byte(c.sealed)); err != nil {
				t.Fatal(err)
			}
			if got := mustKeys(t, db)[0].Sealed; !bytes.Equal(got, []byte(c.want)) {
				t.Errorf("%q, want %q", got, c.want)
			}
		}
	})
}

func TestAPIKeys(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		now := db.Now()
		older := domain.APIKey{ID: domain.APIKeyID(newID()), Name: "backend", Scopes: []string{"accounts:read", "sessions:end"}, Hash: sum(), CreatedAt: now.Add(-time.Hour)}
		newer := domain.APIKey{ID: domain.APIKeyID(newID()), Name: "ci", Scopes: []string{"keys:write"}, Hash: sum(), CreatedAt: now}
		for _, k := range []domain.APIKey{older, newer} {
			if err := db.AddAPIKey(t.Context(), k, domain.Event{}); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct{ at, want time.Duration }{{0, 0}, {59 * time.Second, 0}, {time.Minute, time.Minute}} {
			if err := db.TouchAPIKey(t.Context(), older.ID, now.Add(c.at)); err != nil {
				t.Fatal(err)
			}
			got, err := db.APIKey(t.Context(), older.ID)
			if err != nil || !got.LastUsedAt.Equal(now.Add(c.want)) {
				t.Fatalf("touched after %s: %+v (%v)", c.at, got, err)
			}
		}
		for range 2 {
			if err := db.RevokeAPIKey(t.Context(), newer.ID, domain.Event{At: now}); err != nil {
				t.Fatal(err)
			}
		}
		older.LastUsedAt, newer.RevokedAt = now.Add(time.Minute), now
		list, err := db.APIKeys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]domain.APIKey{newer, older}, list); diff != "" {
			t.Error(diff)
		}
		events, err := db.Events(t.Context(), domain.AccountID{}, domain.SessionID{}, 10)
		if err != nil || len(events) != 3 || events[0].Action != "api_key.revoke" || events[0].Reason != newer.ID.String() {
			t.Errorf("%+v (%v)", events, err)
		}
		_, missing := db.APIKey(t.Context(), domain.APIKeyID(newID()))
		if err := db.RevokeAPIKey(t.Context(), domain.APIKeyID(newID()), domain.Event{}); !errors.Is(err, ErrNotFound) || !errors.Is(missing, ErrNotFound) {
			t.Error(err, missing)
		}
	})
}
