package store

import (
	"context"
	"fmt"
	"time"
)

// Swept counts what a sweep removed.
type Swept struct {
	Nonces, Sessions, Devices, Events, Keys, Outbox int
	Flows, Browsers, Tallies, Notices               int
	RegistrationTokens, Registrations               int
}

const (
	day = 24 * time.Hour

	keepNonces   = time.Hour // after their expiry
	keepSessions = 90 * day  // the skeleton of an ended session is evidence of reuse
	keepEvents   = 400 * day
	keepKeys     = 30 * day  // after their expiry, for whoever asks what a kid was
	keepFlows    = time.Hour // after their expiry, so that a code used twice is known as such
	keepBrowsers = 90 * day  // ended or expired
	keepTokens   = 7 * day   // initial access tokens after their expiry, so that the list says why one no longer works

	// bite bounds what one transaction removes.
	bite = 500
)

// Sweep removes expired nonces (expiry + 1 h), skeletons of ended or expired sessions (90 d after), devices
// without sessions, registered clients nobody uses, flows (expiry + 1 h), browsers (90 d after they ended or expired),
// counts and notices past their time, audit rows over 400 d, keys and initial access tokens long expired, in small bites
// that never hold up a refresh. While the clock is not to be trusted it removes nothing.
func (db *DB) Sweep(ctx context.Context, now time.Time) (swept Swept, err error) {
	if err := db.clock.trusted(); err != nil { // a clock gone wrong would take everything for over
		return swept, fmt.Errorf("sweep: %w", err)
	}
	before := func(d time.Duration) int64 { return micros(now.Add(-d)) }
	for _, b := range []struct {
		into   *int
		remove func() (int, error)
	}{
		{&swept.Nonces, func() (int, error) { return db.removeBites(ctx, oldNonces, before(keepNonces)) }},
		{&swept.Outbox, func() (int, error) { return db.removeBites(ctx, oldOutbox, before(0)) }},
		{&swept.Events, func() (int, error) { return db.removeBites(ctx, oldEvents, before(keepEvents)) }},
		{&swept.Keys, func() (int, error) { return db.removeBites(ctx, oldKeys, before(keepKeys)) }},
		{&swept.Flows, func() (int, error) { return db.removeBites(ctx, oldFlows, before(keepFlows)) }},
		{&swept.Tallies, func() (int, error) { return db.removeBites(ctx, oldTallies, before(0)) }},
		{&swept.Notices, func() (int, error) { return db.removeBites(ctx, oldNotices, before(0)) }},
		{&swept.RegistrationTokens, func() (int, error) { return db.removeBites(ctx, oldTokens, before(keepTokens)) }},
		{&swept.Registrations, func() (int, error) { return db.sweepRegistrations(ctx, now) }},
		{&swept.Browsers, func() (int, error) { return db.removeWalking(ctx, deadBrowsers, before(keepBrowsers)) }},
		{&swept.Sessions, func() (int, error) { return db.removeWalking(ctx, deadSessions, before(keepSessions)) }},
		{&swept.Devices, func() (int, error) { return db.removeWalking(ctx, idleDevices, before(time.Hour)) }},
	} {
		if *b.into, err = b.remove(); err != nil {
			return swept, fmt.Errorf("sweep: %w", err)
		}
	}
	return swept, nil
}

// Each removes at most $2 rows from before $1.
const (
	oldNonces  = "DELETE FROM nonces WHERE hash IN (SELECT hash FROM nonces WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)"
	oldOutbox  = "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE expires_at < $1 LIMIT $2)"
	oldFlows   = "DELETE FROM flows WHERE id IN (SELECT id FROM flows WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)"
	oldTallies = `DELETE FROM tallies WHERE expires_at < $1
		AND key IN (SELECT key FROM tallies WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)`
	oldNotices = "DELETE FROM notices WHERE id IN (SELECT id FROM notices WHERE expires_at < $1 LIMIT $2)"
	// The trail was written in the order of its ids, so the oldest rows come first.
	oldEvents = "DELETE FROM events WHERE id IN (SELECT id FROM events ORDER BY id LIMIT $2) AND at < $1"
	oldKeys   = "DELETE FROM keys WHERE id IN (SELECT id FROM keys WHERE expires_at > 0 AND expires_at < $1 LIMIT $2)"
	oldTokens = "DELETE FROM registration_tokens WHERE id IN (SELECT id FROM registration_tokens WHERE expires_at < $1 LIMIT $2)"
)

