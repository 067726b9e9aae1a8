package store

import (
	"context"
	"errors"
	"strings"
)

// rotateLiteOne takes what is presented as a row i, as rotationFits and rotationMoves want it.
var rotateLiteOne = `WITH i (id, counter, secret_hash, client_id, jkt, now, key_id, format) AS (
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
	)
	UPDATE sessions AS s SET ` + rotationMoves + ` FROM i WHERE ` + rotationFits + ` RETURNING ` + unqualified(sessionColumns)

// unqualified takes the table's name from columns: SQLite knows no alias in RETURNING.
func unqualified(columns string) string { return strings.ReplaceAll(columns, "s.", "") }

// rotateLite advances in the transaction it shares, and reads in it what did not advance.
func (db *DB) rotateLite(ctx context.Context, r Rotation) (RotationResult, error) {
	return write(ctx, db, single, func(ctx context.Context, q queryer) (RotationResult, error) {
		result := advanced()
		err := one(ctx, q, rotateLiteOne, []any{r.SessionID[:], r.Counter, r.SecretHash[:], r.ClientID, r.JKT, micros(r.Now),
			r.KeyID, r.Format}, sessionFields(&result.View.Session)...)
		if err == nil {
			return result, nil
		}
		if !errors.Is(err, ErrNotFound) {
			return RotationResult{}, err
		}
		view, found, err := readSession(ctx, q, r.SessionID)
		return RotationResult{Found: found, View: view}, err
	})
}
