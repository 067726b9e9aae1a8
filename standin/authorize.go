package standin

import (
	"cmp"
	"encoding/json"
	"errors"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/oauth"
)

const (
	askedFor     = 10 * time.Minute // how long a page may stay open
	maxUsername  = 64
	decisionDeny = "deny"
)

// web is what the pages remember.
type web struct {
	applications map[string]Application
	people       map[string]Person
	asked        map[string]*asked   // by the id in the page
	signedIn     map[string]signedIn // by the cookie
	codes        map[string]*grant
	tokens       map[string]*grant // by access token
	mischief     Mischief
}

func newWeb() web {
	return web{
		applications: map[string]Application{}, people: map[string]Person{}, asked: map[string]*asked{},
		signedIn: map[string]signedIn{}, codes: map[string]*grant{}, tokens: map[string]*grant{},
	}
}

// asked is a checked authorization request.
type asked struct {
	app                          Application
	redirectURI, state, nonce    string
	challenge, loginHint, prompt string
	scope                        []string
	maxAge                       *int64
	expires                      time.Time
}

// signedIn is a browser the provider knows.
type signedIn struct {
	username string
	at       time.Time
}

// serveAuthorize checks the request, then shows the form or, to a browser it knows, returns at once.
func (p *Provider) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	app, err := p.whoAsks(q)
	if err != nil {
		refusePage(w, err.Error())
		return
	}
	a := &asked{
		app: app, redirectURI: q.Get("redirect_uri"), state: q.Get("state"), nonce: q.Get("nonce"),
		challenge: q.Get("code_challenge"), loginHint: q.Get("login_hint"), prompt: q.Get("prompt"),
		scope: strings.Fields(q.Get("scope")), expires: p.now().Add(askedFor),
	}
	if err := p.checkAsked(q, a); err != nil {
		p.sendBack(w, r, a, url.Values{"error": {"invalid_request"}, "error_description": {err.Error()}})
		return
	}
	known, ok := p.knownBrowser(r)
	switch {
	case ok && !p.mustAsk(a, known):
		p.allow(w, r, a, known)
	case slices.Contains(strings.Fields(a.prompt), "none"):
		p.sendBack(w, r, a, url.Values{"error": {"login_required"}})
	default:
		p.showForm(w, a)
	}
}

// whoAsks: without a registered application and its very redirect URI nobody is sent anywhere (RFC 6749 §4.1.2.1).
func (p *Provider) whoAsks(q url.Values) (Application, error) {
	for name, values := range q {
		if len(values) > 1 {
			return Application{}, errors.New(name + " is there twice")
		}
	}
	p.mu.Lock()
	app, ok := p.web.applications[q.Get("client_id")]
	p.mu.Unlock()
	switch {
	case !ok:
		return app, errors.New("client_id is not registered: call Register")
	case !slices.Contains(app.RedirectURIs, q.Get("redirect_uri")):
		return app, errors.New("redirect_uri is not registered for this client, to the letter")
	}
	return app, nil
}

func (p *Provider) checkAsked(q url.Values, a *asked) error {
	switch {
	case q.Get("response_type") != "code":
		return errors.New("response_type is not code")
	case a.state == "":
		return errors.New("state is missing")
	case a.challenge == "" && !a.app.WithoutPKCE:
		return errors.New("code_challenge is missing")
	case a.challenge != "" && (q.Get("code_challenge_method") != oauth.MethodS256 || !oauth.ValidChallenge(a.challenge)):
		return errors.New("the code challenge is none of S256")
	case p.kind == Apple && len(a.scope) > 0 && q.Get("response_mode") != "form_post":
		return errors.New("a scope needs response_mode=form_post")
	case p.kind != Apple && q.Get("response_mode") != "" && q.Get("response_mode") != "query":
		return errors.New("response_mode is not query")
	case (p.kind == Google || p.kind == Microsoft || p.kind == GitLab) && !slices.Contains(a.scope, "openid"):
		return errors.New("scope openid is missing")
	}
	if text := q.Get("max_age"); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds < 0 {
			return errors.New("max_age is no number of seconds")
		}
		a.maxAge = &seconds
	}
	return nil
}

// mustAsk tells whether the person has to look at the form again.
func (p *Provider) mustAsk(a *asked, known signedIn) bool {
	for _, prompt := range strings.Fields(a.prompt) {
		if prompt == "login" || prompt == "select_account" {
			return true
		}
	}
	return a.maxAge != nil && p.now().Sub(known.at) >= time.Duration(*a.maxAge)*time.Second
}

