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

// RetireKeys says from when older keys no longer mint and are no longer accepted. The key Extended mints until then
// even if an earlier end was set: the successor it was set for was dropped.
type RetireKeys struct {
	RetiredAt, ExpiresAt time.Time
	Extended             uint32
}

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
		retired_at = CASE WHEN id = $6 OR retired_at = 0 OR retired_at > $4 THEN $4 ELSE retired_at END,
		expires_at = CASE WHEN id = $6 OR expires_at = 0 OR expires_at > $5 THEN $5 ELSE expires_at END
		WHERE use = $1 AND alg = $2 AND id <> $3`,
		string(k.Use), k.Alg, k.ID, micros(r.RetiredAt), micros(r.ExpiresAt), r.Extended)
	return err
}

// waiting and minting are keys whose turn comes, unless another overtook them, and whose turn it is at $1.
const (
	waiting = "dropped_at = 0 AND active_at > $1 AND (retired_at = 0 OR retired_at > active_at)"
	minting = "dropped_at = 0 AND active_at <= $1 AND (retired_at = 0 OR retired_at > $1)"
)

// AdvanceKey lets k take its turn at by.RetiredAt, if it was to wait for longer and was neither dropped nor overtaken,
// and the others of its use and alg end then, as with AddKey. It reports whether it did. Two nodes: one wins.
func (db *DB) AdvanceKey(ctx context.Context, k domain.Key, by RetireKeys, e domain.Event) (bool, error) {
	advanced, err := write(ctx, db, alone, func(ctx context.Context, q queryer) (bool, error) {
		if err := db.lock(ctx, q, lockKeys); err != nil {
			return false, err
		}
		n, err := change(ctx, q, "UPDATE keys SET active_at = $1 WHERE id = $2 AND "+waiting, micros(by.RetiredAt), k.ID)
		if err != nil || n == 0 {
			return false, err
		}
		if err := retireOthers(ctx, q, k, by); err != nil {
			return false, err
		}
		return true, audit(ctx, q, db.of(e, "key.advance"))
	})
	if err != nil {
		return false, fmt.Errorf("advance key: %w", err)
	}
	return advanced, nil
}

// KeyDrop is a key to be dropped at a moment.
type KeyDrop struct {
	ID    uint32
	At    time.Time
	Spare *domain.Key  // of the same use and alg: takes its place if no other key can; nil: none
	Made  domain.Event // tells of the spare, if it was needed
}

// DropKey marks a key as dropped, with its audit row. If its use and alg are left without a key that mints, the next
// to come does from the same moment on, and if there is none, the spare. ErrNotFound.
func (db *DB) DropKey(ctx context.Context, d KeyDrop, e domain.Event) error {
	_, err := write(ctx, db, alone, func(ctx context.Context, q queryer) (none struct{}, err error) {
		if err := db.lock(ctx, q, lockKeys); err != nil {
			return none, err
		}
		var use, alg string
		if err := one(ctx, q, "SELECT use, alg FROM keys WHERE id = $1", []any{d.ID}, &use, &alg); err != nil {
			return none, err
		}
		n, err := change(ctx, q, "UPDATE keys SET dropped_at = $2 WHERE id = $1 AND dropped_at = 0", d.ID, micros(d.At))
		if err != nil || n == 0 {
			return none, err
		}
		if err := db.replaceKey(ctx, q, d, use, alg); err != nil {
			return none, err
		}
		return none, audit(ctx, q, db.of(e, "key.drop"))
	})
	if err != nil {
		return fmt.Errorf("drop key: %w", err)
	}
	return nil
}

// replaceKey leaves a key that mints, if it can.
func (db *DB) replaceKey(ctx context.Context, q queryer, d KeyDrop, use, alg string) error {
	const ofKind = "SELECT id FROM keys WHERE use = $2 AND alg = $3 AND "
	there, err := exists(ctx, q, ofKind+minting+" LIMIT 1", micros(d.At), use, alg)
	if err != nil || there {
		return err
	}
	n, err := change(ctx, q, "UPDATE keys SET active_at = $1 WHERE id = ("+ofKind+waiting+" ORDER BY active_at, id LIMIT 1)",
		micros(d.At), use, alg)
	if err != nil || n > 0 || d.Spare == nil {
		return err
	}
	added, err := insertKey(ctx, q, *d.Spare)
	switch {
	case err != nil:
		return err
	case !added:
		return fmt.Errorf("the id %d of the spare key is taken", d.Spare.ID)
	}
	return audit(ctx, q, db.of(d.Made, "key.rotate"))
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
