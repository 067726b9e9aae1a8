package store

import (
	"context"
	"errors"
	"testing"

	"github.com/countersign/countersign/internal/domain"
)

// roads are the two ways to ask for a passkey, and how each is ended.
func roads(t testing.TB, db *DB, s domain.Session) map[string]struct {
	asks PasskeyAddition
	end  func() error
} {
	t.Helper()
	b := mustBrowser(t, db, s)
	page := newPasskey(db, s)
	page.SessionID, page.BrowserID = domain.SessionID{}, b.ID
	return map[string]struct {
		asks PasskeyAddition
		end  func() error
	}{
		"in a browser": {page, func() error {
			_, err := db.EndBrowser(context.Background(), BrowserEnding{ID: b.ID, Now: db.Now(), Reason: domain.EndedByLogout})
			return err
		}},
		"in an app": {newPasskey(db, s), func() error {
			_, err := db.EndSession(context.Background(), s.ID, domain.EndedByUser, domain.Event{})
			return err
		}},
	}
}

// Whoever is thrown out at the very moment in which they add a passkey has added it before, or not at all: nothing is added
// once the ending has returned.
func TestNothingIsAddedAfterAnEndingReturned(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		for range 10 {
			s := mustSignIn(t, db, newSignIn(db))
			for name, road := range roads(t, db, s) {
				var then int
				atOnce(2, func(i int) {
					if i == 0 {
						if _, err := db.AddPasskey(t.Context(), road.asks); err != nil {
							t.Error(name, err)
						}
						return
					}
					if err := road.end(); err != nil {
						t.Error(name, err)
					}
					list, err := db.Passkeys(t.Context(), s.AccountID)
					if err != nil {
						t.Error(name, err)
					}
					then = len(list)
				})
				if list, err := db.Passkeys(t.Context(), s.AccountID); err != nil || len(list) != then {
					t.Errorf("%s: %d passkeys when the ending returned, %d in the end (%v)", name, then, len(list), err)
				}
			}
		}
	})
}

// The same, with the link held up between its look at who asks and its last step.
func TestAnEndingWaitsForALinkThatHasBegun(t *testing.T) {
	db := migrated(t, Options{URL: engines[1].url(t)})
	s := mustSignIn(t, db, newSignIn(db))
	for name, road := range roads(t, db, s) {
		tx, err := db.pool.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		twin := road.asks.Identity
		twin.ID = domain.IdentityID(newID())
		if made, err := insertIdentity(t.Context(), tx, twin); !made || err != nil { // the link has to wait for what becomes of it
			t.Fatal(made, err)
		}
		linked, ended := make(chan LinkVerdict, 1), make(chan error, 1)
		go func() {
			verdict, err := db.AddPasskey(context.Background(), road.asks)
			if err != nil {
				t.Error(name, err)
			}
			linked <- verdict
		}()
		until(t, func() error { return mustWait(t, db, 1) })
		go func() { ended <- road.end() }()
		until(t, func() error {
			if len(ended) > 0 {
				return nil
			}
			return mustWait(t, db, 2)
		})
		if len(ended) > 0 {
			t.Errorf("%s: the ending returned, and the link was still to come", name)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		if verdict := <-linked; verdict != Linked {
			t.Errorf("%s: verdict %d", name, verdict)
		}
		if err := <-ended; err != nil {
			t.Error(name, err)
		}
		again := road.asks
		again.Nonces, again.Identity.ID, again.Identity.Subject = nil, domain.IdentityID(newID()), "c3ViamVjdA"
		mustAddPasskey(t, db, again, LinkAccountNotLive)
	}
}

// mustWait fails unless so many transactions wait for others.
func mustWait(t testing.TB, db *DB, want int) error {
	var n int
	err := one(t.Context(), db.pool, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'", nil, &n)
	if err == nil && n < want {
		err = errors.New("nobody waits")
	}
	return err
}
