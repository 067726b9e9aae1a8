package accounthttp

import (
	"context"
	"net/http"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/signin"
)

// sessionBody is one device the person is signed in on.
type sessionBody struct {
	ID              string    `json:"id"`
	Current         bool      `json:"current"` // the one this request is made with
	ClientID        string    `json:"client_id"`
	ClientName      string    `json:"client_name,omitempty"`
	DeviceName      string    `json:"device_name,omitempty"` // as the app called it
	Provider        string    `json:"provider,omitempty"`    // that it was started with, while its identity is linked
	Tier            string    `json:"tier"`                  // bound | bearer | stable
	CreatedAt       time.Time `json:"created_at"`
	LastRefreshedAt time.Time `json:"last_refreshed_at"`
}

func (d *Door) sessions(w http.ResponseWriter, r *http.Request, who caller) {
	list, err := d.DB.AccountSessions(r.Context(), who.session.AccountID, true)
	if err != nil {
		fail(w, r, oauth.Unavailable(err))
		return
	}
	identities, err := d.DB.Identities(r.Context(), who.session.AccountID)
	if err != nil {
		fail(w, r, oauth.Unavailable(err))
		return
	}
	providers := map[domain.IdentityID]string{}
	for _, i := range identities {
		providers[i.ID] = i.Provider
	}
	out := make([]sessionBody, 0, len(list))
	for i := range list {
		s := &list[i].Session
		name, err := d.clientName(r.Context(), s.ClientID)
		if err != nil {
			fail(w, r, err)
			return
		}
		out = append(out, sessionBody{
			ID: s.ID.String(), Current: s.ID == who.session.ID,
			ClientID: s.ClientID, ClientName: name, DeviceName: s.DeviceName,
			Provider: providers[s.IdentityID], Tier: s.Tier.String(),
			CreatedAt: s.CreatedAt.UTC(), LastRefreshedAt: lastRefresh(s).UTC(),
		})
	}
	httpd.WriteJSON(w, r, http.StatusOK, map[string]any{"sessions": out})
}

// clientName is what people know a client by; empty for one that is gone.
func (d *Door) clientName(ctx context.Context, id string) (string, error) {
	c, err := d.Client(ctx, id)
	if err != nil || c == nil {
		return "", err
	}
	return c.Name, nil
}

// lastRefresh is when the session was last extended. The token of a stable session never changes, its idle expiry does.
func lastRefresh(s *domain.Session) time.Time {
	if s.Tier == domain.TierStable {
		return s.IdleExpiresAt.Add(-s.IdleFor)
	}
	return s.Refresh.RotatedAt
}

func (d *Door) endSession(w http.ResponseWriter, r *http.Request, who caller) {
	var body proof
	if err := httpd.DecodeJSON(r, &body, true); err != nil {
		fail(w, r, err)
		return
	}
	var id domain.SessionID
	if err := id.UnmarshalText([]byte(r.PathValue("id"))); err != nil {
		fail(w, r, &signin.Refusal{Reason: signin.NotFound, Detail: "There is no such session on this account."})
		return
	}
	if err := d.SignIn.EndSession(r.Context(), who.manage(r, body), id); err != nil {
		fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (d *Door) endOthers(w http.ResponseWriter, r *http.Request, who caller) {
	var body proof
	if err := httpd.DecodeJSON(r, &body, true); err != nil {
		fail(w, r, err)
		return
	}
	n, err := d.SignIn.EndOthers(r.Context(), who.manage(r, body))
	if err != nil {
		fail(w, r, err)
		return
	}
	httpd.WriteJSON(w, r, http.StatusOK, map[string]int{"ended": n})
}
