package store

import (
	"context"
	"fmt"

	"github.com/countersign/countersign/internal/domain"
)

// Forwarding is a refresh token of ours whose counter is ahead of its row.
type Forwarding struct {
	SessionID  domain.SessionID
	Counter    uint32
	SecretHash [32]byte
	KeyID      uint32 // that minted it
	Format     uint8
}

// ForwardRefresh makes the row catch up with a token that only a lost database can have issued (ATTACKS RT08). A counter
// never falls: a row that is there already, or further, stays, and so does a session that has ended. Each step has its
// row in the trail.
func (db *DB) ForwardRefresh(ctx context.Context, f Forwarding, e domain.Event) error {
	const forward = `UPDATE sessions SET counter = $2, key_id = $4, format = $5
		WHERE id = $1 AND counter < $2 AND secret_hash = $3 AND state = 1 AND tier <> 3` + endReturning
	_, err := write(ctx, db, alone, func(ctx context.Context, q queryer) (none struct{}, err error) {
		list, err := all(ctx, q, scanEnded, forward, f.SessionID[:], f.Counter, f.SecretHash[:], f.KeyID, f.Format)
		if err != nil {
			return none, err
		}
		for _, s := range list {
			row := db.of(e, "session.forward")
			row.SessionID, row.AccountID, row.ClientID = s.id, s.account, s.client
			if err := audit(ctx, q, row); err != nil {
				return none, err
			}
		}
		return none, nil
	})
	if err != nil {
		return fmt.Errorf("forward session: %w", err)
	}
	return nil
}
