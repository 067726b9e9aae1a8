package store

import (
	"context"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// SpendAssertion takes a client's assertion by the hash of who made it and its jti; fresh is false if any node took it
// before. It is remembered until it expires, when nobody accepts it any more.
func (db *DB) SpendAssertion(ctx context.Context, hash [32]byte, expires, now time.Time) (fresh bool, err error) {
	return write(ctx, db, single, func(ctx context.Context, q queryer) (bool, error) {
		return consume(ctx, q, Nonce{Hash: hash, ExpiresAt: expires}, now, domain.SessionID{})
	})
}
