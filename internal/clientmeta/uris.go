package clientmeta

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

const (
	maxURI      = 2 << 10
	maxContacts = 10
	maxText     = 512
)

// redirects: by the rules of clients that are declared, and no host that is a number (ATTACKS RG04).
func (t *Terms) redirects(m *Metadata, c *domain.Client) error {
	if !m.codes() {
		if len(m.RedirectURIs) > 0 {
			return oauth.E(oauth.InvalidRedirectURI, "redirect_uris belong to the grant type authorization_code.")
		}
		return nil
	}
	if len(m.RedirectURIs) == 0 {
		return oauth.E(oauth.InvalidRedirectURI, "redirect_uris is missing: list where people are sent back to.")
	}
	if text := t.judgeRedirects(m.RedirectURIs, c.Type); text != "" {
		return oauth.E(oauth.InvalidRedirectURI, "redirect_uris: "+text+".")
	}
	c.RedirectURIs = m.RedirectURIs
	return nil
}

// judgeRedirects says what is wrong with a list; empty for a good one.
func (t *Terms) judgeRedirects(uris []string, kind domain.ClientType) string {
	if len(uris) > oauth.MaxRedirectURIs {
		return fmt.Sprintf("there are more than %d", oauth.MaxRedirectURIs)
	}
	for i, uri := range uris {
		text, remedy := oauth.CheckRedirect(uri, kind == domain.ClientNative)
		switch {
		case len(uri) > maxURI:
			return fmt.Sprintf("number %d is longer than 2048 bytes", i+1)
		case text != "":
			return fmt.Sprintf("number %d: %s (%s)", i+1, text, forApps(remedy))
		case plain(uri) && kind != domain.ClientNative && !t.Loopback:
			return fmt.Sprintf("number %d is plain http: only a native app is on the person's own machine (use https, or register application_type native without a secret)", i+1)
		case !oauth.PrivateUse(uri) && !plain(uri) && numeric(uri):
			return fmt.Sprintf("number %d names its host by an address (use the name of a host)", i+1)
		case slices.Index(uris, uri) != i:
			return fmt.Sprintf("number %d stands twice", i+1)
		}
	}
	return ""
}

// forApps says a remedy for a configuration in the words of a registration.
func forApps(remedy string) string {
	return strings.Replace(remedy, "give the client type: native", "register application_type native with token_endpoint_auth_method none", 1)
}

func plain(uri string) bool { return strings.HasPrefix(uri, "http://") }

// numeric tells whether a host is an address to some reader: in full, or as a number in decimal, octal or hexadecimal
// (WHATWG URL §3.5).
func numeric(uri string) bool {
	u, err := url.Parse(uri)
	if err != nil {
		return true
	}
	host := strings.TrimSuffix(u.Hostname(), ".")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	last := strings.ToLower(host[strings.LastIndexByte(host, '.')+1:])
	return strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x")
}

// shown: what people see, and whom to ask.
func (t *Terms) shown(m *Metadata, c *domain.Client) (err error) {
	if m.Name, err = tidyName(m.Name); err != nil {
		return err
	}
	for name, address := range map[string]string{
		"client_uri": m.ClientURI, "logo_uri": m.LogoURI, "policy_uri": m.PolicyURI, "tos_uri": m.TermsURI,
	} {
		if err := t.address(name, address); err != nil {
			return err
		}
	}
	if len(m.Contacts) > maxContacts {
		return invalid("There are more than 10 contacts.")
	}
	for name, text := range map[string]string{
		"contacts": strings.Join(m.Contacts, ""), "software_id": m.SoftwareID, "software_version": m.SoftwareVersion,
	} {
		if len(text) > maxText || strings.ContainsFunc(text, func(r rune) bool { return !domain.Printable(r) }) {
			return invalid(name + " is longer than 512 bytes, or has characters that cannot be shown.")
		}
	}
	c.Name, c.HomeURI, c.PolicyURI, c.TermsURI = m.Name, m.ClientURI, m.PolicyURI, m.TermsURI
	return nil
}

// address judges one that we fetch from, post to or lead people to; none is good.
func (t *Terms) address(name, address string) error {
	if address == "" {
		return nil
	}
	switch err := t.Public(address); {
	case err != nil:
		return invalid(name + " must be an https address on the public Internet.").Because(err)
	case len(address) > maxURI || strings.Contains(address, "#") || strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }):
		return invalid(name + " is longer than 2048 bytes, has a fragment, or a character no address has.")
	}
	return nil
}

// logout: where people come back to, and where we tell of ends.
func (t *Terms) logout(m *Metadata, c *domain.Client) error {
	if m.forItself() && (len(m.PostLogoutURIs) > 0 || m.BackchannelLogout != "") {
		return invalid("Nobody signs in to a client that asks for itself: leave out post_logout_redirect_uris and backchannel_logout_uri.")
	}
	if text := t.judgeRedirects(m.PostLogoutURIs, c.Type); text != "" {
		return invalid("post_logout_redirect_uris: " + text + ".")
	}
	c.PostLogoutURIs, c.BackchannelLogout = m.PostLogoutURIs, m.BackchannelLogout
	return t.address("backchannel_logout_uri", m.BackchannelLogout)
}

// requests: how authorization requests come. Documents are fetched from these addresses alone.
func (t *Terms) requests(m *Metadata, c *domain.Client) error {
	if len(m.RequestURIs) > oauth.MaxRedirectURIs {
		return invalid("There are more than 20 request_uris.")
	}
	for _, uri := range m.RequestURIs {
		withoutHash, _, _ := strings.Cut(uri, "#") // a hash of the document may follow (OIDC Core §6.2)
		if err := t.address("request_uris", withoutHash); err != nil {
			return err
		}
	}
	c.RequestURIs, c.RequirePushed, c.RequireSignedRequest = m.RequestURIs, m.RequirePushed, m.RequireSigned
	if m.MaxAge != nil && (*m.MaxAge < 0 || *m.MaxAge > 1<<31) {
		return invalid("default_max_age must be a number of seconds, zero or more.")
	}
	c.DefaultMaxAge = m.MaxAge
	return nil
}
