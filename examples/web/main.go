// Command web is a web app that signs people in: code with PKCE, an ID token, and a session of its own in a cookie.
// docs/web-app.md goes through it.
package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"errors"
	"flag"
	"html/template"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/countersign/countersign/examples/logouttoken"
	"github.com/countersign/countersign/examples/start"
)

//go:embed home.html
var home string

var page = template.Must(template.New("home").Parse(home))

// app is the web app. Who is signed in is kept in memory; yours has a table.
type app struct {
	issuer   string
	base     string // its own address
	oauth    oauth2.Config
	provider *oidc.Provider
	verifier *oidc.IDTokenVerifier

	mu     sync.Mutex
	people map[string]*person // by the value of the session cookie
}

type person struct {
	Name, Sub, SID, IDToken string
	Token                   *oauth2.Token
}

func main() {
	issuer := flag.String("issuer", "http://localhost:8080", "Countersign")
	addr := flag.String("listen", "127.0.0.1:3000", "where to listen")
	secretFile := flag.String("secret-file", "examples/todo-web.secret", "the client's secret")
	flag.Parse()
	start.Exit(run(*issuer, *addr, *secretFile))
}

func run(issuer, addr, secretFile string) error {
	secret, err := start.Secret(secretFile)
	if err != nil {
		return err
	}
	a, err := newApp(context.Background(), issuer, "http://"+addr, "todo-web", secret)
	if err != nil {
		return start.Explained(err)
	}
	return start.Serve(addr, a.handler(), os.Stderr, "choose another with -listen, and write it into the addresses of todo-web in examples/countersign.yaml")
}

func newApp(ctx context.Context, issuer, base, id, secret string) (*app, error) {
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return nil, err
	}
	endpoint := provider.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader // client_secret_basic
	return &app{
		issuer: issuer, base: base, people: map[string]*person{}, provider: provider,
		oauth: oauth2.Config{
			ClientID: id, ClientSecret: secret, Endpoint: endpoint, RedirectURL: base + "/callback",
			Scopes: []string{"openid", "profile", "offline_access", "todos.read"},
		},
		verifier: provider.Verifier(&oidc.Config{ClientID: id}),
	}, nil
}

func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.home)
	mux.HandleFunc("GET /login", a.login)
	mux.HandleFunc("GET /callback", a.callback)
	mux.HandleFunc("POST /logout", a.logout)
	mux.HandleFunc("POST /backchannel-logout", a.backchannel)
	return http.NewCrossOriginProtection().Handler(mux) // no form of another site signs anybody out
}

// login sends the person away. What the answer must fit is kept in their browser.
func (a *app) login(w http.ResponseWriter, r *http.Request) {
	state, nonce, verifier := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	a.setCookie(w, "trip", state+"."+nonce+"."+verifier, 600)
	http.Redirect(w, r, a.oauth.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), http.StatusSeeOther)
}

// callback takes the person back.
func (a *app) callback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	state, nonce, verifier, ok := trip(r)
	a.setCookie(w, "trip", "", -1)
	switch {
	case !ok || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) != 1 || q.Get("iss") != a.issuer: // RFC 9207
		a.show(w, r, http.StatusBadRequest, "This sign-in took too long, or was not begun in this browser. Please sign in again.")
		return
	case q.Get("error") == "access_denied":
		a.show(w, r, http.StatusOK, "You turned back before you were signed in. Sign in when you are ready.")
		return
	case q.Get("error") != "":
		log.Printf("sign-in: %q: %q", q.Get("error"), q.Get("error_description")) //nolint:gosec // G706: quoted
		a.show(w, r, http.StatusBadGateway, "Signing in did not work: "+q.Get("error")+". Please try again.")
		return
	}
	who, err := a.redeem(r.Context(), q.Get("code"), nonce, verifier)
	if err != nil {
		log.Print(err)
		a.show(w, r, http.StatusBadGateway, "Signing in did not work. Please try again.")
		return
	}
	id := rand.Text()
	a.mu.Lock()
	a.people[id] = who
	a.mu.Unlock()
	a.setCookie(w, "session", id, 0)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// redeem makes tokens of the code, and a person of the ID token.
func (a *app) redeem(ctx context.Context, code, nonce, verifier string) (*person, error) {
	token, err := a.oauth.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return nil, err
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := a.verifier.Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	if id.Nonce != nonce {
		return nil, errors.New("the ID token is of another sign-in")
	}
	info, err := a.provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, err
	}
	var claims struct{ SID, Name string }
	if err := errors.Join(id.Claims(&claims), info.Claims(&claims)); err != nil {
		return nil, err
	}
	return &person{Name: claims.Name, Sub: id.Subject, SID: claims.SID, IDToken: raw, Token: token}, nil
}

// logout ends the app's own session, and Countersign's: the person comes back to post_logout_redirect_uri.
func (a *app) logout(w http.ResponseWriter, r *http.Request) {
	who := a.signedIn(r)
	a.setCookie(w, "session", "", -1)
	if who == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	a.forget(who.SID)
	q := url.Values{"id_token_hint": {who.IDToken}, "post_logout_redirect_uri": {a.base + "/"}}
	http.Redirect(w, r, a.issuer+"/logout?"+q.Encode(), http.StatusSeeOther)
}

// backchannel is told by Countersign that a session is over: signed out elsewhere, ended by the operator.
func (a *app) backchannel(w http.ResponseWriter, r *http.Request) {
	_, sid, err := logouttoken.Read(r, a.verifier)
	if err != nil {
		http.Error(w, "not a logout token of ours", http.StatusBadRequest)
		return
	}
	a.forget(sid)
}

func (a *app) home(w http.ResponseWriter, r *http.Request) { a.show(w, r, http.StatusOK, "") }

// show is the home page, and what went wrong on the way to it.
func (a *app) show(w http.ResponseWriter, r *http.Request, status int, problem string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = page.Execute(w, struct {
		Problem string
		Who     *person
	}{problem, a.signedIn(r)})
}

func (a *app) signedIn(r *http.Request) *person {
	c, err := r.Cookie("session")
	if err != nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.people[c.Value]
}

func (a *app) forget(sid string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, who := range a.people {
		if who.SID == sid {
			delete(a.people, id)
		}
	}
}

func trip(r *http.Request) (state, nonce, verifier string, ok bool) {
	c, err := r.Cookie("trip")
	if err != nil {
		return "", "", "", false
	}
	part := strings.Split(c.Value, ".")
	if len(part) != 3 {
		return "", "", "", false
	}
	return part[0], part[1], part[2], true
}

// setCookie: in production, on https, call them __Host-… and make them Secure.
func (a *app) setCookie(w http.ResponseWriter, name, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // G124: Secure wherever the app is https
		Name: name, Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true,
		Secure: strings.HasPrefix(a.base, "https://"), SameSite: http.SameSiteLaxMode,
	})
}
