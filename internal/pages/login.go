package pages

import (
	"net/http"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/flow"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
)

// authorize is GET /authorize (RFC 6749 §3.1).
func (d *Door) authorize(w http.ResponseWriter, r *http.Request) {
	form, err := httpd.DecodeParameters(r)
	if err != nil {
		d.Fail(w, r, err)
		return
	}
	out, err := d.Flow.Authorize(r.Context(), form, d.visitor(r))
	d.answer(w, r, out, err)
}

// maxQuery bounds what a POST may become as an address: browsers and proxies on the way take as much.
const maxQuery = 12 << 10

// postedAuthorize is POST /authorize (OIDC Core §3.1.2.1). A form of another site comes without our cookies (SameSite), so
// the browser is sent to ask the same by GET, with them. Nothing was stored or decided.
func (d *Door) postedAuthorize(w http.ResponseWriter, r *http.Request) {
	d.askByGet(w, r, pathAuthorize)
}

func (d *Door) askByGet(w http.ResponseWriter, r *http.Request, path string) {
	form, err := httpd.DecodeParameters(r)
	if err != nil {
		d.Fail(w, r, err)
		return
	}
	d.repeat(w, r, path, form)
}

// repeat sends what was posted back as a GET, unless that is too long for one.
func (d *Door) repeat(w http.ResponseWriter, r *http.Request, path string, form httpd.Form) {
	var params []flow.Param
	form.Pairs(func(name, value string) { params = append(params, flow.Param{Name: name, Value: value}) })
	to := flow.AddToQuery(path, params...)
	if len(to) > maxQuery {
		d.Fail(w, r, oauth.E(oauth.InvalidRequest, "The request is too long."))
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// login is GET /login: where a trip is now.
func (d *Door) login(w http.ResponseWriter, r *http.Request) {
	form, err := httpd.DecodeParameters(r)
	if err != nil {
		d.Fail(w, r, err)
		return
	}
	v := flow.View{Another: form.Get("as") == "another"}
	if n := flow.Notice(noticePrefix + form.Get("notice")); d.Look.Knows(string(n)) {
		v.Notice = n
	}
	out, err := d.Flow.Show(r.Context(), flowID(form), d.visitor(r), v)
	d.answer(w, r, out, err)
}

// flowID is the trip a form or address speaks of; zero, which is nobody's, for what is none.
func flowID(f httpd.Form) (id domain.FlowID) {
	if id.UnmarshalText([]byte(f.Get("flow"))) != nil {
		return domain.FlowID{}
	}
	return id
}

// choose is POST /login.
func (d *Door) choose(w http.ResponseWriter, r *http.Request, form httpd.Form) {
	ctx, id, v := r.Context(), flowID(form), d.visitor(r)
	var out *flow.Outcome
	var err error
	switch form.Get("action") {
	case "cancel":
		out, err = d.Flow.Cancel(ctx, id, v)
	case "continue":
		out, err = d.Flow.GoOn(ctx, id, v, form.Get("account"))
	case "switch":
		http.Redirect(w, r, pathLogin+"?as=another&flow="+id.String(), http.StatusSeeOther)
		return
	default:
		out, err = d.Flow.SendCode(ctx, id, v, form.Get("email"))
	}
	d.answer(w, r, out, err)
}

// code is POST /login/code.
func (d *Door) code(w http.ResponseWriter, r *http.Request, form httpd.Form) {
	ctx, id, v := r.Context(), flowID(form), d.visitor(r)
	var out *flow.Outcome
	var err error
	switch form.Get("action") {
	case "resend":
		out, err = d.Flow.ResendCode(ctx, id, v)
	case "back":
		out, err = d.Flow.ForgetCode(ctx, id, v)
	default:
		out, err = d.Flow.CheckCode(ctx, id, v, form.Get("code"))
	}
	d.answer(w, r, out, err)
}

// passkey is POST /login/passkey.
func (d *Door) passkey(w http.ResponseWriter, r *http.Request, form httpd.Form) {
	out, err := d.Flow.CheckPasskey(r.Context(), flowID(form), d.visitor(r), []byte(form.Get("credential")))
	d.answer(w, r, out, err)
}

// addPasskey is POST /login/add-passkey.
func (d *Door) addPasskey(w http.ResponseWriter, r *http.Request, form httpd.Form) {
	response := []byte(form.Get("credential"))
	if form.Get("action") == "skip" {
		response = nil
	}
	out, err := d.Flow.AddPasskey(r.Context(), flowID(form), d.visitor(r), response)
	d.answer(w, r, out, err)
}

func (d *Door) loginPage(r *http.Request, v *flow.Login) Page {
	p := Login{
		Common: d.common(r, v.Shown), Email: v.Email, EmailValue: v.Hint, Passkeys: v.Passkeys,
		PasskeyOptions: string(v.PasskeyOptions), Reauth: v.Again, SignedInAs: v.As,
	}
	for _, name := range v.Providers {
		label, typ := d.Button(name)
		p.Providers = append(p.Providers, ProviderButton{Name: name, Label: label, Type: typ})
	}
	return p
}

// consent is POST /consent.
func (d *Door) consent(w http.ResponseWriter, r *http.Request, form httpd.Form) {
	out, err := d.Flow.Decide(r.Context(), flowID(form), d.visitor(r), flow.Decision{
		Allow: form.Get("action") == "allow", Scope: form.All("scope"), ClientID: form.Get("client_id"), Account: form.Get("account"),
	})
	d.answer(w, r, out, err)
}

func (d *Door) consentPage(r *http.Request, v *flow.Consent) Page {
	p := Consent{Common: d.common(r, v.Shown), Account: v.Account, Device: v.Device, UserCode: v.UserCode, Details: detailBoxes(v.Details)}
	for _, s := range v.Scope {
		p.Scopes = append(p.Scopes, ScopeLine{Name: s, Required: s == oauth.ScopeOpenID || slices.Contains(v.Implied, s), Checked: true})
	}
	for _, audience := range v.Resources {
		if audience != d.Issuer {
			p.Resources = append(p.Resources, audience)
		}
	}
	return p
}

// device is GET /device: the page that asks for the code. A code in the address only fills the field (RFC 8628 §3.3.1,
// ATTACKS DV05): whoever sent the link must not be able to agree for the person.
func (d *Door) device(w http.ResponseWriter, r *http.Request) {
	form, err := httpd.DecodeParameters(r)
	if err != nil {
		d.Fail(w, r, err)
		return
	}
	code := form.Get("user_code")
	if len(code) > 32 {
		code = ""
	}
	page := DeviceCode{UserCode: code}
	page.Lang = d.Look.Language(strings.Fields(form.Get("ui_locales")), r.Header.Get("Accept-Language"))
	if key := noticePrefix + form.Get("notice"); d.Look.Knows(key) {
		page.Error = key
	}
	d.Look.Render(w, r, http.StatusOK, page)
}

// enterCode is POST /device.
func (d *Door) enterCode(w http.ResponseWriter, r *http.Request, form httpd.Form) {
	out, err := d.Flow.EnterUserCode(r.Context(), form.Get("user_code"), d.visitor(r))
	d.answer(w, r, out, err)
}
