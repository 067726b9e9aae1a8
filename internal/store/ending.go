package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/countersign/countersign/internal/domain"
)

// Endings ask for state only, not for expiry: a session that is over by its time must not come back should a clock be
// set back after we said that it ended.

// end finishes the UPDATEs below: what follows picks the rows.
const end = "UPDATE sessions SET state = 2, end_reason = $1, ended_at = $2 WHERE state = 1 AND "

const endReturning = " RETURNING id, account_id, client_id, notify"

// ended is a row an UPDATE has ended.
type ended struct {
	id      domain.SessionID
	account domain.AccountID
	client  string
	notify  bool // its client wants to hear of it
}

func scanEnded(row scanner) (e ended, err error) {
	err = row.Scan(fixed{e.id[:]}, fixed{e.account[:]}, &e.client, &e.notify)
	return e, err
}

// EndSession ends one live session with its audit row. It reports whether this call ended it.
func (db *DB) EndSession(ctx context.Context, id domain.SessionID, reason domain.EndReason, e domain.Event) (bool, error) {
	n, err := db.endSessions(ctx, ending{where: "id = $3", args: []any{id[:]}, reason: reason, event: e})
	if err != nil {
		return false, fmt.Errorf("end session: %w", err)
	}
	return n > 0, nil
}

// EndAccountSession is EndSession if the session belongs to the account; ErrNotFound otherwise. The nonces that prove who
// is there are consumed with it, or ErrNonceSpent.
func (db *DB) EndAccountSession(ctx context.Context, acc domain.AccountID, id domain.SessionID, reason domain.EndReason, e domain.Event, nonces ...Nonce) (bool, error) {
	n, err := db.endSessions(ctx, ending{where: "id = $3 AND account_id = $4", args: []any{id[:], acc[:]}, reason: reason, event: e, nonces: nonces})
	if err == nil && n == 0 {
		var found bool
		found, err = exists(ctx, db.reader, "SELECT 1 FROM sessions WHERE id = $1 AND account_id = $2", id[:], acc[:])
		if err == nil && !found {
			err = ErrNotFound
		}
	}
	if err != nil {
		return false, fmt.Errorf("end session: %w", err)
	}
	return n > 0, nil
}

// EndAccountSessions ends all live sessions of an account but except (zero: none is spared), one audit row each, and
// signs its browsers out, but the one of the spared session: a browser left signed in would start new ones unasked. Nor
// does any code or device get a session that was agreed to before. The nonces that prove who is there are consumed with it,
// or ErrNonceSpent.
func (db *DB) EndAccountSessions(ctx context.Context, acc domain.AccountID, except domain.SessionID, reason domain.EndReason, e domain.Event, nonces ...Nonce) (int, error) {
	n, err := write(ctx, db, alone, func(ctx context.Context, q queryer) (int, error) {
		if err := refuseFlows(ctx, q, acc, ""); err != nil {
			return 0, err
		}
		if err := db.endBrowsers(ctx, q, acc, domain.IdentityID{}, except, e); err != nil {
			return 0, err
		}
		return db.endSteps(ctx, q, ending{where: "account_id = $3 AND id <> $4", args: []any{acc[:], except[:]}, reason: reason, event: e, nonces: nonces})
	})
	if err != nil {
		return 0, fmt.Errorf("end sessions: %w", err)
	}
	return n, nil
}

// ending says which sessions to end, and why.
type ending struct {
	where  string // from $3 on
	args   []any
	reason domain.EndReason
	event  domain.Event
	nonces []Nonce
}

// endSessions ends them in a transaction of its own.
func (db *DB) endSessions(ctx context.Context, what ending) (int, error) {
	return write(ctx, db, alone, func(ctx context.Context, q queryer) (int, error) {
		return db.endSteps(ctx, q, what)
	})
}

// endSteps ends them, with a row of the trail for each, and a notice for each whose client wants to hear of it.
func (db *DB) endSteps(ctx context.Context, q queryer, what ending) (int, error) {
	e := db.of(what.event, "session.end")
	e.Reason = string(what.reason)
	if err := consumeAll(ctx, q, what.nonces, e.At); err != nil {
		return 0, err
	}
	list, err := all(ctx, q, scanEnded, end+what.where+endReturning, append([]any{e.Reason, micros(e.At)}, what.args...)...)
	if err != nil {
		return 0, err
	}
	for _, s := range list {
		row := e
		row.SessionID, row.AccountID, row.ClientID = s.id, s.account, s.client
		if err := audit(ctx, q, row); err != nil {
			return 0, err
		}
		if err := putNotice(ctx, q, s, e.At); err != nil {
			return 0, err
		}
	}
	return len(list), nil
}

// refuseFlows refuses what an account has signed in for or agreed to and what is no session yet: codes, and devices that
// wait. and picks some of them, from $2 on; empty: all. It comes after lockAccount and before browsers, identities and consents are touched, in the
// order in which a redemption takes them; of a flow that moves at the very moment, what it hangs on is gone when it is
// redeemed (standsBehind).
func refuseFlows(ctx context.Context, q queryer, acc domain.AccountID, and string, args ...any) error {
	_, err := change(ctx, q, "UPDATE flows SET state = 5, version = version + 1 WHERE account_id = $1 AND state IN (2, 3)"+and,
		append([]any{acc[:]}, args...)...)
	return err
}

// MarkLateRetry counts a late retry of generation Counter (the row's current one), once per generation, and
// returns the streak. A generation without a late retry in between resets it to 1.
func (db *DB) MarkLateRetry(ctx context.Context, id domain.SessionID, counter uint32) (streak int, err error) {
	const mark = `UPDATE sessions SET
		late_streak = CASE WHEN late_counter = counter - 1 AND late_streak > 0 THEN late_streak + 1 ELSE 1 END,
		late_counter = counter
		WHERE id = $1 AND counter = $2 AND (late_counter <> counter OR late_streak = 0) RETURNING late_streak`
	streak, err = write(ctx, db, single, func(ctx context.Context, q queryer) (n int, err error) {
		err = one(ctx, q, mark, []any{id[:], counter}, &n)
		return n, err
	})
	if errors.Is(err, ErrNotFound) { // this generation was counted, or the session has moved on
		err = one(ctx, db.reader, "SELECT late_streak FROM sessions WHERE id = $1", []any{id[:]}, &streak)
	}
	if err != nil {
		return 0, fmt.Errorf("mark late retry: %w", err)
	}
	return streak, nil
}
