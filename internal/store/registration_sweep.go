package store

import (
	"context"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

const (
	keepUnused  = day       // what registered itself and never got a token: who meant it does so at once
	keepIdle    = 400 * day // what has got none for so long; longer than any session lives
	keepDeleted = time.Hour // no transaction that took the client for live is under way any more
)

// Registered clients that go, before $1. One that an operator switched off stays, so that it cannot come back under its id.
const (
	idleOnes    = "registered <> '' AND declared AND NOT disabled AND used_at < $1"
	unusedOnes  = idleOnes + " AND used_at <= registered_at"
	atMostABite = " LIMIT $2"
)

const (
	// What never got a token has no session, so that its row can go at once.
	removeUnused = "DELETE FROM clients WHERE " + unusedOnes + " AND id IN (SELECT id FROM clients WHERE " + unusedOnes + atMostABite + ") RETURNING id"
	withdrawIdle = "UPDATE clients SET declared = FALSE, token_hash = NULL, used_at = $3 WHERE " + idleOnes +
		" AND id IN (SELECT id FROM clients WHERE " + idleOnes + atMostABite + ") RETURNING id"
)

// sweepRegistrations takes away registered clients that nobody uses, ends the sessions of all that are gone, and removes
// their rows when nothing can hang on them any more.
func (db *DB) sweepRegistrations(ctx context.Context, now time.Time) (removed int, err error) {
	if err := db.deregister(ctx, now, removeUnused, micros(now.Add(-keepUnused)), bite); err != nil {
		return 0, err
	}
	if err := db.deregister(ctx, now, withdrawIdle, micros(now.Add(-keepIdle)), bite, micros(now)); err != nil {
		return 0, err
	}
	gone, err := exists(ctx, db.reader, "SELECT 1 FROM clients WHERE registered <> '' AND NOT declared LIMIT 1")
	if err != nil || !gone {
		return 0, err
	}
	if err := db.endOfDeregistered(ctx, now); err != nil {
		return 0, err
	}
	return db.removeBites(ctx, deregistered, micros(now.Add(-keepDeleted)))
}

const deregistered = `DELETE FROM clients WHERE registered <> '' AND NOT declared AND used_at < $1
	AND id IN (SELECT id FROM clients WHERE registered <> '' AND NOT declared AND used_at < $1 LIMIT $2)`

// deregister does, bite by bite, what a client's own DELETE does.
func (db *DB) deregister(ctx context.Context, now time.Time, statement string, args ...any) error {
	for {
		n, err := write(ctx, db, shared, func(ctx context.Context, q queryer) (int, error) {
			ids, err := all(ctx, q, scanText, statement, args...)
			if err != nil {
				return 0, err
			}
			for _, id := range ids {
				if err := audit(ctx, q, db.of(domain.Event{At: now, ClientID: id, Reason: "unused"}, "client.deregister")); err != nil {
					return 0, err
				}
			}
			return len(ids), nil
		})
		if err != nil || n < bite {
			return err
		}
	}
}

// endOfDeregistered walks through the sessions and ends those of registered clients that are gone: nobody could use them
// since (rotationFits, SessionView.Live), but people should not go on seeing them. Nobody is told: there is no client.
func (db *DB) endOfDeregistered(ctx context.Context, now time.Time) error {
	var after [16]byte
	for {
		ids, err := all(ctx, db.reader, func(row scanner) (id [16]byte, err error) {
			err = row.Scan(fixed{id[:]})
			return id, err
		}, "SELECT id FROM sessions WHERE id > $1 ORDER BY id LIMIT $2", after[:], bite)
		if err != nil || len(ids) == 0 {
			return err
		}
		last := ids[len(ids)-1]
		if err := db.endOfDeregisteredBetween(ctx, now, after, last); err != nil {
			return err
		}
		after = last
	}
}

func (db *DB) endOfDeregisteredBetween(ctx context.Context, now time.Time, after, last [16]byte) error {
	some, err := exists(ctx, db.reader, `SELECT 1 FROM sessions WHERE state = 1 AND id > $1 AND id <= $2
		AND client_id IN (SELECT id FROM clients WHERE registered <> '' AND NOT declared) LIMIT 1`, after[:], last[:])
	if err != nil || !some {
		return err
	}
	_, err = db.endSessions(ctx, ending{
		where: `id > $3 AND id <= $4 AND client_id IN (SELECT id FROM clients WHERE registered <> '' AND NOT declared)`,
		args:  []any{after[:], last[:]}, reason: domain.EndedByClient, event: domain.Event{At: now},
	})
	return err
}

// UnusedRegistrations counts the clients that came in one way and never got a token, up to so many. Older ones than a day
// are the sweep's.
func (db *DB) UnusedRegistrations(ctx context.Context, by domain.RegisteredBy, now time.Time, most int) (n int, err error) {
	err = one(ctx, db.reader, `SELECT count(*) FROM (SELECT 1 FROM clients
		WHERE registered <> '' AND registered = $1 AND declared AND used_at > $2 AND used_at <= registered_at LIMIT $3) AS few`,
		[]any{string(by), micros(now.Add(-keepUnused)), most}, &n)
	if err != nil {
		return 0, fmt.Errorf("count unused registrations: %w", err)
	}
	return n, nil
}
