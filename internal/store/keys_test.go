package store

import (
	"bytes"
	"errors"
	"maps"
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
		if n := mustRows(t, db)["events"] - catalogRows; n != 4 {
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
			if err := db.DropKey(t.Context(), KeyDrop{ID: k.ID, At: at.Add(time.Duration(i) * time.Hour)}, domain.Event{}); err != nil {
				t.Fatal(err)
			}
		}
		if got := mustKeys(t, db)[0]; !got.DroppedAt.Equal(at) || mustRows(t, db)["events"] != catalogRows+2 {
			t.Errorf("dropped at %s, want %s", got.DroppedAt, at)
		}
		if err := db.DropKey(t.Context(), KeyDrop{ID: 1, At: at}, domain.Event{}); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	})
}

// keyTimes are the moments of a key in minutes from a start; a moment that is not set is zero.
type keyTimes struct{ active, retired, dropped int }

func mustKeyTimes(t testing.TB, db *DB, start time.Time) map[uint32]keyTimes {
	t.Helper()
	minutes := func(at time.Time) int {
		if at.IsZero() {
			return 0
		}
		return int(at.Sub(start) / time.Minute)
	}
	found := map[uint32]keyTimes{}
	for _, k := range mustKeys(t, db) {
		found[k.ID] = keyTimes{minutes(k.ActiveAt), minutes(k.RetiredAt), minutes(k.DroppedAt)}
	}
	return found
}

