// Package keyset keeps the public keys that somebody else publishes and may change: a provider's, a client's. It
// decides when they are fetched: ahead of their expiry, one fetch at a time, never more than once a minute whoever asks
// for what (RFC 8725 §3.10, ATTACKS ID05, CA06). How they are fetched, and which of them fits a token, is its owner's.
package keyset

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/jose"
)

const (
	// Interval is how long a fetch comes after the last one, at least, whatever asks for it.
	Interval = time.Minute
	// KeepWhileDown is how long keys are used after the last fetch that gave any.
	KeepWhileDown = 24 * time.Hour

	freshByDefault = time.Hour
	fetchTimeout   = 5 * time.Second
	runInterval    = 5 * time.Second
	// patience is how long a fetch may take before those who have keys that will do go on with them.
	patience = 500 * time.Millisecond
)

// ErrUnavailable is no verdict: nothing is known about a key, for the moment.
var ErrUnavailable = errors.New("the keys cannot be had")

var (
	errThrottled = errors.New("it is too soon after the last fetch, which gave no such key")
	errNoKeys    = errors.New("the key set holds no key we can use")
	errCrowd     = errors.New("too many wait for keys at this moment")
)

// Throttled is an ErrUnavailable that ends on its own: after Wait the keys may be asked for again.
type Throttled struct {
	Wait  time.Duration
	cause error
}

func (t *Throttled) Error() string {
	return fmt.Sprintf("%v (asked again in %v): %v", ErrUnavailable, t.Wait.Round(time.Millisecond), t.cause)
}

// Unwrap returns ErrUnavailable and the cause.
func (t *Throttled) Unwrap() []error { return []error{ErrUnavailable, t.cause} }

// Load fetches the keys now. Fresh is how long whoever published them vouches for them; zero: nothing was said of it.
type Load func(context.Context) (keys []jose.PublicKey, fresh time.Duration, err error)

// Options of a Cache.
type Options struct {
	FreshAtLeast, FreshAtMost time.Duration // bounds of what Load says
	// Retry is the interval between fetches as long as there are no keys at all; zero: Interval.
	Retry time.Duration
	// Punctual: keys that are no longer fresh are asked for before they are used, so that one that was taken out of the
	// set is not accepted long after. It is for who does not Run. Where whoever publishes them is slow to answer, they are
	// used meanwhile.
	Punctual bool
	// Enter asks for a place among those who wait for a fetch, and is told when it is free again; nil: any number may wait.
	Enter func() (leave func(), ok bool)
	// Failed hears of the first fetch that fails, and of the first after one that did not; nil: nobody listens.
	Failed func(error)
}

// Cache keeps one set. Safe for concurrent use.
type Cache struct {
	load Load
	now  func() time.Time
	o    Options

	mu      sync.Mutex
	held    []jose.PublicKey
	fetched time.Time     // when held was asked for; zero: never
	fresh   time.Duration // how long held is vouched for
	tried   time.Time     // when the last flight left
	failed  error         // why the last flight gave nothing; nil: it did, or none has landed
	flight  *flight       // under way; nil: none
}

// flight is one fetch that all who need it wait for.
type flight struct {
	late <-chan struct{} // closed when patience is over
	done chan struct{}
	err  error // to be read after done
}

// New makes an empty cache.
func New(load Load, now func() time.Time, o Options) *Cache {
	if o.Retry == 0 {
		o.Retry = Interval
	}
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	if o.Enter == nil {
		o.Enter = func() (func(), bool) { return func() {}, true }
	}
	return &Cache{load: load, now: now, o: o}
}

// Keys returns the set. Settled tells of the keys at hand whether a newer set would change nothing: if not, they are worth
// one fetch; while fetching is throttled nothing is known, which is no verdict. Every error wraps ErrUnavailable. The
// slice is shared.
func (c *Cache) Keys(ctx context.Context, settled func([]jose.PublicKey) bool) ([]jose.PublicKey, error) {
	c.mu.Lock()
	now := c.now()
	held, usable := c.held, c.usable(now)
	enough := usable && settled(held)
	if enough && !c.overdue(now) {
		if c.due(now) {
			c.refresh(ctx, now) // and nobody waits for it
		}
		c.mu.Unlock()
		return held, nil
	}
	f := c.refresh(ctx, now)
	wait, cause := c.wait(now), errThrottled
	if c.failed != nil {
		cause = fmt.Errorf("the last fetch failed: %w", c.failed)
	}
	c.mu.Unlock()
	if f == nil {
		if enough { // overdue, and just asked for in vain
			return held, nil
		}
		return nil, &Throttled{wait, cause}
	}
	if enough {
		return c.soon(ctx, f, held)
	}
	return c.landed(ctx, f, now)
}

