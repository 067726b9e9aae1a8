package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Account is a person as your app knows them.
type Account struct {
	ID         string     `json:"id"`    // "acc_…", the sub of tokens
	State      string     `json:"state"` // "active" or "disabled"
	CreatedAt  time.Time  `json:"created_at"`
	Identities []Identity `json:"identities"` // only where one account was asked for
}

// Identity is a provider's subject that signs in to an account. The pair of Issuer and Subject is its name; an e-mail is
// information and may change or belong to somebody else tomorrow.
type Identity struct {
	ID            string    `json:"id"`       // "idn_…"
	Provider      string    `json:"provider"` // as the server's configuration calls it
	Issuer        string    `json:"iss"`
	Subject       string    `json:"sub"`
	Email         string    `json:"email"`
	EmailVerified bool      `json:"email_verified"`
	Name          string    `json:"name"`
	CreatedAt     time.Time `json:"created_at"`
	LastUsedAt    time.Time `json:"last_used_at,omitzero"`
}

// AccountPage is some accounts in the order of their ids.
type AccountPage struct {
	Accounts []Account `json:"accounts"`
	Next     string    `json:"next"` // After of the next page; empty on the last
}

// Page says which part of a list is wanted.
type Page struct {
	After string // where the last page ended; empty: from the start
	Limit int    // 1 to 200; zero: 50
}

func (p Page) query() url.Values {
	q := url.Values{}
	if p.After != "" {
		q.Set("after", p.After)
	}
	setLimit(q, p.Limit)
	return q
}

func setLimit(q url.Values, limit int) {
	if limit != 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
}

// Accounts lists accounts, a page at a time. Scope: accounts.read.
func (c *Client) Accounts(ctx context.Context, p Page) (*AccountPage, error) {
	var out AccountPage
	if err := c.call(ctx, http.MethodGet, path("accounts"), p.query(), nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// AllAccounts goes through all accounts, fetching pages as it needs them; it ends at the first error. Scope:
// accounts.read.
func (c *Client) AllAccounts(ctx context.Context) iter.Seq2[Account, error] {
	return func(yield func(Account, error) bool) {
		p := Page{Limit: 200}
		for {
			page, err := c.Accounts(ctx, p)
			if err != nil {
				yield(Account{}, err)
				return
			}
			for _, a := range page.Accounts {
				if !yield(a, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			p.After = page.Next
		}
	}
}

// AccountByIdentity finds the account that a provider's subject signs in to, with its identities. iss may be any
// spelling the provider uses ("accounts.google.com"). IsNotFound tells that there is none. Scope: accounts.read.
func (c *Client) AccountByIdentity(ctx context.Context, iss, sub string) (*Account, error) {
	var found AccountPage
	q := url.Values{"iss": {iss}, "sub": {sub}}
	if err := c.call(ctx, http.MethodGet, path("accounts"), q, nil, &found); err != nil {
		return nil, err
	}
	if len(found.Accounts) == 0 {
		return nil, &Error{Status: http.StatusNotFound, Title: "Not found", Detail: "No account has this identity."}
	}
	return c.Account(ctx, found.Accounts[0].ID)
}

// Account reads one account with its identities. Scope: accounts.read.
func (c *Client) Account(ctx context.Context, id string) (*Account, error) {
	return c.account(ctx, http.MethodGet, path("accounts", id))
}

// DisableAccount makes the account unusable at once: no sign-in, no refresh, and introspection says inactive. Access
// tokens that app servers check locally run out within minutes. Scope: accounts.write.
func (c *Client) DisableAccount(ctx context.Context, id string) (*Account, error) {
	return c.account(ctx, http.MethodPost, path("accounts", id, "disable"))
}

// EnableAccount undoes DisableAccount; sessions that were not ended work again. Scope: accounts.write.
func (c *Client) EnableAccount(ctx context.Context, id string) (*Account, error) {
	return c.account(ctx, http.MethodPost, path("accounts", id, "enable"))
}

func (c *Client) account(ctx context.Context, method, path string) (*Account, error) {
	var out Account
	if err := c.call(ctx, method, path, nil, nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}
