package accounthttp

import (
	"errors"
	"net/http"
	"slices"

	"github.com/countersign/countersign/internal/accesstoken"
	"github.com/countersign/countersign/internal/bearer"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/signin"
)

// caller is a person on a device: a checked token and its live session.
type caller struct {
	token   *accesstoken.Token
	session *domain.SessionView
	client  *domain.Client
}

type handler func(w http.ResponseWriter, r *http.Request, who caller)

// guard lets through who holds one of the scopes, of which the first is the least.
func (d *Door) guard(scopes []string, next handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, err := d.authenticate(r)
		switch {
		case errors.Is(err, bearer.ErrNoCredentials):
			httpd.BearerError(w, r, nil)
		case err != nil:
			httpd.BearerError(w, r, err)
		case !slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(who.token.Scope, s) }):
			httpd.BearerError(w, r, d.lacks(scopes[0]))
		default:
			next(w, r, who)
		}
	}
}

func (d *Door) lacks(scope string) error {
	e := oauth.E(oauth.InsufficientScope, "This needs the scope "+scope+", asked for at sign-in with resource="+d.Issuer+".")
	e.Scope = scope
	return e
}

func (d *Door) authenticate(r *http.Request) (caller, error) {
	token, session, err := d.Bearer.Authenticate(r.Context(), bearer.Request{
		Authorization: r.Header.Values("Authorization"),
		Proofs:        r.Header.Values("DPoP"),
		Method:        r.Method,
		URL:           httpd.Base(r, d.Issuer) + r.URL.EscapedPath(),
		Certificates:  httpd.Certificates(r),
		HasQueryToken: r.URL.Query().Has("access_token"),
		Audience:      []string{d.Issuer},
	})
	if err != nil {
		return caller{}, err
	}
	if session == nil {
		return caller{}, oauth.E(oauth.InvalidToken, "This token belongs to a client and to no person. Sign a person in first.")
	}
	client, err := d.Client(r.Context(), session.ClientID)
	if err != nil {
		return caller{}, err
	}
	if client == nil {
		return caller{}, oauth.E(oauth.InvalidToken, "The client of this token is no longer configured.")
	}
	return caller{token: token, session: session, client: client}, nil
}

// manage is what the rules ask about a caller who wants a change.
func (who *caller) manage(r *http.Request, p proof) signin.Manage {
	return signin.Manage{
		Client: who.client, Session: who.session, JKT: who.token.JKT, IP: httpd.LimitKey(r),
		AuthTime: who.token.AuthTime, Reauth: p.evidence(),
	}
}

// fail writes a rule's error: a challenge for what a better token would solve, a problem for the rest.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	var refused *signin.Refusal
	if errors.As(err, &refused) {
		status, title := http.StatusConflict, "The account cannot be changed like this"
		if refused.Reason == signin.NotFound {
			status, title = http.StatusNotFound, "Not on this account"
		}
		httpd.Problem(w, r, status, "urn:countersign:problem:"+string(refused.Reason), title, refused.Detail)
		return
	}
	switch oauth.AsError(err).Code {
	case oauth.InsufficientUserAuth, oauth.InvalidToken:
		httpd.BearerError(w, r, err)
	default:
		httpd.ProblemError(w, r, err)
	}
}
