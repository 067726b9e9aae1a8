package httpd_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/httpd"
)

func TestALimiterGivesItsTokensAndRefillsThem(t *testing.T) {
	l := httpd.NewLimiter(20, 1000)
	now := time.Unix(1_800_000_000, 0)
	for i := range 20 {
		if wait := l.Take("a", now); wait != 0 {
			t.Fatalf("token %d: wait %v", i, wait)
		}
	}
	if wait := l.Take("a", now); wait != 3*time.Second {
		t.Errorf("the 21st: %v, want the 3 s one token takes", wait)
	}
	if wait := l.Wait("a", now); wait != 3*time.Second {
		t.Errorf("asking: %v", wait)
	}
	if wait := l.Take("b", now); wait != 0 {
		t.Errorf("another key: %v", wait)
	}
	if wait := l.Take("a", now.Add(3*time.Second)); wait != 0 {
		t.Errorf("3 s later: %v", wait)
	}
	if wait := l.Take("a", now.Add(3*time.Second)); wait != 3*time.Second {
		t.Errorf("and only one: %v", wait)
	}
	later := now.Add(time.Hour)
	for i := range 20 {
		if wait := l.Take("a", later); wait != 0 {
			t.Fatalf("an hour later, token %d: %v", i, wait)
		}
	}
	if l.Take("a", later) == 0 {
		t.Error("a bucket holds more than its tokens")
	}
}

func TestAskingTakesNothing(t *testing.T) {
	l := httpd.NewLimiter(1, 10)
	now := time.Unix(1_800_000_000, 0)
	for range 100 {
		if l.Wait("a", now) != 0 {
			t.Fatal("refused")
		}
	}
	if l.Take("a", now) != 0 || l.Wait("a", now) != time.Minute {
		t.Error("one a minute")
	}
}

func TestALiftedLimiterAllowsEverything(t *testing.T) {
	l := httpd.NewLimiter(-1, 10)
	for range 1000 {
		if l.Take("a", time.Now()) != 0 {
			t.Fatal("refused")
		}
	}
}

func TestAFloodOfFreshKeysDoesNotFreeAnExhaustedOne(t *testing.T) {
	l := httpd.NewLimiter(20, 256)
	now := time.Unix(1_800_000_000, 0)
	for range 20 {
		l.Take("victim", now)
	}
	for i := range 100_000 {
		l.Take(fmt.Sprint("flood ", i), now)
	}
	if l.Wait("victim", now) == 0 {
		t.Error("the exhausted bucket was forgotten")
	}
}

func BenchmarkLimiterWait(b *testing.B) {
	l := httpd.NewLimiter(20, 1<<16)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		l.Wait("203.0.113.9/32 com.example.todo", now)
	}
}
