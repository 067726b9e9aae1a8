package store

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

func signInWithOutbox(t *testing.T, db *DB, items int) domain.Session {
	in := newSignIn(db)
	for range items {
		in.Outbox = append(in.Outbox, OutboxItem{Kind: "apple.redeem", AAD: "a", Payload: []byte("sealed"), ExpiresAt: in.Now.Add(5 * time.Minute)})
	}
	return mustSignIn(t, db, in)
}

func mustClaim(t testing.TB, db *DB, now time.Time, limit int) []OutboxItem {
	t.Helper()
	items, err := db.ClaimOutbox(t.Context(), now, 30*time.Second, limit)
	if err != nil {
		t.Fatal(err)
	}
	return items
}

func TestAnOutboxItemIsLeasedPutBackAndGivenUp(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		signInWithOutbox(t, db, 1)
		now := db.Now()
		for _, c := range []struct {
			name     string
			at       time.Duration
			attempts int // zero: not due
		}{
			{"at once", 0, 1},
			{"while it is leased", 29 * time.Second, 0},
			{"when the lease is over", 31 * time.Second, 2},
		} {
			items := mustClaim(t, db, now.Add(c.at), 5)
			if len(items) == 0 && c.attempts == 0 {
				continue
			}
			if len(items) != 1 || items[0].Attempts != c.attempts {
				t.Fatalf("%s: %+v", c.name, items)
			}
			if err := db.RetryOutbox(t.Context(), items[0].ID, now.Add(30*time.Second)); err != nil {
				t.Fatal(err)
			}
		}
		if items := mustClaim(t, db, now.Add(6*time.Minute), 5); len(items) != 0 {
			t.Error("an expired item was claimed")
		}
	})
}

func TestTwoWorkersNeverHoldOneItem(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		signInWithOutbox(t, db, 20)
		var mu sync.Mutex
		seen := map[int64]int{}
		atOnce(10, func(int) {
			items, err := db.ClaimOutbox(context.Background(), db.Now(), time.Minute, 4)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, item := range items {
				seen[item.ID]++
			}
		})
		for id, n := range seen {
			if n != 1 {
				t.Errorf("item %d was claimed %d times", id, n)
			}
		}
		if rest := mustClaim(t, db, db.Now(), 100); len(seen)+len(rest) != 20 {
			t.Errorf("claimed %d, left %d", len(seen), len(rest))
		}
	})
}

func TestAFinishedItemLeavesItsGrantOnTheIdentity(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := signInWithOutbox(t, db, 2)
		items := mustClaim(t, db, db.Now(), 5)
		grant := &UpstreamGrant{IdentityID: s.IdentityID, ClientID: "com.example.app", AAD: "identities/1", Sealed: []byte("token")}
		for range 2 { // a worker whose lease ran out comes second
			if err := db.FinishOutbox(t.Context(), items[0].ID, grant, domain.Event{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.FinishOutbox(t.Context(), items[1].ID, nil, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		var clientID, aad string
		var sealed []byte
		if err := one(t.Context(), db.reader, "SELECT grant_client_id, grant_aad, grant_sealed FROM identities", nil, &clientID, &aad, &sealed); err != nil {
			t.Fatal(err)
		}
		if clientID != "com.example.app" || aad != "identities/1" || string(sealed) != "token" {
			t.Error(clientID, aad, sealed)
		}
		trail := actions(t, db, s.AccountID)
		if len(trail) != 4 || trail[3] != "identity.grant" || mustRows(t, db)["outbox"] != 0 {
			t.Error(trail, mustRows(t, db))
		}
	})
}

func TestUnlinkingTakesTheOutboxItemsAlong(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := signInWithOutbox(t, db, 1)
		items := mustClaim(t, db, db.Now(), 5)
		mustLink(t, db, newLink(db, s), Linked)
		if v, err := db.UnlinkIdentity(t.Context(), unlink(db, s, s.IdentityID)); err != nil || v != Unlinked {
			t.Fatal(v, err)
		}
		grant := &UpstreamGrant{IdentityID: s.IdentityID, Sealed: []byte("token")}
		if err := db.FinishOutbox(t.Context(), items[0].ID, grant, domain.Event{}); err != nil {
			t.Error(err)
		}
		if n := mustRows(t, db)["outbox"]; n != 0 {
			t.Errorf("%d items left", n)
		}
	})
}
