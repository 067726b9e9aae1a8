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

// The kinds. Google and Apple sign under their own issuers, whatever address the stand-in has; OIDC is an issuer of
// its own.
const (
	Google Kind = "google"
	Apple  Kind = "apple"
	OIDC   Kind = "oidc"
)

// The issuers as they stand in the providers' tokens.
const (
	GoogleIssuer = "https://accounts.google.com"
	AppleIssuer  = "https://appleid.apple.com"
)

// Provider is a stand-in identity provider: an HTTP server on loopback. Every one serves URL/jwks and
// URL/.well-known/openid-configuration; Apple also URL/auth/token and URL/auth/revoke. There is no browser sign-in.
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
		requests: map[string]int{}, named: map[string]bool{},
	}
	for _, option := range options {
		option(p)
	}
	switch kind {
	case Google, OIDC:
	case Apple:
		team, err := newAppleTeam()
		if err != nil {
			return nil, err
		}
		p.apple = team
	default:
		return nil, fmt.Errorf("stand-in provider: no kind %q", kind)
	}
	if p.alg != jose.RS256 && kind != OIDC {
		return nil, fmt.Errorf("stand-in provider: %s signs with RS256 only", kind)
	}
	if _, err := p.addKey(true); err != nil {
		return nil, err
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
	}
	return p.URL()
}

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
	mux.HandleFunc("GET /.well-known/openid-configuration", p.serveDiscovery)
	mux.HandleFunc("GET /jwks", p.serveJWKS)
	if p.kind == Apple {
		mux.HandleFunc("POST /auth/token", p.serveAppleToken)
		mux.HandleFunc("POST /auth/revoke", p.serveAppleRevoke)
	}
	return p.behaving(mux)
}

func (p *Provider) serveDiscovery(w http.ResponseWriter, _ *http.Request) {
	document := map[string]any{
		"issuer":                                p.Issuer(),
		"jwks_uri":                              p.URL() + "/jwks",
		"authorization_endpoint":                p.URL() + "/authorize", // required by OIDC Discovery §3; not served
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{string(p.alg)},
	}
	if p.kind == Apple {
		document["token_endpoint"] = p.URL() + "/auth/token"
		document["revocation_endpoint"] = p.URL() + "/auth/revoke"
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
