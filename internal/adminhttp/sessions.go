package adminhttp

import (
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
)

type sessionBody struct {
	ID                string     `json:"id"`
	AccountID         string     `json:"account_id"`
	ClientID          string     `json:"client_id"`
	DeviceName        string     `json:"device_name,omitempty"`
	Live              bool       `json:"live"`  // may be used now: not ended, not expired, account and client enabled
	State             string     `json:"state"` // live | ended | expired
	EndReason         string     `json:"end_reason,omitempty"`
	Tier              string     `json:"tier"` // bound | bearer | stable
	Scope             string     `json:"scope"`
	Resources         []string   `json:"resources"`
	CreatedAt         time.Time  `json:"created_at"`
	IdleExpiresAt     time.Time  `json:"idle_expires_at"`
	AbsoluteExpiresAt *time.Time `json:"absolute_expires_at,omitempty"`
	EndedAt           *time.Time `json:"ended_at,omitempty"`
}

// accountSessions lists the live sessions, or with ended=true all that are still remembered.
func (d *Door) accountSessions(r request) (any, error) {
	q, err := r.query("ended")
	if err != nil {
		return nil, err
	}
	ended := q.Get("ended")
	if ended != "" && ended != "true" && ended != "false" {
		return nil, oauth.E(oauth.InvalidRequest, "ended must be true or false.")
	}
	a, err := d.namedAccount(r)
	if err != nil {
		return nil, err
	}
	list, err := d.DB.AccountSessions(r.Context(), a.ID, ended != "true")
	if err != nil {
		return nil, failed(err)
	}
	now := d.DB.Now()
	out := make([]sessionBody, 0, len(list))
	for i := range list {
		out = append(out, showSession(&list[i], now))
	}
	return map[string]any{"sessions": out}, nil
}

func (d *Door) endAccountSessions(r request) (any, error) {
	if err := r.empty(); err != nil {
		return nil, err
	}
	a, err := d.namedAccount(r)
	if err != nil {
		return nil, err
	}
	e := d.audit(r)
	e.AccountID = a.ID
	n, err := d.DB.EndAccountSessions(r.Context(), a.ID, domain.SessionID{}, domain.EndedByAdmin, e)
	if err != nil {
		return nil, failed(err)
	}
	return map[string]int{"ended": n}, nil
}

func (d *Door) session(r request) (any, error) {
	v, err := d.namedSession(r)
	if err != nil {
		return nil, err
	}
	return showSession(v, d.DB.Now()), nil
}

// endSession ends a session; one that is over already is no error.
func (d *Door) endSession(r request) (any, error) {
	if err := r.empty(); err != nil {
		return nil, err
	}
	v, err := d.namedSession(r)
	if err != nil {
		return nil, err
	}
	e := d.audit(r)
	e.AccountID, e.SessionID, e.ClientID = v.AccountID, v.ID, v.ClientID
	_, err = d.DB.EndSession(r.Context(), v.ID, domain.EndedByAdmin, e)
	return nil, failed(err)
}

// namedSession reads the session of the path.
func (d *Door) namedSession(r request) (*domain.SessionView, error) {
	ses, err := id[domain.SessionID](r.PathValue("id"), "The session id")
	if err != nil {
		return nil, store.ErrNotFound
	}
	v, err := d.DB.Session(r.Context(), ses)
	return v, failed(err)
}

func showSession(v *domain.SessionView, now time.Time) sessionBody {
	state := "live"
	switch {
	case v.State != domain.SessionLive:
		state = "ended"
	case v.Expired(now):
		state = "expired"
	}
	return sessionBody{
		ID: v.ID.String(), AccountID: v.AccountID.String(), ClientID: v.ClientID, DeviceName: v.DeviceName,
		Live: v.Live(now), State: state, EndReason: string(v.EndReason), Tier: v.Tier.String(),
		Scope: oauth.JoinScope(v.Scope), Resources: v.Resources, CreatedAt: v.CreatedAt.UTC(),
		IdleExpiresAt: v.IdleExpiresAt.UTC(), AbsoluteExpiresAt: moment(v.AbsoluteExpiresAt), EndedAt: moment(v.EndedAt),
	}
}

// moment leaves out a time that never comes.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
