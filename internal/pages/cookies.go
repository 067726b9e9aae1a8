package pages

import (
	"net/http"
	"strings"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/flow"
	"github.com/countersign/countersign/internal/httpd"
)

// The cookies. With the prefix a browser takes them from this very host over TLS only, so that no neighbour in the domain
// can plant one (ATTACKS SE02). On a plain http issuer, which is on loopback, browsers would refuse them.
const (
	tripCookie   = "cs_flow_"   // and the beginning of a flow's id: binds the trip to the browser that began it
	signOnCookie = "cs_session" // single sign-on
	knownCookie  = "cs_known"   // an address was proved in this browser: strangers' tries do not count against it
	hostPrefix   = "__Host-"

	tripSeconds = 31 * 60 // a little longer than the trip may take, so that it is told apart from one of another browser

	signOnSeconds = 30 * 24 * 60 * 60 // the row decides; this is only how long the browser keeps it
	knownSeconds  = 365 * 24 * 60 * 60
)

func (d *Door) secure() bool { return strings.HasPrefix(d.Issuer, "https://") }

func (d *Door) cookieName(name string) string {
	if d.secure() {
		return hostPrefix + name
	}
	return name
}

func (d *Door) visitor(r *http.Request) flow.Visitor {
	return flow.Visitor{
		Secret: func(id domain.FlowID) string { return d.cookie(r, tripCookieOf(id)) }, SignOn: d.cookie(r, signOnCookie),
		Known: d.cookie(r, knownCookie), IP: httpd.LimitKey(r), AcceptLanguage: r.Header.Get("Accept-Language"), Agent: r.Header.Get("User-Agent"),
	}
}

// cookie reads one that came once; of two, nobody knows whose is whose.
func (d *Door) cookie(r *http.Request, name string) string {
	found := r.CookiesNamed(d.cookieName(name))
	if len(found) != 1 || len(found[0].Value) > 256 {
		return ""
	}
	return found[0].Value
}

// tripCookieOf tells the trips of one browser apart.
func tripCookieOf(id domain.FlowID) string {
	return tripCookie + strings.TrimPrefix(id.String(), "flw_")[:8]
}

func (d *Door) setCookies(w http.ResponseWriter, out *flow.Outcome) {
	if out.NewVisitor != "" {
		d.setCookie(w, tripCookieOf(out.Began), out.NewVisitor, tripSeconds)
	}
	switch {
	case out.NewSignOn != "":
		d.setCookie(w, signOnCookie, out.NewSignOn, signOnSeconds)
	case out.SignedOut:
		d.setCookie(w, signOnCookie, "", -1)
	}
	if out.NewKnown != "" {
		d.setCookie(w, knownCookie, out.NewKnown, knownSeconds)
	}
}

func (d *Door) setCookie(w http.ResponseWriter, name, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // G124: it is Secure wherever the issuer is https
		Name: d.cookieName(name), Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: d.secure(), SameSite: http.SameSiteLaxMode,
	})
}
