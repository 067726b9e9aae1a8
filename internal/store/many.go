package store

import (
	"context"
	"errors"
)

// manyRows says how the rows of a convoy's questions are read: one by one, or all in one query.
type manyRows[K comparable, V any] struct {
	one, many string // the key, or all keys, is $1
	scan      func(scanner) (V, error)
	key       func(*V) K
	raw       func(K) []byte // as the statements take it
}

// readMany answers for many keys at once, in order; nil for one that is not there. On SQLite a query is no journey, so each
// has its own.
func readMany[K comparable, V any](ctx context.Context, db *DB, keys []K, m manyRows[K, V]) ([]*V, error) {
	answers := make([]*V, len(keys))
	if !db.postgres() {
		for i, k := range keys {
			v, err := first(ctx, db.reader, m.scan, m.one, m.raw(k))
			if err != nil && !errors.Is(err, ErrNotFound) {
				return nil, err
			}
			answers[i] = v
		}
		return answers, nil
	}
	raw := make([][]byte, len(keys))
	for i := range keys {
		raw[i] = m.raw(keys[i])
	}
	rows, err := all(ctx, db.reader, m.scan, m.many, raw)
	if err != nil {
		return nil, err
	}
	found := make(map[K]*V, len(rows))
	for i := range rows {
		found[m.key(&rows[i])] = &rows[i]
	}
	for i, k := range keys {
		answers[i] = found[k]
	}
	return answers, nil
}

// first reads the only row of a query. ErrNotFound.
func first[V any](ctx context.Context, q queryer, scan func(scanner) (V, error), query string, args ...any) (*V, error) {
	list, err := all(ctx, q, scan, query, args...)
	switch {
	case err != nil:
		return nil, err
	case len(list) == 0:
		return nil, ErrNotFound
	}
	return &list[0], nil
}
