// Package accounthttp is the account API (/account/v1): what an app shows a person about their own account, and what the
// person may change there. It takes only tokens whose audience is the issuer, so that an app server that was handed a
// person's token can do none of this (DESIGN section 4). It decodes, calls one rule and encodes; no rule lives here.
package accounthttp

import (
	"context"
	"net/http"

	"github.com/countersign/countersign/internal/bearer"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/signin"
	"github.com/countersign/countersign/internal/store"
)

// Door serves it. Its fields are set by app.
type Door struct {
	Issuer string
	DB     *store.DB
	Bearer *bearer.Service
	SignIn *signin.Service
	Client func(ctx context.Context, id string) (*domain.Client, error) // nil: there is none
}

// Either scope reads; only account.manage changes.
var (
	reads   = []string{oauth.ScopeAccountRead, oauth.ScopeAccountManage}
	changes = []string{oauth.ScopeAccountManage}
)

// Routes is the door's table.
func (d *Door) Routes() []httpd.Route {
	route := func(method, path string, scopes []string, h handler) httpd.Route {
		return httpd.Route{Method: method, Path: path, Handler: d.guard(scopes, h), DPoP: true}
	}
	return []httpd.Route{
		route(http.MethodGet, "/account/v1", reads, d.account),
		route(http.MethodGet, "/account/v1/profile", reads, d.profile),
		route(http.MethodPut, "/account/v1/profile", changes, d.editProfile),
		route(http.MethodGet, "/account/v1/consents", reads, d.consents),
		route(http.MethodDelete, "/account/v1/consents/{client_id}", changes, d.withdraw),
		route(http.MethodGet, "/account/v1/sessions", reads, d.sessions),
		route(http.MethodDelete, "/account/v1/sessions", changes, d.endOthers),
		route(http.MethodDelete, "/account/v1/sessions/{id}", changes, d.endSession),
		route(http.MethodGet, "/account/v1/identities", reads, d.identities),
		route(http.MethodPost, "/account/v1/identities", changes, d.link),
		route(http.MethodDelete, "/account/v1/identities/{id}", changes, d.unlink),
	}
}
