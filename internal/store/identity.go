package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// Identities lists the identities of an account, oldest first.
func (db *DB) Identities(ctx context.Context, acc domain.AccountID) ([]domain.Identity, error) {
	list, err := all(ctx, db.reader, func(row scanner) (i domain.Identity, err error) {
		err = row.Scan(fixed{i.ID[:]}, fixed{i.AccountID[:]}, &i.Provider, &i.Issuer, &i.Subject, &i.Email,
			&i.EmailVerified, &i.Name, when{&i.CreatedAt}, when{&i.LastUsedAt})
		return i, err
	}, `SELECT id, account_id, provider, issuer, subject, email, email_verified, name, created_at, last_used_at
		FROM identities WHERE account_id = $1 ORDER BY created_at, id LIMIT $2`, acc[:], maxListed)
	if err != nil {
		return nil, fmt.Errorf("list identities: %w", err)
	}
	return list, nil
}

// insertIdentity reports false if somebody has the identity. It waits for a transaction that is about to make it.
func insertIdentity(ctx context.Context, q queryer, i domain.Identity) (bool, error) {
	n, err := change(ctx, q, `INSERT INTO identities (id, account_id, provider, issuer, subject, email, email_verified, name,
		created_at, last_used_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (issuer, subject) DO NOTHING`,
		i.ID[:], i.AccountID[:], i.Provider, i.Issuer, i.Subject, i.Email, i.EmailVerified, i.Name,
		micros(i.CreatedAt), micros(i.LastUsedAt))
	return n == 1, err
}

// LinkVerdict says what became of a link.
type LinkVerdict int

// The verdicts.
const (
	Linked        LinkVerdict = iota + 1
	AlreadyLinked             // to this very account; nothing changed but the nonces
	LinkedToOther             // the identity has another account
	LinkNonceSpent
	LinkAccountNotLive
)

// Link adds an identity to a live account.
type Link struct {
	Now       time.Time
	Nonces    []Nonce          // the link's, and that of a re-authentication in the same request
	SessionID domain.SessionID // must be live
	Identity  domain.Identity  // AccountID is the account
	Outbox    []OutboxItem
	Event     domain.Event
}

// linked is the outcome of a link.
type linked struct {
	verdict LinkVerdict
	id      domain.IdentityID
}

// errNonceSpent undoes a link: of two nonces the other stays fresh.
var errNonceSpent = errors.New("nonce spent")

// LinkIdentity consumes the nonces and inserts the identity in one transaction. If a nonce was spent nothing
// changes; on the other refusals the nonces stay consumed.
func (db *DB) LinkIdentity(ctx context.Context, l Link) (LinkVerdict, domain.IdentityID, error) {
	var result linked
	err := errOvertaken
	for tries := 0; tries < 5 && errors.Is(err, errOvertaken); tries++ {
		result, err = write(ctx, db, alone, func(ctx context.Context, q queryer) (linked, error) {
			return db.linkSteps(ctx, q, l)
		})
	}
	if errors.Is(err, errNonceSpent) {
		return LinkNonceSpent, domain.IdentityID{}, nil
	}
	if err != nil {
		return 0, domain.IdentityID{}, fmt.Errorf("link identity: %w", err)
	}
	return result.verdict, result.id, nil
}

func (db *DB) linkSteps(ctx context.Context, q queryer, l Link) (linked, error) {
	// 1. The nonces.
	fresh, err := consumeAll(ctx, q, l.Nonces, l.Now)
	if err != nil {
		return linked{}, err
	}
	if !fresh {
		return linked{}, errNonceSpent
	}
	// 2. Account, client and session must be live.
	view, found, err := readSession(ctx, q, l.SessionID)
	if err != nil {
		return linked{}, err
	}
	if !found || view.AccountID != l.Identity.AccountID || !view.Live(l.Now) {
		return linked{verdict: LinkAccountNotLive}, nil
	}
	// 3. The identity, unless somebody has it.
	made, err := insertIdentity(ctx, q, l.Identity)
	if err != nil {
		return linked{}, err
	}
	if !made {
		return linkedAlready(ctx, q, l)
	}
	for _, item := range l.Outbox {
		item.IdentityID = l.Identity.ID
		if err := putOutbox(ctx, q, item, l.Now); err != nil {
			return linked{}, err
		}
	}
	e := l.Event
	e.AccountID, e.SessionID, e.Reason, e.At = l.Identity.AccountID, l.SessionID, l.Identity.ID.String(), l.Now
	return linked{Linked, l.Identity.ID}, audit(ctx, q, db.of(e, "identity.link"))
}

// linkedAlready tells whose the identity is.
func linkedAlready(ctx context.Context, q queryer, l Link) (linked, error) {
	var id domain.IdentityID
	var account domain.AccountID
	err := one(ctx, q, "SELECT id, account_id FROM identities WHERE issuer = $1 AND subject = $2",
		[]any{l.Identity.Issuer, l.Identity.Subject}, fixed{id[:]}, fixed{account[:]})
	switch {
	case errors.Is(err, ErrNotFound):
		return linked{}, errOvertaken // it was unlinked in between
	case err != nil:
		return linked{}, err
	case account != l.Identity.AccountID:
		return linked{verdict: LinkedToOther}, nil
	}
	return linked{AlreadyLinked, id}, nil
}

// UnlinkVerdict says what became of an unlinking.
type UnlinkVerdict int

// The verdicts.
const (
	Unlinked UnlinkVerdict = iota + 1
	UnlinkNotFound
	UnlinkLast // it is the last way to sign in
)

// UnlinkIdentity removes an identity of the account unless it is the last; concurrent calls never remove both of
// two.
func (db *DB) UnlinkIdentity(ctx context.Context, acc domain.AccountID, id domain.IdentityID, e domain.Event) (UnlinkVerdict, error) {
	verdict, err := write(ctx, db, alone, func(ctx context.Context, q queryer) (UnlinkVerdict, error) {
		if err := db.lockAccount(ctx, q, acc); err != nil {
			return 0, err
		}
		n, err := change(ctx, q, `DELETE FROM identities WHERE id = $1 AND account_id = $2
			AND EXISTS (SELECT 1 FROM identities other WHERE other.account_id = $2 AND other.id <> $1)`, id[:], acc[:])
		if err != nil {
			return 0, err
		}
		if n == 0 {
			last, err := exists(ctx, q, "SELECT 1 FROM identities WHERE id = $1 AND account_id = $2", id[:], acc[:])
			if err != nil || !last {
				return UnlinkNotFound, err
			}
			return UnlinkLast, nil
		}
		e.AccountID, e.Reason = acc, id.String()
		return Unlinked, audit(ctx, q, db.of(e, "identity.unlink"))
	})
	if err != nil {
		return 0, fmt.Errorf("unlink identity: %w", err)
	}
	return verdict, nil
}
