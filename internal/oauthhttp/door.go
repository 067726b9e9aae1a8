// Package oauthhttp is the door of the protocol endpoints: it decodes strictly, calls one rule and encodes. What is
// true of an answer is decided below; what an answer looks like is decided here.
package oauthhttp

import (
	"net/http"

	"github.com/countersign/countersign/internal/bearer"
	"github.com/countersign/countersign/internal/clientauth"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/flow"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/registration"
	"github.com/countersign/countersign/internal/signin"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/token"
)

// Door is the protocol endpoints. Its fields are set by app.
type Door struct {
	Issuer  string
	DB      *store.DB
	Keys    *keyring.Ring
	Clients *clientauth.Service
	Grant   *grant.Service
	SignIn  *signin.Service
	Tokens  *token.Service
	Bearer  *bearer.Service
	Flow    *flow.Service          // of devices
	Locales []string               // of the pages, for metadata
	MTLS    MutualTLS              // for metadata
	Catalog func() *domain.Catalog // the same; nil: an empty one

	Registration *registration.Service // nil: no client registers itself

	jwks      publishedKeys
	described publishedMetadata
}

// The paths, as metadata names them below the issuer.
const (
	pathToken      = "/token"
	pathChallenge  = "/challenge"
	pathIntrospect = "/introspect"
	pathRevoke     = "/revoke"
	pathUserInfo   = "/userinfo"
	pathJWKS       = "/jwks"
	pathOpenID     = "/.well-known/openid-configuration"
	pathOAuth      = "/.well-known/oauth-authorization-server" // RFC 8414 §3
	pathDevice     = "/device_authorization"                   // RFC 8628 §3.1
	pathPAR        = "/par"                                    // RFC 9126 §2
	pathHealth     = "/health"
)

// Routes is the door's table.
func (d *Door) Routes() []httpd.Route {
	return append(d.registrationRoutes(), []httpd.Route{
		{Method: http.MethodPost, Path: pathToken, Handler: d.token, CORS: true, DPoP: true},
		{Method: http.MethodPost, Path: pathChallenge, Handler: d.challenge, CORS: true, DPoP: true},
		{Method: http.MethodPost, Path: pathPAR, Handler: d.push, CORS: true, DPoP: true},
		{Method: http.MethodPost, Path: pathDevice, Handler: d.deviceAuthorization},
		{Method: http.MethodPost, Path: pathIntrospect, Handler: d.introspect},
		{Method: http.MethodPost, Path: pathRevoke, Handler: d.revoke, CORS: true},
		{Method: http.MethodGet, Path: pathUserInfo, Handler: d.userInfo, CORS: true, DPoP: true},
		{Method: http.MethodPost, Path: pathUserInfo, Handler: d.userInfo, CORS: true, DPoP: true},
		{Method: http.MethodGet, Path: pathJWKS, Handler: d.keys, CORS: true},
		{Method: http.MethodGet, Path: pathOpenID, Handler: d.describe, CORS: true},
		{Method: http.MethodGet, Path: pathOAuth, Handler: d.describe, CORS: true},
		{Method: http.MethodGet, Path: oauth.ProtectedResourcePath, Handler: d.protectedResource().serve, CORS: true},
		{Method: http.MethodGet, Path: pathHealth, Handler: health},
	}...)
}

// credentials hands over what may authenticate the caller, as it came.
func credentials(r *http.Request, f httpd.Form) clientauth.Credentials {
	shown := httpd.Certificates(r)
	c := clientauth.Credentials{
		Authorization: r.Header["Authorization"],
		ClientID:      f.Get("client_id"),
		ClientSecret:  f.Get("client_secret"),
		HasSecret:     f.Get("client_secret") != "", // TK02: empty is absent
		Assertion:     f.Get("client_assertion"),
		AssertionType: f.Get("client_assertion_type"),
		IP:            httpd.LimitKey(r),
	}
	if len(shown) > 0 {
		c.Certificate, c.Intermediates = shown[0], shown[1:]
	}
	return c
}

// beginning says that the request may be a client's first, whose document is then read.
func beginning(c clientauth.Credentials) clientauth.Credentials {
	c.Begins = true
	return c
}

// sender decodes the form of a request and authenticates the client that sent it. as changes what the credentials are taken
// for; nil: nothing.
func (d *Door) sender(r *http.Request, as func(clientauth.Credentials) clientauth.Credentials, repeatable ...string) (httpd.Form, *domain.Client, error) {
	form, err := httpd.DecodeForm(r, repeatable...)
	if err != nil {
		return form, nil, err
	}
	c := credentials(r, form)
	if as != nil {
		c = as(c)
	}
	client, err := d.Clients.Client(r.Context(), c)
	return form, client, err
}

// refuse writes an error of an endpoint that authenticates clients.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	httpd.OAuthError(w, r, err, true)
}

// health says that the process answers; whether it is ready is the private listener's to say.
func health(w http.ResponseWriter, r *http.Request) {
	httpd.WriteJSON(w, r, http.StatusOK, map[string]string{"status": "ok"})
}
