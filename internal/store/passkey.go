package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

const passkeyColumns = "identity_id, account_id, credential_id, record, sign_count, name, created_at, last_used_at"

func passkeyFields(p *domain.Passkey) []any {
	return []any{fixed{p.IdentityID[:]}, fixed{p.AccountID[:]}, &p.CredentialID, text{(*[]byte)(&p.Record)}, &p.SignCount, &p.Name,
		when{&p.CreatedAt}, when{&p.LastUsedAt}}
}

// text scans text into bytes.
type text struct{ into *[]byte }

// Scan implements sql.Scanner.
func (t text) Scan(src any) error {
	s, ok := src.(string)
	if !ok {
		return fmt.Errorf("text is stored as %T", src)
	}
	*t.into = []byte(s)
	return nil
}

// PasskeyAddition adds a passkey to a live account.
type PasskeyAddition struct {
	Now       time.Time
	Nonces    []Nonce          // of the challenge, and of a re-authentication in the same request
	SessionID domain.SessionID // asks for it, and must be live
	BrowserID domain.BrowserID // or this one does, on our pages
	Identity  domain.Identity  // of issuer domain.PasskeyIssuer; AccountID is the account
	Passkey   domain.Passkey   // IdentityID and AccountID are filled in by the store
	Event     domain.Event
}

// AddPasskey is LinkIdentity of an identity that has a credential, in the same transaction.
func (db *DB) AddPasskey(ctx context.Context, a PasskeyAddition) (LinkVerdict, error) {
	p := a.Passkey
	p.IdentityID, p.AccountID = a.Identity.ID, a.Identity.AccountID
	verdict, _, err := db.link(ctx, Link{
		Now: a.Now, Nonces: a.Nonces, SessionID: a.SessionID, BrowserID: a.BrowserID, Identity: a.Identity, Event: a.Event,
	}, &p)
	return verdict, err
}

func insertPasskey(ctx context.Context, q queryer, p domain.Passkey) error {
	_, err := change(ctx, q, "INSERT INTO passkeys ("+passkeyColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		p.IdentityID[:], p.AccountID[:], p.CredentialID, string(p.Record), p.SignCount, p.Name, micros(p.CreatedAt),
		micros(p.LastUsedAt))
	return err
}

// PasskeyByCredential finds a passkey by its credential's id. ErrNotFound.
func (db *DB) PasskeyByCredential(ctx context.Context, credentialID []byte) (*domain.Passkey, error) {
	var p domain.Passkey
	err := one(ctx, db.reader, "SELECT "+passkeyColumns+" FROM passkeys WHERE credential_id = $1", []any{credentialID}, passkeyFields(&p)...)
	if err != nil {
		return nil, fmt.Errorf("read passkey: %w", err)
	}
	return &p, nil
}

// Passkeys lists the passkeys of an account, oldest first.
func (db *DB) Passkeys(ctx context.Context, acc domain.AccountID) ([]domain.Passkey, error) {
	list, err := all(ctx, db.reader, func(row scanner) (p domain.Passkey, err error) {
		err = row.Scan(passkeyFields(&p)...)
		return p, err
	}, "SELECT "+passkeyColumns+" FROM passkeys WHERE account_id = $1 ORDER BY created_at, identity_id LIMIT $2", acc[:], maxListed)
	if err != nil {
		return nil, fmt.Errorf("list passkeys: %w", err)
	}
	return list, nil
}

// RenamePasskey changes what a person calls a passkey of their account. ErrNotFound.
func (db *DB) RenamePasskey(ctx context.Context, acc domain.AccountID, id domain.IdentityID, name string) error {
	n, err := write(ctx, db, single, func(ctx context.Context, q queryer) (int64, error) {
		return change(ctx, q, "UPDATE passkeys SET name = $3 WHERE identity_id = $1 AND account_id = $2", id[:], acc[:], name)
	})
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("rename passkey: %w", err)
	}
	return nil
}

// PasskeyUse is an assertion that was verified against the passkey as it was read.
type PasskeyUse struct {
	CredentialID []byte
	SignCount    uint32
	Record       json.RawMessage // with what the assertion changed
	LastUsedAt   time.Time
}

// usePasskey advances the counter of signatures and reports whether it could: two authenticators with one key meet here
// sooner or later, whatever each was verified against (WebAuthn L3 §6.1.1). One that does not count stays at zero.
func usePasskey(ctx context.Context, q queryer, id domain.IdentityID, u PasskeyUse) (bool, error) {
	n, err := change(ctx, q, `UPDATE passkeys SET sign_count = $3, record = $4, last_used_at = $5
		WHERE identity_id = $1 AND credential_id = $2 AND (sign_count < $3 OR (sign_count = 0 AND $3 = 0))`,
		id[:], u.CredentialID, u.SignCount, string(u.Record), micros(u.LastUsedAt))
	return n == 1, err
}
