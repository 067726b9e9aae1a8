package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/countersign/countersign/internal/domain"
)

// A pushed request (RFC 9126) is a flow of its own that nobody walks: trips begin from it, and the first of them that gets
// a code spends it, in the transaction that stores the code. Where nothing is left to ask, the row itself becomes the
// code's: one UPDATE and no second row.

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

// GrantPushed makes a pushed request the granted trip f that needs no page: f has the id of the pushed row, which becomes
// the row of its code. ErrSpent, and nothing changed, if another trip was first.
func (db *DB) GrantPushed(ctx context.Context, f domain.Flow) error {
	took, err := db.grantPushed(ctx, &f)
	if err == nil && !took {
		err = ErrSpent
	}
	if err != nil {
		return fmt.Errorf("grant a pushed request: %w", err)
	}
	return nil
}

func (db *DB) grantPushed(ctx context.Context, f *domain.Flow) (took bool, err error) {
	request, err := json.Marshal(f.Request)
	if err != nil {
		return false, err
	}
	row := flowRow{f, string(request)}
	if db.postgres() {
		made, err := db.pushedFlows.call(ctx, f.ID, row)
		if err != nil || made != nil {
			return made != nil, err
		}
	}
	return write(ctx, db, single, func(ctx context.Context, q queryer) (bool, error) {
		n, err := change(ctx, q, grantPushed, grantPushedValues(row)...)
		return n == 1, err
	})
}

const grantPushed = `UPDATE flows SET kind = 1, state = 3, version = version + 1, request = $2, expires_at = $3, account_id = $4,
	identity_id = $5, browser_id = $6, auth_time = $7, amr = $8, scope = $9, code_hash = $10
	WHERE id = $1 AND kind = 3 AND state = 1`

func grantPushedValues(f flowRow) []any {
	return []any{f.ID[:], f.request, micros(f.ExpiresAt), f.AccountID[:], f.IdentityID[:], f.BrowserID[:], micros(f.AuthTime),
		joined(f.AMR), joined(f.Scope), f.CodeHash[:]}
}

var pushedJourney = journey[flowRow, domain.FlowID]{
	statement: grantPushed + " RETURNING id", values: grantPushedValues, scan: flowJourney.scan,
}

func (db *DB) grantPushedFlows(ctx context.Context, batch []flowRow) ([]*domain.FlowID, error) {
	return pushedJourney.travel(ctx, db, batch)
}
