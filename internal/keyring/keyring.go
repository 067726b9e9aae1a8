// Package keyring owns key material in memory: it unseals what the store keeps under the master key, derives one
// key per purpose, and says which key mints now. Behind every key that mints stands the next one, drawn and published
// already, so that neither a rotation nor an emergency meets a verifier or a node that does not know it. It does not
// decide what is signed.
package keyring

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/store"
)

// Options of a Ring.
type Options struct {
	SigningPeriod time.Duration // zero: 90 days
	DataPeriod    time.Duration // zero: 90 days
	PublishAhead  time.Duration // signing keys, at least: zero: 24 h; the very first keys mint at once
	ReadableAhead time.Duration // data keys, at least: zero: 60 s; the very first mints at once
	// KeepData is how long a retired data key is still accepted: longer than any session may be idle (every refresh
	// mints under the current key) or any stable token may live. Zero: 400 days.
	KeepData time.Duration
	// KeepSigning is how long a retired signing key stays in /jwks: longer than any token lives. Zero: 25 h.
	KeepSigning time.Duration
}

const (
	day = 24 * time.Hour

	// cachedFor is how long after its first publication a signing key may still be missing from somebody's copy of
	// /jwks: 5 min that caches hold it (DESIGN section 5), and a minute for nodes that are behind.
	cachedFor = 6 * time.Minute

	// reloadEvery bounds how long a dropped key is still accepted anywhere.
	reloadEvery   = time.Second
	reloadTimeout = 5 * time.Second
)

func (o Options) withDefaults() Options {
	o.SigningPeriod = orDefault(o.SigningPeriod, 90*day)
	o.DataPeriod = orDefault(o.DataPeriod, 90*day)
	o.PublishAhead = orDefault(o.PublishAhead, day)
	o.ReadableAhead = orDefault(o.ReadableAhead, time.Minute)
	o.KeepData = orDefault(o.KeepData, 400*day)
	o.KeepSigning = orDefault(o.KeepSigning, 25*time.Hour)
	return o
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// Ring is the keys of one node. Safe for concurrent use; nothing but loading takes a lock.
type Ring struct {
	db     *store.DB
	master *Master
	o      Options
	keys   atomic.Pointer[snapshot]

	loading sync.Mutex // one load at a time; guards what follows
	triedAt time.Time  // when the last load began
	loadErr error      // what became of it

	turned atomic.Pointer[error] // what became of the last Turn
}

// Open loads the keys and creates the first ones where none are. Two nodes may do so at once. The keys behind them are
// left to Run, so that no start waits for an RSA key more. Rows that an older line of the master key sealed are brought
// under the first line.
//
// To replace the master key without downtime: give every node the new line as the second, then as the first, then
// take the old one away.
func Open(ctx context.Context, db *store.DB, m *Master, o Options) (*Ring, error) {
	r := &Ring{db: db, master: m, o: o.withDefaults()}
	r.keys.Store(&snapshot{})
	if err := r.Reload(ctx); err != nil {
		return nil, err
	}
	if err := r.makeFirst(ctx); err != nil {
		return nil, fmt.Errorf("make the first keys: %w", err)
	}
	if err := r.rewrap(ctx); err != nil {
		return nil, fmt.Errorf("bring keys under the new master key: %w", err)
	}
	return r, nil
}

// Run reloads every second and keeps the schedule until ctx ends.
func (r *Ring) Run(ctx context.Context) {
	tick := time.NewTicker(reloadEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = r.Turn(ctx) // kept for Ready
		}
	}
}

// Turn is one round of Run: reload, then make the keys whose time it is.
func (r *Ring) Turn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	err := r.Reload(ctx)
	if err == nil {
		err = r.keepSchedule(ctx, domain.Event{})
	}
	r.turned.Store(&err)
	return err
}

// Ready tells what went wrong in the last Turn, for a node that cannot read its keys should get no work.
func (r *Ring) Ready() error {
	if err := r.turned.Load(); err != nil {
		return *err
	}
	return nil
}

// Reload reads the keys again now. Keys it could not open are left out and reported; the others take effect all
// the same, so that one bad row cannot keep a dropped key alive.
func (r *Ring) Reload(ctx context.Context) error {
	r.loading.Lock()
	defer r.loading.Unlock()
	return r.load(ctx)
}

// lookAgain is Reload, but a load of the last second is an answer too: no key mints that young.
func (r *Ring) lookAgain(ctx context.Context) error {
	r.loading.Lock()
	defer r.loading.Unlock()
	if age := r.db.Now().Sub(r.triedAt); age >= 0 && age < reloadEvery {
		return r.loadErr
	}
	return r.load(ctx)
}

func (r *Ring) load(ctx context.Context) error {
	r.triedAt = r.db.Now()
	rows, err := r.db.Keys(ctx)
	if err != nil {
		r.loadErr = fmt.Errorf("read the keys: %w", err)
		return r.loadErr
	}
	next, err := r.build(rows, r.keys.Load())
	next.loadedAt = r.triedAt
	r.keys.Store(next)
	r.loadErr = err
	return err
}
