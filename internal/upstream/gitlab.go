package upstream

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

const gitLabIssuer = "https://gitlab.com"

// pinGitLab: an instance's issuer is its address, and all else is where it is at every instance: nothing is left to be
// discovered (other-providers.md section 8).
func (p *Provider) pinGitLab(s Settings, source *keySource) error {
	base := cmp.Or(s.Issuer, gitLabIssuer)
	if err := checkBase(base); err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	if s.Standin != "" {
		return errors.New("a stand-in GitLab is an instance of its own: name it as issuer, without standin")
	}
	p.issuers, source.uri = []string{base}, base+"/oauth/discovery/keys"
	at := &p.directory.pinned
	at.authorize, at.token, at.userInfo = base+"/oauth/authorize", base+"/oauth/token", base+"/oauth/userinfo"
	return nil
}

// pinGitHub: an Enterprise server has its API below its own address, one with data residency beside it.
func (p *Provider) pinGitHub(s Settings) error {
	base, api := gitHubBase, gitHubAPI
	if s.BaseURL != "" && s.BaseURL != gitHubBase {
		if err := checkBase(s.BaseURL); err != nil {
			return fmt.Errorf("base_url: %w", err)
		}
		base, api = s.BaseURL, s.BaseURL+"/api/v3"
		if u, err := url.Parse(base); err == nil && strings.HasSuffix(u.Hostname(), ".ghe.com") {
			api = u.Scheme + "://api." + u.Host
		}
	}
	p.issuers, p.algs = []string{base + gitHubIssuerPath}, nil
	at := &p.directory.pinned
	at.authorize, at.token = p.issuers[0]+"/authorize", p.issuers[0]+"/access_token"
	at.userInfo, at.emails = api+"/user", api+"/user/emails"
	return nil
}

// checkBase: what ends with a slash would make addresses with two, and an issuer that no token has.
func checkBase(base string) error {
	if !absolute(base) || strings.ContainsAny(base, "?#") || strings.HasSuffix(base, "/") {
		return fmt.Errorf("%q is not an https URL without a slash at its end, a query and a fragment", base)
	}
	return nil
}
