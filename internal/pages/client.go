package pages

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
)

// clientView is what people see of a client; nil shows nobody.
func clientView(c *domain.Client) ClientView {
	if c == nil {
		return ClientView{}
	}
	v := ClientView{
		Name: c.DisplayName(), HomeURL: c.HomeURI, PolicyURL: c.PolicyURI, TermsURL: c.TermsURI, FirstParty: c.FirstParty,
	}
	if len(c.Logo) > 0 {
		v.LogoURL = "/logo/" + url.PathEscape(c.ID) + "?v=" + logoVersion(c)
	}
	return v
}

func logoVersion(c *domain.Client) string {
	sum := sha256.Sum256(c.Logo)
	return hex.EncodeToString(sum[:4])
}

// logo serves a client's picture from here, so that nobody else learns who signs in. A picture can carry script (SVG):
// opened by itself it may do nothing.
func (d *Door) logo(w http.ResponseWriter, r *http.Request) {
	c, err := d.Client(r.Context(), r.PathValue("client"))
	if err != nil {
		httpd.OAuthError(w, r, err, false)
		return
	}
	if c == nil || len(c.Logo) == 0 {
		httpd.OAuthError(w, r, &httpd.StatusError{Status: http.StatusNotFound, Err: oauth.E(oauth.InvalidRequest, "There is no such picture.")}, false)
		return
	}
	h := w.Header()
	h.Set("Content-Type", c.LogoType)
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'")
	h.Set("Cache-Control", "public, max-age=3600")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(c.Logo)
}
