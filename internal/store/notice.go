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

// dueNotices are those to be told at $1.
const dueNotices = " FROM notices WHERE due_at <= $1 AND expires_at > $1"

// dueClients goes from client to client through their index, with the oldest due notice of each: however much waits for a
// client that does not answer, it is passed in one step.
const dueClients = `WITH RECURSIVE clients (id) AS (
		SELECT min(client_id) FROM notices
		UNION ALL
		SELECT (SELECT min(client_id) FROM notices WHERE client_id > clients.id) FROM clients WHERE clients.id IS NOT NULL
	), waiting (id, since) AS (
		SELECT id, (SELECT due_at` + dueNotices + ` AND client_id = clients.id ORDER BY due_at LIMIT 1) FROM clients WHERE id IS NOT NULL
	) SELECT id FROM waiting WHERE since IS NOT NULL`

// DueClient returns the client whose due notice has waited longest, of all but those without; empty: there is none. It is
// a look that costs no write, and no more for a client with a million notices than for one with two.
func (db *DB) DueClient(ctx context.Context, now time.Time, without []string) (string, error) {
	query, args := dueClients, []any{micros(now)}
	for i, client := range without {
		query, args = query+fmt.Sprintf(" AND id <> $%d", i+2), append(args, client)
	}
	list, err := all(ctx, db.reader, scanText, query+" ORDER BY since, id LIMIT 1", args...)
	if err != nil {
		return "", fmt.Errorf("look for a client with notices: %w", err)
	}
	if len(list) == 0 {
		return "", nil
	}
	return list[0], nil
}

// DueNotices leases up to limit due notices of a client; two nodes never hold one at a time. Attempts counts this one:
// claim only what can be sent.
func (db *DB) DueNotices(ctx context.Context, now time.Time, lease time.Duration, client string, limit int) ([]Notice, error) {
	claim := `UPDATE notices SET due_at = $2, attempts = attempts + 1 WHERE id IN (
			SELECT id` + dueNotices + ` AND client_id = $3 ORDER BY due_at, id LIMIT $4` + db.locking(" FOR UPDATE SKIP LOCKED") + `)
		RETURNING id, client_id, account_id, session_id, attempts, created_at, expires_at`
	list, err := write(ctx, db, single, func(ctx context.Context, q queryer) ([]Notice, error) {
		return all(ctx, q, func(row scanner) (n Notice, err error) {
			err = row.Scan(&n.ID, &n.ClientID, fixed{n.AccountID[:]}, fixed{n.SessionID[:]}, &n.Attempts, when{&n.CreatedAt},
				when{&n.ExpiresAt})
			return n, err
		}, claim, micros(now), micros(now.Add(lease)), client, limit)
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

// NoticeUntried puts a notice back until due as if it had not been taken: nothing was tried.
func (db *DB) NoticeUntried(ctx context.Context, id int64, due time.Time) error {
	_, err := write(ctx, db, single, func(ctx context.Context, q queryer) (int64, error) {
		return change(ctx, q, "UPDATE notices SET due_at = $2, attempts = attempts - 1 WHERE id = $1 AND attempts > 0", id, micros(due))
	})
	if err != nil {
		return fmt.Errorf("put back notice: %w", err)
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
