package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

func mustRegistrationToken(t *testing.T, db *DB, uses int, life time.Duration) (domain.RegistrationToken, [32]byte) {
	t.Helper()
	now := db.Now()
	token := domain.RegistrationToken{
		ID: domain.NewID[domain.RegistrationTokenID](), Name: "partners", UsesLeft: uses, CreatedAt: now, ExpiresAt: now.Add(life),
	}
	hash := sha256.Sum256(token.ID[:])
	if err := db.CreateRegistrationToken(t.Context(), token, hash, domain.Event{Actor: "api-key key_1"}); err != nil {
		t.Fatal(err)
	}
	return token, hash
}

func spendToken(t *testing.T, db *DB, hash [32]byte, now time.Time) bool {
	t.Helper()
	ok, err := trySpending(t.Context(), db, hash, now)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func trySpending(ctx context.Context, db *DB, hash [32]byte, now time.Time) (bool, error) {
	return write(ctx, db, shared, func(ctx context.Context, q queryer) (bool, error) {
		_, ok, err := spendRegistrationToken(ctx, q, hash, now)
		return ok, err
	})
}

func TestAnInitialAccessTokenIsGoodForItsUsesAndItsTime(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		token, hash := mustRegistrationToken(t, db, 2, time.Hour)
		other, _ := mustRegistrationToken(t, db, 1, time.Hour)
		if spendToken(t, db, hash, token.ExpiresAt) {
			t.Error("good at the moment of its expiry")
		}
		if spendToken(t, db, sha256.Sum256([]byte("another")), db.Now()) {
			t.Error("a hash nobody made was spent")
		}
		for use, want := range []bool{true, true, false} {
			if got := spendToken(t, db, hash, token.ExpiresAt.Add(-time.Microsecond)); got != want {
				t.Errorf("use %d: %t", use, got)
			}
		}
		list, err := db.RegistrationTokens(t.Context())
		if err != nil || len(list) != 2 {
			t.Fatalf("%+v, %v", list, err)
		}
		for _, l := range list {
			if want := map[domain.RegistrationTokenID]int{token.ID: 0, other.ID: 1}[l.ID]; l.UsesLeft != want {
				t.Errorf("%v has %d uses left, want %d", l.ID, l.UsesLeft, want)
			}
		}
	})
}

// However many ask at once, a token lets in as many as it says (RFC 7591 §3).
func TestOfManyAtOnceAnInitialAccessTokenLetsInAsManyAsItSays(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		_, hash := mustRegistrationToken(t, db, 3, time.Hour)
		var spent atomic.Int64
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				ok, err := trySpending(t.Context(), db, hash, db.Now())
				if err != nil {
					t.Error(err)
				}
				if ok {
					spent.Add(1)
				}
			})
		}
		wg.Wait()
		if spent.Load() != 3 {
			t.Errorf("%d got in, want 3", spent.Load())
		}
	})
}

func TestADeletedInitialAccessTokenIsGoneAndTheTrailKnows(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		token, hash := mustRegistrationToken(t, db, 5, time.Hour)
		if err := db.DeleteRegistrationToken(t.Context(), token.ID, domain.Event{Actor: "api-key key_1"}); err != nil {
			t.Fatal(err)
		}
		if spendToken(t, db, hash, db.Now()) {
			t.Error("spent although it is deleted")
		}
		if err := db.DeleteRegistrationToken(t.Context(), token.ID, domain.Event{}); !errors.Is(err, ErrNotFound) {
			t.Errorf("deleted twice: %v", err)
		}
		events, err := db.Events(t.Context(), domain.AccountID{}, domain.SessionID{}, 2)
		if err != nil || len(events) != 2 || events[0].Action != "registration_token.delete" || events[1].Action != "registration_token.create" {
			t.Fatalf("%+v, %v", events, err)
		}
		for _, e := range events {
			if e.Reason != token.ID.String() || e.Actor != "api-key key_1" {
				t.Errorf("%+v", e)
			}
		}
	})
}

func TestExpiredInitialAccessTokensAreSweptAfterAWeek(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		token, _ := mustRegistrationToken(t, db, 0, time.Hour)
		for _, at := range []struct {
			age  time.Duration
			want int
		}{{0, 0}, {7 * day, 0}, {7*day + time.Second, 1}} {
			swept, err := db.Sweep(t.Context(), token.ExpiresAt.Add(at.age))
			if err != nil || swept.RegistrationTokens != at.want {
				t.Errorf("%v after its expiry: %+v, %v", at.age, swept, err)
			}
		}
	})
}
