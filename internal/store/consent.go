package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/countersign/countersign/internal/domain"
)

const consentColumns = "account_id, client_id, scope, resources, granted_at"

func consentFields(c *domain.Consent) []any {
	return []any{fixed{c.AccountID[:]}, &c.ClientID, words{&c.Scope}, words{&c.Resources}, when{&c.GrantedAt}}
}

// Consent reads what a person agreed that a client may have. ErrNotFound.
func (db *DB) Consent(ctx context.Context, acc domain.AccountID, clientID string) (*domain.Consent, error) {
	c, err := readConsent(ctx, db.reader, acc, clientID, "")
	if err != nil {
		return nil, fmt.Errorf("read consent: %w", err)
	}
	return &c, nil
}

func readConsent(ctx context.Context, q queryer, acc domain.AccountID, clientID, locking string) (c domain.Consent, err error) {
	err = one(ctx, q, "SELECT "+consentColumns+" FROM consents WHERE account_id = $1 AND client_id = $2"+locking,
		[]any{acc[:], clientID}, consentFields(&c)...)
	return c, err
}

// Consents lists what an account agreed to, newest first.
func (db *DB) Consents(ctx context.Context, acc domain.AccountID) ([]domain.Consent, error) {
	list, err := all(ctx, db.reader, func(row scanner) (c domain.Consent, err error) {
		err = row.Scan(consentFields(&c)...)
		return c, err
	}, "SELECT "+consentColumns+" FROM consents WHERE account_id = $1 ORDER BY granted_at DESC, client_id LIMIT $2", acc[:], maxListed)
	if err != nil {
		return nil, fmt.Errorf("list consents: %w", err)
	}
	return list, nil
}

// addConsent adds to what was agreed before, and takes away what the person was asked and did not agree to this time, with a
// row of the trail if that changes anything. The caller has locked the account: between reading and writing nobody adds
// anything, and nobody withdraws it.
func (db *DB) addConsent(ctx context.Context, q queryer, c domain.Consent, asked []string, e domain.Event) error {
	before, err := readConsent(ctx, q, c.AccountID, c.ClientID, "")
	kept := slices.DeleteFunc(slices.Clone(before.Scope), func(s string) bool {
		return slices.Contains(asked, s) && !slices.Contains(c.Scope, s)
	})
	if err == nil && before.Covers(c.Scope, c.Resources) && len(kept) == len(before.Scope) {
		return nil
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	_, err = change(ctx, q, "INSERT INTO consents ("+consentColumns+`) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (account_id, client_id) DO UPDATE
		SET scope = excluded.scope, resources = excluded.resources, granted_at = excluded.granted_at`,
		c.AccountID[:], c.ClientID, joined(union(kept, c.Scope)), joined(union(before.Resources, c.Resources)),
		micros(c.GrantedAt))
	if err != nil {
		return err
	}
	e.AccountID, e.ClientID, e.Actor = c.AccountID, c.ClientID, "account "+c.AccountID.String()
	return audit(ctx, q, db.of(e, "consent.grant"))
}

// union is a and what b adds to it, each once.
func union(a, b []string) []string {
	whole := slices.Clone(a)
	for _, word := range b {
		if !slices.Contains(whole, word) {
			whole = append(whole, word)
		}
	}
	return whole
}

// WithdrawConsent forgets what the account agreed that the client may have, ends all its sessions there and refuses its
// codes and devices that are no sessions yet, in one transaction. A code redeemed meanwhile holds the row: its session is
// seen, or it is refused. Somebody who agrees meanwhile, in another tab, agrees to nothing but what that tab asks. The nonces
// are those of a re-authentication: ErrNonceSpent if one was consumed before.
func (db *DB) WithdrawConsent(ctx context.Context, acc domain.AccountID, clientID string, e domain.Event, nonces ...Nonce) (found bool, err error) {
	found, err = write(ctx, db, alone, func(ctx context.Context, q queryer) (bool, error) {
		if err := db.lockAccount(ctx, q, acc); err != nil {
			return false, err
		}
		if err := refuseFlows(ctx, q, acc, " AND client_id = $2", clientID); err != nil {
			return false, err
		}
		n, err := change(ctx, q, "DELETE FROM consents WHERE account_id = $1 AND client_id = $2", acc[:], clientID)
		if err == nil && n == 0 {
			err = ErrNotFound // nothing is changed
		}
		if err != nil {
			return false, err
		}
		row := db.of(e, "consent.withdraw")
		row.AccountID, row.ClientID = acc, clientID
		if err := audit(ctx, q, row); err != nil {
			return false, err
		}
		_, err = db.endSteps(ctx, q, ending{
			where: "account_id = $3 AND client_id = $4", args: []any{acc[:], clientID}, reason: domain.EndedByConsent, event: e, nonces: nonces,
		})
		return true, err
	})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("withdraw consent: %w", err)
	}
	return found, nil
}
