package store

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// assertion is one that a client made, by the hash of who made it and its jti.
type assertion struct {
	hash         [32]byte
	expires, now time.Time
}

// SpendAssertion takes a client's assertion by the hash of who made it and its jti; fresh is false if any node took it
// before. It is remembered until it expires, when nobody accepts it any more. It shares its commit with others on either
// engine.
func (db *DB) SpendAssertion(ctx context.Context, hash [32]byte, expires, now time.Time) (fresh bool, err error) {
	if db.postgres() {
		return db.assertions.call(ctx, hash, assertion{hash, expires, now})
	}
	return write(ctx, db, single, func(ctx context.Context, q queryer) (bool, error) {
		return consume(ctx, q, Nonce{Hash: hash, ExpiresAt: expires}, now, domain.SessionID{})
	})
}

// spendAssertions takes many in one statement, each different from the others and all in one order, so that two nodes that
// take the same ones do not wait for each other.
func (db *DB) spendAssertions(ctx context.Context, batch []assertion) ([]bool, error) {
	const statement = `INSERT INTO nonces (hash, expires_at, consumed_at, fingerprint, key_id, session_id)
		SELECT hash, expires, now, $4, 0, NULL FROM unnest($1::bytea[], $2::bigint[], $3::bigint[]) AS a (hash, expires, now)
		ON CONFLICT DO NOTHING RETURNING hash`
	ordered := slices.SortedFunc(slices.Values(batch), func(a, b assertion) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	hashes, expiries, moments := make([][]byte, len(batch)), make([]int64, len(batch)), make([]int64, len(batch))
	for i, a := range ordered {
		hashes[i], expiries[i], moments[i] = a.hash[:], micros(a.expires), micros(a.now)
	}
	taken, err := write(ctx, db, single, func(ctx context.Context, q queryer) ([][32]byte, error) {
		return all(ctx, q, func(row scanner) (hash [32]byte, err error) {
			err = row.Scan(fixed{hash[:]})
			return hash, err
		}, statement, hashes, expiries, moments, make([]byte, 32))
	})
	if err != nil {
		return nil, err
	}
	fresh := make([]bool, len(batch))
	for i := range batch {
		fresh[i] = slices.Contains(taken, batch[i].hash)
	}
	return fresh, nil
}