// soon waits for a flight as long as patience lasts, with keys at hand that will do.
func (c *Cache) soon(ctx context.Context, f *flight, held []jose.PublicKey) ([]jose.PublicKey, error) {
	leave, ok := c.o.Enter()
	if !ok {
		return held, nil
	}
	defer leave()
	select {
	case <-f.done:
	case <-f.late:
		return held, nil
	case <-ctx.Done():
		return held, nil
	}
	if f.err != nil {
		return held, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held, nil
}

// landed waits for a flight to its end.
func (c *Cache) landed(ctx context.Context, f *flight, now time.Time) ([]jose.PublicKey, error) {
	leave, ok := c.o.Enter()
	if !ok {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, errCrowd)
	}
	defer leave()
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.err != nil {
		return nil, &Throttled{c.wait(now), f.err}
	}
	return c.held, nil
}

// LastTried is when whoever publishes the keys was last asked for them; zero: never.
func (c *Cache) LastTried() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tried
}

// usable tells whether held may still be used, fresh or not.
func (c *Cache) usable(now time.Time) bool {
	return !c.fetched.IsZero() && now.Sub(c.fetched) <= KeepWhileDown
}

// due tells whether it is time to fetch: before the keys expire, so that nobody waits for it.
func (c *Cache) due(now time.Time) bool {
	return c.fetched.IsZero() || now.Sub(c.fetched) >= c.fresh*4/5
}

func (c *Cache) overdue(now time.Time) bool { return c.o.Punctual && now.Sub(c.fetched) >= c.fresh }

// wait is how long the next fetch must wait; zero: it need not. It is called with the lock held.
func (c *Cache) wait(now time.Time) time.Duration {
	if c.usable(now) {
		return Remainder(now, c.tried, Interval)
	}
	return Remainder(now, c.tried, c.o.Retry)
}

// Remainder of an interval that began at since; zero if it is over, or was never begun.
func Remainder(now, since time.Time, interval time.Duration) time.Duration {
	if passed := now.Sub(since); !since.IsZero() && passed >= 0 && passed < interval {
		return interval - passed
	}
	return 0
}

// refresh returns the flight under way, or starts one; nil while throttled. It is called with the lock held.
func (c *Cache) refresh(ctx context.Context, now time.Time) *flight {
	switch {
	case c.flight != nil:
		return c.flight
	case c.wait(now) > 0:
		return nil
	}
	late := make(chan struct{})
	f := &flight{late: late, done: make(chan struct{})}
	time.AfterFunc(patience, func() { close(late) })
	c.flight, c.tried = f, now
	go c.fly(context.WithoutCancel(ctx), f, now)
	return f
}

// fly fetches. What is no set of usable keys replaces nothing.
func (c *Cache) fly(ctx context.Context, f *flight, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	keys, fresh, err := c.load(ctx)
	if err == nil && len(keys) == 0 {
		err = errNoKeys
	}
	if fresh == 0 {
		fresh = freshByDefault
	}
	c.mu.Lock()
	if err == nil {
		c.held, c.fetched, c.fresh = keys, now, min(max(fresh, c.o.FreshAtLeast), c.o.FreshAtMost)
	}
	first := err != nil && c.failed == nil
	f.err, c.failed, c.flight = err, err, nil
	c.mu.Unlock()
	close(f.done)
	if first {
		c.o.Failed(err)
	}
}

// Run keeps the set fresh until ctx ends.
func (c *Cache) Run(ctx context.Context) {
	ticker := time.NewTicker(runInterval)
	defer ticker.Stop()
	for {
		c.KeepFresh(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// KeepFresh starts a fetch if one is due, or joins the one under way, and tells whether there is one.
func (c *Cache) KeepFresh(ctx context.Context) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	return c.due(now) && c.refresh(ctx, now) != nil
}

// Landed waits for the fetch under way, if there is one.
func (c *Cache) Landed() {
	c.mu.Lock()
	f := c.flight
	c.mu.Unlock()
	if f != nil {
		<-f.done
	}
}
