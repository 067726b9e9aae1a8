package standin

import (
	"cmp"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/oauth"
)

const codeTTL = 60 * time.Second

// grant is what somebody allowed an application.
type grant struct {
	asked
	person   Person
	authTime time.Time
	expires  time.Time // of the code
	methods  []string  // LINE: amr
}

// takeGrant gives a code out once, whoever presents it: a code in the wrong hands is burned.
func (p *Provider) takeGrant(code string) (*grant, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g, ok := p.web.codes[code]
	delete(p.web.codes, code)
	return g, ok
}

// serveToken redeems a code (RFC 6749 §4.1.3).
func (p *Provider) serveToken(w http.ResponseWriter, r *http.Request) {
	if p.tokenMischief(w, r) {
		return
	}
	app, ok := p.authenticated(r)
	if !ok {
		p.tokenError(w, "invalid_client")
		return
	}
	if r.PostFormValue("grant_type") != "authorization_code" {
		p.tokenError(w, "unsupported_grant_type")
		return
	}
	g, ok := p.takeGrant(r.PostFormValue("code"))
	if !ok || !p.fits(g, app.ClientID, r) {
		p.tokenError(w, "invalid_grant")
		return
	}
	answer, err := p.answer(g)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

// redeemAppleGrant is serveToken for Apple; the client's secret was checked.
func (p *Provider) redeemAppleGrant(w http.ResponseWriter, r *http.Request, client string, g *grant) {
	if p.tokenMischief(w, r) {
		return
	}
	if !p.fits(g, client, r) {
		appleError(w, "invalid_grant", "The code has expired or has been revoked.")
		return
	}
	answer, err := p.answer(g)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	refresh := "r" + randomHex(16) + ".0." + randomText(16)
	p.apple.mu.Lock()
	p.apple.refresh[refresh] = client
	p.apple.mu.Unlock()
	answer["refresh_token"] = refresh
	writeJSON(w, http.StatusOK, answer)
}

func (p *Provider) tokenMischief(w http.ResponseWriter, r *http.Request) (done bool) {
	m := p.mischief()
	if hold(r.Context(), m.TokenSlow, nil) != nil {
		return true
	}
	if m.TokenStatus != 0 {
		http.Error(w, http.StatusText(m.TokenStatus), m.TokenStatus)
		return true
	}
	return false
}

// authenticated takes the secret from the form or from the header (RFC 6749 §2.3.1), not from both.
func (p *Provider) authenticated(r *http.Request) (Application, bool) {
	id, secret := r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	if user, password, basic := r.BasicAuth(); basic {
		if secret != "" {
			return Application{}, false
		}
		var err1, err2 error
		id, err1 = url.QueryUnescape(user)
		secret, err2 = url.QueryUnescape(password)
		if err1 != nil || err2 != nil {
			return Application{}, false
		}
	}
	p.mu.Lock()
	app, ok := p.web.applications[id]
	p.mu.Unlock()
	return app, ok && subtle.ConstantTimeCompare([]byte(secret), []byte(app.Secret)) == 1
}

// fits tells whether a code is this client's, of this redirect, of this verifier, and not too old.
func (p *Provider) fits(g *grant, client string, r *http.Request) bool {
	return g.app.ClientID == client && g.redirectURI == r.PostFormValue("redirect_uri") && p.now().Before(g.expires) &&
		oauth.VerifierFits(r.PostFormValue("code_verifier"), g.challenge)
}

// tokenError is RFC 6749 §5.2; GitHub has words of its own and says them with status 200, Facebook has numbers.
func (p *Provider) tokenError(w http.ResponseWriter, code string) {
	status := http.StatusBadRequest
	if code == "invalid_client" {
		status = http.StatusUnauthorized
	}
	if p.kind == Facebook {
		graphError(w, code)
		return
	}
	if p.kind == GitHub {
		status = http.StatusOK
		code = cmp.Or(map[string]string{"invalid_client": "incorrect_client_credentials", "invalid_grant": "bad_verification_code"}[code], code)
	}
	writeJSON(w, status, map[string]string{"error": code})
}

// answer is RFC 6749 §5.1, with an id_token where there is one to have.
func (p *Provider) answer(g *grant) (map[string]any, error) {
	access := randomText(32)
	answer := map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 3600, "scope": strings.Join(g.scope, " ")}
	switch {
	case p.kind == GitHub:
		answer["token_type"] = "bearer"
		answer["scope"] = strings.Join(g.scope, ",")
		delete(answer, "expires_in")
	case p.kind == Facebook: // whatever was asked for: the web has the classic login
		answer["token_type"], answer["expires_in"] = "bearer", 5183944
		delete(answer, "scope")
	case p.kind == Discord:
		answer["expires_in"], answer["refresh_token"] = 604800, randomText(24)
	case p.kind == Apple || slices.Contains(g.scope, "openid"):
		idToken, err := p.idToken(g, access)
		if err != nil {
			return nil, err
		}
		answer["id_token"] = idToken
	}
	p.mu.Lock()
	p.web.tokens[access] = g
	p.mu.Unlock()
	return answer, nil
}

