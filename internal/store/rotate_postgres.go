package store

import (
	"context"
	"errors"

	"github.com/countersign/countersign/internal/domain"
)

// rotatePostgres rides in a batch. What did not advance there is read; if the row gives no reason, somebody else held
// it, and the rotation goes alone and waits.
func (db *DB) rotatePostgres(ctx context.Context, r Rotation) (RotationResult, error) {
	result, err := db.rotations.call(ctx, r.SessionID, r)
	if err != nil || result.Advanced {
		return result, err
	}
	result, err = db.notAdvanced(ctx, r)
	if err != nil || !result.View.Live(r.Now) || result.View.Refresh.Counter != r.Counter {
		return result, err
	}
	result, err = db.rotateAlone(ctx, r)
	if err != nil || result.Advanced {
		return result, err
	}
	return db.notAdvanced(ctx, r)
}

// notAdvanced reads what the session is; many share a query.
func (db *DB) notAdvanced(ctx context.Context, r Rotation) (RotationResult, error) {
	view, err := db.Session(ctx, r.SessionID)
	if errors.Is(err, ErrNotFound) {
		return RotationResult{}, nil
	}
	if err != nil {
		return RotationResult{}, err
	}
	return RotationResult{Found: true, View: *view}, nil
}

// presented is a batch as rows i, as rotationFits and rotationMoves want them.
const presented = `i AS (
		SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bytea[], $5::text[], $6::text[], $7::bigint[],
			$8::bigint[], $9::smallint[], $10::text[])
			AS i (n, id, counter, secret_hash, client_id, jkt, now, key_id, format, audiences)
	)`

// rotationAnswerable holds the session's first resource, its default audience, against the list.
const rotationAnswerable = ` AND (i.audiences = ''
	OR split_part(s.resources, ' ', 1) = ANY (string_to_array(i.audiences, ' ')))`

// rotateBatch advances many sessions in one statement, which is its own transaction: one journey, one commit. It
// returns those that advanced. A batch waits for nobody: it locks its rows in one order and leaves out those another
// transaction holds. A rotation whose condition does not hold locks nothing, so that retries write nothing.
const rotateBatch = `WITH ` + presented + `, held AS MATERIALIZED (
		SELECT i.* FROM i JOIN sessions s ON ` + rotationFits + rotationAnswerable + ` ORDER BY i.id FOR NO KEY UPDATE OF s SKIP LOCKED
	)
	UPDATE sessions AS s SET ` + rotationMoves + ` FROM held i WHERE s.id = i.id AND s.counter = i.counter AND s.state = 1
	RETURNING i.n, ` + grantedColumns

// rotateWaiting advances one session and waits for whoever holds its row.
const rotateWaiting = `WITH ` + presented + `
	UPDATE sessions AS s SET ` + rotationMoves + ` FROM i WHERE ` + rotationFits + rotationAnswerable + ` RETURNING ` + grantedColumns

func (db *DB) rotateTogether(ctx context.Context, batch []Rotation) ([]RotationResult, error) {
	return retried(ctx, func() ([]RotationResult, error) {
		results := make([]RotationResult, len(batch))
		_, err := all(ctx, db.pool, func(row scanner) (none struct{}, err error) {
			var n int
			var s domain.Session
			if err := row.Scan(append([]any{&n}, grantedFields(&s)...)...); err != nil {
				return none, err
			}
			results[n] = advancedBy(&batch[n], s)
			return none, nil
		}, rotateBatch, rotationArrays(batch)...)
		return results, err
	})
}

// rotateAlone does the same for one session.
func (db *DB) rotateAlone(ctx context.Context, r Rotation) (RotationResult, error) {
	return write(ctx, db, single, func(ctx context.Context, q queryer) (RotationResult, error) {
		var s domain.Session
		err := one(ctx, q, rotateWaiting, rotationArrays([]Rotation{r}), grantedFields(&s)...)
		if errors.Is(err, ErrNotFound) {
			return RotationResult{}, nil
		}
		if err != nil {
			return RotationResult{}, err
		}
		return advancedBy(&r, s), nil
	})
}

// rotationArrays turns a batch into one array a column.
func rotationArrays(batch []Rotation) []any {
	size := len(batch)
	var (
		n, counter, now, keyID = make([]int64, size), make([]int64, size), make([]int64, size), make([]int64, size)
		id, secretHash         = make([][]byte, size), make([][]byte, size)
		clientID, jkt          = make([]string, size), make([]string, size)
		audiences              = make([]string, size)
		format                 = make([]int16, size)
	)
	for i := range batch {
		r := &batch[i]
		n[i], counter[i], now[i], keyID[i] = int64(i), int64(r.Counter), micros(r.Now), int64(r.KeyID)
		id[i], secretHash[i] = r.SessionID[:], r.SecretHash[:]
		clientID[i], jkt[i] = r.ClientID, r.JKT
		format[i], audiences[i] = int16(r.Format), joined(r.Audiences)
	}
	return []any{n, id, counter, secretHash, clientID, jkt, now, keyID, format, audiences}
}
