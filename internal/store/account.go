package store

import (
	"context"
	"fmt"

	"github.com/countersign/countersign/internal/domain"
)

const accountColumns = "a.id, a.state, a.created_at"

func scanAccount(row scanner) (a domain.Account, err error) {
	err = row.Scan(accountFields(&a)...)
	return a, err
}

func accountFields(a *domain.Account) []any {
	return []any{fixed{a.ID[:]}, &a.State, when{&a.CreatedAt}}
}

// Account reads one account. ErrNotFound.
func (db *DB) Account(ctx context.Context, id domain.AccountID) (*domain.Account, error) {
	var a domain.Account
	err := one(ctx, db.reader, "SELECT "+accountColumns+" FROM accounts a WHERE a.id = $1", []any{id[:]}, accountFields(&a)...)
	if err != nil {
		return nil, fmt.Errorf("read account: %w", err)
	}
	return &a, nil
}

// AccountByIdentity finds the account of (issuer, subject). ErrNotFound.
func (db *DB) AccountByIdentity(ctx context.Context, issuer, subject string) (*domain.Account, error) {
	const query = "SELECT " + accountColumns + ` FROM accounts a JOIN identities i ON i.account_id = a.id
		WHERE i.issuer = $1 AND i.subject = $2`
	var a domain.Account
	if err := one(ctx, db.reader, query, []any{issuer, subject}, accountFields(&a)...); err != nil {
		return nil, fmt.Errorf("find account: %w", err)
	}
	return &a, nil
}

// Accounts lists accounts by id, after the given one, at most limit (1 to 200).
func (db *DB) Accounts(ctx context.Context, after domain.AccountID, limit int) ([]domain.Account, error) {
	const query = "SELECT " + accountColumns + " FROM accounts a WHERE a.id > $1 ORDER BY a.id LIMIT $2"
	list, err := all(ctx, db.reader, scanAccount, query, after[:], min(max(limit, 1), 200))
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	return list, nil
}

// SetAccountState disables or enables, with its audit row if it changed. ErrNotFound.
func (db *DB) SetAccountState(ctx context.Context, id domain.AccountID, s domain.AccountState, e domain.Event) (bool, error) {
	action := "account.disable"
	if s == domain.AccountActive {
		action = "account.enable"
	}
	changed, err := write(ctx, db, alone, func(ctx context.Context, q queryer) (bool, error) {
		n, err := change(ctx, q, "UPDATE accounts SET state = $2 WHERE id = $1 AND state <> $2", id[:], s)
		if err != nil {
			return false, err
		}
		if n == 0 {
			var found int
			return false, one(ctx, q, "SELECT 1 FROM accounts WHERE id = $1", []any{id[:]}, &found)
		}
		e.AccountID = id
		return true, audit(ctx, q, db.of(e, action))
	})
	if err != nil {
		return false, fmt.Errorf("set account state: %w", err)
	}
	return changed, nil
}
