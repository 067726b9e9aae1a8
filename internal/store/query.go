package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// queryer is what a pool, a transaction and the connection of the SQLite writer have in common.
type queryer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// scanner reads the row under the cursor.
type scanner interface{ Scan(dest ...any) error }

// change runs a statement and returns how many rows it changed.
func change(ctx context.Context, q queryer, query string, args ...any) (int64, error) {
	result, err := q.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// one reads the only row of a query. ErrNotFound if there is none.
func one(ctx context.Context, q queryer, query string, args []any, dest ...any) error {
	found, err := all(ctx, q, func(row scanner) (struct{}, error) { return struct{}{}, row.Scan(dest...) }, query, args...)
	if err == nil && len(found) == 0 {
		return ErrNotFound
	}
	return err
}

// all reads every row of a query. A transaction cannot go on before it is over.
func all[T any](ctx context.Context, q queryer, read func(scanner) (T, error), query string, args ...any) (list []T, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		item, err := read(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	return list, rows.Err()
}

func scanText(row scanner) (string, error) {
	var text string
	err := row.Scan(&text)
	return text, err
}

// exists tells whether a query has a row.
func exists(ctx context.Context, q queryer, query string, args ...any) (bool, error) {
	var found int
	err := one(ctx, q, query, args, &found)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// preparing parses each statement once and keeps it. There are as many as this room has in its source: none is put
// together from data. (The PostgreSQL driver does the same by itself.)
type preparing struct {
	prepare func(ctx context.Context, query string) (*sql.Stmt, error)

	mu   sync.Mutex
	kept map[string]*sql.Stmt
}

func (p *preparing) statement(ctx context.Context, query string) (*sql.Stmt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, ok := p.kept[query]; ok {
		return s, nil
	}
	s, err := p.prepare(ctx, query) //nolint:sqlclosecheck // it is closed with its connection
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	if p.kept == nil {
		p.kept = map[string]*sql.Stmt{}
	}
	p.kept[query] = s
	return s, nil
}

// close finishes the kept statements. Those of one borrowed connection are closed by nobody else, and while one is
// left SQLite keeps the file open and leaves its WAL beside it.
func (p *preparing) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, s := range p.kept {
		errs = append(errs, s.Close())
	}
	p.kept = nil
	return errors.Join(errs...)
}

// ExecContext runs a kept statement.
func (p *preparing) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	s, err := p.statement(ctx, query) //nolint:sqlclosecheck // it is kept
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

// QueryContext runs a kept statement.
func (p *preparing) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := p.statement(ctx, query) //nolint:sqlclosecheck // it is kept
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}
