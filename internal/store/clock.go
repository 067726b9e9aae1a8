package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// maxDrift is how far a node's clock may be from the database's before it should take no requests.
const maxDrift = 5 * time.Second

// clock is the local clock and what it lacks to the database's.
type clock struct {
	local  func() time.Time // nil: time.Now
	offset atomic.Int64     // nanoseconds
}

func (c *clock) here() time.Time {
	if c.local != nil {
		return c.local()
	}
	return time.Now()
}

// Now is the time by the database's clock, from a measured offset; never a query. Its grain is the microsecond of
// the columns, so that a time compares alike before and after it was stored.
func (db *DB) Now() time.Time {
	return db.clock.here().Add(time.Duration(db.clock.offset.Load())).Truncate(time.Microsecond).UTC()
}

// MeasureClock measures the offset again; app calls it every 30 s. SQLite has no clock but ours.
func (db *DB) MeasureClock(ctx context.Context) (offset time.Duration, err error) {
	if !db.postgres() {
		return 0, nil
	}
	conn, err := db.pool.Conn(ctx) // waiting for one must not pass for the way to the database
	if err != nil {
		return 0, fmt.Errorf("measure the clock: %w", err)
	}
	defer func() { _ = conn.Close() }()
	const samples = 3 // the quickest answer is the truest
	quickest := time.Duration(1<<63 - 1)
	for range samples {
		o, took, err := db.sampleClock(ctx, conn)
		if err != nil {
			return 0, fmt.Errorf("measure the clock: %w", err)
		}
		if took < quickest {
			offset, quickest = o, took
		}
	}
	db.clock.offset.Store(int64(offset))
	return offset, nil
}

// sampleClock takes the database to have read its clock half way between question and answer.
func (db *DB) sampleClock(ctx context.Context, q queryer) (offset, took time.Duration, err error) {
	asked, started := db.clock.here(), time.Now()
	var theirs time.Time
	const question = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
	if err := one(ctx, q, question, nil, when{&theirs}); err != nil {
		return 0, 0, err
	}
	took = time.Since(started)
	return theirs.Sub(asked.Add(took / 2)), took, nil
}

// Ready tells whether the database answers, its schema fits and its clock is within 5 s of ours. A newer schema fits a
// node that is running already: migrations expand first and contract a release later.
func (db *DB) Ready(ctx context.Context) error {
	if err := db.schemaFits(ctx); err != nil {
		return err
	}
	return db.clock.trusted()
}

// CheckClock measures the offset, unless the clock was given to Open, and refuses one that is not to be trusted. It is
// for what a wrong time would spoil for long.
func (db *DB) CheckClock(ctx context.Context) error {
	if db.clock.local == nil {
		if _, err := db.MeasureClock(ctx); err != nil {
			return err
		}
	}
	return db.clock.trusted()
}

// ErrClock says that one of two clocks is wrong.
var ErrClock = errors.New("the clock of this machine is off the database's")

// trusted tells whether our clock and the database's agree. Where they do not, either may be the wrong one.
func (c *clock) trusted() error {
	drift := time.Duration(c.offset.Load())
	if drift > maxDrift || drift < -maxDrift {
		return fmt.Errorf("%w: %v apart", ErrClock, drift.Abs().Round(time.Millisecond))
	}
	return nil
}
