package upstream

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/jose"
)

// Settings of one provider, from configuration.
type Settings struct {
	Name    string
	Type    string     // google | apple | oidc
	Issuer  string     // oidc only; google's and apple's are built in
	Standin string     // base URL of a stand-in, loopback only; replaces hosts of endpoints, not issuers
	JWKSURI string     // oidc: empty means discovery at the configured issuer, once, lazily
	Algs    []jose.Alg // oidc: empty means RS256 and ES256
	// Apple only: all three, or none where no authorization codes are redeemed.
	TeamID, KeyID string
	PrivateKeyPEM []byte
}

// What Google and Apple pin. Both sign with RS256 only. Issuers are the spellings seen in tokens; the first is the
// one we keep. Discovery is not asked: Apple's announced another issuer than its tokens carry, for two days in 2025.
const (
	googleKeys  = "https://www.googleapis.com/oauth2/v3/certs"
	appleIssuer = "https://appleid.apple.com"
	appleKeys   = appleIssuer + "/auth/keys"
	appleToken  = appleIssuer + "/auth/token"
	appleRevoke = appleIssuer + "/auth/revoke"
)

var (
	googleIssuers = []string{"https://accounts.google.com", "accounts.google.com"}
	appleIssuers  = []string{appleIssuer, "https://account.apple.com"}
)

// New freezes a provider. It fetches nothing yet; Run keeps its keys fresh.
func New(s Settings, f *fetch.Client, now func() time.Time) (*Provider, error) {
	if s.Name == "" {
		return nil, errors.New("upstream provider: it has no name")
	}
	s.Standin = strings.TrimSuffix(s.Standin, "/")
	p := &Provider{name: s.Name, algs: []jose.Alg{jose.RS256}, fetch: f, now: now}
	source := &keySource{fetch: f}
	var err error
	switch s.Type {
	case "google":
		p.issuers, source.uri = googleIssuers, googleKeys
		p.namesPresenter = true
	case "apple":
		p.issuers, source.uri = appleIssuers, appleKeys
		p.apple, err = newAppleClient(s)
	case "oidc":
		p.issuers, source.uri, source.discoverAt = []string{s.Issuer}, s.JWKSURI, s.Issuer
		p.algs, err = generic(s)
	default:
		err = fmt.Errorf("type %q is not google, apple or oidc", s.Type)
	}
	if err == nil && s.Standin != "" {
		source.uri = s.Standin + "/jwks"
		err = checkStandin(s.Standin)
	}
	if err != nil {
		return nil, fmt.Errorf("upstream provider %s: %w", s.Name, err)
	}
	p.keys = newKeyCache(source.load, now)
	return p, nil
}

// generic checks the settings of an oidc provider and returns its algorithms. Whether a plain http address may be
// used is for fetch to say.
func generic(s Settings) ([]jose.Alg, error) {
	if !absolute(s.Issuer) || strings.ContainsAny(s.Issuer, "?#") {
		return nil, errors.New("issuer is not an https URL without query and fragment")
	}
	if s.JWKSURI != "" && !absolute(s.JWKSURI) {
		return nil, errors.New("jwks_uri is not an https URL")
	}
	if slices.Contains(slices.Concat(googleIssuers, appleIssuers), s.Issuer) {
		return nil, fmt.Errorf("issuer %s has a type of its own: google or apple", s.Issuer)
	}
	if len(s.Algs) == 0 {
		return []jose.Alg{jose.RS256, jose.ES256}, nil
	}
	for _, alg := range s.Algs {
		if !slices.Contains([]jose.Alg{jose.RS256, jose.ES256, jose.PS256, jose.EdDSA}, alg) {
			return nil, fmt.Errorf("algorithm %q is not RS256, ES256, PS256 or EdDSA", alg)
		}
	}
	return slices.Clone(s.Algs), nil
}

func absolute(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.User == nil
}

// checkStandin: keys from another machine in Google's name would let that machine sign in anybody.
func checkStandin(base string) error {
	u, err := url.Parse(base)
	if err != nil || !absolute(base) {
		return errors.New("standin is not a URL")
	}
	if addr, err := netip.ParseAddr(u.Hostname()); u.Hostname() != "localhost" && (err != nil || !addr.IsLoopback()) {
		return errors.New("standin is not on loopback")
	}
	return nil
}

// Set is all configured providers.
type Set struct {
	byIssuer, byName map[string]*Provider
}

// NewSet indexes providers by issuer; two providers with one issuer, or one name, are an error.
func NewSet(providers ...*Provider) (*Set, error) {
	s := &Set{byIssuer: make(map[string]*Provider), byName: make(map[string]*Provider)}
	for _, p := range providers {
		if _, taken := s.byName[p.name]; taken {
			return nil, fmt.Errorf("upstream providers: two have the name %s", p.name)
		}
		s.byName[p.name] = p
		for _, iss := range p.issuers {
			if other, taken := s.byIssuer[iss]; taken {
				return nil, fmt.Errorf("upstream providers: %s and %s have the same issuer %s", other.name, p.name, iss)
			}
			s.byIssuer[iss] = p
		}
	}
	return s, nil
}

// ByIssuer returns the provider with this exact issuer spelling.
func (s *Set) ByIssuer(iss string) (*Provider, bool) {
	p, ok := s.byIssuer[iss]
	return p, ok
}

// ByName returns the provider with this name.
func (s *Set) ByName(name string) (*Provider, bool) {
	p, ok := s.byName[name]
	return p, ok
}
