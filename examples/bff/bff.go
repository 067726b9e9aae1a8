package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

//go:embed page
var page embed.FS

// Config of a BFF.
type Config struct {
	Issuer       string // Countersign
	ClientID     string // a client of type web
	ClientSecret string
	BaseURL      string // the address of the BFF as people see it, without a path
	API          string // /api/todos goes to API/todos
	Scopes       []string
	HTTP         *http.Client // to Countersign; nil: one that gives up after 10 s
}

// BFF is the backend.
type BFF struct {
	config   Config
	oauth    oauth2.Config
	verifier *oidc.IDTokenVerifier
	provider *oidc.Provider
	proxy    *httputil.ReverseProxy
	sessions sessions
	revokeAt string
	now      func() time.Time
}

// New discovers Countersign and makes a backend that nobody is signed in to.
func New(ctx context.Context, c Config) (*BFF, error) {
	if c.HTTP == nil {
		c.HTTP = &http.Client{Timeout: 10 * time.Second}
	}
	api, err := url.Parse(c.API)
	if err != nil {
		return nil, err
	}
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, c.HTTP), c.Issuer)
	if err != nil {
		return nil, err
	}
	var more struct {
		Revoke string `json:"revocation_endpoint"`
		Iss    bool   `json:"authorization_response_iss_parameter_supported"`
	}
	if err := provider.Claims(&more); err != nil {
		return nil, err
	}
	if more.Revoke == "" || !more.Iss {
		return nil, fmt.Errorf("%s cannot revoke, or does not name itself in its answers (RFC 9207)", c.Issuer)
	}
	endpoint := provider.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader // client_secret_basic
	b := &BFF{
		config: c, provider: provider, revokeAt: more.Revoke, now: time.Now, sessions: sessions{list: map[[32]byte]*session{}},
		oauth: oauth2.Config{
			ClientID: c.ClientID, ClientSecret: c.ClientSecret, Endpoint: endpoint, Scopes: c.Scopes, RedirectURL: c.BaseURL + "/bff/callback",
		},
		verifier: provider.VerifierContext(oidc.ClientContext(context.Background(), c.HTTP), &oidc.Config{ClientID: c.ClientID}),
	}
	b.proxy = &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { forward(r, api) },
		ModifyResponse: cleaned,
	}
	return b, nil
}

// Handler is everything: the page, the sign-in and the way to the API.
func (b *BFF) Handler() http.Handler {
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // it is embedded
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServerFS(files))
	mux.HandleFunc("GET /bff/login", b.login)
	mux.HandleFunc("GET /bff/callback", b.callback)
	mux.HandleFunc("GET /bff/user", ours(b.user))
	mux.HandleFunc("POST /bff/logout", ours(b.logout))
	mux.HandleFunc("POST /bff/backchannel-logout", b.backchannel)
	mux.HandleFunc("/api/", ours(b.api))
	return guarded(mux)
}

// guarded sets what every answer has: nothing from elsewhere runs on the page, nobody frames it, nothing is kept.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// ours lets only the page's own script through. Another site can make a browser send a request, but not with a header of
// its choice: for that the browser asks first (CORS), and is never answered here. Sec-Fetch-Site says the same in browsers
// that send it, also of a neighbour in the same domain, for whom SameSite=Strict is no barrier.
func ours(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		site := r.Header.Get("Sec-Fetch-Site")
		if r.Header.Get("X-BFF") != "1" || (site != "" && site != "same-origin") {
			refuse(w, http.StatusForbidden, "not_ours", "Only this app's own script may ask: send the header X-BFF: 1 from the same origin.")
			return
		}
		next(w, r)
	}
}

// refuse answers the page's script.
func refuse(w http.ResponseWriter, status int, code, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"error":%q,"error_description":%q}`+"\n", code, text)
}

const (
	sessionCookie = "bff_session"
	tripCookie    = "bff_trip"
)

// cookieName has the prefix that keeps neighbours in the domain from planting the cookie. Browsers take it over https
// only; on plain http, for trying out, it is left away.
func (b *BFF) cookieName(name string) string {
	if b.secure() {
		return "__Host-" + name
	}
	return name
}

func (b *BFF) secure() bool { return strings.HasPrefix(b.config.BaseURL, "https://") }

// setCookie with an empty value takes it away.
func (b *BFF) setCookie(w http.ResponseWriter, name, value string, site http.SameSite, age time.Duration) {
	c := &http.Cookie{ //nolint:gosec // G124: it is Secure wherever the app is https
		Name: b.cookieName(name), Value: value, Path: "/", MaxAge: int(age.Seconds()), HttpOnly: true, Secure: b.secure(), SameSite: site,
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// cookie reads one that came once; of two, nobody knows whose is whose.
func (b *BFF) cookie(r *http.Request, name string) string {
	found := r.CookiesNamed(b.cookieName(name))
	if len(found) != 1 {
		return ""
	}
	return found[0].Value
}