// idToken is the one of a redeemed code. OIDC and GitLab always say when the person signed in, LINE where it was asked
// for max_age, Google and Microsoft do not; Apple's says now, as for an app.
func (p *Provider) idToken(g *grant, access string) (string, error) {
	m := p.mischief()
	t := g.person.token(g.app.ClientID)
	t.Nonce = cmp.Or(m.Nonce, g.nonce)
	t.Audience = cmp.Or(m.Audience, t.Audience)
	if p.kind == OIDC || p.kind == GitLab || p.kind == LINE && g.maxAge != nil {
		t.AuthTime = g.authTime
	}
	if p.kind == LINE {
		t.AMR, t.secret = g.methods, cmp.Or(m.Secret, g.app.Secret)
		if m.AppKey {
			t.secret = ""
		}
		if !slices.Contains(g.scope, "email") {
			t.Email = ""
		}
	}
	t.Forgery = m.Forgery
	t.Mutate = func(claims map[string]any) {
		claims["at_hash"] = leftHalf(access)
		if m.Claims != nil {
			m.Claims(claims)
		}
	}
	c, err := p.Issue(t)
	if err != nil {
		return "", err
	}
	return c.IDToken, nil
}

// whose finds the grant of an access token.
func (p *Provider) whose(w http.ResponseWriter, r *http.Request) (*grant, bool) {
	token, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	p.mu.Lock()
	g, ok := p.web.tokens[token]
	p.mu.Unlock()
	if !isBearer || !ok {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		writeJSON(w, http.StatusUnauthorized, map[string]string{"message": "Bad credentials", "error": "invalid_token"})
		return nil, false
	}
	return g, true
}

// serveUserInfo is OIDC Core §5.3.
func (p *Provider) serveUserInfo(w http.ResponseWriter, r *http.Request) {
	g, ok := p.whose(w, r)
	if !ok {
		return
	}
	claims := p.claims(g.person.token(g.app.ClientID), &Credential{})
	for _, name := range []string{"iss", "aud", "iat", "exp", "oid", "tid", "ver", "xms_edov", "hd", "amr"} {
		delete(claims, name)
	}
	if subject := p.mischief().UserSubject; subject != "" {
		claims["sub"] = subject
	}
	writeJSON(w, http.StatusOK, claims)
}

// serveGitHubUser shows no address: most people keep theirs to themselves.
func (p *Provider) serveGitHubUser(w http.ResponseWriter, r *http.Request) {
	if g, ok := p.whoseGitHub(w, r); ok {
		writeJSON(w, http.StatusOK, map[string]any{
			"login": g.person.Username, "id": json.Number(cmp.Or(p.mischief().UserSubject, g.person.Subject)), "name": g.person.Name,
			"avatar_url": g.person.Picture, "email": nil, "type": "User",
		})
	}
}

func (p *Provider) serveGitHubEmails(w http.ResponseWriter, r *http.Request) {
	g, ok := p.whoseGitHub(w, r)
	if !ok {
		return
	}
	if !slices.Contains(g.scope, "user:email") {
		writeJSON(w, http.StatusNotFound, map[string]string{"message": "Not Found"})
		return
	}
	list := []map[string]any{{
		"email": g.person.Username + "@users.noreply.github.com", "primary": false, "verified": true, "visibility": nil,
	}}
	if g.person.Email != "" {
		list = append(list, map[string]any{
			"email": g.person.Email, "primary": true, "verified": !g.person.UnverifiedEmail, "visibility": "private",
		})
	}
	writeJSON(w, http.StatusOK, list)
}

// whoseGitHub also wants to be told who calls.
func (p *Provider) whoseGitHub(w http.ResponseWriter, r *http.Request) (*grant, bool) {
	if r.UserAgent() == "" {
		writeJSON(w, http.StatusForbidden, map[string]string{"message": "Request forbidden: User-Agent header required"})
		return nil, false
	}
	return p.whose(w, r)
}
