package store

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// Whoever takes an identity off their account does not want it to sign in there again. Without a trace of that it would
// join by its address at its next sign-in, as any identity may that proves one (decision 8). Linking it anew is the
// owner's word that it may.

// keepUnlinked is how many the account remembers: the newest. Each was linked by its owner first.
const keepUnlinked = 100

// unlinkedKey names an identity without saying whose it was.
func unlinkedKey(issuer, subject string) []byte {
	sum := sha256.Sum256([]byte(issuer + "\x00" + subject))
	return sum[:]
}

// rememberUnlinked keeps that an identity was taken off the account. A passkey joins nobody, and needs no trace.
func rememberUnlinked(ctx context.Context, q queryer, acc domain.AccountID, issuer, subject string, at time.Time) error {
	if issuer == domain.PasskeyIssuer {
		return nil
	}
	_, err := change(ctx, q, `INSERT INTO unlinked (account_id, identity, unlinked_at) VALUES ($1, $2, $3)
		ON CONFLICT (account_id, identity) DO UPDATE SET unlinked_at = excluded.unlinked_at`, acc[:], unlinkedKey(issuer, subject), micros(at))
	if err != nil {
		return err
	}
	_, err = change(ctx, q, `DELETE FROM unlinked WHERE account_id = $1 AND unlinked_at <
		(SELECT unlinked_at FROM unlinked WHERE account_id = $1 ORDER BY unlinked_at DESC LIMIT 1 OFFSET $2)`, acc[:], keepUnlinked-1)
	return err
}

// forgetUnlinked lets an identity belong to the account once more: its owner has linked it.
func forgetUnlinked(ctx context.Context, q queryer, i domain.Identity) error {
	_, err := change(ctx, q, "DELETE FROM unlinked WHERE account_id = $1 AND identity = $2", i.AccountID[:], unlinkedKey(i.Issuer, i.Subject))
	return err
}

// wasUnlinked tells whether an identity was taken off the account.
func wasUnlinked(ctx context.Context, q queryer, acc domain.AccountID, i domain.Identity) (bool, error) {
	return exists(ctx, q, "SELECT 1 FROM unlinked WHERE account_id = $1 AND identity = $2", acc[:], unlinkedKey(i.Issuer, i.Subject))
}