func (db *DB) removeBites(ctx context.Context, statement string, before int64) (total int, err error) {
	for {
		n, err := write(ctx, db, single, func(ctx context.Context, q queryer) (int64, error) {
			return change(ctx, q, statement, before, bite)
		})
		total += int(n)
		if err != nil || n < bite {
			return total, err
		}
	}
}

// walk goes through a table along its primary key. That spares the table an index on a column every refresh
// changes.
type walk struct {
	candidates string // the ids after $1, at most $2, in order, and whether each is over before $3
	remove     string // the row $1 if it is still over before $2
}

const sessionOver = `((s.state = 2 AND s.ended_at < $%[1]d) OR s.idle_expires_at < $%[1]d
	OR (s.absolute_expires_at > 0 AND s.absolute_expires_at < $%[1]d))`

const deviceIdle = `(d.created_at < $%d AND NOT EXISTS (SELECT 1 FROM sessions WHERE device_id = d.id))`

var deadSessions = walk{
	candidates: fmt.Sprintf("SELECT s.id, "+sessionOver+" FROM sessions s WHERE s.id > $1 ORDER BY s.id LIMIT $2", 3),
	remove:     fmt.Sprintf("DELETE FROM sessions AS s WHERE s.id = $1 AND "+sessionOver, 2),
}

var idleDevices = walk{
	candidates: fmt.Sprintf("SELECT d.id, "+deviceIdle+" FROM devices d WHERE d.id > $1 ORDER BY d.id LIMIT $2", 3),
	remove:     fmt.Sprintf("DELETE FROM devices AS d WHERE d.id = $1 AND "+deviceIdle, 2),
}

const browserOver = `((b.ended_at > 0 AND b.ended_at < $%[1]d) OR b.expires_at < $%[1]d OR b.ends_at < $%[1]d)`

var deadBrowsers = walk{
	candidates: fmt.Sprintf("SELECT b.id, "+browserOver+" FROM browsers b WHERE b.id > $1 ORDER BY b.id LIMIT $2", 3),
	remove:     fmt.Sprintf("DELETE FROM browsers AS b WHERE b.id = $1 AND "+browserOver, 2),
}

// removeWalking reads a bite of ids, then removes those that are over.
func (db *DB) removeWalking(ctx context.Context, w walk, before int64) (total int, err error) {
	var after [16]byte
	for {
		var over [][16]byte
		list, err := all(ctx, db.reader, func(row scanner) (id [16]byte, err error) {
			var is bool
			if err = row.Scan(fixed{id[:]}, &is); is {
				over = append(over, id)
			}
			return id, err
		}, w.candidates, after[:], bite, before)
		if err != nil {
			return total, err
		}
		n, err := db.removeEach(ctx, w, over, before)
		total += n
		if err != nil || len(list) < bite {
			return total, err
		}
		after = list[len(list)-1]
	}
}

// removeEach removes rows one by one in a shared transaction. A DELETE that waited for a sign-in still takes the device
// for idle, and the foreign key refuses it: the second time it sees the session.
func (db *DB) removeEach(ctx context.Context, w walk, ids [][16]byte, before int64) (removed int, err error) {
	const tries = 3
	for n := 0; len(ids) > 0 && n < tries; n++ {
		removed, err = write(ctx, db, shared, func(ctx context.Context, q queryer) (removed int, err error) {
			for _, id := range ids {
				n, err := change(ctx, q, w.remove, id[:], before)
				if err != nil {
					return 0, err
				}
				removed += int(n)
			}
			return removed, nil
		})
		if !refusedWith(err, foreignKeyViolation) {
			break
		}
	}
	return removed, err
}

var tables = []string{"accounts", "api_keys", "browsers", "catalog", "clients", "consents", "devices", "emails", "events",
	"flows", "identities", "keys", "migrations", "nonces", "notices", "outbox", "passkeys",
	"registration_tokens", "resources", "sessions", "tallies", "unlinked"}

// Rows counts the rows of every table, for tests and the benchmark.
func (db *DB) Rows(ctx context.Context) (map[string]int64, error) {
	counts := make(map[string]int64, len(tables))
	for _, table := range tables {
		var n int64
		if err := one(ctx, db.reader, "SELECT count(*) FROM "+table, nil, &n); err != nil {
			return nil, fmt.Errorf("count %s: %w", table, err)
		}
		counts[table] = n
	}
	return counts, nil
}
