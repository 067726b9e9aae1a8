package standin

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/jose"
)

// Kind says whose shapes a provider speaks.
type Kind string

// The kinds. Google, Apple, Microsoft, Facebook and LINE sign under their own issuers, whatever address the stand-in has;
// OIDC is an issuer of its own, and GitLab a self-managed instance at its own address. GitHub and Discord sign nothing,
// Facebook nothing but what it gives to apps (Limited Login). LINE signs for apps with ES256, and for a web client with
// HS256 and the client's secret. An OIDC provider asked without the scope openid is a plain OAuth 2.0 one.
const (
	Google    Kind = "google"
	Apple     Kind = "apple"
	Microsoft Kind = "microsoft"
	GitHub    Kind = "github"
	Facebook  Kind = "facebook"
	LINE      Kind = "line"
	Discord   Kind = "discord"
	GitLab    Kind = "gitlab"
	OIDC      Kind = "oidc"
)

// The issuers as they stand in the providers' tokens.
const (
	GoogleIssuer = "https://accounts.google.com"
	AppleIssuer  = "https://appleid.apple.com"
	GitHubIssuer = "https://github.com/login/oauth" // of its redirects only (RFC 9207)

	FacebookIssuer = "https://www.facebook.com" // of Limited Login's tokens; its keys are on another host
	LINEIssuer     = "https://access.line.me"
	DiscordIssuer  = "https://discord.com" // stands nowhere: what Countersign keeps its people under

	// MicrosoftTenant is the organisation of everybody whose Person or TokenRequest names no other.
	MicrosoftTenant = "5ca1ab1e-0000-4000-8000-000000000001"
	// MicrosoftPersonal is the tenant of personal accounts.
	MicrosoftPersonal = "9188040d-6c67-4c5b-b112-36a304b66dad"
)

// MicrosoftIssuer is the iss of a tenant's tokens.
func MicrosoftIssuer(tenant string) string {
	return "https://login.microsoftonline.com/" + tenant + "/v2.0"
}

// Provider is a stand-in identity provider: an HTTP server on loopback. Every one but GitHub and Discord serves
// URL/jwks and URL/.well-known/openid-configuration; all sign in people with a browser at URL/authorize and redeem codes
// at URL/token (Apple: URL/auth/authorize, URL/auth/token and URL/auth/revoke). Google and OIDC serve URL/userinfo,
// GitHub URL/user and URL/user/emails, Facebook URL/me, Discord URL/users/@me. GitLab has everything where an instance
// has it: URL/oauth/authorize, URL/oauth/token, URL/oauth/userinfo and URL/oauth/discovery/keys.
//
// Its methods may be called from several goroutines.
type Provider struct {
	kind   Kind
	alg    jose.Alg
	now    func() time.Time
	maxAge time.Duration
	addr   string
	apple  *appleTeam // Apple only

	mu        sync.Mutex
	server    *http.Server // nil while stopped
	behaviour Behaviour
	requests  map[string]int
	keys      []*signingKey // the last one signs
	named     map[string]bool
	web       web
}

// A ProviderOption changes how a provider is made.
type ProviderOption func(*Provider)

// WithES256 makes the provider sign with ES256; the default, and all that Google and Apple do, is RS256.
func WithES256() ProviderOption { return func(p *Provider) { p.alg = jose.ES256 } }

// WithAddr sets the loopback address to listen on, such as "127.0.0.1:9001"; the default is a free port.
func WithAddr(addr string) ProviderOption { return func(p *Provider) { p.addr = addr } }

// WithClock sets the provider's clock.
func WithClock(now func() time.Time) ProviderOption { return func(p *Provider) { p.now = now } }

// WithMaxAge sets the max-age of the key set; the default is an hour.
func WithMaxAge(d time.Duration) ProviderOption { return func(p *Provider) { p.maxAge = d } }

// NewProvider makes a provider with a fresh key and starts it.
func NewProvider(kind Kind, options ...ProviderOption) (*Provider, error) {
	p := &Provider{
		kind: kind, alg: jose.RS256, now: time.Now, maxAge: time.Hour, addr: "127.0.0.1:0",
		requests: map[string]int{}, named: map[string]bool{}, web: newWeb(),
	}
	for _, option := range options {
		option(p)
	}
	switch kind {
	case Google, Microsoft, GitHub, Facebook, Discord, GitLab, OIDC:
	case LINE:
		p.alg = jose.ES256
	case Apple:
		team, err := newAppleTeam()
		if err != nil {
			return nil, err
		}
		p.apple = team
	default:
		return nil, fmt.Errorf("stand-in provider: no kind %q", kind)
	}
	if p.alg != jose.RS256 && kind != OIDC && kind != LINE {
		return nil, fmt.Errorf("stand-in provider: %s signs with RS256 only", kind)
	}
	if p.signs() {
		if _, err := p.addKey(true); err != nil {
			return nil, err
		}
	}
	if err := p.Start(); err != nil {
		return nil, err
	}
	return p, nil
}

// URL is where the provider listens, without a trailing slash: what `standin:` takes.
func (p *Provider) URL() string { return "http://" + p.addr }

// Kind returns whose shapes it speaks.
func (p *Provider) Kind() Kind { return p.kind }

