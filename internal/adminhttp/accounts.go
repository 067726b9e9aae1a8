package adminhttp

import (
	"errors"
	"net/url"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
)

type accountBody struct {
	ID         string         `json:"id"`
	State      string         `json:"state"` // active | disabled
	CreatedAt  time.Time      `json:"created_at"`
	Identities []identityBody `json:"identities,omitempty"` // where one account is asked for
}

type identityBody struct {
	ID            string    `json:"id"`
	Provider      string    `json:"provider"`
	Issuer        string    `json:"iss"`
	Subject       string    `json:"sub"`
	Email         string    `json:"email,omitempty"`
	EmailVerified bool      `json:"email_verified"`
	Name          string    `json:"name,omitempty"`
	CreatedAt     time.Time `json:"created_at"`
	LastUsedAt    time.Time `json:"last_used_at"`
}

type accountList struct {
	Accounts []accountBody `json:"accounts"`
	Next     string        `json:"next,omitempty"` // `after` of the next page; absent on the last
}

// accounts lists all, or finds the one of an identity.
func (d *Door) accounts(r request) (any, error) {
	q, err := r.query("iss", "sub", "after", "limit")
	if err != nil {
		return nil, err
	}
	n, err := limit(q)
	if err != nil {
		return nil, err
	}
	if q.Has("iss") || q.Has("sub") {
		return d.accountByIdentity(r, q)
	}
	after, err := id[domain.AccountID](q.Get("after"), "after")
	if err != nil {
		return nil, err
	}
	list, err := d.DB.Accounts(r.Context(), after, n)
	if err != nil {
		return nil, failed(err)
	}
	out := accountList{Accounts: make([]accountBody, 0, len(list))}
	for i := range list {
		out.Accounts = append(out.Accounts, showAccount(&list[i], nil))
	}
	if len(list) == n {
		out.Next = list[n-1].ID.String()
	}
	return out, nil
}

// accountByIdentity takes any spelling of an issuer; identities are stored under the canonical one.
func (d *Door) accountByIdentity(r request, q url.Values) (any, error) {
	iss, sub := q.Get("iss"), q.Get("sub")
	if iss == "" || sub == "" || q.Has("after") {
		return nil, oauth.E(oauth.InvalidRequest, "To find an account by its identity send iss and sub, both of them and without after.")
	}
	if p, ok := d.Providers.ByIssuer(iss); ok {
		iss, _ = p.Canonical(iss)
	}
	out := accountList{Accounts: []accountBody{}}
	a, err := d.DB.AccountByIdentity(r.Context(), iss, sub)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return out, nil
	case err != nil:
		return nil, failed(err)
	}
	out.Accounts = append(out.Accounts, showAccount(a, nil))
	return out, nil
}

func (d *Door) account(r request) (any, error) {
	a, err := d.namedAccount(r)
	if err != nil {
		return nil, err
	}
	return d.fullAccount(r, a)
}

func (d *Door) disableAccount(r request) (any, error) {
	return d.setAccountState(r, domain.AccountDisabled)
}

func (d *Door) enableAccount(r request) (any, error) {
	return d.setAccountState(r, domain.AccountActive)
}

func (d *Door) setAccountState(r request, state domain.AccountState) (any, error) {
	if err := r.empty(); err != nil {
		return nil, err
	}
	a, err := d.namedAccount(r)
	if err != nil {
		return nil, err
	}
	e := d.audit(r)
	e.AccountID = a.ID
	if _, err := d.DB.SetAccountState(r.Context(), a.ID, state, e); err != nil {
		return nil, failed(err)
	}
	a.State = state
	return d.fullAccount(r, a)
}

// namedAccount reads the account of the path.
func (d *Door) namedAccount(r request) (*domain.Account, error) {
	acc, err := id[domain.AccountID](r.PathValue("id"), "The account id")
	if err != nil {
		return nil, store.ErrNotFound
	}
	a, err := d.DB.Account(r.Context(), acc)
	return a, failed(err)
}

func (d *Door) fullAccount(r request, a *domain.Account) (any, error) {
	identities, err := d.DB.Identities(r.Context(), a.ID)
	if err != nil {
		return nil, failed(err)
	}
	return showAccount(a, identities), nil
}

func showAccount(a *domain.Account, identities []domain.Identity) accountBody {
	out := accountBody{ID: a.ID.String(), State: a.State.String(), CreatedAt: a.CreatedAt.UTC()}
	for _, i := range identities {
		out.Identities = append(out.Identities, identityBody{
			ID: i.ID.String(), Provider: i.Provider, Issuer: i.Issuer, Subject: i.Subject,
			Email: i.Email, EmailVerified: i.EmailVerified, Name: i.Name,
			CreatedAt: i.CreatedAt.UTC(), LastUsedAt: i.LastUsedAt.UTC(),
		})
	}
	return out
}
