package accounthttp

import (
	"net/http"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/signin"
)

// accountBody is the account as its owner sees it.
type accountBody struct {
	ID        string    `json:"id"` // the sub of its tokens
	CreatedAt time.Time `json:"created_at"`
	SessionID string    `json:"session_id"` // the one this request is made with
	ClientID  string    `json:"client_id"`
}

// identityBody is one way to sign in.
type identityBody struct {
	ID            string    `json:"id"`
	Provider      string    `json:"provider"`
	Email         string    `json:"email,omitempty"`
	EmailVerified bool      `json:"email_verified"`
	Name          string    `json:"name,omitempty"`
	CreatedAt     time.Time `json:"created_at"`
	LastUsedAt    time.Time `json:"last_used_at"`
}

// proof is the fresh proof of who is there that any change may carry (DESIGN section 4).
type proof struct {
	ReauthToken        string `json:"reauth_token"`
	ReauthNonce        string `json:"reauth_nonce"`
	ReauthProviderCode string `json:"reauth_provider_code"` // where the token has a c_hash: Apple's. It is not redeemed
}

// linkBody is what POST /account/v1/identities takes: the evidence of a sign-in, under the names /token has for it.
type linkBody struct {
	SubjectToken string `json:"subject_token"`
	Nonce        string `json:"nonce"`
	ProviderCode string `json:"provider_code"`
	User         string `json:"user"`

	proof
}

func (p proof) evidence() *signin.Evidence {
	if p == (proof{}) {
		return nil
	}
	return &signin.Evidence{SubjectToken: p.ReauthToken, Nonce: p.ReauthNonce, ProviderCode: p.ReauthProviderCode}
}

func (d *Door) account(w http.ResponseWriter, r *http.Request, who caller) {
	a, err := d.DB.Account(r.Context(), who.session.AccountID)
	if err != nil {
		fail(w, r, oauth.Unavailable(err))
		return
	}
	httpd.WriteJSON(w, r, http.StatusOK, accountBody{
		ID: who.token.Subject, CreatedAt: a.CreatedAt.UTC(), SessionID: who.session.ID.String(), ClientID: who.client.ID,
	})
}

func (d *Door) identities(w http.ResponseWriter, r *http.Request, who caller) {
	list, err := d.DB.Identities(r.Context(), who.session.AccountID)
	if err != nil {
		fail(w, r, oauth.Unavailable(err))
		return
	}
	out := make([]identityBody, 0, len(list))
	for i := range list {
		out = append(out, show(&list[i]))
	}
	httpd.WriteJSON(w, r, http.StatusOK, map[string]any{"identities": out})
}

func (d *Door) link(w http.ResponseWriter, r *http.Request, who caller) {
	var body linkBody
	if err := httpd.DecodeJSON(r, &body, false); err != nil {
		fail(w, r, err)
		return
	}
	identity, added, err := d.SignIn.Link(r.Context(), who.manage(r, body.proof), signin.Evidence{
		SubjectToken: body.SubjectToken, Nonce: body.Nonce, ProviderCode: body.ProviderCode, User: body.User,
	})
	if err != nil {
		fail(w, r, err)
		return
	}
	status := http.StatusOK // it was there already
	if added {
		status = http.StatusCreated
	}
	httpd.WriteJSON(w, r, status, show(identity))
}

func (d *Door) unlink(w http.ResponseWriter, r *http.Request, who caller) {
	var body proof
	if err := httpd.DecodeJSON(r, &body, true); err != nil {
		fail(w, r, err)
		return
	}
	var id domain.IdentityID
	if err := id.UnmarshalText([]byte(r.PathValue("id"))); err != nil {
		fail(w, r, &signin.Refusal{Reason: signin.NotFound, Detail: "There is no such identity on this account."})
		return
	}
	if err := d.SignIn.Unlink(r.Context(), who.manage(r, body), id); err != nil {
		fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func show(i *domain.Identity) identityBody {
	return identityBody{
		ID: i.ID.String(), Provider: i.Provider, Email: i.Email, EmailVerified: i.EmailVerified, Name: i.Name,
		CreatedAt: i.CreatedAt.UTC(), LastUsedAt: i.LastUsedAt.UTC(),
	}
}
