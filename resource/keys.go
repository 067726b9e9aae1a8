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
	unknownEvery   = time.Minute      // for a kid we do not know
	waitForRefresh = time.Second      // while old keys could serve
)

// keySet keeps the issuer's keys. At most one fetch runs at a time, and nobody waits for an issuer that is known to
// be down while old keys serve.
type keySet struct {
	url    string
	client *http.Client
	now    func() time.Time

	mu           sync.Mutex
	keys         []jose.PublicKey
	fetched      time.Time     // when keys came
	maxAge       time.Duration // of keys
	tried        time.Time     // when the last fetch began
	triedUnknown time.Time     // when the last fetch for an unknown kid began
	failure      error         // of the last fetch
	flight       chan struct{} // closed when the running fetch ends; nil: none runs
}

// find has the type of accesstoken.KeyFunc.
func (s *keySet) find(ctx context.Context, kid string, alg jose.Alg) (crypto.PublicKey, error) {
	if !plausible(kid) {
		return nil, errUnknownKey
	}
	s.keepFresh(ctx)
	key, err := s.lookup(kid, alg)
	if !errors.Is(err, errUnknownKey) {
		return key, err
	}
	if !s.fetchUnknown(ctx) {
		return nil, s.verdict()
	}
	if key, err = s.lookup(kid, alg); errors.Is(err, errUnknownKey) {
		return nil, s.verdict()
	}
	return key, err
}

// verdict: a key the issuer does not publish is no key, unless we could not ask.
func (s *keySet) verdict() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return s.unavailable()
	}
	return errUnknownKey
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

func (s *keySet) lookup(kid string, alg jose.Alg) (crypto.PublicKey, error) {
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
	return nil, errUnknownKey
}

// keepFresh fetches where the keys are missing or past their age, and waits as long as that is worth.
func (s *keySet) keepFresh(ctx context.Context) {
	s.mu.Lock()
	now := s.now()
	age := now.Sub(s.fetched)
	every, wait := retryEvery, waitForRefresh
	switch {
	case s.fetched.IsZero() || age >= usableFor:
		every, wait = retryWithout, fetchTimeout
	case age < s.maxAge:
		s.mu.Unlock()
		return
	case s.failure != nil:
		wait = 0
	}
	flight := s.flight
	if flight == nil && now.Sub(s.tried) >= every {
		flight = s.begin(ctx, now)
	}
	s.mu.Unlock()
	await(ctx, flight, wait)
}

// fetchUnknown fetches for a kid we do not know, at most once a minute whatever kids come (RS04, DS). It tells whether
// it is worth looking again.
func (s *keySet) fetchUnknown(ctx context.Context) bool {
	s.mu.Lock()
	now := s.now()
	flight := s.flight
	if flight == nil {
		if now.Sub(s.triedUnknown) < unknownEvery {
			s.mu.Unlock()
			return false
		}
		s.triedUnknown = now
		flight = s.begin(ctx, now)
	}
	s.mu.Unlock()
	await(ctx, flight, fetchTimeout)
	return true
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
		close(flight)
	}()
	return flight
}

func (s *keySet) fetch(ctx context.Context) ([]jose.PublicKey, time.Duration, error) {
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
