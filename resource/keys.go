package resource

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/jose"
)

// errKeys is wrapped where the issuer's keys cannot be had: no verdict on any token.
var errKeys = errors.New("the issuer's keys are not available")

var errUnknownKey = errors.New("the issuer publishes no such key")

const (
	defaultMaxAge  = 5 * time.Minute // where the issuer says nothing
	minMaxAge      = time.Minute
	maxMaxAge      = time.Hour // a key that was dropped must not live on for days
	usableFor      = 24 * time.Hour
	maxKeySet      = 512 << 10
	retryEvery     = 10 * time.Second // while old keys serve
	retryWithout   = time.Second      // while there are none
	waitForRefresh = time.Second      // while old keys could serve

	// Fetches for kids we do not know: so many in a row, then one in so long, 12 a minute. Whoever sends invented kids
	// uses them up, but each fetch brings the issuer's newest keys, so that a key which is new waits for seconds.
	unknownBurst = 5
	unknownEvery = 5 * time.Second
)

// keySet keeps the issuer's keys. At most one fetch runs at a time, and nobody waits for an issuer that is known to
// be down while old keys serve.
type keySet struct {
	url    string
	client *http.Client
	now    func() time.Time

	mu          sync.Mutex
	keys        []jose.PublicKey
	fetched     time.Time     // when keys came
	maxAge      time.Duration // of keys
	tried       time.Time     // when the last fetch began
	unknownFull time.Time     // when all fetches for unknown kids are there again
	begun       int           // fetches so far
	ended       int           // those that are over
	failure     error         // of the last fetch that is over
	flight      chan struct{} // closed when the running fetch ends; nil: none runs
}

// throttled says that no fetch may begin yet for a kid we do not know.
type throttled struct{ wait time.Duration }

func (t *throttled) Error() string {
	return fmt.Sprintf("the kid is unknown and the issuer can be asked again in %v", t.wait)
}

// find has the type of accesstoken.KeyFunc. That the issuer publishes no such key is a verdict only if it was asked
// after the token came; otherwise nothing is known, and that is errKeys (DESIGN section 4 of the issuer's own keys).
func (s *keySet) find(ctx context.Context, kid string, alg jose.Alg) (crypto.PublicKey, error) {
	if !plausible(kid) {
		return nil, errUnknownKey
	}
	asked := s.keepFresh(ctx)
	for range 2 { // a fetch that was under way when the token came may be older than its key
		key, err := s.lookup(kid, alg, asked)
		if !errors.Is(err, errNotAsked) {
			return key, err
		}
		if err := s.fetchUnknown(ctx); err != nil {
			return nil, fmt.Errorf("%w: %w", errKeys, err)
		}
	}
	key, err := s.lookup(kid, alg, asked)
	if errors.Is(err, errNotAsked) { // the fetch takes too long
		return nil, errKeys
	}
	return key, err
}

// unavailable says why there are no keys, if it is known by now. The caller holds the lock.
func (s *keySet) unavailable() error {
	if s.failure == nil {
		return errKeys
	}
	return fmt.Errorf("%w: %w", errKeys, s.failure)
}

// plausible refuses what no issuer of ours would write as kid, before anything is fetched for it (RFC 8725 §3.10).
func plausible(kid string) bool {
	for i := range len(kid) {
		c := kid[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return kid != "" && len(kid) <= 64 && !strings.Contains(kid, "..")
}

// errNotAsked: the kid is unknown, and the issuer was not asked since the token came.
var errNotAsked = errors.New("the issuer was not asked for the key")

// lookup looks into what is there. asked is how many fetches had begun when the token came.
func (s *keySet) lookup(kid string, alg jose.Alg, asked int) (crypto.PublicKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fetched.IsZero() || s.now().Sub(s.fetched) >= usableFor {
		return nil, s.unavailable()
	}
	for i := range s.keys {
		if k := &s.keys[i]; k.Kid == kid && k.Fits(alg) {
			return k.Key, nil
		}
	}
	switch {
	case s.ended <= asked:
		return nil, errNotAsked
	case s.failure != nil:
		return nil, s.unavailable()
	}
	return nil, errUnknownKey
}

// keepFresh fetches where the keys are missing or past their age, and waits as long as that is worth. It returns how
// many fetches had begun before.
func (s *keySet) keepFresh(ctx context.Context) (asked int) {
	s.mu.Lock()
	asked = s.begun
	now := s.now()
	age := now.Sub(s.fetched)
	every, wait := retryEvery, waitForRefresh
	switch {
	case s.fetched.IsZero() || age >= usableFor:
		every, wait = retryWithout, fetchTimeout
	case age < s.maxAge:
		s.mu.Unlock()
		return asked
	case s.failure != nil:
		wait = 0
	}
	flight := s.flight
	if flight == nil && now.Sub(s.tried) >= every {
		flight = s.begin(ctx, now)
	}
	s.mu.Unlock()
	await(ctx, flight, wait)
	return asked
}

// fetchUnknown fetches for a kid we do not know, or waits for the fetch that is under way: a bounded number of times,
// whatever kids come (RS04, DS).
func (s *keySet) fetchUnknown(ctx context.Context) error {
	s.mu.Lock()
	flight := s.flight
	if flight == nil {
		now := s.now()
		full := later(s.unknownFull, now).Add(unknownEvery)
		if wait := full.Sub(now) - unknownBurst*unknownEvery; wait > 0 {
			s.mu.Unlock()
			return &throttled{wait}
		}
		s.unknownFull = full
		flight = s.begin(ctx, now)
	}
	s.mu.Unlock()
	await(ctx, flight, fetchTimeout)
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func await(ctx context.Context, flight <-chan struct{}, limit time.Duration) {
	if flight == nil || limit == 0 {
		return
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-flight:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// begin starts a fetch that outlives the request which asked for it. The caller holds the lock.
func (s *keySet) begin(ctx context.Context, now time.Time) chan struct{} {
	flight := make(chan struct{})
	s.flight, s.tried = flight, now
	s.begun++
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		keys, maxAge, err := s.fetch(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.failure = err; err == nil {
			s.keys, s.maxAge, s.fetched = keys, maxAge, now
		}
		s.flight = nil
		s.ended++
		close(flight)
	}()
	return flight
}

// fetch asks the issuer. A panic, in the HTTP client the app server gave us or in our own parser, must not end the
// app server's process: it is a fetch that failed.
func (s *keySet) fetch(ctx context.Context) (_ []jose.PublicKey, _ time.Duration, err error) {
	defer func() {
		if caught := recover(); caught != nil {
			err = fmt.Errorf("fetch %s: panic: %v", s.url, caught)
		}
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, 0, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("%s answered %s", s.url, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("read %s: %w", s.url, err)
	case len(body) > maxKeySet:
		return nil, 0, fmt.Errorf("%s is larger than %d bytes", s.url, maxKeySet)
	}
	keys, err := jose.ParseSet(body)
	if err == nil && len(keys) == 0 {
		err = errors.New("it holds no key we can use")
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", s.url, err)
	}
	return keys, maxAge(resp.Header), nil
}

// maxAge reads Cache-Control (RFC 9111 §5.2.2.1), within our bounds.
func maxAge(h http.Header) time.Duration {
	age := defaultMaxAge
	for _, directive := range strings.Split(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		seconds, err := strconv.Atoi(strings.Trim(value, `"`))
		if strings.EqualFold(name, "max-age") && err == nil && seconds >= 0 {
			age = time.Duration(min(seconds, int(maxMaxAge/time.Second))) * time.Second
		}
	}
	return max(age, minMaxAge)
}
