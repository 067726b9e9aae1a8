package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// CreateRegistrationToken inserts an initial access token with its audit row; hash is SHA-256 of the whole token.
func (db *DB) CreateRegistrationToken(ctx context.Context, t domain.RegistrationToken, hash [32]byte, e domain.Event) error {
	_, err := write(ctx, db, alone, func(ctx context.Context, q queryer) (none struct{}, err error) {
		_, err = change(ctx, q, `INSERT INTO registration_tokens (id, hash, name, uses_left, created_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6)`,
			t.ID[:], hash[:], t.Name, t.UsesLeft, micros(t.CreatedAt), micros(t.ExpiresAt))
		if err != nil {
			return none, err
		}
		return none, audit(ctx, q, db.ofRegistrationToken(e, "registration_token.create", t.ID))
	})
	if err != nil {
		return fmt.Errorf("create registration token: %w", err)
	}
	return nil
}

// ofRegistrationToken names the token where the caller gave no reason.
func (db *DB) ofRegistrationToken(e domain.Event, action string, id domain.RegistrationTokenID) domain.Event {
	if e.Reason == "" {
		e.Reason = id.String()
	}
	return db.of(e, action)
}

// RegistrationTokens lists all, newest first; those whose uses or time are over too, until they are swept.
func (db *DB) RegistrationTokens(ctx context.Context) ([]domain.RegistrationToken, error) {
	list, err := all(ctx, db.reader, func(row scanner) (t domain.RegistrationToken, err error) {
		err = row.Scan(fixed{t.ID[:]}, &t.Name, &t.UsesLeft, when{&t.CreatedAt}, when{&t.ExpiresAt})
		return t, err
	}, "SELECT id, name, uses_left, created_at, expires_at FROM registration_tokens ORDER BY created_at DESC, id")
	if err != nil {
		return nil, fmt.Errorf("list registration tokens: %w", err)
	}
	return list, nil
}

// DeleteRegistrationToken takes one away, with its audit row. The clients it let in stay. ErrNotFound.
func (db *DB) DeleteRegistrationToken(ctx context.Context, id domain.RegistrationTokenID, e domain.Event) error {
	_, err := write(ctx, db, alone, func(ctx context.Context, q queryer) (none struct{}, err error) {
		n, err := change(ctx, q, "DELETE FROM registration_tokens WHERE id = $1", id[:])
		switch {
		case err != nil:
			return none, err
		case n == 0:
			return none, ErrNotFound
		}
		return none, audit(ctx, q, db.ofRegistrationToken(e, "registration_token.delete", id))
	})
	if err != nil {
		return fmt.Errorf("delete registration token: %w", err)
	}
	return nil
}

// RegistrationTokenGood tells whether there is a token with this hash that could be spent now.
func (db *DB) RegistrationTokenGood(ctx context.Context, hash [32]byte, now time.Time) (bool, error) {
	good, err := exists(ctx, db.reader, "SELECT 1 FROM registration_tokens WHERE "+spendable, hash[:], micros(now))
	if err != nil {
		return false, fmt.Errorf("read registration token: %w", err)
	}
	return good, nil
}

const spendable = "hash = $1 AND uses_left > 0 AND expires_at > $2"

// spendRegistrationToken takes one use off the token with this hash, if it has one left and its time is not over; within the
// transaction that inserts the client, so that a use is lost only together with a client won. The id is for the trail.
func spendRegistrationToken(ctx context.Context, q queryer, hash [32]byte, now time.Time) (id domain.RegistrationTokenID, ok bool, err error) {
	err = one(ctx, q, "UPDATE registration_tokens SET uses_left = uses_left - 1 WHERE "+spendable+" RETURNING id",
		[]any{hash[:], micros(now)}, fixed{id[:]})
	if errors.Is(err, ErrNotFound) {
		return id, false, nil
	}
	return id, err == nil, err
}
