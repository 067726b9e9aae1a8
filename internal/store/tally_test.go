package store

import (
	"sync"
	"testing"
	"time"
)

func TestATallyStartsOverWhenItsWindowIsOver(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		key, now := sum(), db.Now()
		for _, c := range []struct {
			at            time.Duration
			tallied, want int64
		}{
			{0, 0, 1},
			{30 * time.Second, 1, 2},
			{time.Minute - time.Microsecond, 2, 3}, // which makes the window no longer
			{time.Minute, 0, 1},
			{90 * time.Second, 1, 2},
		} {
			before, err := db.Tallied(t.Context(), key, now.Add(c.at))
			if err != nil || before != c.tallied {
				t.Errorf("after %s: %d before (%v)", c.at, before, err)
			}
			if got, err := db.Tally(t.Context(), key, now.Add(c.at), time.Minute); err != nil || got != c.want {
				t.Errorf("after %s: %d (%v)", c.at, got, err)
			}
		}
		if got, err := db.Tally(t.Context(), sum(), now, time.Minute); err != nil || got != 1 {
			t.Errorf("another key: %d (%v)", got, err)
		}
	})
}

func TestParallelTalliesCountEveryOne(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		key := sum()
		var mu sync.Mutex
		seen := map[int64]bool{}
		atOnce(30, func(int) {
			n, err := db.Tally(t.Context(), key, db.Now(), time.Minute)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[n] = true
		})
		if len(seen) != 30 || !seen[1] || !seen[30] {
			t.Errorf("%v", seen)
		}
	})
}

func TestATryThatWasRightIsTakenBack(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		key, now := [32]byte{7}, db.Now()
		for want := int64(1); want <= 2; want++ {
			if n, err := db.Tally(t.Context(), key, now, time.Hour); err != nil || n != want {
				t.Fatalf("%d (%v)", n, err)
			}
		}
		for range 3 { // never below none
			if err := db.Untally(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := db.Tallied(t.Context(), key, now); err != nil || n != 0 {
			t.Errorf("%d (%v)", n, err)
		}
	})
}
