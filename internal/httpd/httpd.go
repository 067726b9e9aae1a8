// Package httpd is what all doors share: routes in one table, middleware (id, caps, deadline, event, no-store), strict
// form and JSON decoding, error writers, rate limits. No rule lives here.
package httpd

import (
	"log/slog"
	"net/http"
	"time"
)

// Route is one line of a door's table.
type Route struct {
	Method  string
	Path    string // ServeMux pattern without method
	Handler http.HandlerFunc
	CORS    bool // answers browser clients' origins
}

// Options of the middleware.
type Options struct {
	Log            *slog.Logger
	Observe        func(route string, status int, took time.Duration) // metrics
	Host           string                                             // only this Host is answered in dev mode; "" answers any
	MaxBody        int64                                              // zero: 64 KiB
	Deadline       time.Duration                                      // zero: 10 s
	InFlight       int                                                // zero: 512; beyond it requests wait at most 100 ms, then 503
	Origin         func(origin string) bool                           // for CORS routes
	DPoPNonce      func() string                                      // put on every answer of a route, if set
	TrustedProxies []string                                           // CIDRs whose X-Forwarded-For is believed
}

// Handler builds one listener's handler from the doors' tables. Wrong methods are 405 with Allow, unknown paths 404.
func Handler(o Options, tables ...[]Route) http.Handler { panic("unbuilt") }

// Form is a strictly decoded form body (RFC 6749 §3.1, §3.2): application/x-www-form-urlencoded only, nothing in the
// query, no duplicates except the names allowed to repeat, empty is absent, at most 64 keys.
type Form struct{ values map[string][]string }

// DecodeForm reads the body. The error is an *oauth.Error (or a 413/415 through StatusError).
func DecodeForm(r *http.Request, repeatable ...string) (Form, error) { panic("unbuilt") }

// Get returns the value or "".
func (f Form) Get(name string) string { panic("unbuilt") }

// All returns the values of a repeatable field.
func (f Form) All(name string) []string { panic("unbuilt") }

// Has tells whether the field was in the body at all, even empty.
func (f Form) Has(name string) bool { panic("unbuilt") }

// DecodeJSON reads a JSON body strictly into v: unknown and duplicate fields, trailing data and over 32 levels are
// refused; an empty body leaves v alone if optional.
func DecodeJSON(r *http.Request, v any, optional bool) error { panic("unbuilt") }

// WriteJSON writes v with the status.
func WriteJSON(w http.ResponseWriter, r *http.Request, status int, v any) { panic("unbuilt") }

// OAuthError writes RFC 6749 §5.2 JSON; 401 carries WWW-Authenticate: Basic where basic is set.
func OAuthError(w http.ResponseWriter, r *http.Request, err error, basic bool) { panic("unbuilt") }

// BearerError writes a resource error: WWW-Authenticate with the scheme, error, max_age and DPoP algs
// (RFC 6750 §3, RFC 9449 §7.1, RFC 9470 §3). err nil means no credentials came: no error code.
func BearerError(w http.ResponseWriter, r *http.Request, err error) { panic("unbuilt") }

// Problem writes problem+json (RFC 9457), for the JSON APIs.
func Problem(w http.ResponseWriter, r *http.Request, status int, typ, title, detail string) {
	panic("unbuilt")
}
