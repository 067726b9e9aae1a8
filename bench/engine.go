package main

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the drivers the server uses
	_ "modernc.org/sqlite"
)

// engine is a database as the ceilings use it: a table of its own with rows of the width of a session's, one update
// of the columns a refresh changes. The benchmark may import database/sql; the house may not outside store.
type engine struct {
	db       *sql.DB
	postgres bool
}

const benchRows = 64

// liteReaders is how many connections serve SQLite quickest on two cores; a new one for each request would cost more
// than the row it reads.
const liteReaders = 2

func openEngine(url string) (*engine, error) {
	driver, conns := "pgx", 16
	path, lite := strings.CutPrefix(url, "sqlite:")
	if lite {
		driver, conns = "sqlite", liteReaders
		url = "file:" + path + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate"
	}
	db, err := sql.Open(driver, url)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return &engine{db: db, postgres: !lite}, nil
}

func (e *engine) close() { _ = e.db.Close() }

func (e *engine) prepare(ctx context.Context) error {
	blob, with := "BLOB", ""
	if e.postgres {
		blob, with = "BYTEA", "WITH (fillfactor = 70)"
	}
	_, err := e.db.ExecContext(ctx, fmt.Sprintf(`CREATE TABLE IF NOT EXISTS bench_rows (id %s PRIMARY KEY, filler %s NOT NULL,
		counter BIGINT NOT NULL, rotated_at BIGINT NOT NULL, prev_rotated_at BIGINT NOT NULL, idle_expires_at BIGINT NOT NULL) %s`, blob, blob, with))
	if err != nil {
		return err
	}
	if _, err := e.db.ExecContext(ctx, fmt.Sprintf(`CREATE TABLE IF NOT EXISTS bench_trips (id %s PRIMARY KEY, filler %s NOT NULL)`, blob, blob)); err != nil {
		return err
	}
	for i := range benchRows {
		_, err := e.db.ExecContext(ctx, `INSERT INTO bench_rows VALUES ($1, $2, 0, 0, 0, 0) ON CONFLICT DO NOTHING`, rowID(i), make([]byte, 200))
		if err != nil {
			return err
		}
	}
	return nil
}

func rowID(i int) []byte {
	id := make([]byte, 16)
	id[0] = byte(i)
	return id
}

const updateOne = `UPDATE bench_rows SET counter = counter + 1, prev_rotated_at = rotated_at, rotated_at = $2, idle_expires_at = $3 WHERE id = $1`

// updatesAlone is the engine's rate with a commit for every update: 16 writers on PostgreSQL, which groups their
// flushes itself, one on SQLite, which has one writer.
func (e *engine) updatesAlone(ctx context.Context, d time.Duration) (float64, error) {
	writers := 1
	if e.postgres {
		writers = 16
	}
	var (
		wg    sync.WaitGroup
		total atomic.Int64
		errs  = make([]error, writers)
		start = time.Now()
	)
	for n := range writers {
		wg.Go(func() {
			for i := n; time.Since(start) < d; i += writers {
				if _, err := e.db.ExecContext(ctx, updateOne, rowID(i%benchRows), time.Now().UnixMicro(), time.Now().UnixMicro()); err != nil {
					errs[n] = err
					return
				}
				total.Add(1)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return 0, err
		}
	}
	return float64(total.Load()) / time.Since(start).Seconds(), nil
}

// updatesShared is the rate with benchRows updates to a commit.
func (e *engine) updatesShared(ctx context.Context, d time.Duration) (float64, error) {
	together := e.setCommit
	if !e.postgres {
		one, err := e.db.PrepareContext(ctx, updateOne)
		if err != nil {
			return 0, err
		}
		defer func() { _ = one.Close() }()
		together = func(ctx context.Context) error { return e.loopCommit(ctx, one) }
	}
	start, total := time.Now(), 0
	for time.Since(start) < d {
		if err := together(ctx); err != nil {
			return 0, err
		}
		total += benchRows
	}
	return float64(total) / time.Since(start).Seconds(), nil
}

// setCommit updates every row in one statement.
func (e *engine) setCommit(ctx context.Context) error {
	ids := make([][]byte, benchRows)
	for i := range ids {
		ids[i] = rowID(i)
	}
	now := time.Now().UnixMicro()
	_, err := e.db.ExecContext(ctx, `UPDATE bench_rows b SET counter = counter + 1, prev_rotated_at = rotated_at,
		rotated_at = $2, idle_expires_at = $3 FROM unnest($1::bytea[]) AS r(id) WHERE b.id = r.id`, ids, now, now)
	return err
}

// loopCommit updates every row with a statement of its own in one transaction.
func (e *engine) loopCommit(ctx context.Context, one *sql.Stmt) error {
	tx, err := e.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing is left to roll back after the commit
	st := tx.StmtContext(ctx, one)
	defer func() { _ = st.Close() }()
	now := time.Now().UnixMicro()
	for i := range benchRows {
		if _, err := st.ExecContext(ctx, rowID(i), now, now); err != nil {
			return err
		}
	}
	return tx.Commit()
}
