package main

import (
	"context"
	"fmt"
	"strings"
)

// figures are what the database says of itself before and after a run.
type figures struct {
	rows int64
	lsn  string // PostgreSQL only
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
	if strings.HasPrefix(url, "postgres") {
		if err := e.db.QueryRowContext(ctx, "SELECT pg_current_wal_insert_lsn()::text").Scan(&f.lsn); err != nil {
			return f, err
		}
	}
	return f, nil
}

// since says how many rows and how much WAL each of n rotations cost, full-page images apart.
func (f figures) since(before figures, n int) string {
	s := fmt.Sprintf("  rows %+d", f.rows-before.rows)
	if f.lsn == "" {
		return s
	}
	bytes, err := walBetween(f.url, before.lsn, f.lsn)
	if err != nil {
		return s + "  WAL unknown: " + err.Error()
	}
	return s + fmt.Sprintf("  WAL %.0f B each (bar 300)", float64(bytes)/float64(n))
}

func walBetween(url, from, to string) (int64, error) {
	e, err := openEngine(url)
	if err != nil {
		return 0, err
	}
	defer e.close()
	if _, err := e.db.Exec("CREATE EXTENSION IF NOT EXISTS pg_walinspect"); err != nil {
		return 0, err
	}
	var n int64
	err = e.db.QueryRow("SELECT coalesce(sum(record_length - fpi_length), 0)::bigint FROM pg_get_wal_records_info($1, $2)", from, to).Scan(&n)
	return n, err
}