// cookie is named by the port: browsers send a cookie to all ports of a host, and several providers live on one.
func (p *Provider) cookie() string {
	_, port, _ := net.SplitHostPort(p.addr)
	return "standin_" + port
}

func (p *Provider) knownBrowser(r *http.Request) (signedIn, bool) {
	c, err := r.Cookie(p.cookie())
	if err != nil {
		return signedIn{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	known, ok := p.web.signedIn[c.Value]
	return known, ok
}

func (p *Provider) showForm(w http.ResponseWriter, a *asked) {
	id := randomText(16)
	p.mu.Lock()
	p.web.asked[id] = a
	p.mu.Unlock()
	show(w, http.StatusOK, loginPage, map[string]string{
		"Kind": string(p.kind), "Client": a.app.ClientID, "Action": p.paths().authorize, "Request": id, "Username": a.loginHint,
	})
}

// serveDecision takes the form.
func (p *Provider) serveDecision(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	a, ok := p.web.asked[r.PostFormValue("request")]
	delete(p.web.asked, r.PostFormValue("request"))
	p.mu.Unlock()
	if !ok || !p.now().Before(a.expires) {
		refusePage(w, "this page was used already, or is too old")
		return
	}
	if r.PostFormValue("decision") == decisionDeny {
		denied := map[Kind]string{Apple: "user_cancelled_authorize"}[p.kind]
		p.sendBack(w, r, a, url.Values{"error": {cmp.Or(denied, "access_denied")}})
		return
	}
	username := r.PostFormValue("username")
	if username == "" || len(username) > maxUsername || strings.ContainsFunc(username, notPlain) {
		p.showForm(w, a)
		return
	}
	known := signedIn{username: username, at: p.now()}
	secret := randomText(16)
	p.mu.Lock()
	p.web.signedIn[secret] = known
	p.mu.Unlock()
	http.SetCookie(w, &http.Cookie{
		Name: p.cookie(), Value: secret, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	p.allow(w, r, a, known)
}

func notPlain(r rune) bool { return r <= ' ' || r > '~' }

// allow makes a code and returns with it.
func (p *Provider) allow(w http.ResponseWriter, r *http.Request, a *asked, known signedIn) {
	g := &grant{asked: *a, person: p.PersonNamed(known.username), authTime: known.at, expires: p.now().Add(codeTTL)}
	if p.kind == LINE {
		g.methods = p.lineMethods(r)
	}
	code := randomText(24)
	p.mu.Lock()
	p.web.codes[code] = g
	p.mu.Unlock()
	back := url.Values{"code": {cmp.Or(p.mischief().Code, code)}}
	if p.kind == Apple {
		if user := p.userOnce(g); user != "" {
			back.Set("user", user)
		}
	}
	p.sendBack(w, r, a, back)
}

// userOnce is Apple's `user`: name and address, the first time only.
func (p *Provider) userOnce(g *grant) string {
	name := p.nameOnce(TokenRequest{Subject: g.person.Subject, Audience: g.app.ClientID, Name: g.person.Name})
	if name == "" || g.person.Email == "" {
		return name
	}
	var user map[string]any
	if json.Unmarshal([]byte(name), &user) != nil {
		return name
	}
	user["email"] = g.person.Email
	text, err := json.Marshal(user)
	if err != nil {
		return name
	}
	return string(text)
}

// sendBack returns the browser to the client: by 303, or with a form that posts (Apple).
func (p *Provider) sendBack(w http.ResponseWriter, r *http.Request, a *asked, back url.Values) {
	m := p.mischief()
	if m.Error != "" {
		back = url.Values{"error": {m.Error}}
	}
	back.Set("state", cmp.Or(m.State, a.state))
	iss := m.Issuer
	if iss == "" && !m.NoIssuer && (p.kind == OIDC || p.kind == GitHub) {
		iss = p.Issuer()
	}
	if iss != "" {
		back.Set("iss", iss)
	}
	if p.kind == Apple {
		show(w, http.StatusOK, returnPage, map[string]any{"Action": template.URL(a.redirectURI), "Fields": back})
		return
	}
	u, err := url.Parse(a.redirectURI)
	if err != nil {
		refusePage(w, "redirect_uri is no URL")
		return
	}
	q := u.Query()
	for name := range back {
		q.Set(name, back.Get(name))
	}
	u.RawQuery = q.Encode()
	http.Redirect(w, r, u.String(), http.StatusSeeOther)
}
