package store

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestAnAssertionIsFreshOnceUntilItExpires(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		now, hash := db.Now(), sum()
		expires := now.Add(time.Minute)
		var fresh atomic.Int32
		var done sync.WaitGroup
		for range 8 {
			done.Go(func() {
				ok, err := db.SpendAssertion(t.Context(), hash, expires, now)
				if err != nil {
					t.Error(err)
				}
				if ok {
					fresh.Add(1)
				}
			})
		}
		done.Wait()
		if n := fresh.Load(); n != 1 {
			t.Errorf("%d of 8 were fresh", n)
		}
		if ok, err := db.SpendAssertion(t.Context(), sum(), expires, now); err != nil || !ok {
			t.Errorf("another one: %v, %v", ok, err)
		}
		// The sweep forgets it after its expiry and not before.
		for _, at := range []time.Time{now, expires} {
			if _, err := db.Sweep(t.Context(), at); err != nil {
				t.Fatal(err)
			}
			if ok, err := db.SpendAssertion(t.Context(), hash, expires, now); err != nil || ok {
				t.Errorf("swept at %v: %v, %v", at, ok, err)
			}
		}
		if swept, err := db.Sweep(t.Context(), expires.Add(keepNonces+time.Second)); err != nil || swept.Nonces != 2 {
			t.Errorf("%+v, %v", swept, err)
		}
	})
}
