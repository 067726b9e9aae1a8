package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// OutboxItem is work to do outside after a commit. Payload is sealed by the caller. The worker knows the session's
// identity from IdentityID.
type OutboxItem struct {
	ID         int64
	Kind       string            // "apple.redeem", "apple.revoke"
	IdentityID domain.IdentityID // filled in by the store; the item goes with it (of a revocation: one that stayed)
	AAD        string            // what Payload was sealed for; of a revocation see Unlink
	Payload    []byte
	Attempts   int
	CreatedAt  time.Time
	ExpiresAt  time.Time // given up after this
}

// putOutbox makes an item due at once.
func putOutbox(ctx context.Context, q queryer, item OutboxItem, now time.Time) error {
	_, err := change(ctx, q, `INSERT INTO outbox (kind, identity_id, aad, payload, attempts, created_at, due_at, expires_at)
		VALUES ($1, $2, $3, $4, 0, $5, $5, $6)`,
		item.Kind, item.IdentityID[:], item.AAD, item.Payload, micros(now), micros(item.ExpiresAt))
	return err
}

// ClaimOutbox leases up to limit due items; two nodes never hold one at a time. Attempts counts this one.
func (db *DB) ClaimOutbox(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]OutboxItem, error) {
	claim := `UPDATE outbox SET due_at = $1, attempts = attempts + 1 WHERE id IN (
			SELECT id FROM outbox WHERE due_at <= $2 AND expires_at > $2 ORDER BY due_at LIMIT $3` + db.locking(" FOR UPDATE SKIP LOCKED") + `)
		RETURNING id, kind, identity_id, aad, payload, attempts, created_at, expires_at`
	list, err := write(ctx, db, single, func(ctx context.Context, q queryer) ([]OutboxItem, error) {
		return all(ctx, q, func(row scanner) (o OutboxItem, err error) {
			err = row.Scan(&o.ID, &o.Kind, fixed{o.IdentityID[:]}, &o.AAD, &o.Payload, &o.Attempts, when{&o.CreatedAt},
				when{&o.ExpiresAt})
			return o, err
		}, claim, micros(now.Add(lease)), micros(now), limit)
	})
	if err != nil {
		return nil, fmt.Errorf("claim outbox: %w", err)
	}
	return list, nil
}

// UpstreamGrant is a provider's refresh token, sealed.
type UpstreamGrant struct {
	IdentityID domain.IdentityID
	ClientID   string // at the provider
	AAD        string
	Sealed     []byte
}

// FinishOutbox removes an item; with a grant, the sealed refresh token and its client id are put on the identity. If
// the item is gone, somebody else finished it, and nothing changes.
func (db *DB) FinishOutbox(ctx context.Context, id int64, grant *UpstreamGrant, e domain.Event) error {
	_, err := write(ctx, db, alone, func(ctx context.Context, q queryer) (none struct{}, err error) {
		n, err := change(ctx, q, "DELETE FROM outbox WHERE id = $1", id)
		if err != nil || n == 0 || grant == nil {
			return none, err
		}
		return none, db.putGrant(ctx, q, *grant, e)
	})
	if err != nil {
		return fmt.Errorf("finish outbox item: %w", err)
	}
	return nil
}

// putGrant puts a grant on its identity, unless that was unlinked since.
func (db *DB) putGrant(ctx context.Context, q queryer, g UpstreamGrant, e domain.Event) error {
	err := one(ctx, q, `UPDATE identities SET grant_client_id = $2, grant_aad = $3, grant_sealed = $4 WHERE id = $1
		RETURNING account_id`, []any{g.IdentityID[:], g.ClientID, g.AAD, g.Sealed}, fixed{e.AccountID[:]})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	e.Reason = g.IdentityID.String()
	return audit(ctx, q, db.of(e, "identity.grant"))
}

// RetryOutbox puts an item back until due.
func (db *DB) RetryOutbox(ctx context.Context, id int64, due time.Time) error {
	_, err := write(ctx, db, single, func(ctx context.Context, q queryer) (int64, error) {
		return change(ctx, q, "UPDATE outbox SET due_at = $2 WHERE id = $1", id, micros(due))
	})
	if err != nil {
		return fmt.Errorf("put back outbox item: %w", err)
	}
	return nil
}
