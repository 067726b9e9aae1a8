package accounthttp

import (
	"net/http"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
)

// profile is GET /account/v1/profile.
func (d *Door) profile(w http.ResponseWriter, r *http.Request, who caller) {
	row, err := d.DB.Profile(r.Context(), who.session.AccountID)
	if err != nil {
		fail(w, r, oauth.Unavailable(err))
		return
	}
	httpd.WriteJSON(w, r, http.StatusOK, row.Profile)
}

// editProfile is PUT /account/v1/profile: it replaces all a person may say. Whether a phone number is theirs they may not.
func (d *Door) editProfile(w http.ResponseWriter, r *http.Request, who caller) {
	var body domain.Details
	if err := httpd.DecodeJSON(r, &body, false); err != nil {
		fail(w, r, err)
		return
	}
	p, err := d.SignIn.EditOwnProfile(r.Context(), who.manage(r, proof{}), body)
	if err != nil {
		fail(w, r, err)
		return
	}
	httpd.WriteJSON(w, r, http.StatusOK, p)
}

// consentBody is what the person agreed that a client may have.
type consentBody struct {
	ClientID   string    `json:"client_id"`
	ClientName string    `json:"client_name,omitempty"`
	Scope      string    `json:"scope"`
	Resources  []string  `json:"resources"`
	GrantedAt  time.Time `json:"granted_at"`
}

func (d *Door) consents(w http.ResponseWriter, r *http.Request, who caller) {
	list, err := d.DB.Consents(r.Context(), who.session.AccountID)
	if err != nil {
		fail(w, r, oauth.Unavailable(err))
		return
	}
	out := make([]consentBody, 0, len(list))
	for _, c := range list {
		name, err := d.clientName(r.Context(), c.ClientID)
		if err != nil {
			fail(w, r, err)
			return
		}
		out = append(out, consentBody{
			ClientID: c.ClientID, ClientName: name, Scope: oauth.JoinScope(c.Scope),
			Resources: append([]string{}, c.Resources...), GrantedAt: c.GrantedAt.UTC(),
		})
	}
	httpd.WriteJSON(w, r, http.StatusOK, map[string]any{"consents": out})
}

func (d *Door) withdraw(w http.ResponseWriter, r *http.Request, who caller) {
	var body proof
	if err := httpd.DecodeJSON(r, &body, true); err != nil {
		fail(w, r, err)
		return
	}
	if err := d.SignIn.WithdrawConsent(r.Context(), who.manage(r, body), oauth.FromSegment(r.PathValue("client_id"))); err != nil {
		fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
