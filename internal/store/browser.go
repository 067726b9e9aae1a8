package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

const browserColumns = `b.id, b.secret_hash, b.previous_secret_hash, b.account_id, b.identity_id, b.auth_time, b.amr, b.created_at, b.seen_at,
	b.expires_at, b.ends_at, b.ended_at`

func browserFields(b *domain.Browser) []any {
	return []any{fixed{b.ID[:]}, fixed{b.SecretHash[:]}, fixed{b.PreviousHash[:]}, fixed{b.AccountID[:]}, fixed{b.IdentityID[:]},
		when{&b.AuthTime}, words{&b.AMR}, when{&b.CreatedAt}, when{&b.SeenAt}, when{&b.ExpiresAt}, when{&b.EndsAt}, when{&b.EndedAt}}
}

// Browser reads a browser with its liveness. Concurrent calls share a query. ErrNotFound.
func (db *DB) Browser(ctx context.Context, id domain.BrowserID) (*domain.BrowserView, error) {
	v, err := db.browsers.call(ctx, id, id)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read browser: %w", err)
	case v == nil:
		return nil, fmt.Errorf("read browser: %w", ErrNotFound)
	}
	own := *v // others may hold the same answer
	own.AMR = slices.Clone(v.AMR)
	return &own, nil
}

// browserView reads the identity too: a node of the release before knows no browsers, and signs none out when it unlinks.
const browserView = "SELECT " + browserColumns + `, a.state, i.id IS NULL, COALESCE(i.issuer, ''), COALESCE(i.provider, '')
	FROM browsers b JOIN accounts a ON a.id = b.account_id LEFT JOIN identities i ON i.id = b.identity_id `

func scanBrowser(row scanner) (v domain.BrowserView, err error) {
	err = row.Scan(append(browserFields(&v.Browser), &v.AccountState, &v.IdentityGone, &v.Issuer, &v.Provider)...)
	return v, err
}

// readBrowsers answers for many at once, in order; nil for one that is not there.
func (db *DB) readBrowsers(ctx context.Context, ids []domain.BrowserID) ([]*domain.BrowserView, error) {
	return readMany(ctx, db, ids, manyRows[domain.BrowserID, domain.BrowserView]{
		one: browserView + "WHERE b.id = $1", many: browserView + "WHERE b.id = ANY($1)", scan: scanBrowser,
		key: func(v *domain.BrowserView) domain.BrowserID { return v.ID },
		raw: func(id domain.BrowserID) []byte { return id[:] },
	})
}

// TouchBrowser notes a visit and extends the idleness of a browser that is signed in. A later visit is never taken back.
func (db *DB) TouchBrowser(ctx context.Context, id domain.BrowserID, seenAt, expiresAt time.Time) error {
	_, err := write(ctx, db, single, func(ctx context.Context, q queryer) (int64, error) {
		return change(ctx, q, "UPDATE browsers SET seen_at = $2, expires_at = $3 WHERE id = $1 AND ended_at = 0 AND seen_at < $2",
			id[:], micros(seenAt), micros(expiresAt))
	})
	if err != nil {
		return fmt.Errorf("touch browser: %w", err)
	}
	return nil
}

// BrowserEnding signs a browser out.
type BrowserEnding struct {
	ID     domain.BrowserID
	Also   domain.SessionID // of the same account: ended with it, wherever it hangs; zero: none
	Now    time.Time
	Reason domain.EndReason // of the sessions that hang on it
	Event  domain.Event
}

// EndBrowser signs a browser out and ends every live session that was started in it, in one transaction. It returns how
// many sessions it ended; a second call ends none, and so does one for a browser that is not there. What was agreed to in
// the browser and is no session yet is refused, also for a device. A code redeemed meanwhile holds the browser's row: its
// session is seen, or it is refused.
func (db *DB) EndBrowser(ctx context.Context, b BrowserEnding) (sessions int, err error) {
	b.Event.At = b.Now
	sessions, err = write(ctx, db, alone, func(ctx context.Context, q queryer) (int, error) {
		var acc domain.AccountID
		err := one(ctx, q, "SELECT account_id FROM browsers WHERE id = $1", []any{b.ID[:]}, fixed{acc[:]})
		if errors.Is(err, ErrNotFound) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		if err := refuseFlows(ctx, q, acc, " AND browser_id = $2", b.ID[:]); err != nil {
			return 0, err
		}
		if err := db.endBrowserRow(ctx, q, b.ID, domain.AccountID{}, b.Event); err != nil {
			return 0, err
		}
		return db.endSteps(ctx, q, ending{ // the account is there for its index
			where: "account_id = $3 AND (browser_id = $4 OR id = $5)", args: []any{acc[:], b.ID[:], b.Also[:]}, reason: b.Reason, event: b.Event,
		})
	})
	if err != nil {
		return 0, fmt.Errorf("end browser: %w", err)
	}
	return sessions, nil
}

