// Package adminhttp is the admin API (/admin/v1) on the private listener, for app servers and the command line: look an
// account up, see and end its sessions, disable it, rotate and drop signing keys, say who may register clients, read the audit trail. It takes API
// keys and nothing else, each route one scope; no route makes an API key, so that a key can never grant more than it
// has. It decodes, calls one rule and encodes.
package adminhttp

import (
	"net/http"

	"github.com/countersign/countersign/internal/apikey"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/signin"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/upstream"
)

// Door serves it. Its fields are set by app; it must not be copied after the first request.
type Door struct {
	DB        *store.DB
	APIKeys   *apikey.Service
	Ring      *keyring.Ring
	Providers *upstream.Set // knows the spellings of an issuer
	SignIn    *signin.Service

	// PerSecond bounds the requests of one API key; zero: 50; negative: no limit.
	PerSecond int

	pace pace
}

// entry is one line of the table: what a request needs and what it does.
type entry struct {
	method, path, scope string
	do                  action
}

func (d *Door) table() []entry {
	return []entry{
		{http.MethodGet, "/admin/v1/accounts", apikey.AccountsRead, d.accounts},
		{http.MethodGet, "/admin/v1/accounts/{id}", apikey.AccountsRead, d.account},
		{http.MethodGet, "/admin/v1/accounts/{id}/profile", apikey.AccountsRead, d.profile},
		{http.MethodPut, "/admin/v1/accounts/{id}/profile", apikey.AccountsWrite, d.editProfile},
		{http.MethodPost, "/admin/v1/accounts/{id}/disable", apikey.AccountsWrite, d.disableAccount},
		{http.MethodPost, "/admin/v1/accounts/{id}/enable", apikey.AccountsWrite, d.enableAccount},
		{http.MethodGet, "/admin/v1/accounts/{id}/sessions", apikey.SessionsRead, d.accountSessions},
		{http.MethodDelete, "/admin/v1/accounts/{id}/sessions", apikey.SessionsWrite, d.endAccountSessions},
		{http.MethodGet, "/admin/v1/sessions/{id}", apikey.SessionsRead, d.session},
		{http.MethodDelete, "/admin/v1/sessions/{id}", apikey.SessionsWrite, d.endSession},
		{http.MethodGet, "/admin/v1/keys", apikey.KeysRead, d.keys},
		{http.MethodPost, "/admin/v1/keys/rotate", apikey.KeysWrite, d.rotateKeys},
		{http.MethodDelete, "/admin/v1/keys/{kid}", apikey.KeysWrite, d.dropKey},
		{http.MethodGet, "/admin/v1/clients", apikey.ClientsRead, d.registeredClients},
		{http.MethodGet, "/admin/v1/clients/{id}", apikey.ClientsRead, d.registeredClient},
		{http.MethodDelete, "/admin/v1/clients/{id}", apikey.ClientsWrite, d.deleteClient},
		{http.MethodPost, "/admin/v1/clients/{id}/disable", apikey.ClientsWrite, d.disableClient},
		{http.MethodPost, "/admin/v1/clients/{id}/enable", apikey.ClientsWrite, d.enableClient},
		{http.MethodGet, "/admin/v1/registration-tokens", apikey.ClientsRead, d.registrationTokens},
		{http.MethodPost, "/admin/v1/registration-tokens", apikey.ClientsWrite, d.createRegistrationToken},
		{http.MethodDelete, "/admin/v1/registration-tokens/{id}", apikey.ClientsWrite, d.deleteRegistrationToken},
		{http.MethodGet, "/admin/v1/events", apikey.AuditRead, d.events},
	}
}

// Routes is the door's table.
func (d *Door) Routes() []httpd.Route {
	var routes []httpd.Route
	for _, e := range d.table() {
		routes = append(routes, httpd.Route{Method: e.method, Path: e.path, Handler: d.guard(e.scope, e.do)})
	}
	return routes
}
