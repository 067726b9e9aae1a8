package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// ride says in what company a change goes to the database.
type ride int

const (
	// alone is a transaction of its own: for everything that must not hang on the fate of others, such as endings.
	alone ride = iota
	// shared may share its commit with others on SQLite, behind a savepoint of its own.
	shared
	// single is shared for one statement, atomic by itself: without savepoint on SQLite, without BEGIN on PostgreSQL.
	single
)

// write makes one change. What change returns with an error is rolled back, ErrNotFound included; a refusal that must
// last is a value. change may run more than once, and its outcome counts only if it is returned without error.
//
// A caller that leaves before its turn is dropped. Once begun, a change does not feel the caller's context: its
// outcome stands, and on PostgreSQL a statement broken off would cost the connection.
func write[T any](ctx context.Context, db *DB, r ride, change func(context.Context, queryer) (T, error)) (T, error) {
	return writeWithin(ctx, db, flightTime, r, change)
}

// writeWithin is write with another bound than that of a change which requests wait for.
func writeWithin[T any](ctx context.Context, db *DB, limit time.Duration, r ride, change func(context.Context, queryer) (T, error)) (T, error) {
	if !db.postgres() {
		return ask(ctx, db.lite, r, change)
	}
	return retried(ctx, func() (result T, err error) {
		conn, err := db.pool.Conn(ctx)
		if err != nil {
			return result, err
		}
		defer func() { _ = conn.Close() }() // back to the pool; what matters was told by COMMIT
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
		defer cancel()
		if r == single {
			return change(ctx, conn)
		}
		return inTransaction(ctx, conn, change)
	})
}

func inTransaction[T any](ctx context.Context, conn *sql.Conn, change func(context.Context, queryer) (T, error)) (result T, err error) {
	var none T
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return none, err
	}
	defer func() { _ = tx.Rollback() }() // also when change panics; nothing after a commit, and the first error is the one to tell
	if result, err = change(ctx, tx); err != nil {
		return none, err
	}
	if err := tx.Commit(); err != nil {
		return none, fmt.Errorf("commit: %w", err)
	}
	return result, nil
}

const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	foreignKeyViolation  = "23503"
	lockNotAvailable     = "55P03"
)

// retried repeats what PostgreSQL broke off to untangle transactions, and what it never got because the pooled connection
// was dead. Nothing of it was committed.
func retried[T any](ctx context.Context, try func() (T, error)) (result T, err error) {
	const tries = 5
	for n := range tries {
		result, err = try()
		if !refusedWith(err, serializationFailure, deadlockDetected) && !errors.Is(err, driver.ErrBadConn) {
			return result, err
		}
		pause := time.NewTimer(time.Millisecond << n)
		select {
		case <-ctx.Done():
			pause.Stop()
			return result, errors.Join(ctx.Err(), err)
		case <-pause.C:
		}
	}
	return result, err
}

// refusedWith tells whether PostgreSQL refused with one of the codes.
func refusedWith(err error, codes ...string) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && slices.Contains(codes, refused.Code)
}

// The locks that order changes no single row decides.
const (
	lockMigrations int64 = 0x636f756e74657201 + iota
	lockCatalog
	lockKeys
)

// lock holds others off until the transaction ends. On SQLite every transaction does.
func (db *DB) lock(ctx context.Context, q queryer, name int64) error {
	if !db.postgres() {
		return nil
	}
	_, err := q.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", name)
	return err
}

// locking is the end of a SELECT that holds its rows; on SQLite every transaction holds all of them.
func (db *DB) locking(clause string) string {
	if !db.postgres() {
		return ""
	}
	return clause
}

// lockAccount makes changes to what belongs to one account wait for each other. It comes before any row of the account's
// is held (flows, consents, identities), so that no two of them wait for each other in a circle.
func (db *DB) lockAccount(ctx context.Context, q queryer, id [16]byte) error {
	if !db.postgres() {
		return nil
	}
	_, err := q.ExecContext(ctx, "SELECT 1 FROM accounts WHERE id = $1 FOR NO KEY UPDATE", id[:])
	return err
}
