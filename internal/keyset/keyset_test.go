package keyset

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/jose"
)

// owner publishes keys; its clock stands still between steps.
type owner struct {
	mu    sync.Mutex
	at    time.Time
	kids  []string
	fresh time.Duration
	err   error
	asked int
}

func newOwner(fresh time.Duration, kids ...string) *owner {
	return &owner{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), fresh: fresh, kids: kids}
}

func (o *owner) now() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.at
}

func (o *owner) step(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.at = o.at.Add(d)
}

func (o *owner) set(change func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change()
}

func (o *owner) load(context.Context) ([]jose.PublicKey, time.Duration, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked++
	var keys []jose.PublicKey
	for _, kid := range o.kids {
		keys = append(keys, jose.PublicKey{Kid: kid})
	}
	return keys, o.fresh, o.err
}

func (o *owner) fetches() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked
}

var clients = Options{FreshAtLeast: time.Minute, FreshAtMost: 24 * time.Hour, Punctual: true}

func has(kid string) func([]jose.PublicKey) bool {
	return func(keys []jose.PublicKey) bool {
		return slices.ContainsFunc(keys, func(k jose.PublicKey) bool { return k.Kid == kid })
	}
}

// want asks for a kid and tells what became of it: the verdict, or how long to wait.
func want(t *testing.T, c *Cache, kid string, found bool, wait time.Duration) {
	t.Helper()
	keys, err := c.Keys(t.Context(), has(kid))
	var throttled *Throttled
	switch {
	case errors.As(err, &throttled):
		if !errors.Is(err, ErrUnavailable) || throttled.Wait != wait {
			t.Errorf("%s: wait %v, want %v", kid, throttled.Wait, wait)
		}
	case err != nil || wait != 0 || has(kid)(keys) != found:
		t.Errorf("%s: %v, %v", kid, keys, err)
	}
}

func TestAnUnknownKeyIsWorthOneFetchAMinute(t *testing.T) {
	o := newOwner(time.Hour, "a")
	c := New(o.load, o.now, clients)
	want(t, c, "a", true, 0)
	want(t, c, "b", false, time.Minute)
	o.step(time.Minute)
	want(t, c, "b", false, 0)
	want(t, c, "c", false, time.Minute)
	o.set(func() { o.kids = []string{"a", "c"} })
	o.step(59 * time.Second)
	want(t, c, "c", false, time.Second)
	o.step(time.Second)
	want(t, c, "c", true, 0)
	if o.fetches() != 3 {
		t.Errorf("%d fetches", o.fetches())
	}
}

func TestKeysAreAskedForAgainBeforeTheyAreUsedPastTheirTime(t *testing.T) {
	for name, tt := range map[string]struct {
		said, holds time.Duration
	}{
		"nothing":     {0, time.Hour},
		"ten seconds": {10 * time.Second, time.Minute},
		"ten minutes": {10 * time.Minute, 10 * time.Minute},
		"a year":      {365 * 24 * time.Hour, 24 * time.Hour},
	} {
		o := newOwner(tt.said, "a")
		c := New(o.load, o.now, clients)
		want(t, c, "a", true, 0)
		o.set(func() { o.kids = []string{"b"} })
		o.step(tt.holds*4/5 - 1)
		want(t, c, "a", true, 0)
		c.Landed()
		if o.fetches() != 1 {
			t.Errorf("%s: asked too soon", name)
		}
		o.step(tt.holds/5 + 1)
		want(t, c, "a", false, 0)
		if o.fetches() != 2 {
			t.Errorf("%s: %d fetches", name, o.fetches())
		}
	}
}

