package upstream

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/jose"
)

// What the providers pin. All of them but LINE sign with RS256 only. Issuers are the spellings seen in tokens; the first is the
// one we keep. Discovery is not asked: Apple's announced another issuer than its tokens carry, for two days in 2025.
const (
	googleKeys      = "https://www.googleapis.com/oauth2/v3/certs"
	googleAuthorize = "https://accounts.google.com/o/oauth2/v2/auth"
	googleToken     = "https://oauth2.googleapis.com/token"

	appleIssuer    = "https://appleid.apple.com"
	appleKeys      = appleIssuer + "/auth/keys"
	appleAuthorize = appleIssuer + "/auth/authorize"
	appleToken     = appleIssuer + "/auth/token"
	appleRevoke    = appleIssuer + "/auth/revoke"

	// GitHub's issuer is the iss of its redirects (RFC 9207): people's sign-ins there have no id_token.
	gitHubBase       = "https://github.com"
	gitHubAPI        = "https://api.github.com"
	gitHubIssuerPath = "/login/oauth"
	githubIssuer     = gitHubBase + gitHubIssuerPath
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
	p := &Provider{name: s.Name, kind: s.Type, algs: []jose.Alg{jose.RS256}, fetch: f, now: now}
	source := &keySource{fetch: f}
	err := p.pin(s, source)
	if err == nil {
		err = s.check()
	}
	if err == nil && s.Standin != "" {
		err = checkStandin(s.Standin)
		p.standin(s.Standin, source)
	}
	if err != nil {
		return nil, fmt.Errorf("upstream provider %s: %w", s.Name, err)
	}
	p.client = newClient(s)
	p.directory.fetch, p.directory.now = f, now
	if source.uri != "" || source.discoverAt != "" {
		p.source, p.keys = source, p.newKeyCache(source.load)
	}
	return p, nil
}

// pin sets what the type brings with it.
func (p *Provider) pin(s Settings, source *keySource) (err error) {
	at := &p.directory.pinned
	switch s.Type {
	case typeGoogle:
		p.issuers, source.uri = googleIssuers, googleKeys
		p.namesPresenter = true
		at.authorize, at.token = googleAuthorize, googleToken
	case typeApple:
		p.issuers, source.uri = appleIssuers, appleKeys
		at.authorize, at.token = appleAuthorize, appleToken
		p.apple, err = newAppleClient(s)
	case typeMicrosoft:
		if p.tenants, err = newTenants(s); err != nil {
			return err
		}
		source.perKey = true
		p.issuers, source.uri = []string{p.tenants.issuer()}, microsoftBase+s.Tenant+microsoftKeys
		at.authorize, at.token = microsoftBase+s.Tenant+microsoftAuthorize, microsoftBase+s.Tenant+microsoftToken
	case typeGitHub:
		err = p.pinGitHub(s)
	case typeFacebook:
		err = p.pinFacebook(s, source)
	case typeLINE:
		p.pinLINE(source)
	case typeDiscord:
		p.pinDiscord()
	case typeGitLab:
		err = p.pinGitLab(s, source)
	case typeOIDC:
		err = p.pinOpenID(s, source)
	case typeOAuth2:
		p.issuers, p.algs = []string{s.Issuer}, nil
		at.authorize, at.token, at.userInfo = s.AuthorizeURL, s.TokenURL, s.UserInfoURL
		p.members = newMembers(s)
		err = plainOAuth(s)
	default:
		err = fmt.Errorf("type %q is not google, apple, microsoft, github, facebook, line, discord, gitlab, oidc or oauth2", s.Type)
	}
	return err
}

func (p *Provider) pinOpenID(s Settings, source *keySource) (err error) {
	p.issuers, source.uri, source.discoverAt = []string{s.Issuer}, s.JWKSURI, s.Issuer
	at := &p.directory.pinned
	at.authorize, at.token, at.userInfo = s.AuthorizeURL, s.TokenURL, s.UserInfoURL
	if at.authorize == "" || at.token == "" {
		p.directory.discoverAt = s.Issuer
	}
	p.algs, err = generic(s)
	return err
}

// standin puts the stand-in's endpoints in the place of the provider's.
func (p *Provider) standin(base string, source *keySource) {
	if source.uri != "" || source.discoverAt != "" {
		source.uri = base + "/jwks"
	}
	p.directory.discoverAt = ""
	at := &p.directory.pinned
	at.authorize, at.token = base+"/authorize", base+"/token"
	switch p.kind {
	case typeApple:
		at.authorize, at.token = base+"/auth/authorize", base+"/auth/token"
	case typeGitHub:
		at.userInfo, at.emails = base+"/user", base+"/user/emails"
	case typeFacebook:
		at.userInfo = base + "/me"
	case typeDiscord:
		at.userInfo = base + "/users/@me"
	case typeOIDC, typeOAuth2:
		at.userInfo = base + "/userinfo"
	}
}
