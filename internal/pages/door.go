package pages

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/flow"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
)

// Door is the endpoints people see. Its fields are set by app.
type Door struct {
	Issuer string
	Flow   *flow.Service
	Look   *Look
	Client func(ctx context.Context, id string) (*domain.Client, error) // nil: there is none
	Button func(provider string) (label, typ string)                    // how a provider is called, and whose mark it has
}

// The paths.
const (
	pathAuthorize  = "/authorize"
	pathLogin      = "/login"
	pathCode       = "/login/code"
	pathPasskey    = "/login/passkey"
	pathAddPasskey = "/login/add-passkey"
	pathStart      = "/federation/{provider}/start"
	pathCallback   = "/federation/{provider}/callback"
	pathConsent    = "/consent"
	pathDevice     = "/device"
	pathLogout     = "/logout"
	pathLogoutDone = "/logout/done"
	pathLogo       = "/logo/{client}"
)

// Routes is the door's table.
func (d *Door) Routes() []httpd.Route {
	get := func(path string, h http.HandlerFunc) httpd.Route {
		return httpd.Route{Method: http.MethodGet, Path: path, Handler: h, Page: true, NoHead: true}
	}
	post := func(path string, h http.HandlerFunc) httpd.Route {
		return httpd.Route{Method: http.MethodPost, Path: path, Handler: h, Page: true}
	}
	return append(d.Look.Routes(),
		get(pathAuthorize, d.authorize), post(pathAuthorize, d.postedAuthorize),
		get(pathLogin, d.login), post(pathLogin, d.ours(d.choose)),
		post(pathCode, d.ours(d.code)), post(pathPasskey, d.ours(d.passkey)), post(pathAddPasskey, d.ours(d.addPasskey)),
		post(pathStart, d.ours(d.start)), get(pathCallback, d.callback), post(pathCallback, d.postedCallback),
		post(pathConsent, d.ours(d.consent)),
		get(pathDevice, d.device), post(pathDevice, d.ours(d.enterCode)),
		get(pathLogout, d.logout), post(pathLogout, d.postedLogout), get(pathLogoutDone, d.loggedOut),
		httpd.Route{Method: http.MethodGet, Path: pathLogo, Handler: d.logo},
	)
}

// ours lets a form of our own pages through and nobody else's. What counts is the cookie a flow is bound to, which does
// not come with a request from another site; this refuses such a request before that, where the browser says so itself.
func (d *Door) ours(next func(http.ResponseWriter, *http.Request, httpd.Form)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
		foreign := site != "" && site != "same-origin" && site != "none"
		if site == "" && origin != "" && origin != "null" { // "null" is what no-referrer makes of our own
			foreign = origin != d.Issuer
		}
		if foreign {
			d.Fail(w, r, &httpd.StatusError{Status: http.StatusForbidden, Err: oauth.E(oauth.InvalidRequest, "This form was sent from another site.")})
			return
		}
		form, err := httpd.DecodeForm(r, "scope")
		if err != nil {
			d.Fail(w, r, err)
			return
		}
		next(w, r, form)
	}
}

// answer does what an outcome says. A page of a trip is only ever the answer to GET /login: everything else is sent there,
// so that a reload never sends a form again and no code of a provider stays in the address bar.
func (d *Door) answer(w http.ResponseWriter, r *http.Request, out *flow.Outcome, err error) {
	if err != nil {
		d.Fail(w, r, err)
		return
	}
	d.setCookies(w, out)
	page, shown := d.page(r, out)
	switch {
	case out.Response != nil:
		d.respond(w, r, out.Response)
	case out.Go != "":
		w.Header()["Location"] = []string{out.Go} // of ours, or a configured provider's
		w.WriteHeader(http.StatusSeeOther)
	case out.Problem != nil:
		d.problem(w, r, out.Problem)
	case r.Method == http.MethodGet && r.URL.Path == pathLogin:
		d.Look.Render(w, r, http.StatusOK, page)
	default:
		if shown.Notice != "" {
			event.Add(r.Context(), "notice", string(shown.Notice)) // what the person is told of what they did
		}
		http.Redirect(w, r, loginAddress(shown, out.Login), http.StatusSeeOther)
	}
}

