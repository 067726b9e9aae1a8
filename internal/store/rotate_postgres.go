package store

import (
	"context"
	"errors"
)

// rotated is what became of one rotation in a batch.
type rotated struct {
	RotationResult
	busy bool // somebody else holds the row: it has to go alone
}

// rotatePostgres rides in a batch. What did not advance there reads why, or goes alone and waits for the row.
func (db *DB) rotatePostgres(ctx context.Context, r Rotation) (RotationResult, error) {
	verdict, err := db.rotations.call(ctx, r.SessionID, r)
	if err != nil {
		return RotationResult{}, err
	}
	result := verdict.RotationResult
	if verdict.busy {
		result, err = db.rotateAlone(ctx, r)
	}
	if err != nil || result.Advanced {
		return result, err
	}
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
			$8::bigint[], $9::smallint[]) AS i (n, id, counter, secret_hash, client_id, jkt, now, key_id, format)
	)`

// rotateBatch advances many sessions in one statement, which is its own transaction: one journey, one commit. It
// returns a row for each rotation whose condition held in its snapshot, and with it the session, if it advanced.
// A batch waits for nobody: rows are locked in one order, and those another holds are left out. A rotation whose
// condition does not hold locks nothing, so that retries write nothing.
const rotateBatch = `WITH ` + presented + `, fit AS MATERIALIZED (
		SELECT i.n, s.id FROM i JOIN sessions s ON ` + rotationFits + `
	), mine AS MATERIALIZED (
		SELECT s.id FROM sessions s JOIN fit ON fit.id = s.id ORDER BY s.id FOR NO KEY UPDATE OF s SKIP LOCKED
	), moved AS (
		UPDATE sessions AS s SET ` + rotationMoves + ` FROM i, mine
		WHERE mine.id = s.id AND ` + rotationFits + ` RETURNING i.n, ` + sessionColumns + `
	)
	SELECT fit.n, s.n IS NOT NULL, ` + sessionColumns + ` FROM fit LEFT JOIN moved s ON s.n = fit.n`

// rotateWaiting advances one session and waits for whoever holds its row.
const rotateWaiting = `WITH ` + presented + `
	UPDATE sessions AS s SET ` + rotationMoves + ` FROM i WHERE ` + rotationFits + ` RETURNING ` + sessionColumns

func (db *DB) rotateTogether(ctx context.Context, batch []Rotation) ([]rotated, error) {
	return retried(ctx, func() ([]rotated, error) {
		verdicts := make([]rotated, len(batch))
		_, err := all(ctx, db.pool, func(row scanner) (none struct{}, err error) {
			return none, scanRotated(row, verdicts)
		}, rotateBatch, rotationArrays(batch)...)
		return verdicts, err
	})
}

// scanRotated puts one row of rotateBatch into its place.
func scanRotated(row scanner, verdicts []rotated) error {
	result := advanced()
	fields := sessionFields(&result.View.Session)
	var n int
	var moved bool
	if err := row.Scan(append([]any{&n, &moved}, ignored(len(fields))...)...); err != nil {
		return err
	}
	if !moved { // and all else is NULL
		verdicts[n].busy = true
		return nil
	}
	err := row.Scan(append([]any{&n, &moved}, fields...)...)
	verdicts[n].RotationResult = result
	return err
}

// rotateAlone does the same for one session.
func (db *DB) rotateAlone(ctx context.Context, r Rotation) (RotationResult, error) {
	return retried(ctx, func() (RotationResult, error) {
		result := advanced()
		err := one(ctx, db.pool, rotateWaiting, rotationArrays([]Rotation{r}), sessionFields(&result.View.Session)...)
		if errors.Is(err, ErrNotFound) {
			return RotationResult{}, nil
		}
		return result, err
	})
}

// rotationArrays turns a batch into one array a column.
func rotationArrays(batch []Rotation) []any {
	size := len(batch)
	var (
		n, counter, now, keyID = make([]int64, size), make([]int64, size), make([]int64, size), make([]int64, size)
		id, secretHash         = make([][]byte, size), make([][]byte, size)
		clientID, jkt          = make([]string, size), make([]string, size)
		format                 = make([]int16, size)
	)
	for i := range batch {
		r := &batch[i]
		n[i], counter[i], now[i], keyID[i] = int64(i), int64(r.Counter), micros(r.Now), int64(r.KeyID)
		id[i], secretHash[i] = r.SessionID[:], r.SecretHash[:]
		clientID[i], jkt[i] = r.ClientID, r.JKT
		format[i] = int16(r.Format)
	}
	return []any{n, id, counter, secretHash, clientID, jkt, now, keyID, format}
}
