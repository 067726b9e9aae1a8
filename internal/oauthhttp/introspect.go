package oauthhttp

import (
	"io"
	"net/http"
	"strconv"

	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
)

// introspect is POST /introspect (RFC 7662), for app servers about tokens of their own audience. Whoever accepts it gets
// the answer signed (RFC 9701).
func (d *Door) introspect(w http.ResponseWriter, r *http.Request) {
	form, err := httpd.DecodeForm(r)
	if err != nil {
		refuse(w, r, err)
		return
	}
	resource, err := d.Clients.Resource(r.Context(), credentials(r, form))
	if err != nil {
		refuse(w, r, err)
		return
	}
	token := form.Get("token")
	if token == "" {
		refuse(w, r, errNoToken)
		return
	}
	answer, err := d.Tokens.Introspect(r.Context(), resource, token)
	if err != nil {
		refuse(w, r, err)
		return
	}
	if !httpd.Prefers(r, mediaIntrospection, "application/json") {
		httpd.WriteJSON(w, r, http.StatusOK, answer)
		return
	}
	signed, err := d.Tokens.MintIntrospection(d.DB.Now(), resource, answer)
	if err != nil {
		refuse(w, r, err)
		return
	}
	writeSigned(w, mediaIntrospection, signed)
}

// mediaIntrospection is what an app server accepts that wants the answer signed (RFC 9701 §4).
const mediaIntrospection = "application/token-introspection+jwt"

// writeSigned writes a JWT as the whole answer.
func writeSigned(w http.ResponseWriter, mediaType, token string) {
	h := w.Header()
	h["Content-Type"] = []string{mediaType}
	h["Content-Length"] = []string{strconv.Itoa(len(token))}
	w.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(w, token) //nolint:gosec // G705: a JWT of ours, of a type no browser shows; a client that is gone cannot be told
}

// revoke is POST /revoke (RFC 7009). token_type_hint is not needed: what a token is can be seen from it.
func (d *Door) revoke(w http.ResponseWriter, r *http.Request) {
	form, client, err := d.sender(r, nil)
	if err != nil {
		refuse(w, r, err)
		return
	}
	token := form.Get("token")
	if token == "" {
		refuse(w, r, errNoToken)
		return
	}
	if err := d.Tokens.Revoke(r.Context(), client, token); err != nil {
		refuse(w, r, err)
		return
	}
	w.WriteHeader(http.StatusOK) // RFC 7009 §2.2: the body says nothing
}

var errNoToken = oauth.E(oauth.InvalidRequest, "token is missing.")
