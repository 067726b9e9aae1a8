package pages

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
)

// clientView is what people see of a client, and of the address they return to; nil shows nobody.
func (d *Door) clientView(c *domain.Client, returns string) ClientView {
	if c == nil {
		return ClientView{}
	}
	v := ClientView{
		Name: c.DisplayName(), HomeURL: c.HomeURI, PolicyURL: c.PolicyURI, TermsURL: c.TermsURI, FirstParty: c.FirstParty,
	}
	if len(c.Logo) > 0 {
		v.LogoURL = "/logo/" + url.PathEscape(oauth.Segment(c.ID)) + "?v=" + logoVersion(c)
	}
	if c.Unverified() {
		v.FirstParty = false
		v.Unverified = unverified(c, returns)
		v.Unverified.Server, _ = hostOf(d.Issuer)
	}
	return v
}

// unverified says of a client that nobody answers for what it cannot choose freely: the hosts that are its own (ATTACKS
// RG06).
func unverified(c *domain.Client, returns string) *Unverified {
	u := &Unverified{}
	if c.Registered == domain.RegisteredByDocument {
		u.Document, _ = hostOf(c.ID)
	}
	if returns != "" {
		u.Returns, u.App = hostOf(returns)
	}
	return u
}

// hostOf is who an address leads to: a host, or an app on this device (RFC 8252 §7). No letter of another alphabet can pass
// for one of ours: what is not ASCII is shown escaped.
func hostOf(address string) (host string, app bool) {
	if oauth.PrivateUse(address) {
		scheme, _, _ := strings.Cut(address, ":")
		return scheme, true
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", false
	}
	name := strings.ToLower(u.Hostname())
	return url.PathEscape(name), oauth.LoopbackHost(name)
}

func logoVersion(c *domain.Client) string {
	sum := sha256.Sum256(c.Logo)
	return hex.EncodeToString(sum[:4])
}

// logo serves a client's picture from here, so that nobody else learns who signs in. A picture can carry script (SVG):
// opened by itself it may do nothing.
func (d *Door) logo(w http.ResponseWriter, r *http.Request) {
	c, err := d.Client(r.Context(), oauth.FromSegment(r.PathValue("client")))
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
