package store

import (
	"context"

	"github.com/countersign/countersign/internal/domain"
)

const eventColumns = "at, action, actor, account_id, session_id, client_id, reason, request_id, ip"

// audit writes a row of the trail, in the transaction of the change it tells of.
func audit(ctx context.Context, q queryer, e domain.Event) error {
	_, err := change(ctx, q, "INSERT INTO events ("+eventColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
		micros(e.At), e.Action, e.Actor, orNull(e.AccountID), orNull(e.SessionID), e.ClientID, e.Reason, e.RequestID, e.IP)
	return err
}

// of completes what the caller knows of an event with what the store does.
func (db *DB) of(e domain.Event, action string) domain.Event {
	e.Action = action
	if e.At.IsZero() {
		e.At = db.Now()
	}
	if e.Actor == "" {
		e.Actor = "system"
	}
	return e
}

// Events reads the audit trail, newest first, at most limit (1 to 1000); zero filters match all.
func (db *DB) Events(ctx context.Context, acc domain.AccountID, ses domain.SessionID, limit int) ([]domain.Event, error) {
	query, args := "SELECT "+eventColumns+" FROM events", []any{min(max(limit, 1), 1000)}
	switch {
	case !acc.IsZero() && !ses.IsZero():
		query, args = query+" WHERE account_id = $2 AND session_id = $3", append(args, acc[:], ses[:])
	case !acc.IsZero():
		query, args = query+" WHERE account_id = $2", append(args, acc[:])
	case !ses.IsZero():
		query, args = query+" WHERE session_id = $2", append(args, ses[:])
	}
	return all(ctx, db.reader, func(row scanner) (e domain.Event, err error) {
		err = row.Scan(when{&e.At}, &e.Action, &e.Actor, fixed{e.AccountID[:]}, fixed{e.SessionID[:]}, &e.ClientID,
			&e.Reason, &e.RequestID, &e.IP)
		return e, err
	}, query+" ORDER BY id DESC LIMIT $1", args...)
}
