package pages

import (
	"net/http"
	"strings"

	"github.com/countersign/countersign/internal/flow"
	"github.com/countersign/countersign/internal/httpd"
)

// logout is GET /logout (RP-Initiated Logout 1.0 §2).
func (d *Door) logout(w http.ResponseWriter, r *http.Request) {
	form, err := httpd.DecodeParameters(r)
	if err != nil {
		d.Fail(w, r, err)
		return
	}
	bye, err := d.Flow.Logout(r.Context(), form, d.visitor(r))
	if err != nil {
		d.Fail(w, r, err)
		return
	}
	if bye.Confirm != nil {
		d.Look.Render(w, r, http.StatusOK, d.confirmLogout(r, bye))
		return
	}
	d.signedOut(w, r, bye)
}

// confirmLogout is the page that asks.
func (d *Door) confirmLogout(r *http.Request, bye *flow.Farewell) Page {
	p := LogoutConfirm{Common: Common{Client: d.clientView(bye.Client, bye.Back)}, Account: bye.Confirm.Account, Clients: bye.Confirm.Clients}
	p.Lang = d.Look.Language(bye.Locales, r.Header.Get("Accept-Language"))
	if to := bye.Confirm.Return; to != "" {
		// The client may send the browser on to another host of its: browsers hold that to the form's policy too.
		if strings.HasPrefix(to, "https:") {
			to = "https:"
		}
		p.FormTargets = []string{to}
	}
	for _, param := range bye.Confirm.Carried {
		p.Fields = append(p.Fields, Field(param))
	}
	return p
}

// signedOut takes the cookie away and sends the browser where it may go.
func (d *Door) signedOut(w http.ResponseWriter, r *http.Request, bye *flow.Farewell) {
	d.setCookies(w, &flow.Outcome{SignedOut: true})
	if bye.Back != "" {
		p := LogoutDone{Common: Common{Client: d.clientView(bye.Client, bye.Back)}, ReturnURL: bye.Back}
		p.Lang = d.Look.Language(bye.Locales, r.Header.Get("Accept-Language"))
		d.Look.Render(w, r, http.StatusOK, p)
		return
	}
	to := pathLogoutDone
	if bye.Return != "" {
		to = bye.Return
	}
	w.Header()["Location"] = []string{to}
	w.WriteHeader(http.StatusSeeOther)
}

// postedLogout is POST /logout: our own form, or a client's. A client's comes without our cookies and is asked again by
// GET, with them.
func (d *Door) postedLogout(w http.ResponseWriter, r *http.Request) {
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	foreign := site == "" && origin != "" && origin != "null" && origin != d.Issuer // an older browser
	if site == "cross-site" || site == "same-site" || foreign {
		d.askByGet(w, r, pathLogout)
		return
	}
	form, err := httpd.DecodeParameters(r)
	if err != nil {
		d.Fail(w, r, err)
		return
	}
	switch form.Get("action") {
	case "confirm":
		bye, err := d.Flow.ConfirmedLogout(r.Context(), form, d.visitor(r))
		if err != nil {
			d.Fail(w, r, err)
			return
		}
		d.signedOut(w, r, bye)
	case "cancel":
		http.Redirect(w, r, pathLogoutDone+"?kept=1", http.StatusSeeOther)
	default:
		d.repeat(w, r, pathLogout, form)
	}
}

// loggedOut is GET /logout/done.
func (d *Door) loggedOut(w http.ResponseWriter, r *http.Request) {
	d.Look.Render(w, r, http.StatusOK, LogoutDone{Kept: r.URL.RawQuery == "kept=1"})
}
