package clientauth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/keyset"
	"github.com/countersign/countersign/internal/oauth"
)

// maxPublished bounds how many registered clients have keys in memory. There may be any number of those, each with an
// address of its choice; declared clients are as many as the operator wants.
const maxPublished = 4096

// How many requests wait for key sets that clients publish, and how many of them for one client's. Those of registered
// clients wait in a room of their own: anybody may let theirs fall silent, and a client of the operator's does not go
// without for that.
const (
	waitingRoom   = 64
	declaredShare = 32
	strangerShare = 8
)

// freshness of published keys: as their owner says, within these bounds. A key that was taken out of the set is accepted
// no longer than that while its owner can be reached, and for keyset.KeepWhileDown otherwise.
var freshness = keyset.Options{FreshAtLeast: time.Minute, FreshAtMost: keyset.KeepWhileDown, Punctual: true}

var errFull = errors.New("the keys of too many clients were fetched within a minute")

// published are the keys of clients that keep them at an address of theirs (RFC 7591 §2, jwks_uri).
type published struct {
	declared, strangers httpd.Room

	mu         sync.Mutex
	sets       map[string]*publishedSet // by client id
	registered int                      // of them, those of registered clients
}

type publishedSet struct {
	uri        string
	registered bool
	used       time.Time
	cache      *keyset.Cache
}

// keys returns the set of a client. An error is temporarily_unavailable: nobody failed to authenticate because we
// cannot reach the keys.
func (p *published) keys(ctx context.Context, s *Service, c *domain.Client, enough func([]jose.PublicKey) bool) ([]jose.PublicKey, error) {
	cache, err := p.of(s, c)
	if err != nil {
		return nil, oauth.Unavailable(err)
	}
	keys, err := cache.Keys(ctx, enough)
	if err == nil {
		return keys, nil
	}
	fault := oauth.Unavailable(fmt.Errorf("keys of client %s: %w", c.ID, err))
	var throttled *keyset.Throttled
	if errors.As(err, &throttled) {
		fault.RetryAfter = max(fault.RetryAfter, throttled.Wait)
	}
	return nil, fault
}

// of returns the cache of a client, a new one where it has none or has changed its address.
func (p *published) of(s *Service, c *domain.Client) (*keyset.Cache, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := s.now()
	set := p.sets[c.ID]
	if set == nil || set.uri != c.JWKSURI {
		var err error
		if set, err = p.add(s, c, now); err != nil {
			return nil, err
		}
	}
	set.used = now
	return set.cache, nil
}

func (p *published) add(s *Service, c *domain.Client, now time.Time) (*publishedSet, error) {
	if p.sets == nil {
		p.sets = map[string]*publishedSet{}
	}
	p.remove(c.ID)
	set := &publishedSet{uri: c.JWKSURI, registered: c.Registered != ""}
	if set.registered && p.registered >= maxPublished && !p.makeRoom(now) {
		return nil, errFull
	}
	load := func(ctx context.Context) ([]jose.PublicKey, time.Duration, error) { return s.fetchKeys(ctx, set.uri) }
	o, id := freshness, c.ID
	o.Enter = func() (func(), bool) { return p.declared.Enter(waitingRoom, declaredShare, id) }
	if set.registered {
		o.Enter = func() (func(), bool) { return p.strangers.Enter(waitingRoom, strangerShare, id) }
	}
	set.cache = keyset.New(load, s.now, o)
	p.sets[c.ID] = set
	if set.registered {
		p.registered++
	}
	return set, nil
}

func (p *published) remove(id string) {
	if set := p.sets[id]; set != nil {
		if set.registered {
			p.registered--
		}
		delete(p.sets, id)
	}
}

// makeRoom forgets the registered client that was idle for longest. One that was fetched within the minute stays: to
// forget it would be to fetch it again before its time.
func (p *published) makeRoom(now time.Time) bool {
	var idle string
	for id, set := range p.sets {
		if set.registered && keyset.Remainder(now, set.cache.LastTried(), keyset.Interval) == 0 &&
			(idle == "" || set.used.Before(p.sets[idle].used)) {
			idle = id
		}
	}
	p.remove(idle)
	return idle != ""
}

// fetchKeys fetches a set that a client publishes.
func (s *Service) fetchKeys(ctx context.Context, uri string) ([]jose.PublicKey, time.Duration, error) {
	answer, err := s.Fetch.GetDocument(ctx, uri, fetch.KeySet)
	if err != nil {
		return nil, 0, err
	}
	keys, err := jose.ParsePublicSet(answer.Body)
	return keys, answer.MaxAge, err
}