// loginAddress is where a trip is shown. Who wished to be somebody else still does after a slip of the pen.
func loginAddress(s flow.Shown, l *flow.Login) string {
	q := url.Values{"flow": {s.Flow.String()}}
	if l != nil && l.As != "" {
		q.Set("as", "another")
	}
	if s.Notice != "" {
		q.Set("notice", strings.TrimPrefix(string(s.Notice), noticePrefix))
	}
	return pathLogin + "?" + q.Encode()
}

const noticePrefix = "notice."

// respond tells the client. Every answer names us (RFC 9207 §2).
func (d *Door) respond(w http.ResponseWriter, r *http.Request, to *flow.Response) {
	if to.Cause != nil {
		_, _ = httpd.Judge(w, r, to.Cause) // for the event
	}
	event.Add(r.Context(), "to", oauth.RedirectTarget(to.RedirectURI))
	params := to.Params
	if !to.Signed {
		params = slices.Concat(params, []flow.Param{{Name: "iss", Value: d.Issuer}})
	}
	if !to.FormPost {
		w.Header()["Location"] = []string{flow.AddToQuery(to.RedirectURI, params...)}
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	p := FormPost{Common: d.common(r, to.Shown), Action: to.RedirectURI}
	for _, param := range params {
		p.Fields = append(p.Fields, Field(param))
	}
	d.Look.Render(w, r, http.StatusOK, p)
}

// Fail shows an error that no trip can go on from. It also writes the middleware's own.
func (d *Door) Fail(w http.ResponseWriter, r *http.Request, err error) {
	d.problem(w, r, &flow.Problem{Err: err})
}

func (d *Door) problem(w http.ResponseWriter, r *http.Request, p *flow.Problem) {
	if p.Err == nil { // an answer that is no fault: a code that nobody knows. A reload must not be another guess.
		w.Header()["Location"] = []string{pathDevice + "?notice=" + strings.TrimPrefix(string(p.Notice), noticePrefix)}
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	e, status := httpd.Judge(w, r, p.Err)
	switch p.Reason {
	case flow.Altered:
		status = http.StatusForbidden
	case flow.Foreign:
		status = http.StatusBadRequest
	}
	page := Error{Common: d.common(r, p.Shown), Code: string(e.Code), Description: p.Key, Detail: e.Description, RestartURL: p.Restart}
	if p.Client != nil {
		page.BackURL = p.Client.HomeURI
	}
	page.Notice, page.FlowID = "", ""
	d.Look.Render(w, r, status, page)
}

// page is what an outcome shows, if it shows a page of a trip.
func (d *Door) page(r *http.Request, out *flow.Outcome) (Page, flow.Shown) {
	switch {
	case out.Login != nil:
		return d.loginPage(r, out.Login), out.Login.Shown
	case out.EmailCode != nil:
		v := out.EmailCode
		p := EmailCode{Common: d.common(r, v.Shown), Email: v.Email}
		if v.Notice == flow.NoticeCode { // said where it is typed
			p.Notice, p.Error = "", string(v.Notice)
		}
		return p, v.Shown
	case out.Continue != nil:
		v := out.Continue
		return Continue{Common: d.common(r, v.Shown), Account: v.Account}, v.Shown
	case out.Consent != nil:
		return d.consentPage(r, out.Consent), out.Consent.Shown
	case out.Offer != nil:
		v := out.Offer
		return PasskeyOffer{Common: d.common(r, v.Shown), Options: string(v.Options)}, v.Shown
	case out.Device != nil:
		v := out.Device
		return DeviceDone{Common: d.common(r, v.Shown), Allowed: v.Allowed}, v.Shown
	}
	return nil, flow.Shown{}
}

// common is what every page of a trip has.
func (d *Door) common(r *http.Request, s flow.Shown) Common {
	c := Common{AccountID: s.As, FormTargets: s.Targets, Notice: string(s.Notice), Client: d.clientView(s.Client, s.Returns)}
	if !s.Flow.IsZero() {
		c.FlowID = s.Flow.String()
	}
	if len(s.Locales) > 0 {
		c.Lang = d.Look.Language(s.Locales, r.Header.Get("Accept-Language"))
	}
	return c
}