// Issuer is the `iss` of its tokens.
func (p *Provider) Issuer() string {
	switch p.kind {
	case Google:
		return GoogleIssuer
	case Apple:
		return AppleIssuer
	case Microsoft:
		return MicrosoftIssuer(MicrosoftTenant)
	case GitHub:
		return GitHubIssuer
	case Facebook:
		return FacebookIssuer
	case LINE:
		return LINEIssuer
	case Discord:
		return DiscordIssuer
	case GitLab, OIDC:
	}
	return p.URL()
}

// signs tells whether it has keys at all.
func (p *Provider) signs() bool { return p.kind != GitHub && p.kind != Discord }

// Start listens again after Stop, at the same address. It is called by NewProvider.
func (p *Provider) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server != nil {
		return errors.New("stand-in provider: it is running already")
	}
	l, err := listenLoopback(p.addr)
	if err != nil {
		return fmt.Errorf("stand-in provider: %w", err)
	}
	if at := l.Addr().String(); p.addr != at { // only at first: others may be reading it later
		p.addr = at
	}
	p.server = serve(l, p.handler())
	return nil
}

// Stop closes the listener: connections are refused until Start. Keys, codes and counts stay.
func (p *Provider) Stop() {
	p.mu.Lock()
	server := p.server
	p.server = nil
	p.mu.Unlock()
	if server != nil {
		_ = server.Close()
	}
}

// Close stops the provider for good.
func (p *Provider) Close() { p.Stop() }

func (p *Provider) handler() http.Handler {
	mux := http.NewServeMux()
	at := p.paths()
	if p.signs() {
		mux.HandleFunc("GET /.well-known/openid-configuration", p.serveDiscovery)
		mux.HandleFunc("GET "+at.keys, p.serveJWKS)
	}
	mux.HandleFunc("GET "+at.authorize, p.serveAuthorize)
	mux.HandleFunc("POST "+at.authorize, p.serveDecision)
	switch p.kind {
	case Apple:
		mux.HandleFunc("POST /auth/token", p.serveAppleToken)
		mux.HandleFunc("POST /auth/revoke", p.serveAppleRevoke)
		return p.behaving(mux)
	case GitHub:
		mux.HandleFunc("GET /user", p.serveGitHubUser)
		mux.HandleFunc("GET /user/emails", p.serveGitHubEmails)
	case Facebook:
		mux.HandleFunc("GET /me", p.serveFacebookMe)
	case Discord:
		mux.HandleFunc("GET /users/@me", p.serveDiscordUser)
	case Google, Microsoft, LINE, GitLab, OIDC:
		mux.HandleFunc("GET "+at.userInfo, p.serveUserInfo)
	}
	mux.HandleFunc("POST "+at.token, p.serveToken)
	return p.behaving(mux)
}

// paths are where its endpoints are.
type paths struct{ authorize, token, userInfo, keys string }

func (p *Provider) paths() paths {
	switch p.kind {
	case Apple:
		return paths{"/auth/authorize", "/auth/token", "", "/jwks"}
	case GitLab:
		return paths{"/oauth/authorize", "/oauth/token", "/oauth/userinfo", "/oauth/discovery/keys"}
	case Google, Microsoft, GitHub, Facebook, LINE, Discord, OIDC:
	}
	return paths{"/authorize", "/token", "/userinfo", "/jwks"}
}

func (p *Provider) serveDiscovery(w http.ResponseWriter, _ *http.Request) {
	at := p.paths()
	document := map[string]any{
		"issuer":                                p.Issuer(),
		"jwks_uri":                              p.URL() + at.keys,
		"authorization_endpoint":                p.URL() + at.authorize,
		"token_endpoint":                        p.URL() + at.token,
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "client_secret_basic"},
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"public"},
		"code_challenge_methods_supported":      []string{"S256"},
		"id_token_signing_alg_values_supported": []string{string(p.alg)},
	}
	switch p.kind {
	case Apple:
		document["revocation_endpoint"] = p.URL() + "/auth/revoke"
		document["token_endpoint_auth_methods_supported"] = []string{"client_secret_post"}
	case Microsoft:
		document["issuer"] = MicrosoftIssuer("{tenantid}") // to the letter: it stands in no token
	case OIDC:
		document["authorization_response_iss_parameter_supported"] = true
	case LINE:
		document["id_token_signing_alg_values_supported"] = []string{string(p.alg), "HS256"} // one for apps, one for the web
	case Google, GitHub, Facebook, Discord, GitLab:
	}
	if p.kind != Apple && p.kind != Facebook {
		document["userinfo_endpoint"] = p.URL() + at.userInfo
	}
	p.mu.Lock()
	change := p.web.mischief.Discovery
	p.mu.Unlock()
	if change != nil {
		change(document)
	}
	writeJSON(w, http.StatusOK, document)
}

// listenLoopback refuses every address that other machines could reach.
func listenLoopback(addr string) (net.Listener, error) {
	if err := loopback(addr); err != nil {
		return nil, err
	}
	return net.Listen("tcp", addr)
}

// loopback tells whether host:port is on this machine.
func loopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%s is not a loopback address", addr)
}

func serve(l net.Listener, h http.Handler) *http.Server {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = s.Serve(l) }()
	return s
}
