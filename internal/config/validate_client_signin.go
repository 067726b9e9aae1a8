package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/domain"
)

func (v check) clientProviders(i int) {
	c := &v.Clients[i]
	list := at("clients", i, "providers")
	if c.Type == string(domain.ClientService) {
		return // told by clientSignIn
	}
	seen := map[string]bool{}
	for j, p := range c.Providers {
		where := fmt.Sprintf("%s[%d]", list, j)
		known := v.providerNamed(p.Name)
		switch {
		case known == nil:
			v.add(where+".name", fmt.Sprintf("there is no provider %q", p.Name), remedyFor(p.Name, v.providerNames(), "declare it under providers"))
		case seen[p.Name]:
			v.add(where+".name", fmt.Sprintf("%q stands twice", p.Name), "put all its audiences into one entry")
		}
		seen[p.Name] = true
		v.audiences(where, c, &p, known)
		for k, a := range slices.Concat(p.Audiences, p.AZP) {
			if strings.TrimSpace(a) != a || a == "" {
				v.add(where, fmt.Sprintf("value %d of audiences and azp is empty or has spaces around it", k+1), "remove it")
			}
		}
	}
}

const audiencesRemedy = "list the client ids this app has at the provider: the aud of its id_tokens"

// audiences are needed for native sign-in; on our pages the provider's own client_id is.
func (v check) audiences(where string, c *Client, p *ClientProvider, known *Provider) {
	switch {
	case len(p.Audiences) > 0 && known != nil && known.withoutIDToken():
		v.add(where+".audiences", fmt.Sprintf("type %s has no id_tokens, so there is nothing to hold them against", known.Type), "remove it: people sign in there on our pages")
	case len(p.Audiences) > 0:
	case c.nativeOnly() && (known == nil || !known.withoutIDToken()):
		v.add(where+".audiences", "it is missing", audiencesRemedy)
	case known != nil && known.ClientID == "":
		v.add(where+".audiences", "it is missing, and the provider has no client_id: nobody can sign in with it", audiencesRemedy+", or give the provider client_id and client_secret_file")
	case len(p.AZP) > 0 || p.DangerouslyAcceptTokensWithoutANonce:
		v.add(where+".audiences", "it is missing, so no id_token is taken, whatever stands beside it", audiencesRemedy+", or keep the name alone")
	}
}

// onPages tells whether people can come to our pages for this client.
func (c *Client) onPages() bool { return len(c.RedirectURIs) > 0 || c.DeviceGrant }

// nativeOnly tells whether its people sign in with id_tokens and in no other way.
func (c *Client) nativeOnly() bool { return c.Type == string(domain.ClientNative) && !c.onPages() }

func (v check) providerNamed(name string) *Provider {
	i := slices.IndexFunc(v.Providers, func(p Provider) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &v.Providers[i]
}

func (v check) providerNames() []string {
	var names []string
	for _, p := range v.Providers {
		names = append(names, p.Name)
	}
	return names
}

// clientSignIn: somebody must be able to sign in to an app that people use, and nobody signs in to a service.
func (v check) clientSignIn(i int) {
	c := &v.Clients[i]
	if c.Type == string(domain.ClientService) {
		v.serviceSignIn(i)
		return
	}
	natively, byRedirect := false, false
	for _, p := range c.Providers {
		known := v.providerNamed(p.Name)
		// A wrong name, and audiences that are missing, have been told.
		natively = natively || len(p.Audiences) > 0 || known == nil || (c.nativeOnly() && !known.withoutIDToken())
		byRedirect = byRedirect || known != nil && known.ClientID != ""
	}
	ways := byRedirect || c.Email || c.Passkeys
	switch where := fmt.Sprintf("clients[%d]", i); {
	case natively:
	case c.onPages() && !ways && len(c.Providers) == 0:
		v.add(where, "nobody can sign in to it", "list providers that have a client_id, or add email: true or passkeys: true")
	case ways && !c.onPages():
		v.add(at("clients", i, "redirect_uris"), "it is missing, so nobody can be sent back from our pages", "list where its people return to: redirect_uris: [https://app.example.com/callback]; a device without a browser has device_grant: true instead")
	case !ways && !c.onPages() && c.Type != string(domain.ClientNative) && len(c.Providers) == 0:
		v.add(where, fmt.Sprintf("a %s client needs redirect_uris and a way to sign in: it can do nothing as it is", c.Type), "add redirect_uris and providers, email: true or passkeys: true; what asks for tokens without people is type: service")
	}
}

func (v check) serviceSignIn(i int) {
	c := &v.Clients[i]
	for _, f := range []struct {
		key   string
		there bool
	}{
		{"providers", len(c.Providers) > 0}, {"email", c.Email}, {"passkeys", c.Passkeys}, {"first_party", c.FirstParty},
		{"device_grant", c.DeviceGrant}, {"pkce", c.PKCE != ""}, {"backchannel_logout_uri", c.BackchannelURI != ""},
		{"userinfo_signed_response_alg", c.UserInfoAlg != ""},
	} {
		if f.there {
			v.add(at("clients", i, f.key), "a service signs nobody in", "remove the line, or give the client another type")
		}
	}
}