// ID21, CA06: what fails replaces nothing, is tried once a minute, and nobody waits longer than for that one try.
func TestKeysAreUsedForADayWhileTheirOwnerIsDown(t *testing.T) {
	o := newOwner(time.Minute, "a")
	c := New(o.load, o.now, clients)
	want(t, c, "a", true, 0)
	o.set(func() { o.err = errors.New("down") })
	o.step(time.Hour)
	for range 5 {
		want(t, c, "a", true, 0)
	}
	if o.fetches() != 2 {
		t.Errorf("%d fetches", o.fetches())
	}
	o.step(23 * time.Hour)
	want(t, c, "a", true, 0)
	o.step(time.Minute)
	want(t, c, "a", false, time.Minute)
	o.set(func() { o.err, o.kids = nil, nil })
	o.step(time.Minute)
	want(t, c, "a", false, time.Minute) // an empty set is none
}

func TestAnEmptyCacheIsFilledByOneFetch(t *testing.T) {
	o := newOwner(time.Hour, "a")
	c := New(o.load, o.now, clients)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { want(t, c, "a", true, 0) })
	}
	all.Wait()
	if o.fetches() != 1 {
		t.Errorf("%d fetches", o.fetches())
	}
	if c.LastTried() != o.now() {
		t.Errorf("tried %v", c.LastTried())
	}
}

// silent answers no more from its second fetch on.
func silent(t *testing.T, o *owner) Load {
	t.Helper()
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	return func(ctx context.Context) ([]jose.PublicKey, time.Duration, error) {
		keys, fresh, err := o.load(ctx)
		if o.fetches() > 1 {
			select {
			case <-end:
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		return keys, fresh, err
	}
}

// RG08: a client whose key server hangs goes on with the keys that are known; nobody waits five seconds for what changes nothing.
func TestKeysThatWillDoAreUsedWhileTheirOwnerIsSilent(t *testing.T) {
	o := newOwner(time.Minute, "a")
	c := New(silent(t, o), o.now, clients)
	want(t, c, "a", true, 0)
	o.step(time.Minute)
	began := time.Now()
	for range 100 { // their patience is that of one
		want(t, c, "a", true, 0)
	}
	if took := time.Since(began); took >= fetchTimeout || o.fetches() != 2 {
		t.Errorf("%v, %d fetches", took, o.fetches())
	}
}

// Who finds no place to wait is told at once, and needs none where the keys at hand will do.
func TestNobodyWaitsWithoutAPlace(t *testing.T) {
	o := newOwner(time.Minute, "a")
	options, full, left := clients, false, 0
	options.Enter = func() (func(), bool) { return func() { left++ }, !full }
	c := New(silent(t, o), o.now, options)
	want(t, c, "a", true, 0)
	if left != 1 {
		t.Errorf("places were left %d times", left)
	}
	full = true
	o.step(time.Minute)
	want(t, c, "a", true, 0)
	_, err := c.Keys(t.Context(), has("b"))
	if !errors.Is(err, ErrUnavailable) || !errors.Is(err, errCrowd) {
		t.Error(err)
	}
}

func TestWhoIsHeldBackHearsWhyTheLastFetchFailed(t *testing.T) {
	o := newOwner(time.Hour, "a")
	down := errors.New("no such host")
	o.set(func() { o.err = down })
	options := clients
	told := make(chan error, 1)
	options.Failed = func(err error) { told <- err }
	c := New(o.load, o.now, options)
	ask := func() error {
		_, err := c.Keys(t.Context(), has("a"))
		return err
	}
	for range 3 { // one that is fetched for, and two that are held back
		if err := ask(); !errors.Is(err, down) || !errors.Is(err, ErrUnavailable) {
			t.Errorf("%v", err)
		}
	}
	if err := <-told; !errors.Is(err, down) {
		t.Errorf("told of %v", err)
	}
	o.step(time.Minute)
	if err := ask(); !errors.Is(err, down) {
		t.Errorf("%v", err)
	}
	o.set(func() { o.err = nil })
	o.step(time.Minute)
	if err := ask(); err != nil {
		t.Errorf("mended: %v", err)
	}
	if len(told) != 0 {
		t.Error("told twice of one outage")
	}
	if _, err := c.Keys(t.Context(), has("b")); err == nil || errors.Is(err, down) {
		t.Errorf("of an outage that is over: %v", err)
	}
}
