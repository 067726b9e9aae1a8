package upstream

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/jose"
)

const (
	fetchInterval  = time.Minute     // at least, whatever asks for a fetch (ATTACKS ID05)
	retryInterval  = 5 * time.Second // at least, while there are no keys at all: nobody can sign in until one succeeds
	keepWhileDown  = 24 * time.Hour  // since the last success
	freshByDefault = time.Hour
	freshAtLeast   = 5 * time.Minute
	freshAtMost    = 12 * time.Hour
	fetchTimeout   = 5 * time.Second
	runInterval    = 5 * time.Second
)

// keyCache keeps a provider's keys: fetched ahead of their expiry, one fetch at a time, never more than once a minute,
// or every few seconds while it has none.
type keyCache struct {
	load func(context.Context) ([]jose.PublicKey, time.Duration, error)
	now  func() time.Time

	mu      sync.Mutex
	held    []jose.PublicKey
	fetched time.Time     // when held was asked for; zero: never
	fresh   time.Duration // how long the provider vouches for held
	tried   time.Time     // when the last flight left
	flight  *flight       // under way; nil: none
}

// flight is one fetch that all who need it wait for.
type flight struct {
	done chan struct{}
	err  error // to be read after done
}

func newKeyCache(load func(context.Context) ([]jose.PublicKey, time.Duration, error), now func() time.Time) *keyCache {
	return &keyCache{load: load, now: now}
}

// key is the jose.KeyFunc of the provider.
func (p *Provider) key(ctx context.Context, h jose.Header) (crypto.PublicKey, error) {
	key, err := p.keys.find(ctx, h.Kid, h.Alg)
	switch {
	case errors.Is(err, errUnknownKey):
		return nil, refuse(err, "The id_token is signed with a key that %s does not publish. Send the string exactly as the provider's SDK gave it.", p.name)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return key, nil
}

var (
	errUnknownKey = errors.New("no such key in the provider's set")
	errThrottled  = errors.New("too soon after the last fetch")
)

// find returns the key of that kid. An unknown kid is worth one fetch; while fetching is throttled nothing is known
// about it, which is no verdict.
func (c *keyCache) find(ctx context.Context, kid string, alg jose.Alg) (crypto.PublicKey, error) {
	c.mu.Lock()
	now := c.now()
	if c.usable(now) {
		key, final := pick(c.held, kid, alg)
		if key != nil && c.due(now) {
			c.refresh(ctx, now) // and nobody waits for it
		}
		if final {
			c.mu.Unlock()
			return found(key)
		}
	}
	f := c.flight
	if f == nil {
		if wait := c.wait(now); wait > 0 {
			c.mu.Unlock()
			return nil, &Throttled{wait, errThrottled}
		}
		f = c.depart(ctx, now)
	}
	c.mu.Unlock()
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
	key, _ := pick(c.held, kid, alg)
	return found(key)
}

func found(key crypto.PublicKey) (crypto.PublicKey, error) {
	if key == nil {
		return nil, errUnknownKey
	}
	return key, nil
}

// pick finds the key for a token; final tells that a newer set would not change the answer.
func pick(keys []jose.PublicKey, kid string, alg jose.Alg) (key crypto.PublicKey, final bool) {
	if kid == "" {
		return pickOnly(keys, alg), true
	}
	for i := range keys {
		if keys[i].Kid != kid {
			continue
		}
		if keys[i].Fits(alg) {
			return keys[i].Key, true
		}
		final = true
	}
	return nil, final
}

// pickOnly: without a kid there must be only one key it can be (OIDC Core §10.1).
func pickOnly(keys []jose.PublicKey, alg jose.Alg) (key crypto.PublicKey) {
	for i := range keys {
		switch {
		case !keys[i].Fits(alg):
		case key != nil:
			return nil
		default:
			key = keys[i].Key
		}
	}
	return key
}

// usable tells whether held may still be used, fresh or not.
func (c *keyCache) usable(now time.Time) bool {
	return !c.fetched.IsZero() && now.Sub(c.fetched) <= keepWhileDown
}

// due tells whether it is time to fetch: before the keys expire, so that no sign-in waits for it.
func (c *keyCache) due(now time.Time) bool {
	return c.fetched.IsZero() || now.Sub(c.fetched) >= c.fresh*4/5
}

// wait is how long the next fetch must wait; zero: it need not. It is called with the lock held.
func (c *keyCache) wait(now time.Time) time.Duration {
	if c.usable(now) {
		return remainder(now, c.tried, fetchInterval)
	}
	return remainder(now, c.tried, retryInterval)
}

// remainder of an interval that began at since; zero if it is over, or was never begun.
func remainder(now, since time.Time, interval time.Duration) time.Duration {
	if passed := now.Sub(since); !since.IsZero() && passed >= 0 && passed < interval {
		return interval - passed
	}
	return 0
}

// refresh returns the flight under way, or starts one; nil while throttled. It is called with the lock held.
func (c *keyCache) refresh(ctx context.Context, now time.Time) *flight {
	switch {
	case c.flight != nil:
		return c.flight
	case c.wait(now) > 0:
		return nil
	}
	return c.depart(ctx, now)
}

// depart starts a flight. It is called with the lock held.
func (c *keyCache) depart(ctx context.Context, now time.Time) *flight {
	f := &flight{done: make(chan struct{})}
	c.flight, c.tried = f, now
	go c.fly(context.WithoutCancel(ctx), f, now)
	return f
}

// fly fetches. What is no set of usable keys replaces nothing.
func (c *keyCache) fly(ctx context.Context, f *flight, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	keys, fresh, err := c.load(ctx)
	if err == nil && len(keys) == 0 {
		err = errors.New("the provider's key set holds no key we can use")
	}
	if fresh == 0 {
		fresh = freshByDefault
	}
	c.mu.Lock()
	if err == nil {
		c.held, c.fetched, c.fresh = keys, now, min(max(fresh, freshAtLeast), freshAtMost)
	}
	f.err, c.flight = err, nil
	c.mu.Unlock()
	close(f.done)
}

func (c *keyCache) run(ctx context.Context) {
	ticker := time.NewTicker(runInterval)
	defer ticker.Stop()
	for {
		c.keepFresh(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// keepFresh starts a fetch if one is due and returns it; nil if none is.
func (c *keyCache) keepFresh(ctx context.Context) *flight {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if !c.due(now) {
		return nil
	}
	return c.refresh(ctx, now)
}
