package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Tally counts one more of what the key stands for, and returns how many there were in its window, this one included.
// The first opens the window; at its end the count starts over. All nodes share it, so that a limit is strict.
func (db *DB) Tally(ctx context.Context, key [32]byte, now time.Time, window time.Duration) (count int64, err error) {
	const tally = `INSERT INTO tallies (key, count, expires_at) VALUES ($1, 1, $3) ON CONFLICT (key) DO UPDATE SET
		count = CASE WHEN tallies.expires_at <= $2 THEN 1 ELSE tallies.count + 1 END,
		expires_at = CASE WHEN tallies.expires_at <= $2 THEN excluded.expires_at ELSE tallies.expires_at END
		RETURNING count`
	count, err = write(ctx, db, single, func(ctx context.Context, q queryer) (n int64, err error) {
		err = one(ctx, q, tally, []any{key[:], micros(now), micros(now.Add(window))}, &n)
		return n, err
	})
	if err != nil {
		return 0, fmt.Errorf("tally: %w", err)
	}
	return count, nil
}

// Untally takes one back: what was counted before it was looked at turned out to be none of those.
func (db *DB) Untally(ctx context.Context, key [32]byte) error {
	_, err := write(ctx, db, single, func(ctx context.Context, q queryer) (int64, error) {
		return change(ctx, q, "UPDATE tallies SET count = count - 1 WHERE key = $1 AND count > 0", key[:])
	})
	if err != nil {
		return fmt.Errorf("untally: %w", err)
	}
	return nil
}

// ForgetTally takes all of it back.
func (db *DB) ForgetTally(ctx context.Context, key [32]byte) error {
	_, err := write(ctx, db, single, func(ctx context.Context, q queryer) (int64, error) {
		return change(ctx, q, "DELETE FROM tallies WHERE key = $1", key[:])
	})
	if err != nil {
		return fmt.Errorf("forget tally: %w", err)
	}
	return nil
}

// Tallied reads a count without counting; zero where its window is over or never began.
func (db *DB) Tallied(ctx context.Context, key [32]byte, now time.Time) (count int64, err error) {
	err = one(ctx, db.reader, "SELECT count FROM tallies WHERE key = $1 AND expires_at > $2", []any{key[:], micros(now)}, &count)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read tally: %w", err)
	}
	return count, nil
}
