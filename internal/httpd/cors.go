package httpd

import (
	"net/http"
	"strings"

	"github.com/countersign/countersign/internal/oauth"
)

// What a browser client may send beyond the safe-listed headers, and read of our answers. Credentials (cookies) are
// never allowed: an access token in a header is all a browser client has.
const (
	corsRequestHeaders  = "Authorization, Content-Type, DPoP"
	corsResponseHeaders = "DPoP-Nonce, WWW-Authenticate, Retry-After"
	corsMaxAge          = "600"
)

// crossOrigin adds what a registered origin may read, and answers the preflight itself. It reports whether the
// request is answered.
func (p *place) crossOrigin(x *exchange, r *http.Request) bool {
	h := x.Header()
	h["Vary"] = []string{"Origin"}
	origin := r.Header.Get("Origin")
	allowed := origin != "" && origin != "null" && p.Origin != nil && p.Origin(origin)
	if allowed {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", corsResponseHeaders)
	}
	if r.Method != http.MethodOptions {
		return false
	}
	if !allowed {
		p.refuse(x, r, &StatusError{
			Status: http.StatusForbidden,
			Err:    oauth.E(oauth.InvalidRequest, "This origin is not registered. Add it to the origins of a browser client."),
		})
		return true
	}
	h.Set("Access-Control-Allow-Methods", strings.TrimSuffix(p.allow, ", "+http.MethodOptions))
	h.Set("Access-Control-Allow-Headers", corsRequestHeaders)
	h.Set("Access-Control-Max-Age", corsMaxAge)
	x.WriteHeader(http.StatusNoContent)
	return true
}