func TestADropLeavesAKeyThatMints(t *testing.T) {
	const now = 100 // minutes from a start
	for _, c := range []struct {
		name   string
		before map[uint32]keyTimes // by id, all of one kind
		spare  uint32
		after  map[uint32]keyTimes // but for key 1, which is dropped
	}{
		{"the next one steps in for the current one", map[uint32]keyTimes{1: {10, 500, 0}, 2: {500, 0, 0}}, 9, map[uint32]keyTimes{2: {now, 0, 0}}},
		{"the first of two", map[uint32]keyTimes{1: {10, 500, 0}, 2: {600, 0, 0}, 3: {500, 600, 0}}, 9, map[uint32]keyTimes{2: {600, 0, 0}, 3: {now, 600, 0}}},
		{"none that was overtaken", map[uint32]keyTimes{1: {10, 500, 0}, 2: {700, 500, 0}, 3: {500, 0, 0}}, 9, map[uint32]keyTimes{2: {700, 500, 0}, 3: {now, 0, 0}}},
		{"none that was dropped", map[uint32]keyTimes{1: {10, 500, 0}, 2: {500, 0, 50}}, 9, map[uint32]keyTimes{2: {500, 0, 50}, 9: {now, 0, 0}}},
		{"a retired one leaves the others as they are", map[uint32]keyTimes{1: {10, 50, 0}, 2: {50, 500, 0}, 3: {500, 0, 0}}, 9, map[uint32]keyTimes{2: {50, 500, 0}, 3: {500, 0, 0}}},
		{"so does the next one", map[uint32]keyTimes{1: {500, 0, 0}, 2: {50, 500, 0}}, 9, map[uint32]keyTimes{2: {50, 500, 0}}},
		{"the only one gives way to the spare", map[uint32]keyTimes{1: {10, 0, 0}}, 9, map[uint32]keyTimes{9: {now, 0, 0}}},
		{"the only one, without a spare", map[uint32]keyTimes{1: {10, 0, 0}}, 0, map[uint32]keyTimes{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			onEachEngine(t, func(t *testing.T, db *DB) {
				start := db.Now()
				at := func(minutes int) time.Time {
					if minutes == 0 {
						return time.Time{}
					}
					return start.Add(time.Duration(minutes) * time.Minute)
				}
				for id, times := range c.before {
					k := newKey(db, id, "ES256")
					k.CreatedAt = start.Add(time.Duration(id))
					k.ActiveAt, k.RetiredAt, k.DroppedAt = at(times.active), at(times.retired), at(times.dropped)
					mustAddKey(t, db, k, at(9999), nil, true)
				}
				other := newKey(db, 100, "RS256") // of another kind, which waits: none of its business
				other.ActiveAt = at(200)
				mustAddKey(t, db, other, time.Time{}, nil, true)

				d := KeyDrop{ID: 1, At: at(now)}
				if c.spare != 0 {
					k := newKey(db, c.spare, "ES256")
					k.ActiveAt, d.Spare = at(now), &k
				}
				if err := db.DropKey(t.Context(), d, domain.Event{}); err != nil {
					t.Fatal(err)
				}
				want := maps.Clone(c.after)
				want[1] = keyTimes{c.before[1].active, c.before[1].retired, now}
				want[100] = keyTimes{200, 0, 0}
				if diff := cmp.Diff(want, mustKeyTimes(t, db, start), cmp.AllowUnexported(keyTimes{})); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestAKeyTakesItsTurnSoonerOnce(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		start := db.Now()
		at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
		ends := func(minutes int) RetireKeys { return RetireKeys{RetiredAt: at(minutes), ExpiresAt: at(minutes + 1000)} }
		var keys [3]domain.Key
		for i := range keys { // one whose turn is over, the current and the next one
			keys[i] = newKey(db, uint32(i+1), "ES256")
			keys[i].CreatedAt, keys[i].ActiveAt = at(i), at(-200+100*i)
			retire := ends(-200 + 100*i)
			mustAddKey(t, db, keys[i], at(9999), &retire, true)
		}
		later := ends(500)
		fourth := newKey(db, 4, "ES256")
		fourth.CreatedAt, fourth.ActiveAt = at(4), at(500)
		mustAddKey(t, db, fourth, at(9999), &later, true)
		for _, c := range []struct {
			key  domain.Key
			to   int
			want bool
		}{{keys[1], 20, false}, {fourth, 600, false}, {fourth, 20, true}, {fourth, 30, false}, {fourth, 20, false}} {
			got, err := db.AdvanceKey(t.Context(), c.key, ends(c.to), domain.Event{Actor: "api-key key_x"})
			if err != nil || got != c.want {
				t.Errorf("key %d to minute %d: %t (%v)", c.key.ID, c.to, got, err)
			}
		}
		want := map[uint32]keyTimes{1: {-200, -100, 0}, 2: {-100, 0, 0}, 3: {0, 20, 0}, 4: {20, 0, 0}}
		if diff := cmp.Diff(want, mustKeyTimes(t, db, start), cmp.AllowUnexported(keyTimes{})); diff != "" {
			t.Error(diff)
		}
		for i, k := range mustKeys(t, db) { // newest first
			if end := []int{0, 1020, 1000, 900}[i]; end != 0 && !k.ExpiresAt.Equal(at(end)) {
				t.Errorf("key %d expires at %s, want %s", k.ID, k.ExpiresAt, at(end))
			}
		}
		events, err := db.Events(t.Context(), domain.AccountID{}, domain.SessionID{}, 1)
		if err != nil || len(events) != 1 || events[0].Action != "key.advance" || events[0].Actor != "api-key key_x" {
			t.Errorf("the trail says %+v (%v)", events, err)
		}
	})
}

func TestAKeyMintsOnIfItsSuccessorWasDropped(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		start := db.Now()
		at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
		for i, ends := range []*RetireKeys{
			nil, {RetiredAt: at(50), ExpiresAt: at(60)}, {RetiredAt: at(90), ExpiresAt: at(99)},
			{RetiredAt: at(200), ExpiresAt: at(300), Extended: 2},
		} {
			k := newKey(db, uint32(i+1), "ES256")
			k.CreatedAt = at(i)
			mustAddKey(t, db, k, k.CreatedAt, ends, true)
		}
		for id, want := range map[uint32]time.Time{1: at(60), 2: at(300), 3: at(300)} {
			for _, k := range mustKeys(t, db) {
				if k.ID == id && !k.ExpiresAt.Equal(want) {
					t.Errorf("key %d expires at %s, want %s", id, k.ExpiresAt, want)
				}
			}
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
		if err != nil || len(events) != catalogRows+3 || events[0].Action != "api_key.revoke" || events[0].Reason != newer.ID.String() {
			t.Errorf("%+v (%v)", events, err)
		}
		_, missing := db.APIKey(t.Context(), domain.APIKeyID(newID()))
		if err := db.RevokeAPIKey(t.Context(), domain.APIKeyID(newID()), domain.Event{}); !errors.Is(err, ErrNotFound) || !errors.Is(missing, ErrNotFound) {
			t.Error(err, missing)
		}
	})
}
