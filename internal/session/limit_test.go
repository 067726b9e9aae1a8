package session

import (
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

func TestTheLimitIsPerSessionAndRefills(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l, a, b := newLimiter(10), domain.SessionID{1}, domain.SessionID{2}
	for i := range 10 {
		if wait := l.wait(a, now); wait != 0 {
			t.Fatalf("use %d had to wait %s", i+1, wait)
		}
		l.count(a, now)
	}
	if wait := l.wait(a, now); wait != 6*time.Second {
		t.Errorf("the eleventh use waits %s, want 6 s", wait)
	}
	if l.wait(b, now) != 0 {
		t.Error("another session has to wait")
	}
	now = now.Add(6 * time.Second)
	if wait := l.wait(a, now); wait != 0 {
		t.Errorf("after 6 s it still waits %s", wait)
	}
	l.count(a, now)
	if l.wait(a, now) == 0 {
		t.Error("6 s refilled more than one use")
	}
}

func TestTheLimitHoldsAcrossItsWindows(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l, id := newLimiter(10), domain.SessionID{1}
	passed := 0
	for s := range 600 {
		now := start.Add(time.Duration(s) * time.Second)
		if l.wait(id, now) == 0 {
			l.count(id, now)
			passed++
		}
	}
	if passed < 100 || passed > 110 {
		t.Errorf("%d uses in ten minutes, want ten a minute after a burst of ten", passed)
	}
}

func TestAClockSetBackHoldsNobodyUpForLong(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l, id := newLimiter(10), domain.SessionID{1}
	for range 10 {
		l.count(id, now)
	}
	if wait := l.wait(id, now.Add(-time.Hour)); wait > 6*time.Second {
		t.Errorf("waits %s", wait)
	}
}

func TestTheMemoryOfALimitIsBounded(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l := newLimiter(10)
	for i := range 5 * shardEntries {
		l.count(domain.SessionID{0, byte(i), byte(i >> 8), byte(i >> 16)}, now)
	}
	sh := &l.shards[0]
	if len(sh.here) > shardEntries || len(sh.before) > shardEntries {
		t.Errorf("%d and %d sessions remembered, the bound is %d", len(sh.here), len(sh.before), shardEntries)
	}
}

func TestANegativeLimitIsNone(t *testing.T) {
	l, id, now := newLimiter(-1), domain.SessionID{1}, time.Now()
	for range 1000 {
		l.count(id, now)
	}
	if l.wait(id, now) != 0 {
		t.Error("it waits")
	}
}
