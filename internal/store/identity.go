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

// insertIdentity reports false if somebody has the identity. It waits for a transaction that is about to make it. The
// address its owner is known for is kept with it.
func insertIdentity(ctx context.Context, q queryer, i domain.Identity) (bool, error) {
	n, err := change(ctx, q, `INSERT INTO identities (id, account_id, provider, issuer, subject, email, email_verified, name,
		created_at, last_used_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (issuer, subject) DO NOTHING`,
		i.ID[:], i.AccountID[:], i.Provider, i.Issuer, i.Subject, i.Email, i.EmailVerified, i.Name,
		micros(i.CreatedAt), micros(i.LastUsedAt))
	if err != nil || n == 0 {
		return false, err
	}
	return true, putEmail(ctx, q, i)
}

// putEmail keeps the address an identity proves, the first it ever did: one that changes at the provider is not taken
// (ATTACKS ID14).
func putEmail(ctx context.Context, q queryer, i domain.Identity) error {
	if i.ProvedEmail == "" {
		return nil
	}
	_, err := change(ctx, q, `INSERT INTO emails (identity_id, account_id, address) VALUES ($1, $2, $3)
		ON CONFLICT (identity_id) DO NOTHING`, i.ID[:], i.AccountID[:], i.ProvedEmail)
	return err
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
	SessionID domain.SessionID // asks for it, and must be live
	BrowserID domain.BrowserID // or this one does, on our pages
	Identity  domain.Identity  // AccountID is the account
	Outbox    []OutboxItem
	Event     domain.Event
}

// linked is the outcome of a link.
type linked struct {
	verdict LinkVerdict
	id      domain.IdentityID
}

// LinkIdentity consumes the nonces and inserts the identity in one transaction. If a nonce was spent nothing
// changes; on the other refusals the nonces stay consumed.
func (db *DB) LinkIdentity(ctx context.Context, l Link) (LinkVerdict, domain.IdentityID, error) {
	return db.link(ctx, l, nil)
}

// link links an identity, with its credential if it is a passkey's.
func (db *DB) link(ctx context.Context, l Link, p *domain.Passkey) (LinkVerdict, domain.IdentityID, error) {
	var result linked
	err := errOvertaken
	for tries := 0; tries < 5 && errors.Is(err, errOvertaken); tries++ {
		result, err = write(ctx, db, alone, func(ctx context.Context, q queryer) (linked, error) {
			return db.linkSteps(ctx, q, l, p)
		})
	}
	if errors.Is(err, ErrNonceSpent) {
		return LinkNonceSpent, domain.IdentityID{}, nil
	}
	if err != nil {
		return 0, domain.IdentityID{}, fmt.Errorf("link identity: %w", err)
	}
	return result.verdict, result.id, nil
}

