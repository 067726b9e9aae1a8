package store

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
)

// noisy starts a session whose client wants to hear of its end.
func noisy(t testing.TB, db *DB) domain.Session {
	t.Helper()
	in := newSignIn(db)
	in.Session.Notify = true
	return mustSignIn(t, db, in)
}

func mustDue(t testing.TB, db *DB, now time.Time, limit int) []Notice {
	t.Helper()
	list, err := db.DueNotices(t.Context(), now, 30*time.Second, "app", limit)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestAnEndingIsToldToTheClientThatWantsToHearOfIt(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		loud, quiet, now := noisy(t, db), mustSignIn(t, db, newSignIn(db)), db.Now()
		for _, s := range []domain.Session{loud, quiet, loud} {
			if _, err := db.EndSession(t.Context(), s.ID, domain.EndedByReuse, domain.Event{At: now}); err != nil {
				t.Fatal(err)
			}
		}
		got := mustDue(t, db, now, 10)
		if len(got) != 1 {
			t.Fatalf("%+v", got)
		}
		want := Notice{ID: got[0].ID, ClientID: "app", AccountID: loud.AccountID, SessionID: loud.ID, Attempts: 1,
			CreatedAt: now, ExpiresAt: now.Add(24 * time.Hour)}
		if diff := cmp.Diff(want, got[0]); diff != "" {
			t.Error(diff)
		}
	})
}

func TestANoticeIsLeasedPutBackAndGivenUp(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s, now := noisy(t, db), db.Now()
		if _, err := db.EndSession(t.Context(), s.ID, domain.EndedByAdmin, domain.Event{At: now}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name     string
			at       time.Duration
			attempts int // zero: not due
		}{
			{"at once", 0, 1},
			{"while it is leased", 29 * time.Second, 0},
			{"when the lease is over", 31 * time.Second, 2},
			{"before it is due again", time.Hour - 1, 0},
			{"when it is", time.Hour, 3},
			{"when it is too late", 24 * time.Hour, 0},
		} {
			list := mustDue(t, db, now.Add(c.at), 5)
			if len(list) == 0 && c.attempts == 0 {
				continue
			}
			if len(list) != 1 || list[0].Attempts != c.attempts {
				t.Fatalf("%s: %+v", c.name, list)
			}
			if c.attempts == 2 {
				if err := db.NoticeLater(t.Context(), list[0].ID, now.Add(time.Hour)); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.NoticeDone(t.Context(), list[0].ID+1); err != nil { // somebody else's
				t.Fatal(err)
			}
		}
		id := int64(1)
		if err := db.NoticeDone(t.Context(), id); err != nil || mustRows(t, db)["notices"] != 0 {
			t.Error(err, mustRows(t, db)["notices"])
		}
	})
}

func TestTwoWorkersNeverHoldOneNotice(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		for range 12 {
			if _, err := db.EndSession(t.Context(), noisy(t, db).ID, domain.EndedByAdmin, domain.Event{}); err != nil {
				t.Fatal(err)
			}
		}
		var mu sync.Mutex
		seen := map[int64]int{}
		atOnce(6, func(int) {
			list, err := db.DueNotices(context.Background(), db.Now(), time.Minute, "app", 4)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, n := range list {
				seen[n.ID]++
			}
		})
		for id, n := range seen {
			if n != 1 {
				t.Errorf("notice %d was claimed %d times", id, n)
			}
		}
		if rest := mustDue(t, db, db.Now(), 100); len(seen)+len(rest) != 12 {
			t.Errorf("claimed %d, left %d", len(seen), len(rest))
		}
	})
}