// endBrowserRow ends a browser that was not ended before, unless it is of the account (zero: of anybody), with its row
// of the trail.
func (db *DB) endBrowserRow(ctx context.Context, q queryer, id domain.BrowserID, spared domain.AccountID, e domain.Event) error {
	row := db.of(e, "browser.sign_out")
	err := one(ctx, q, "UPDATE browsers SET ended_at = $2 WHERE id = $1 AND ended_at = 0 AND account_id <> $3 RETURNING account_id",
		[]any{id[:], micros(row.At), spared[:]}, fixed{row.AccountID[:]})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	row.Reason = id.String()
	return audit(ctx, q, row)
}

// endBrowsers signs out the browsers of an account that were signed in by the identity (zero: by any), but the one of the
// spared session, with a row of the trail for each. It comes before the sessions are ended: a code redeemed meanwhile
// holds its browser's row.
func (db *DB) endBrowsers(ctx context.Context, q queryer, acc domain.AccountID, by domain.IdentityID, spared domain.SessionID, e domain.Event) error {
	row := db.of(e, "browser.sign_out")
	row.AccountID, row.SessionID = acc, domain.SessionID{}
	query, args := `UPDATE browsers SET ended_at = $1 WHERE account_id = $2 AND ended_at = 0
		AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.id = $3 AND s.browser_id = browsers.id)`, []any{micros(row.At), acc[:], spared[:]}
	if !by.IsZero() {
		query, args = query+" AND identity_id = $4", append(args, by[:])
	}
	list, err := all(ctx, q, func(row scanner) (id domain.BrowserID, err error) {
		err = row.Scan(fixed{id[:]})
		return id, err
	}, query+" RETURNING id", args...)
	if err != nil {
		return err
	}
	for _, id := range list {
		row.Reason = id.String()
		if err := audit(ctx, q, row); err != nil {
			return err
		}
	}
	return nil
}

// putBrowser signs the browser in to the account. The row of the same account's browser that was not signed out is taken
// over, also if its time is over, so that the sessions that hang on it stay with it. Its secret until now is kept: should
// the answer with the new one be lost, the browser is still known by the old (signin.Service.Known). Anybody else's is ended, while its sessions, each a
// grant of its own to an app, live on.
func (db *DB) putBrowser(ctx context.Context, q queryer, s *BrowserSignIn, who owner) (domain.Browser, error) {
	b := s.Browser
	b.AccountID, b.IdentityID = who.account, who.identity
	if !s.Replaces.IsZero() {
		err := one(ctx, q, `UPDATE browsers SET previous_secret_hash = secret_hash, secret_hash = $3, identity_id = $4,
			auth_time = $5, amr = $6, seen_at = $7, expires_at = $8, ends_at = $9
			WHERE id = $1 AND account_id = $2 AND ended_at = 0 RETURNING created_at, previous_secret_hash`,
			[]any{s.Replaces[:], b.AccountID[:], b.SecretHash[:], b.IdentityID[:], micros(b.AuthTime), joined(b.AMR),
				micros(b.SeenAt), micros(b.ExpiresAt), micros(b.EndsAt)}, when{&b.CreatedAt}, fixed{b.PreviousHash[:]})
		if err == nil {
			b.ID = s.Replaces
			return b, nil
		}
		if !errors.Is(err, ErrNotFound) {
			return b, err
		}
		e := s.Event
		e.At = s.Now
		if err := db.endBrowserRow(ctx, q, s.Replaces, b.AccountID, e); err != nil {
			return b, err
		}
	}
	_, err := change(ctx, q, `INSERT INTO browsers (id, secret_hash, account_id, identity_id, auth_time, amr, created_at,
		seen_at, expires_at, ends_at, ended_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0)`,
		b.ID[:], b.SecretHash[:], b.AccountID[:], b.IdentityID[:], micros(b.AuthTime), joined(b.AMR), micros(b.CreatedAt),
		micros(b.SeenAt), micros(b.ExpiresAt), micros(b.EndsAt))
	return b, err
}