func (db *DB) linkSteps(ctx context.Context, q queryer, l Link, p *domain.Passkey) (linked, error) {
	// 1. The nonces.
	if err := consumeAll(ctx, q, l.Nonces, l.Now); err != nil {
		return linked{}, err
	}
	// 2. Whoever asks must be live, and of the account.
	if live, err := l.askedByLive(ctx, db, q); err != nil || !live {
		return linked{verdict: LinkAccountNotLive}, err
	}
	// 3. The identity, unless somebody has it.
	made, err := insertIdentity(ctx, q, l.Identity)
	if err != nil {
		return linked{}, err
	}
	if !made {
		return linkedAlready(ctx, q, l)
	}
	if err := forgetUnlinked(ctx, q, l.Identity); err != nil {
		return linked{}, err
	}
	if p != nil {
		if err := insertPasskey(ctx, q, *p); err != nil {
			return linked{}, err
		}
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

// askedByLive tells whether the session, or the browser, is of the account, and all it hangs on lives. Its row is held:
// whoever ends it either is seen here or finds the identity there already, or somebody who was thrown out would come back
// with it.
func (l *Link) askedByLive(ctx context.Context, db *DB, q queryer) (bool, error) {
	if !l.BrowserID.IsZero() {
		view, err := first(ctx, q, scanBrowser, browserView+"WHERE b.id = $1"+db.locking(" FOR SHARE OF b"), l.BrowserID[:])
		if errors.Is(err, ErrNotFound) {
			return false, nil
		}
		return err == nil && view.AccountID == l.Identity.AccountID && view.Live(l.Now), err
	}
	view, err := first(ctx, q, scanView, sessionView+"WHERE s.id = $1"+db.locking(" FOR SHARE OF s"), l.SessionID[:])
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && view.AccountID == l.Identity.AccountID && view.Live(l.Now), err
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
	UnlinkNonceSpent
)

// Unlink removes an identity from an account.
type Unlink struct {
	Now        time.Time
	Nonces     []Nonce // of a re-authentication in the same request
	AccountID  domain.AccountID
	IdentityID domain.IdentityID
	SessionID  domain.SessionID // the one that asks; it lives on
	// Revoke is the item to be made of the identity's grant at its provider, if it has one: kind and expiry are the
	// caller's. Its Payload is the grant as it was sealed, its AAD the grant's client id, a space, and the grant's AAD.
	Revoke OutboxItem
	Event  domain.Event
}

// UnlinkIdentity removes an identity of the account unless it is the last, with its passkey and its address, ends the
// sessions that were started with it, signs the browsers out that were signed in by it and refuses the codes and devices
// they agreed to, in one transaction with the nonces; it does not join the account by its address again. Concurrent calls
// never remove both of two. If a nonce was spent nothing changes; on the other refusals the nonces stay consumed.
func (db *DB) UnlinkIdentity(ctx context.Context, u Unlink) (UnlinkVerdict, error) {
	verdict, err := write(ctx, db, alone, func(ctx context.Context, q queryer) (UnlinkVerdict, error) {
		return db.unlinkSteps(ctx, q, u)
	})
	if errors.Is(err, ErrNonceSpent) {
		return UnlinkNonceSpent, nil
	}
	if err != nil {
		return 0, fmt.Errorf("unlink identity: %w", err)
	}
	return verdict, nil
}

func (db *DB) unlinkSteps(ctx context.Context, q queryer, u Unlink) (UnlinkVerdict, error) {
	// 1. The nonces, and nobody else who unlinks.
	if err := consumeAll(ctx, q, u.Nonces, u.Now); err != nil {
		return 0, err
	}
	if err := db.lockAccount(ctx, q, u.AccountID); err != nil {
		return 0, err
	}
	// 2. Which one stays?
	var heir domain.IdentityID
	err := one(ctx, q, "SELECT id FROM identities WHERE account_id = $1 AND id <> $2 ORDER BY id LIMIT 1",
		[]any{u.AccountID[:], u.IdentityID[:]}, fixed{heir[:]})
	if errors.Is(err, ErrNotFound) {
		last, err := exists(ctx, q, "SELECT 1 FROM identities WHERE id = $1 AND account_id = $2", u.IdentityID[:], u.AccountID[:])
		if err != nil || !last {
			return UnlinkNotFound, err
		}
		return UnlinkLast, nil
	}
	if err != nil {
		return 0, err
	}
	// 3. The identity, with what is left to do at its provider, and what it agreed to that is no session yet.
	if err := refuseFlows(ctx, q, u.AccountID, " AND identity_id = $2", u.IdentityID[:]); err != nil {
		return 0, err
	}
	gone, err := removeIdentity(ctx, q, u, heir)
	if err != nil || !gone {
		return UnlinkNotFound, err
	}
	e := u.Event
	e.AccountID, e.Reason = u.AccountID, u.IdentityID.String()
	if err := audit(ctx, q, db.of(e, "identity.unlink")); err != nil {
		return 0, err
	}
	// 4. Its browsers and sessions, also one that was started a moment ago: it held the identity's row until it was
	// committed.
	if err := db.endBrowsers(ctx, q, u.AccountID, u.IdentityID, u.SessionID, u.Event); err != nil {
		return 0, err
	}
	_, err = db.endSteps(ctx, q, ending{
		where: "account_id = $3 AND identity_id = $4 AND id <> $5", args: []any{u.AccountID[:], u.IdentityID[:], u.SessionID[:]},
		reason: domain.EndedByUnlink, event: u.Event,
	})
	return Unlinked, err
}

// removeIdentity deletes the identity. Its outbox items go with it, except revocations: those hang on the heir instead.
func removeIdentity(ctx context.Context, q queryer, u Unlink, heir domain.IdentityID) (gone bool, err error) {
	_, err = change(ctx, q, `UPDATE outbox SET identity_id = $3 WHERE identity_id = $1 AND kind = $4
		AND EXISTS (SELECT 1 FROM identities WHERE id = $1 AND account_id = $2)`,
		u.IdentityID[:], u.AccountID[:], heir[:], u.Revoke.Kind)
	if err != nil {
		return false, err
	}
	var issuer, subject, clientID, aad string
	var sealed []byte
	err = one(ctx, q, `DELETE FROM identities WHERE id = $1 AND account_id = $2
		RETURNING issuer, subject, grant_client_id, grant_aad, grant_sealed`,
		[]any{u.IdentityID[:], u.AccountID[:]}, &issuer, &subject, &clientID, &aad, &sealed)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err == nil {
		err = rememberUnlinked(ctx, q, u.AccountID, issuer, subject, u.Now)
	}
	if err != nil || sealed == nil || u.Revoke.Kind == "" {
		return true, err
	}
	item := u.Revoke
	item.IdentityID, item.AAD, item.Payload = heir, clientID+" "+aad, sealed
	return true, putOutbox(ctx, q, item, u.Now)
}
