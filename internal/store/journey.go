package store

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// journey is how the questions of a batch travel to PostgreSQL: a statement for each, in one journey and one commit. It
// runs them one after the other, each seeing what those before it did.
type journey[Q, A any] struct {
	statement string
	values    func(Q) []any
	scan      func(pgx.Row) (A, error)
}

// travel makes the journey. nil stands for a statement that returned no row: its caller is to be tried alone. If one is
// refused, nothing of the batch was done and each is tried alone, so that one's fault is nobody else's.
func (j journey[Q, A]) travel(ctx context.Context, db *DB, batch []Q) ([]*A, error) {
	rows, err := retried(ctx, func() (rows []*A, err error) {
		err = db.pipelined(ctx, func(ctx context.Context, conn *pgx.Conn) error {
			rows, err = j.send(ctx, conn, batch)
			return err
		})
		return rows, err
	})
	if refused(err) {
		return make([]*A, len(batch)), nil
	}
	return rows, err
}

func (j journey[Q, A]) send(ctx context.Context, conn *pgx.Conn, batch []Q) (_ []*A, err error) {
	var b pgx.Batch
	for _, ask := range batch {
		b.Queue(j.statement, j.values(ask)...)
	}
	results := conn.SendBatch(ctx, &b)
	defer func() { err = errors.Join(err, results.Close()) }()
	rows := make([]*A, len(batch))
	for i := range rows {
		row, err := j.scan(results.QueryRow())
		switch {
		case err == nil:
			rows[i] = &row
		case !errors.Is(err, pgx.ErrNoRows):
			return nil, err
		}
	}
	return rows, nil
}

// refused tells whether PostgreSQL undid the batch and lives to say so. What a backend says as it ends (FATAL) may come
// after its COMMIT: that outcome is unknown.
func refused(err error) bool {
	var by *pgconn.PgError
	return errors.As(err, &by) && by.SeverityUnlocalized == "ERROR"
}

// pipelined borrows a connection of the pool as its driver knows it. An error before anything was sent is
// driver.ErrBadConn, as database/sql has it.
func (db *DB) pipelined(ctx context.Context, use func(context.Context, *pgx.Conn) error) error {
	conn, err := db.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // back to the pool; what matters was told by the results
	err = conn.Raw(func(c any) error { return use(ctx, c.(*stdlib.Conn).Conn()) })
	if pgconn.SafeToRetry(err) {
		return errors.Join(driver.ErrBadConn, err)
	}
	return err
}
