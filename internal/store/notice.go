package store

import (
	"context"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// Notice is the end of a session that its client is still to be told of (OIDC Back-Channel Logout).
type Notice struct {
	ID        int64
	ClientID  string
	AccountID domain.AccountID
	SessionID domain.SessionID
	Attempts  int
	CreatedAt time.Time
	ExpiresAt time.Time // given up after this
}

// noticeLife is how long a client that does not answer is told. What it still holds of the session then has long met
// the end of its access token.
const noticeLife = 24 * time.Hour

// putNotice makes a notice due at once, if the client wants one, in the transaction of the ending it tells of.
func putNotice(ctx context.Context, q queryer, s ended, now time.Time) error {
	if !s.notify {
		return nil
	}
	_, err := change(ctx, q, `INSERT INTO notices (client_id, account_id, session_id, attempts, created_at, due_at, expires_at)
		VALUES ($1, $2, $3, 0, $4, $4, $5)`, s.client, s.account[:], s.id[:], micros(now), micros(now.Add(noticeLife)))
	return err
}

// NoticeDue tells whether there is a notice to be claimed: a look that costs no write.
func (db *DB) NoticeDue(ctx context.Context, now time.Time) (bool, error) {
	due, err := exists(ctx, db.reader, "SELECT 1 FROM notices WHERE due_at <= $1 AND expires_at > $1 LIMIT 1", micros(now))
	if err != nil {
		return false, fmt.Errorf("look for notices: %w", err)
	}
	return due, nil
}

// DueNotices leases up to limit due notices; two nodes never hold one at a time. Attempts counts this one.
func (db *DB) DueNotices(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]Notice, error) {
	claim := `UPDATE notices SET due_at = $1, attempts = attempts + 1 WHERE id IN (
			SELECT id FROM notices WHERE due_at <= $2 AND expires_at > $2 ORDER BY due_at LIMIT $3` + db.locking(" FOR UPDATE SKIP LOCKED") + `)
		RETURNING id, client_id, account_id, session_id, attempts, created_at, expires_at`
	list, err := write(ctx, db, single, func(ctx context.Context, q queryer) ([]Notice, error) {
		return all(ctx, q, func(row scanner) (n Notice, err error) {
			err = row.Scan(&n.ID, &n.ClientID, fixed{n.AccountID[:]}, fixed{n.SessionID[:]}, &n.Attempts, when{&n.CreatedAt},
				when{&n.ExpiresAt})
			return n, err
		}, claim, micros(now.Add(lease)), micros(now), limit)
	})
	if err != nil {
		return nil, fmt.Errorf("claim notices: %w", err)
	}
	return list, nil
}

// NoticeDone removes a notice the client has taken, or will never take.
func (db *DB) NoticeDone(ctx context.Context, id int64) error {
	_, err := write(ctx, db, single, func(ctx context.Context, q queryer) (int64, error) {
		return change(ctx, q, "DELETE FROM notices WHERE id = $1", id)
	})
	if err != nil {
		return fmt.Errorf("finish notice: %w", err)
	}
	return nil
}

// NoticeLater puts a notice back until due.
func (db *DB) NoticeLater(ctx context.Context, id int64, due time.Time) error {
	_, err := write(ctx, db, single, func(ctx context.Context, q queryer) (int64, error) {
		return change(ctx, q, "UPDATE notices SET due_at = $2 WHERE id = $1", id, micros(due))
	})
	if err != nil {
		return fmt.Errorf("put back notice: %w", err)
	}
	return nil
}
