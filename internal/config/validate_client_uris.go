package config

import (
	"fmt"
	"net/url"
	"slices"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

func (v check) clientURIs(i int) {
	c := &v.Clients[i]
	v.redirects(i, "redirect_uris", c.RedirectURIs)
	v.redirects(i, "post_logout_redirect_uris", c.PostLogoutURIs) // OIDC RP-Initiated Logout §2: registered and compared alike
	if c.BackchannelURI != "" && c.Type != string(domain.ClientService) {
		v.ownAddress(at("clients", i, "backchannel_logout_uri"), c.BackchannelURI)
	}
	if c.Type != string(domain.ClientBrowser) && len(c.Origins) > 0 {
		v.add(at("clients", i, "origins"), "only a browser client has origins", "remove the line, or give the client type: browser")
		return
	}
	for j, o := range c.Origins {
		if text, remedy := origin(o); text != "" {
			v.add(fmt.Sprintf("%s[%d]", at("clients", i, "origins"), j), text, remedy)
		}
	}
}

func (v check) redirects(i int, key string, uris []string) {
	c, list := &v.Clients[i], at("clients", i, key)
	if c.Type == string(domain.ClientService) && len(uris) > 0 {
		v.add(list, "a service has no browser to send back", "remove the line")
		return
	}
	if len(uris) > oauth.MaxRedirectURIs {
		v.add(list, fmt.Sprintf("there are more than %d", oauth.MaxRedirectURIs), "remove those nobody uses; what differs per request belongs into state")
	}
	for j, uri := range uris {
		where := fmt.Sprintf("%s[%d]", list, j)
		text, remedy := oauth.CheckRedirect(uri, c.Type == string(domain.ClientNative))
		switch {
		case text != "":
			v.add(where, text, remedy)
		case slices.Index(uris, uri) != j:
			v.add(where, fmt.Sprintf("%q stands twice", uri), "keep one")
		case c.Type == string(domain.ClientWeb) && plainHTTP(uri) && !v.OnLoopback():
			// AZ09: a server that people reach is not on their own machine.
			v.add(where, "it is plain http, but this server serves more than this machine", "use https; a web client may have http while the issuer is on loopback")
		}
	}
}

// OnLoopback tells whether the issuer is this machine.
func (c *Config) OnLoopback() bool {
	u, err := url.Parse(c.Issuer)
	return err == nil && loopbackHost(u.Hostname())
}

// clientShown: what the pages link to.
func (v check) clientShown(i int) {
	c := &v.Clients[i]
	for _, f := range []struct{ key, value string }{
		{"client_uri", c.ClientURI}, {"policy_uri", c.PolicyURI}, {"tos_uri", c.TermsURI},
	} {
		if f.value != "" {
			v.ownAddress(at("clients", i, f.key), f.value)
		}
	}
}

// ownAddress judges an address of the app's: https, or http between loopback and loopback. No fragment (OIDC
// Back-Channel Logout §2.2).
func (v check) ownAddress(where, address string) {
	u, err := httpAddress(address)
	switch {
	case err != nil:
		v.add(where, fmt.Sprintf("%q is not an https address without user name and fragment", address), "write it like https://app.example.com/page")
	case u.Scheme == "https":
	case !loopbackHost(u.Hostname()):
		v.add(where, "it is plain http, and not on this machine", "write https://"+u.Host+u.Path)
	case !v.loopbackOnly():
		v.add(where, "plain http is for trying out, but this server can be reached from other machines", "use https, or put the issuer and both listeners on loopback")
	}
}
