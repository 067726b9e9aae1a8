package oauthhttp

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/countersign/countersign/internal/bearer"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
)

// userInfo is GET and POST /userinfo (OIDC Core §5.3): any live token of ours with openid, whatever its audience.
func (d *Door) userInfo(w http.ResponseWriter, r *http.Request) {
	elsewhere, err := tokenElsewhere(r)
	if err != nil {
		httpd.BearerError(w, r, err)
		return
	}
	tok, session, err := d.Bearer.Authenticate(r.Context(), bearer.Request{
		Authorization: r.Header["Authorization"], Proofs: r.Header["Dpop"],
		Method: r.Method, URL: d.Issuer + pathUserInfo, HasQueryToken: elsewhere,
	})
	switch {
	case errors.Is(err, bearer.ErrNoCredentials):
		httpd.BearerError(w, r, nil)
		return
	case err != nil:
		httpd.BearerError(w, r, err)
		return
	case session == nil || !slices.Contains(tok.Scope, oauth.ScopeOpenID):
		httpd.BearerError(w, r, errNoOpenID)
		return
	}
	answer, err := d.claims(r.Context(), tok.Scope, session)
	if err != nil {
		httpd.BearerError(w, r, err)
		return
	}
	httpd.WriteJSON(w, r, http.StatusOK, answer)
}

var errNoOpenID = &oauth.Error{
	Code: oauth.InsufficientScope, Description: "The access token lacks the scope openid.", Scope: oauth.ScopeOpenID,
}

// tokenElsewhere tells whether an access token came in the query or the body (RS09). A body is read only as a form.
func tokenElsewhere(r *http.Request) (bool, error) {
	if r.URL.Query().Has("access_token") {
		return true, nil
	}
	if r.Method != http.MethodPost || r.ContentLength == 0 {
		return false, nil
	}
	form, err := httpd.DecodeForm(r)
	return form.Has("access_token"), err
}

// userClaims is what a provider told us about the person (OIDC Core §5.1): information, never a key.
type userClaims struct {
	Sub           string `json:"sub"`
	Name          string `json:"name,omitempty"`
	Email         string `json:"email,omitempty"`
	EmailVerified *bool  `json:"email_verified,omitempty"`
}

func (d *Door) claims(ctx context.Context, scope []string, session *domain.SessionView) (*userClaims, error) {
	answer := &userClaims{Sub: session.AccountID.String()}
	profile, email := slices.Contains(scope, oauth.ScopeProfile), slices.Contains(scope, oauth.ScopeEmail)
	if !profile && !email {
		return answer, nil
	}
	identities, err := d.DB.Identities(ctx, session.AccountID)
	if err != nil {
		return nil, oauth.Unavailable(err)
	}
	identity := signedInWith(identities, session.IdentityID)
	if profile {
		answer.Name = identity.Name
	}
	if email && identity.Email != "" {
		answer.Email, answer.EmailVerified = identity.Email, &identity.EmailVerified
	}
	return answer, nil
}

// signedInWith is the identity that started the session; once that was unlinked, the account's oldest.
func signedInWith(identities []domain.Identity, id domain.IdentityID) domain.Identity {
	i := slices.IndexFunc(identities, func(x domain.Identity) bool { return x.ID == id })
	switch {
	case i >= 0:
		return identities[i]
	case len(identities) > 0:
		return identities[0]
	}
	return domain.Identity{}
}
