package pages

import (
	"net/http"

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
		p := LogoutConfirm{Common: Common{Client: clientView(bye.Client)}, Account: bye.Confirm.Account}
		p.Lang = d.Look.Language(bye.Locales, r.Header.Get("Accept-Language"))
		d.Look.Render(w, r, http.StatusOK, p)
		return
	}
	d.setCookies(w, &flow.Outcome{SignedOut: true})
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
	site := r.Header.Get("Sec-Fetch-Site")
	if site == "cross-site" || site == "same-site" {
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
		if err := d.Flow.ConfirmedLogout(r.Context(), d.visitor(r)); err != nil {
			d.Fail(w, r, err)
			return
		}
		d.setCookies(w, &flow.Outcome{SignedOut: true})
		http.Redirect(w, r, pathLogoutDone, http.StatusSeeOther)
	case "cancel":
		d.Look.Render(w, r, http.StatusOK, LogoutDone{Kept: true})
	default:
		d.repeat(w, r, form)
	}
}

// repeat sends what a client posted back as a GET.
func (d *Door) repeat(w http.ResponseWriter, r *http.Request, form httpd.Form) {
	var params []flow.Param
	form.Pairs(func(name, value string) { params = append(params, flow.Param{Name: name, Value: value}) })
	http.Redirect(w, r, flow.AddToQuery(pathLogout, params...), http.StatusSeeOther)
}

// loggedOut is GET /logout/done.
func (d *Door) loggedOut(w http.ResponseWriter, r *http.Request) {
	d.Look.Render(w, r, http.StatusOK, LogoutDone{})
}
