package upstream

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/jose"
)

// The types of providers.
const (
	typeGoogle    = "google"
	typeApple     = "apple"
	typeMicrosoft = "microsoft"
	typeGitHub    = "github"
	typeFacebook  = "facebook"
	typeLINE      = "line"
	typeDiscord   = "discord"
	typeGitLab    = "gitlab"
	typeOIDC      = "oidc"
	typeOAuth2    = "oauth2"
)

// titles are what people call the providers we know.
var titles = map[string]string{
	typeGoogle: "Google", typeApple: "Apple", typeMicrosoft: "Microsoft", typeGitHub: "GitHub",
	typeFacebook: "Facebook", typeLINE: "LINE", typeDiscord: "Discord", typeGitLab: "GitLab",
}

// Title returns what people call the providers of a type; empty for the generic ones.
func Title(typ string) string { return titles[typ] }

// Settings of one provider, from configuration.
type Settings struct {
	Name    string
	Type    string     // google | apple | microsoft | github | facebook | line | discord | gitlab | oidc | oauth2
	Issuer  string     // oidc, oauth2 and gitlab only (empty there: https://gitlab.com); others' are built in. oauth2: our name of it, and its iss if it sends one (RFC 9207)
	Standin string     // base URL of a stand-in, loopback only; replaces hosts of endpoints, not issuers
	JWKSURI string     // oidc: empty means discovery at the configured issuer, once, lazily
	Algs    []jose.Alg // oidc: empty means RS256 and ES256
	// Apple only: all three, or none where no authorization codes are redeemed.
	TeamID, KeyID string
	PrivateKeyPEM []byte

	// Our client at the provider, for sign-in by redirect; empty: native sign-in only. Apple's ClientID is the Services
	// ID, and its secret is minted from the key above.
	ClientID, ClientSecret string
	Scopes                 []string // empty: what tells who somebody is, by type

	// Microsoft only. Tenant is "common", "organizations", "consumers" or a tenant's id; Tenants lists the tenants
	// (claim tid) of all those that may sign in, empty: all that Tenant admits.
	Tenant  string
	Tenants []string

	BaseURL      string // GitHub only: of an Enterprise server; empty: github.com
	GraphVersion string // Facebook only; empty: the one of this release

	// oidc: empty means discovery. oauth2: all three are needed.
	AuthorizeURL, TokenURL, UserInfoURL string

	// oauth2 only: which members of the userinfo answer say what; a.b is member b of the object a. SubjectClaim empty:
	// "sub". An address counts as verified only by EmailVerifiedClaim, or all of them where it names several.
	SubjectClaim, EmailClaim, EmailVerifiedClaim, NameClaim string
	// WithoutPKCE leaves the code challenge out. It is wrong for every provider that takes one, or ignores it: only
	// one that refuses requests with parameters it does not know needs this.
	WithoutPKCE bool
}

// check holds against the type what does not depend on it alone.
func (s *Settings) check() error {
	secret := s.ClientSecret != "" || s.Type == typeApple && len(s.PrivateKeyPEM) > 0
	needsClient := s.Type == typeGitHub || s.Type == typeDiscord || s.Type == typeOAuth2
	switch {
	case s.ClientID != "" && !secret && s.Type == typeApple:
		return errors.New("sign-in by redirect needs Apple's team id, key id and private key")
	case s.ClientID != "" && !secret:
		return errors.New("the client id has no client secret")
	case s.ClientID == "" && (s.ClientSecret != "" || needsClient):
		return errors.New("the client id is missing: register this server at the provider")
	case s.ClientSecret != "" && s.Type == typeApple:
		return errors.New("apple has no client secret: it is minted from the private key")
	case s.WithoutPKCE && s.Type != typeOAuth2:
		return errors.New("only type oauth2 may do without PKCE")
	case s.Type != typeMicrosoft && (s.Tenant != "" || len(s.Tenants) > 0):
		return errors.New("only type microsoft has tenants")
	case s.Type == typeLINE && s.ClientID != "" && len(s.ClientSecret) < jose.MinSecret:
		return fmt.Errorf("the channel secret of LINE has %d characters: it signs what LINE says", jose.MinSecret)
	}
	for _, scope := range s.Scopes {
		if scope == "" || strings.ContainsFunc(scope, notScope) {
			return fmt.Errorf("scope %q has characters a scope may not have", scope)
		}
	}
	openID := []string{typeGoogle, typeMicrosoft, typeLINE, typeGitLab, typeOIDC}
	if slices.Contains(openID, s.Type) && len(s.Scopes) > 0 && !slices.Contains(s.Scopes, "openid") {
		return errors.New("the scopes lack openid: without it there is no id_token")
	}
	return nil
}

// notScope is what RFC 6749 §3.3 leaves out of a scope.
func notScope(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }

// generic checks the settings of an oidc provider and returns its algorithms. Whether a plain http address may be
// used is for fetch to say.
func generic(s Settings) ([]jose.Alg, error) {
	if err := checkIssuer(s.Issuer); err != nil {
		return nil, err
	}
	if s.JWKSURI != "" && !absolute(s.JWKSURI) {
		return nil, errors.New("jwks_uri is not an https URL")
	}
	for _, address := range []string{s.AuthorizeURL, s.TokenURL, s.UserInfoURL} {
		if address != "" && !absolute(address) {
			return nil, fmt.Errorf("%q is not an https URL", address)
		}
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

// plainOAuth checks the settings of a provider that knows no id_token.
func plainOAuth(s Settings) error {
	if err := checkIssuer(s.Issuer); err != nil {
		return err
	}
	for _, address := range []string{s.AuthorizeURL, s.TokenURL, s.UserInfoURL} {
		if !absolute(address) {
			return errors.New("the URLs to authorize, for tokens and for userinfo are needed, each an https URL")
		}
	}
	if s.EmailVerifiedClaim != "" && s.EmailClaim == "" {
		return errors.New("a claim says whether the address is verified, but none says which it is")
	}
	return nil
}

func checkIssuer(issuer string) error {
	if !absolute(issuer) || strings.ContainsAny(issuer, "?#") {
		return errors.New("issuer is not an https URL without query and fragment")
	}
	if slices.Contains(slices.Concat(googleIssuers, appleIssuers, []string{githubIssuer}), issuer) {
		return fmt.Errorf("issuer %s has a type of its own: google, apple or github", issuer)
	}
	return nil
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
