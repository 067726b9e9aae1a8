package store

import (
	"context"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

const apiKeyColumns = "id, name, scopes, hash, created_at, last_used_at, revoked_at"

func apiKeyFields(k *domain.APIKey) []any {
	return []any{fixed{k.ID[:]}, &k.Name, words{&k.Scopes}, fixed{k.Hash[:]}, when{&k.CreatedAt}, when{&k.LastUsedAt},
		when{&k.RevokedAt}}
}

// AddAPIKey inserts an API key with its audit row.
func (db *DB) AddAPIKey(ctx context.Context, k domain.APIKey, e domain.Event) error {
	_, err := write(ctx, db, alone, func(ctx context.Context, q queryer) (none struct{}, err error) {
		_, err = change(ctx, q, "INSERT INTO api_keys ("+apiKeyColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7)",
			k.ID[:], k.Name, joined(k.Scopes), k.Hash[:], micros(k.CreatedAt), micros(k.LastUsedAt), micros(k.RevokedAt))
		if err != nil {
			return none, err
		}
		return none, audit(ctx, q, db.ofKey(e, "api_key.create", k.ID))
	})
	if err != nil {
		return fmt.Errorf("add API key: %w", err)
	}
	return nil
}

// ofKey names the key where the caller gave no reason.
func (db *DB) ofKey(e domain.Event, action string, id domain.APIKeyID) domain.Event {
	if e.Reason == "" {
		e.Reason = id.String()
	}
	return db.of(e, action)
}

// APIKey reads one. ErrNotFound.
func (db *DB) APIKey(ctx context.Context, id domain.APIKeyID) (*domain.APIKey, error) {
	var k domain.APIKey
	if err := one(ctx, db.reader, "SELECT "+apiKeyColumns+" FROM api_keys WHERE id = $1", []any{id[:]}, apiKeyFields(&k)...); err != nil {
		return nil, fmt.Errorf("read API key: %w", err)
	}
	return &k, nil
}

// APIKeys lists all, newest first.
func (db *DB) APIKeys(ctx context.Context) ([]domain.APIKey, error) {
	list, err := all(ctx, db.reader, func(row scanner) (k domain.APIKey, err error) {
		err = row.Scan(apiKeyFields(&k)...)
		return k, err
	},
		"SELECT "+apiKeyColumns+" FROM api_keys ORDER BY created_at DESC, id")
	if err != nil {
		return nil, fmt.Errorf("list API keys: %w", err)
	}
	return list, nil
}

// RevokeAPIKey revokes one, with its audit row if it was live. ErrNotFound.
func (db *DB) RevokeAPIKey(ctx context.Context, id domain.APIKeyID, e domain.Event) error {
	e = db.ofKey(e, "api_key.revoke", id)
	_, err := write(ctx, db, alone, func(ctx context.Context, q queryer) (none struct{}, err error) {
		n, err := change(ctx, q, "UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at = 0", id[:], micros(e.At))
		if err != nil {
			return none, err
		}
		if n == 0 {
			var found int
			return none, one(ctx, q, "SELECT 1 FROM api_keys WHERE id = $1", []any{id[:]}, &found)
		}
		return none, audit(ctx, q, e)
	})
	if err != nil {
		return fmt.Errorf("revoke API key: %w", err)
	}
	return nil
}

// TouchAPIKey notes the last use, at most once a minute.
func (db *DB) TouchAPIKey(ctx context.Context, id domain.APIKeyID, now time.Time) error {
	_, err := write(ctx, db, single, func(ctx context.Context, q queryer) (int64, error) {
		return change(ctx, q, "UPDATE api_keys SET last_used_at = $2 WHERE id = $1 AND last_used_at <= $3",
			id[:], micros(now), micros(now.Add(-time.Minute)))
	})
	if err != nil {
		return fmt.Errorf("touch API key: %w", err)
	}
	return nil
}
