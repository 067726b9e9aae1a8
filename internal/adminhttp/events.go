package adminhttp

import (
	"time"

	"github.com/countersign/countersign/internal/domain"
)

type eventBody struct {
	At        time.Time `json:"at"`
	Action    string    `json:"action"`
	Actor     string    `json:"actor"`
	AccountID string    `json:"account_id,omitempty"`
	SessionID string    `json:"session_id,omitempty"`
	ClientID  string    `json:"client_id,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	RequestID string    `json:"request_id,omitempty"`
	IP        string    `json:"ip,omitempty"` // truncated: /24 or /48
}

// events reads the audit trail, newest first.
func (d *Door) events(r request) (any, error) {
	q, err := r.query("account", "session", "limit")
	if err != nil {
		return nil, err
	}
	n, err := limit(q)
	if err != nil {
		return nil, err
	}
	acc, err := id[domain.AccountID](q.Get("account"), "account")
	if err != nil {
		return nil, err
	}
	ses, err := id[domain.SessionID](q.Get("session"), "session")
	if err != nil {
		return nil, err
	}
	list, err := d.DB.Events(r.Context(), acc, ses, n)
	if err != nil {
		return nil, failed(err)
	}
	out := make([]eventBody, 0, len(list))
	for _, e := range list {
		body := eventBody{
			At: e.At.UTC(), Action: e.Action, Actor: e.Actor, ClientID: e.ClientID,
			Reason: e.Reason, RequestID: e.RequestID, IP: e.IP,
		}
		if !e.AccountID.IsZero() {
			body.AccountID = e.AccountID.String()
		}
		if !e.SessionID.IsZero() {
			body.SessionID = e.SessionID.String()
		}
		out = append(out, body)
	}
	return map[string]any{"events": out}, nil
}
