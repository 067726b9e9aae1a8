package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/countersign/countersign/internal/domain"
)

// A pushed request (RFC 9126) is a flow of its own that nobody walks: trips begin from it, and the first of them that gets
// a code spends it, in the transaction that stores the code.

const pushedSpent = "UPDATE flows SET state = 4, version = version + 1 WHERE id = $1 AND kind = 3 AND state = 1"

// spendPushed spends what a granted trip began from, if it did.
func spendPushed(ctx context.Context, q queryer, f *domain.Flow) error {
	pushed := f.Request.Pushed
	if pushed.IsZero() || f.State != domain.FlowGranted {
		return nil
	}
	n, err := change(ctx, q, pushedSpent, pushed[:])
	if err == nil && n == 0 {
		err = ErrSpent
	}
	return err
}

// StartGranted stores a trip that has its code from the start, and spends the pushed request it began from; ErrSpent, and
// nothing stored, if another trip did before.
func (db *DB) StartGranted(ctx context.Context, f domain.Flow) error {
	err := db.startGranted(ctx, &f)
	if err != nil {
		return fmt.Errorf("start flow: %w", err)
	}
	return nil
}

func (db *DB) startGranted(ctx context.Context, f *domain.Flow) error {
	request, err := json.Marshal(f.Request)
	if err != nil {
		return err
	}
	row := flowRow{f, string(request)}
	if db.postgres() {
		made, err := db.pushedFlows.call(ctx, f.ID, row)
		if err != nil || made != nil {
			return err
		}
	}
	_, err = write(ctx, db, shared, func(ctx context.Context, q queryer) (none struct{}, err error) {
		if err := spendPushed(ctx, q, f); err != nil {
			return none, err
		}
		n, err := change(ctx, q, insertFlow, flowValues(row)...)
		if err == nil && n == 0 {
			err = errors.New("another flow has its id or its code")
		}
		return none, err
	})
	return err
}

// insertSpending does both in one statement, so that many can share a journey. It returns no row where the pushed request
// is spent; what the INSERT would be refused for undoes it all.
const insertSpending = `WITH spent AS (UPDATE flows SET state = 4, version = version + 1
		WHERE id = $24 AND kind = 3 AND state = 1 RETURNING 1)
	INSERT INTO flows (` + flowColumns + `, client_id, too_soon)
	SELECT $1, $2::smallint, $3::smallint, $4::bigint, $5::bytea, $6, $7::bytea, $8::smallint, $9::bigint, $10::bigint, $11::bytea,
		$12::bytea, $13::bytea, $14::bigint, $15, $16, $17::bytea, $18::bytea, $19::bigint, $20, $21::bigint, $22::bigint, $23, FALSE
	FROM spent RETURNING id`

var spendingJourney = journey[flowRow, domain.FlowID]{
	statement: insertSpending, scan: flowJourney.scan,
	values: func(f flowRow) []any { return append(flowValues(f), f.Request.Pushed[:]) },
}

func (db *DB) insertSpendingFlows(ctx context.Context, batch []flowRow) ([]*domain.FlowID, error) {
	return spendingJourney.travel(ctx, db, batch)
}
