package main

import (
	"context"
	"fmt"
)

// figures are what the database says of itself before and after a run.
type figures struct {
	rows int64
	lsn  string // PostgreSQL only: as far as the WAL was flushed, which is every commit that was answered
	url  string
}

var tables = []string{"sessions", "accounts", "identities", "devices", "nonces", "events", "outbox", "keys"}

func readFigures(ctx context.Context, url string) (figures, error) {
	e, err := openEngine(url)
	if err != nil {
		return figures{}, err
	}
	defer e.close()
	f := figures{url: url}
	for _, t := range tables {
		var n int64
		if err := e.db.QueryRowContext(ctx, "SELECT count(*) FROM "+t).Scan(&n); err != nil {
			return f, fmt.Errorf("count %s: %w", t, err)
		}
		f.rows += n
	}
	if e.postgres {
		err = e.db.QueryRowContext(ctx, "SELECT pg_current_wal_flush_lsn()::text").Scan(&f.lsn)
	}
	return f, err
}

// change is what a run did to the database.
type change struct {
	rows    int64   // more than before
	counted bool    // whether wal was
	wal     float64 // bytes for each request, full-page images apart
}

func (c *change) String() string {
	s := fmt.Sprintf("rows %+d", c.rows)
	if c.counted {
		s += fmt.Sprintf("  WAL %.0f B each", c.wal)
	}
	return s
}

// since tells what n requests changed.
func (f figures) since(ctx context.Context, before figures, n int) (*change, error) {
	c := &change{rows: f.rows - before.rows, counted: f.lsn != ""}
	if !c.counted {
		return c, nil
	}
	bytes, err := walBetween(ctx, f.url, before.lsn, f.lsn)
	if err != nil {
		return nil, fmt.Errorf("count the WAL: %w", err)
	}
	c.wal = float64(bytes) / float64(n)
	return c, nil
}

func walBetween(ctx context.Context, url, from, to string) (n int64, err error) {
	e, err := openEngine(url)
	if err != nil {
		return 0, err
	}
	defer e.close()
	if _, err := e.db.ExecContext(ctx, "CREATE EXTENSION IF NOT EXISTS pg_walinspect"); err != nil {
		return 0, err
	}
	const question = "SELECT coalesce(sum(record_length - fpi_length), 0)::bigint FROM pg_get_wal_records_info($1, $2)"
	err = e.db.QueryRowContext(ctx, question, from, to).Scan(&n)
	return n, err
}
