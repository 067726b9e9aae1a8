package oauthhttp

import (
	"errors"
	"net/http"
	"slices"

	"github.com/countersign/countersign/internal/bearer"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/token"
)

// userInfo is GET and POST /userinfo (OIDC Core §5.3): any live token of ours with openid, whatever its audience.
func (d *Door) userInfo(w http.ResponseWriter, r *http.Request) {
	asked := bearer.Request{
		Authorization: r.Header["Authorization"], Proofs: r.Header["Dpop"],
		Method: r.Method, URL: httpd.Base(r, d.Issuer) + pathUserInfo, HasQueryToken: r.URL.Query().Has("access_token"),
		Certificates: httpd.Certificates(r),
	}
	var err error
	if asked.FormToken, err = tokenInForm(r); err != nil && !asked.HasQueryToken {
		httpd.BearerError(w, r, err)
		return
	}
	tok, session, err := d.Bearer.Authenticate(r.Context(), asked)
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
	claims, err := d.Tokens.PersonClaims(r.Context(), token.Person{
		AccountID: session.AccountID, IdentityID: session.IdentityID, Scope: tok.Scope, Asked: session.Claims,
	})
	if err != nil {
		httpd.BearerError(w, r, err)
		return
	}
	if claims == nil {
		claims = map[string]any{}
	}
	claims["sub"] = tok.Subject // as the client knows the account
	d.writeUserInfo(w, r, session.ClientID, claims)
}

// writeUserInfo answers as JSON, or signed where the client is registered for that (OIDC Core §5.3.2).
func (d *Door) writeUserInfo(w http.ResponseWriter, r *http.Request, clientID string, claims map[string]any) {
	client, err := d.Clients.Named(r.Context(), clientID)
	if err != nil {
		httpd.BearerError(w, r, err)
		return
	}
	if client == nil || client.UserInfoAlg == "" {
		httpd.WriteJSON(w, r, http.StatusOK, claims)
		return
	}
	signed, err := d.Tokens.MintUserInfo(client, claims)
	if err != nil {
		httpd.BearerError(w, r, err)
		return
	}
	writeSigned(w, "application/jwt", signed)
}

var errNoOpenID = &oauth.Error{
	Code: oauth.InsufficientScope, Description: "The access token lacks the scope openid.", Scope: oauth.ScopeOpenID,
}

// tokenInForm finds an access token in the body of a POST (RFC 6750 §2.2); nil: there is none. A body is read only as a
// form.
func tokenInForm(r *http.Request) (*string, error) {
	if r.Method != http.MethodPost || r.ContentLength == 0 {
		return nil, nil
	}
	form, err := httpd.DecodeForm(r)
	if err != nil || !form.Has("access_token") {
		return nil, err
	}
	text := form.Get("access_token")
	return &text, nil
}
