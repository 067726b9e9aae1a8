package dpop

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const replayJKT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"

// DP06
func TestOneOfFiftyParallelUsesIsTheFirst(t *testing.T) {
	r := NewReplay(1 << 16)
	var firsts atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if r.First(replayJKT, "jti", now.Add(time.Minute), now) == nil {
				firsts.Add(1)
			}
		})
	}
	wg.Wait()
	if n := firsts.Load(); n != 1 {
		t.Errorf("%d uses were the first", n)
	}
}

func TestAProofIsRememberedAsLongAsItIsAcceptable(t *testing.T) {
	r := NewReplay(100)
	until := now.Add(time.Minute)
	for _, step := range []struct {
		name     string
		jkt, jti string
		after    time.Duration
		first    bool
	}{
		{"seen first", replayJKT, "a", 0, true},
		{"again at once", replayJKT, "a", 0, false},
		{"again in the last moment", replayJKT, "a", time.Minute, false},
		{"another jti", replayJKT, "b", time.Minute, true},
		{"the same jti under another key", "another", "a", time.Minute, true},
		{"after its time", replayJKT, "a", time.Minute + 1, true},
	} {
		if err := r.First(step.jkt, step.jti, until, now.Add(step.after)); (err == nil) != step.first || !step.first && !errors.Is(err, ErrUsed) {
			t.Errorf("%s: %v", step.name, err)
		}
	}
}

func TestAFullMemoryRefusesAndForgetsNothing(t *testing.T) {
	r := NewReplay(100)
	for i := range 100 {
		if err := r.First(strconv.Itoa(i), "0", now.Add(time.Minute), now); err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
	}
	if err := r.First(replayJKT, "one more", now.Add(time.Minute), now); !errors.Is(err, ErrMemoryFull) {
		t.Errorf("entry 101: %v", err)
	}
	if err := r.First("0", "0", now.Add(time.Minute), now.Add(time.Second)); !errors.Is(err, ErrUsed) {
		t.Errorf("a live entry was forgotten: %v", err)
	}
	later := now.Add(2 * time.Minute)
	if err := r.First(replayJKT, "one more", later.Add(time.Minute), later); err != nil {
		t.Errorf("nothing was swept: %v", err)
	}
	if n, keys := len(r.shards[0].until), len(r.shards[0].held); n != 1 || keys != 1 {
		t.Errorf("%d entries of %d keys remain", n, keys)
	}
}

// DP06: one key, be it a hostile phone's or a busy service's, fills its own share and nobody else's room.
func TestOneKeyHasAShareOfTheMemory(t *testing.T) {
	const limit = 1 << 16
	r := NewReplay(limit)
	taken := 0
	for i := range limit {
		if r.First(replayJKT, strconv.Itoa(i), now.Add(time.Minute), now) == nil {
			taken++
		}
	}
	if taken > limit/16 || taken < limit/16*9/10 {
		t.Errorf("one key took %d of %d", taken, limit)
	}
	if err := r.First(replayJKT, "0", now.Add(time.Minute), now); !errors.Is(err, ErrUsed) {
		t.Errorf("what it took was forgotten: %v", err)
	}
	// Beside an assertion nobody can send twice, the share is no bound on how busy a service may be.
	for i := range limit {
		if err := r.FirstBeside(replayJKT, "busy"+strconv.Itoa(i), now.Add(time.Minute), now); err != nil {
			t.Fatalf("a busy service: %v", err)
		}
	}
	if err := r.FirstBeside(replayJKT, "0", now.Add(time.Minute), now); !errors.Is(err, ErrUsed) {
		t.Errorf("what is remembered is refused all the same: %v", err)
	}
	for i := range limit / 2 {
		if err := r.First(strconv.Itoa(i), "a", now.Add(time.Minute), now); err != nil {
			t.Fatalf("another key: %v", err)
		}
	}
	later := now.Add(time.Minute + time.Second)
	if err := r.First(replayJKT, "new", later.Add(time.Minute), later); err != nil {
		t.Errorf("its share does not come back: %v", err)
	}
}

// An entry that is over and comes again before the sweep counts once.
func TestARenewedEntryCountsOnce(t *testing.T) {
	r := NewReplay(16 * 3)
	at := now
	for range 20 {
		at = at.Add(200 * time.Millisecond)
		if err := r.First(replayJKT, "a", at, at); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.shards[0].held; len(n) != 1 || len(r.shards[0].until) != 1 {
		t.Errorf("%v", n)
	}
}

// A clock that is set back must not stop the sweeping.
func TestSweepingGoesOnAfterTheClockWasSetBack(t *testing.T) {
	r := NewReplay(1)
	_ = r.First(replayJKT, "a", now.Add(-time.Hour), now)
	if err := r.First(replayJKT, "b", now, now.Add(-30*time.Minute)); err != nil {
		t.Errorf("an entry long over is in the way: %v", err)
	}
}

// DP06: a million distinct jtis take the memory of max entries and no more.
func TestMemoryIsBounded(t *testing.T) {
	const limit = 1 << 13
	r := NewReplay(limit)
	taken := 0
	for i := range 1_000_000 {
		if r.First(strconv.Itoa(i%1000), strconv.Itoa(i), now.Add(time.Minute), now) == nil {
			taken++
		}
	}
	held := 0
	for i := range r.shards {
		held += len(r.shards[i].until)
	}
	if taken != held || held > limit || held < limit*9/10 {
		t.Errorf("%d taken, %d held, of %d", taken, held, limit)
	}
}
