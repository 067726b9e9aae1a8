package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// ProfileRow is an account's profile as one read saw it.
type ProfileRow struct {
	Profile   domain.Profile
	CreatedAt time.Time // of the account

	text string // as it is stored, to be recognised by PutProfile
}

// profileText is how a profile is stored; an empty one is an empty text.
func profileText(p domain.Profile) (string, error) {
	if p.IsZero() {
		return "", nil
	}
	text, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("encode profile: %w", err)
	}
	return string(text), nil
}

// Profile reads the profile of an account. ErrNotFound.
func (db *DB) Profile(ctx context.Context, id domain.AccountID) (*ProfileRow, error) {
	var row ProfileRow
	err := one(ctx, db.reader, "SELECT profile, created_at FROM accounts WHERE id = $1", []any{id[:]}, &row.text, when{&row.CreatedAt})
	if err == nil && row.text != "" {
		err = json.Unmarshal([]byte(row.text), &row.Profile)
	}
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	return &row, nil
}

// PutProfile replaces the profile that was seen, with its row of the trail. It reports false, and changes nothing, if
// another one is stored by now.
func (db *DB) PutProfile(ctx context.Context, id domain.AccountID, seen *ProfileRow, p domain.Profile, e domain.Event) (bool, error) {
	text, err := profileText(p)
	if err != nil {
		return false, err
	}
	took, err := write(ctx, db, alone, func(ctx context.Context, q queryer) (bool, error) {
		n, err := change(ctx, q, "UPDATE accounts SET profile = $2 WHERE id = $1 AND profile = $3", id[:], text, seen.text)
		if err != nil || n == 0 {
			return false, err
		}
		e.AccountID = id
		return true, audit(ctx, q, db.of(e, "account.profile"))
	})
	if err != nil {
		return false, fmt.Errorf("write profile: %w", err)
	}
	return took, nil
}
