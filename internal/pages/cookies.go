package pages

import (
	"net/http"
	"strings"

	"github.com/countersign/countersign/internal/flow"
	"github.com/countersign/countersign/internal/httpd"
)

// The cookies. With the prefix a browser takes them from this very host over TLS only, so that no neighbour in the domain
// can plant one (ATTACKS SE02). On a plain http issuer, which is on loopback, browsers would refuse them.
const (
	visitorCookie = "cs_browser" // binds trips to the browser that began them
	signOnCookie  = "cs_session" // single sign-on
	hostPrefix    = "__Host-"

	signOnSeconds = 30 * 24 * 60 * 60 // the row decides; this is only how long the browser keeps it
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
		Secret: d.cookie(r, visitorCookie), SignOn: d.cookie(r, signOnCookie),
		IP: httpd.LimitKey(r), AcceptLanguage: r.Header.Get("Accept-Language"),
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

func (d *Door) setCookies(w http.ResponseWriter, out *flow.Outcome) {
	if out.NewVisitor != "" {
		d.setCookie(w, visitorCookie, out.NewVisitor, 0)
	}
	switch {
	case out.NewSignOn != "":
		d.setCookie(w, signOnCookie, out.NewSignOn, signOnSeconds)
	case out.SignedOut:
		d.setCookie(w, signOnCookie, "", -1)
	}
}

func (d *Door) setCookie(w http.ResponseWriter, name, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: d.cookieName(name), Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: d.secure(), SameSite: http.SameSiteLaxMode,
	})
}
