package store

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// Nonce is a single-use thing to be consumed by INSERT.
type Nonce struct {
	Hash        [32]byte // of the nonce (or, without one, of the token's signing input)
	ExpiresAt   time.Time
	Fingerprint [32]byte // keyed, of the request; zero where no repeat is allowed
	KeyID       uint32   // data key of fingerprint and session secret
}

// consume takes a nonce, for a session or (zero) without one; false: it was spent. It waits for a transaction that is
// about to take the same one.
func consume(ctx context.Context, q queryer, n Nonce, now time.Time, session domain.SessionID) (bool, error) {
	rows, err := change(ctx, q, `INSERT INTO nonces (hash, expires_at, consumed_at, fingerprint, key_id, session_id)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
		n.Hash[:], micros(n.ExpiresAt), micros(now), n.Fingerprint[:], n.KeyID, orNull(session))
	return rows == 1, err
}

// ErrNonceSpent undoes the change a nonce was to prove: nothing was written, and of several nonces the others stay fresh.
var ErrNonceSpent = errors.New("nonce spent")

// consumeAll takes several, always in one order, so that two who want the same ones do not wait for each other.
// ErrNonceSpent if one is not fresh.
func consumeAll(ctx context.Context, q queryer, list []Nonce, now time.Time) error {
	ordered := slices.SortedFunc(slices.Values(list), func(a, b Nonce) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
	for _, n := range ordered {
		fresh, err := consume(ctx, q, n, now, domain.SessionID{})
		if err != nil {
			return err
		}
		if !fresh {
			return ErrNonceSpent
		}
	}
	return nil
}
