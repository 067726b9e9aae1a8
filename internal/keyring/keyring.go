// Package keyring owns key material in memory: it unseals what the store keeps under the master key, derives one
// key per purpose, and says which key mints now. A key is readable on every node for 60 s before any node mints
// with it. It does not decide what is signed.
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
	PublishAhead  time.Duration // signing keys: zero: 24 h; the very first keys mint at once
	ReadableAhead time.Duration // data keys: zero: 60 s; the very first mints at once
	// KeepFor is how long a retired key is still accepted. Zero: 400 days for data keys, which must be longer than
	// any session may be idle (every refresh mints under the current key) or any stable token may live; 25 h for
	// signing keys, which must be longer than any token lives.
	KeepFor time.Duration
}

const (
	day = 24 * time.Hour

	// reloadEvery bounds how long a dropped key is still accepted anywhere.
	reloadEvery   = time.Second
	reloadTimeout = 5 * time.Second
)

func (o Options) withDefaults() Options {
	o.SigningPeriod = orDefault(o.SigningPeriod, 90*day)
	o.DataPeriod = orDefault(o.DataPeriod, 90*day)
	o.PublishAhead = orDefault(o.PublishAhead, day)
	o.ReadableAhead = orDefault(o.ReadableAhead, time.Minute)
	return o
}

func (o Options) keepData() time.Duration    { return orDefault(o.KeepFor, 400*day) }
func (o Options) keepSigning() time.Duration { return orDefault(o.KeepFor, 25*time.Hour) }

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

// Open loads the keys and creates the first ones where none are. Two nodes may do so at once. Rows that an older
// line of the master key sealed are brought under the first line.
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
		err = r.keepSchedule(ctx)
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

// List returns the rows of all keys, newest first.
func (r *Ring) List(ctx context.Context) ([]domain.Key, error) {
	return r.db.Keys(ctx)
}
