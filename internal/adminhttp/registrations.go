package adminhttp

import (
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/store"
)

// registrationTokenBody is an initial access token (RFC 7591 §3), without its secret.
type registrationTokenBody struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	UsesLeft  int       `json:"uses_left"`
	Live      bool      `json:"live"` // a client may register with it now
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// createRegistrationToken makes one and shows it, this once.
func (d *Door) createRegistrationToken(r request) (any, error) {
	var body struct {
		Name      string `json:"name"`
		Uses      int    `json:"uses"`
		ExpiresIn int64  `json:"expires_in"` // seconds
	}
	if err := httpd.DecodeJSON(r.Request, &body, false); err != nil {
		return nil, err
	}
	// A number that would run over is over the bound as well.
	life := time.Duration(min(max(body.ExpiresIn, 0), 1<<31)) * time.Second
	text, t, err := d.APIKeys.MintRegistration(r.Context(), body.Name, body.Uses, life, d.audit(r))
	if err != nil {
		return nil, err
	}
	return struct {
		registrationTokenBody

		Token string `json:"token"`
	}{showRegistrationToken(t, t.CreatedAt), string(text)}, nil
}

func (d *Door) registrationTokens(r request) (any, error) {
	if _, err := r.query(); err != nil {
		return nil, err
	}
	list, err := d.DB.RegistrationTokens(r.Context())
	if err != nil {
		return nil, failed(err)
	}
	now := d.DB.Now()
	out := make([]registrationTokenBody, 0, len(list))
	for i := range list {
		out = append(out, showRegistrationToken(&list[i], now))
	}
	return map[string]any{"registration_tokens": out}, nil
}

func (d *Door) deleteRegistrationToken(r request) (any, error) {
	if err := r.empty(); err != nil {
		return nil, err
	}
	token, err := id[domain.RegistrationTokenID](r.PathValue("id"), "The id of the token")
	if err != nil {
		return nil, store.ErrNotFound
	}
	return nil, failed(d.DB.DeleteRegistrationToken(r.Context(), token, d.audit(r)))
}

func showRegistrationToken(t *domain.RegistrationToken, now time.Time) registrationTokenBody {
	return registrationTokenBody{
		ID: t.ID.String(), Name: t.Name, UsesLeft: t.UsesLeft, Live: t.UsesLeft > 0 && now.Before(t.ExpiresAt),
		CreatedAt: t.CreatedAt.UTC(), ExpiresAt: t.ExpiresAt.UTC(),
	}
}

// registeredBody is a client that no operator declared.
type registeredBody struct {
	ID           string     `json:"id"`
	Name         string     `json:"name,omitempty"` // what it calls itself; nobody checked that
	Type         string     `json:"type"`
	RegisteredBy string     `json:"registered_by"` // token | anybody | document
	Unverified   bool       `json:"unverified"`    // people are told that nobody checked it
	State        string     `json:"state"`         // live | disabled
	RegisteredAt *time.Time `json:"registered_at,omitempty"`
	LastUsedAt   *time.Time `json:"last_used_at,omitempty"`

	// Where one client is asked for.
	RedirectURIs []string `json:"redirect_uris,omitempty"`
	Scopes       []string `json:"scopes,omitempty"`
	HomeURI      string   `json:"client_uri,omitempty"`
}

type registeredList struct {
	Clients []registeredBody `json:"clients"`
	Next    string           `json:"next,omitempty"` // `after` of the next page; absent on the last
}

// registeredClients lists the clients that registered themselves; those of the configuration file are in the file.
func (d *Door) registeredClients(r request) (any, error) {
	q, err := r.query("after", "limit")
	if err != nil {
		return nil, err
	}
	n, err := limit(q)
	if err != nil {
		return nil, err
	}
	list, err := d.DB.RegisteredClients(r.Context(), q.Get("after"), n)
	if err != nil {
		return nil, failed(err)
	}
	out := registeredList{Clients: make([]registeredBody, 0, len(list))}
	for i := range list {
		out.Clients = append(out.Clients, showRegistered(&list[i]))
	}
	if len(list) == n {
		out.Next = list[n-1].ID
	}
	return out, nil
}

func (d *Door) registeredClient(r request) (any, error) {
	if _, err := r.query(); err != nil {
		return nil, err
	}
	c, err := d.DB.ShowRegistered(r.Context(), r.client())
	if err != nil {
		return nil, failed(err)
	}
	body := showRegistered(c)
	body.RedirectURIs, body.Scopes, body.HomeURI = c.RedirectURIs, c.Scopes, c.HomeURI
	return body, nil
}

// deleteClient deletes a client that registered itself. One of the configuration file is deleted there.
func (d *Door) deleteClient(r request) (any, error) {
	if err := r.empty(); err != nil {
		return nil, err
	}
	return nil, failed(d.DB.RemoveRegistered(r.Context(), r.client(), domain.EndedByAdmin, d.audit(r)))
}

func showRegistered(c *store.Registered) registeredBody {
	var used time.Time // a row begins with the time of its registration
	if c.UsedAt.After(c.RegisteredAt) {
		used = c.UsedAt
	}
	return registeredBody{
		ID: c.ID, Name: c.Name, Type: string(c.Type), RegisteredBy: string(c.Registered), Unverified: c.Unverified(),
		State: c.State.String(), RegisteredAt: moment(c.RegisteredAt), LastUsedAt: moment(used),
	}
}
