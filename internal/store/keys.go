package store

import (
	"context"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// Keys reads all keys, newest first.
func (db *DB) Keys(ctx context.Context) ([]domain.Key, error) {
	list, err := all(ctx, db.reader, func(row scanner) (k domain.Key, err error) {
		err = row.Scan(&k.ID, &k.Use, &k.Alg, &k.Public, &k.Sealed, when{&k.CreatedAt}, when{&k.ActiveAt},
			when{&k.RetiredAt}, when{&k.ExpiresAt}, when{&k.DroppedAt})
		return k, err
	}, `SELECT id, use, alg, public, sealed, created_at, active_at, retired_at, expires_at, dropped_at
		FROM keys ORDER BY created_at DESC, id DESC`)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	return list, nil
}

// RetireKeys says from when older keys no longer mint and are no longer accepted.
type RetireKeys struct{ RetiredAt, ExpiresAt time.Time }

// AddKey inserts k if no key of its use and alg was created at or after notSince (zero: none exists at all) and its
// id is free; it reports whether it did. (An id cannot be changed here: the key is sealed for it.) Two nodes: one
// wins. With retire, older keys of use and alg get RetiredAt and ExpiresAt in the same transaction where they have
// none.
func (db *DB) AddKey(ctx context.Context, k domain.Key, notSince time.Time, retire *RetireKeys, e domain.Event) (bool, error) {
	added, err := write(ctx, db, alone, func(ctx context.Context, q queryer) (bool, error) {
		if err := db.lock(ctx, q, lockKeys); err != nil {
			return false, err
		}
		late, err := exists(ctx, q, "SELECT 1 FROM keys WHERE use = $1 AND alg = $2 AND created_at >= $3 LIMIT 1",
			string(k.Use), k.Alg, micros(notSince))
		if err != nil || late {
			return false, err
		}
		if added, err := insertKey(ctx, q, k); err != nil || !added {
			return false, err
		}
		if retire != nil {
			if err := retireOthers(ctx, q, k, *retire); err != nil {
				return false, err
			}
		}
		return true, audit(ctx, q, db.of(e, "key.rotate"))
	})
	if err != nil {
		return false, fmt.Errorf("add key: %w", err)
	}
	return added, nil
}

func insertKey(ctx context.Context, q queryer, k domain.Key) (bool, error) {
	n, err := change(ctx, q, `INSERT INTO keys (id, use, alg, public, sealed, created_at, active_at, retired_at, expires_at,
		dropped_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`,
		k.ID, string(k.Use), k.Alg, orEmpty(k.Public), orEmpty(k.Sealed), micros(k.CreatedAt), micros(k.ActiveAt),
		micros(k.RetiredAt), micros(k.ExpiresAt), micros(k.DroppedAt))
	return n == 1, err
}

func retireOthers(ctx context.Context, q queryer, k domain.Key, r RetireKeys) error {
	// A successor that takes over sooner than the one announced before brings the end of older keys forward.
	_, err := change(ctx, q, `UPDATE keys SET
		retired_at = CASE WHEN retired_at = 0 OR retired_at > $4 THEN $4 ELSE retired_at END,
		expires_at = CASE WHEN expires_at = 0 OR expires_at > $5 THEN $5 ELSE expires_at END
		WHERE use = $1 AND alg = $2 AND id <> $3`,
		string(k.Use), k.Alg, k.ID, micros(r.RetiredAt), micros(r.ExpiresAt))
	return err
}

// DropKey marks a key as dropped, with its audit row. ErrNotFound.
func (db *DB) DropKey(ctx context.Context, id uint32, now time.Time, e domain.Event) error {
	_, err := write(ctx, db, alone, func(ctx context.Context, q queryer) (none struct{}, err error) {
		n, err := change(ctx, q, "UPDATE keys SET dropped_at = $2 WHERE id = $1 AND dropped_at = 0", id, micros(now))
		if err != nil {
			return none, err
		}
		if n == 0 {
			var found int
			return none, one(ctx, q, "SELECT 1 FROM keys WHERE id = $1", []any{id}, &found)
		}
		return none, audit(ctx, q, db.of(e, "key.drop"))
	})
	if err != nil {
		return fmt.Errorf("drop key: %w", err)
	}
	return nil
}

// RewrapKey replaces the sealed bytes of a key if they are still old.
func (db *DB) RewrapKey(ctx context.Context, id uint32, old, sealed []byte) error {
	_, err := write(ctx, db, single, func(ctx context.Context, q queryer) (int64, error) {
		return change(ctx, q, "UPDATE keys SET sealed = $3 WHERE id = $1 AND sealed = $2", id, old, sealed)
	})
	if err != nil {
		return fmt.Errorf("rewrap key: %w", err)
	}
	return nil
}
