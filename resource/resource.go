package resource

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/accesstoken"
	"github.com/countersign/countersign/internal/dpop"
)

// Config of a Verifier. Issuer and Audience are required.
type Config struct {
	Issuer   string // exact, e.g. https://login.example.com
	Audience string // this app server's own, e.g. https://api.example.com
	JWKSURL  string // empty: Issuer + /jwks

	// BaseURL is the app server's own address as its clients see it; proofs name it as their htu. It never comes from
	// request headers. Empty: the Audience, which must then be an address. A path in it is put before that of each
	// request, for servers behind a proxy that takes a prefix away.
	BaseURL      string
	RequireDPoP  bool // refuse bearer tokens
	RequireNonce bool // ask every proof for a nonce of ours: no clock is trusted, at the price of one more round trip
	// NonceKey makes nonces. Empty: random, known to this process alone, so that a nonce is handed out only where a proof
	// is refused for want of one. Otherwise at least 32 random bytes, shared by the processes behind one address: then
	// every answer to a proof brings a nonce for the next.
	NonceKey []byte

	// Introspection is asked after the local checks if IntrospectionURL is set (Issuer + /introspect), with the id and
	// the secret this resource has in the server's configuration.
	IntrospectionURL string
	ResourceID       string
	ResourceSecret   string

	// Metadata is published where MetadataHandler is mounted, and named by every challenge. Nil: neither.
	Metadata *Metadata

	Leeway     time.Duration // for clocks that differ; zero: 30 s; at most 60 s
	HTTPClient *http.Client  // nil: one with a timeout of 5 s that follows no redirects
	Now        func() time.Time
	// Report is told every refusal, with its cause, for the app server's own log. It never sees a token.
	Report func(r *http.Request, err *Error)
}

// Verifier checks access tokens. It is safe for concurrent use.
type Verifier struct {
	config     Config
	checker    *accesstoken.Checker
	keys       *keySet
	proofs     *dpop.Verifier
	seen       *dpop.Replay
	introspect *introspector // nil: not asked
	published  *published    // nil: there is no Metadata
	// handsOut: whoever sends a proof gets a nonce for the next one with every answer, for all processes behind this
	// address know it, or demand one. A nonce of this process alone is handed out only where nothing else will do:
	// another process would refuse the proof that carries it.
	handsOut bool
}

const (
	defaultLeeway = 30 * time.Second
	maxLeeway     = 60 * time.Second
	fetchTimeout  = 5 * time.Second
	minNonceKey   = 32
	// rememberedProofs bounds the memory of proofs, to about 100 MB if it is ever full. Beyond it proofs are refused
	// rather than forgotten.
	rememberedProofs = 1 << 20
)

// New makes a Verifier. It fetches nothing yet, so an app server starts while its issuer is down.
func New(c Config) (*Verifier, error) {
	handsOut := c.RequireNonce || len(c.NonceKey) > 0
	if err := c.complete(); err != nil {
		return nil, fmt.Errorf("resource: %w", err)
	}
	document, err := c.publish()
	if err != nil {
		return nil, fmt.Errorf("resource: %w", err)
	}
	v := &Verifier{
		config: c,
		keys:   &keySet{url: c.JWKSURL, client: c.HTTPClient, now: c.Now},
		proofs: &dpop.Verifier{Nonces: nonces(c.NonceKey), RequireNonce: c.RequireNonce},
		seen:   dpop.NewReplay(rememberedProofs),

		published: document,
		handsOut:  handsOut,
	}
	v.checker = &accesstoken.Checker{Issuer: c.Issuer, Audience: []string{c.Audience}, Keys: v.keys.find, Leeway: c.Leeway}
	if c.IntrospectionURL != "" {
		v.introspect = &introspector{url: c.IntrospectionURL, id: c.ResourceID, secret: c.ResourceSecret, client: c.HTTPClient}
	}
	return v, nil
}

// complete checks the configuration and fills in the defaults.
func (c *Config) complete() error {
	if c.Issuer == "" {
		return errors.New("the Issuer is missing: the address of the Countersign server, exactly as its tokens spell it")
	}
	if c.Audience == "" {
		return errors.New("the Audience is missing: without it, a token for any other app server would be accepted")
	}
	if c.JWKSURL == "" {
		c.JWKSURL = c.Issuer + "/jwks"
	}
	if c.BaseURL == "" {
		c.BaseURL = c.Audience
	}
	for _, a := range []struct{ name, value string }{{"Issuer", c.Issuer}, {"JWKSURL", c.JWKSURL}, {"IntrospectionURL", c.IntrospectionURL}} {
		if a.value == "" {
			continue
		}
		if err := secureAddress(a.value); err != nil {
			return fmt.Errorf("the %s %q: %w", a.name, a.value, err)
		}
	}
	if u, err := url.Parse(c.BaseURL); err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.RawQuery != "" || strings.Contains(c.BaseURL, "#") {
		return fmt.Errorf("the BaseURL %q is no http address; set it to the address clients reach this app server at", c.BaseURL)
	}
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	return c.completeRest()
}

func (c *Config) completeRest() error {
	if asks := c.IntrospectionURL != ""; asks != (c.ResourceID != "") || asks != (c.ResourceSecret != "") {
		return errors.New("introspection needs IntrospectionURL, ResourceID and ResourceSecret together")
	}
	if c.Leeway < 0 || c.Leeway > maxLeeway {
		return fmt.Errorf("the Leeway must be between 0 and %v", maxLeeway)
	}
	if c.Leeway == 0 {
		c.Leeway = defaultLeeway
	}
	if len(c.NonceKey) > 0 && len(c.NonceKey) < minNonceKey {
		return fmt.Errorf("the NonceKey has %d bytes; it needs %d", len(c.NonceKey), minNonceKey)
	}
	if len(c.NonceKey) == 0 {
		c.NonceKey = make([]byte, minNonceKey)
		_, _ = rand.Read(c.NonceKey) // never fails since Go 1.24
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.HTTPClient == nil {
		c.HTTPClient = &http.Client{
			Timeout:       fetchTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return nil
}

// secureAddress refuses plain http beyond this machine: whoever sits between could hand us keys of his own.
func secureAddress(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || strings.Contains(s, "#"):
		return errors.New("not an address")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return errors.New("only https is safe; http is accepted on localhost")
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

// nonceKeyID is the only one there is here.
const nonceKeyID = 1

func nonces(key []byte) *dpop.Nonces {
	return &dpop.Nonces{
		Key:     func(id uint32) ([]byte, bool) { return key, id == nonceKeyID },
		Current: func() uint32 { return nonceKeyID },
	}
}
