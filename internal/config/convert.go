package config

import (
	"crypto/sha256"
	"net"
	"net/netip"
	"slices"

	"github.com/countersign/countersign/internal/clientmeta"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/upstream"
)

// Catalog returns the clients and resources as the store keeps them: secrets only as their SHA-256.
func (c *Config) Catalog() domain.Catalog {
	cat := domain.Catalog{Revision: int64(c.Revision)}
	for i := range c.Clients {
		cat.Clients = append(cat.Clients, c.Clients[i].domain())
	}
	for _, r := range c.Resources {
		cat.Resources = append(cat.Resources, domain.Resource{
			ID: r.ID, Audience: r.Audience, Scopes: r.Scopes, SecretHash: r.Secret.hash(),
			Details: r.details(), IntrospectionAlg: domain.SigningAlg(r.IntrospectionAlg),
		})
	}
	return cat
}

func (c *Client) domain() domain.Client {
	out := domain.Client{
		ID: c.ID, Name: c.Name, Type: domain.ClientType(c.Type),
		DPoP: domain.DPoPAllowed, AuthMethod: domain.AuthNone, SecretHash: c.Secret.hash(), OldSecret: c.OldSecret.hash(),
		Email: c.Email, Passkeys: c.Passkeys, FirstParty: c.FirstParty, DeviceGrant: c.DeviceGrant,
		WithoutPKCE: c.PKCE == pkceOptional, LegacyAssertionAudience: c.AssertionAud == audienceLegacy,
		PostLogoutURIs: c.PostLogoutURIs, BackchannelLogout: c.BackchannelURI,
		HomeURI: c.ClientURI, PolicyURI: c.PolicyURI, TermsURI: c.TermsURI, Logo: c.Logo, LogoType: clientmeta.LogoType(c.Logo),
		Resources: c.Resources, Scopes: c.Scopes, RedirectURIs: c.RedirectURIs, Origins: c.Origins,
		AccessTokenTTL: c.AccessTokenTTL, SessionIdle: c.SessionIdle, SessionAbsolute: c.SessionAbsolute,
		BearerGrace: c.BearerGrace, AccessTokenAlg: domain.SigningAlg(c.AccessTokenAlg), IDTokenAlg: domain.SigningAlg(c.IDTokenAlg),
		UserInfoAlg: domain.SigningAlg(c.UserInfoAlg),
	}
	c.assurance(&out)
	if c.DPoP != "" {
		out.DPoP = domain.DPoPPolicy(c.DPoP)
	}
	if c.confidential() {
		out.AuthMethod = domain.AuthSecretBasic
		if c.AuthMethod != "" {
			out.AuthMethod = domain.AuthMethod(c.AuthMethod)
		}
	}
	for _, p := range c.Providers {
		out.Providers = append(out.Providers, domain.ClientProvider{
			Name: p.Name, Audiences: p.Audiences, AZP: p.AZP, AcceptTokensWithoutNonce: p.DangerouslyAcceptTokensWithoutANonce,
		})
	}
	return out
}

// assurance is what high assurance asks for.
func (c *Client) assurance(out *domain.Client) {
	out.Profile = domain.ClientProfile(c.Profile)
	out.RequirePushed, out.RequireSignedRequest = c.RequirePushed, c.RequireSignedRequest
	out.RequestAlg, out.ResponseAlg = domain.SigningAlg(c.RequestAlg), domain.SigningAlg(c.ResponseAlg)
	out.RequestURIs, out.JWKSURI, out.DetailTypes = c.RequestURIs, c.JWKSURI, c.DetailTypes
	out.CertificateBound = c.CertificateBound
	out.Certificate = domain.TLSSubject{DN: c.TLSSubjectDN, DNS: c.TLSDNS, URI: c.TLSURI, IP: c.TLSIP, Email: c.TLSEmail}
	out.Pairwise, out.Sector = c.SubjectType == subjectPairwise, c.Sector
	if len(c.JWKS) > 0 {
		out.JWKS = publicKeys(c.JWKS)
	}
}

const subjectPairwise = "pairwise"

func (r *Resource) details() []domain.DetailType {
	var list []domain.DetailType
	for _, d := range r.Details {
		list = append(list, domain.DetailType(d))
	}
	return list
}

// hash is SHA-256, enough for the 128 bits Validate asks of a secret; nil for none.
func (s Secret) hash() []byte {
	if s == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

// Upstream returns the settings of every provider.
func (c *Config) Upstream() []upstream.Settings {
	list := make([]upstream.Settings, len(c.Providers))
	for i := range c.Providers {
		list[i] = c.Providers[i].settings()
	}
	return list
}

func (p *Provider) settings() upstream.Settings {
	s := upstream.Settings{
		Name: p.Name, Type: p.Type, Issuer: p.Issuer, Standin: p.Standin, JWKSURI: p.JWKSURI,
		TeamID: p.TeamID, KeyID: p.KeyID, PrivateKeyPEM: []byte(p.PrivateKeyPEM),
		ClientID: p.ClientID, ClientSecret: string(p.ClientSecret), Scopes: p.Scopes, Tenant: p.Tenant, Tenants: p.Tenants,
		BaseURL: p.BaseURL, GraphVersion: p.GraphVersion,
		AuthorizeURL: p.AuthorizeURL, TokenURL: p.TokenURL, UserInfoURL: p.UserInfoURL,
		SubjectClaim: p.SubjectClaim, EmailClaim: p.EmailClaim, EmailVerifiedClaim: p.EmailVerifiedClaim, NameClaim: p.NameClaim,
		WithoutPKCE: p.PKCE == "false",
	}
	if p.Type == typeMicrosoft && p.Tenant == "" {
		s.Tenant = "common"
	}
	for _, alg := range p.Algorithms {
		s.Algs = append(s.Algs, jose.Alg(alg))
	}
	return s
}

// AllowLoopback tells whether we may send requests to this machine: only where nothing of this server can be reached
// from another, and a provider or a client's logout is declared there.
func (c *Config) AllowLoopback() bool {
	return c.loopbackOnly() && (slices.ContainsFunc(c.Providers, func(p Provider) bool { return p.here() }) ||
		slices.ContainsFunc(c.Clients, func(cl Client) bool { return plainHTTP(cl.BackchannelURI) }))
}

// FetchNetworks are those on this machine that the documents of clients may come from: only where nothing of this server
// can be reached from another.
func (c *Config) FetchNetworks() []netip.Prefix {
	var list []netip.Prefix
	for _, text := range c.FetchAllow {
		if prefix, err := netip.ParsePrefix(text); err == nil && ofThisMachine(prefix) && c.loopbackOnly() {
			list = append(list, prefix)
		}
	}
	return list
}

func ofThisMachine(p netip.Prefix) bool {
	return p.Addr().IsLoopback() && (p.Addr().Is6() || p.Bits() >= 8)
}

func (p *Provider) here() bool {
	return p.Standin != "" || slices.ContainsFunc(p.addresses(), func(a address) bool { return plainHTTP(a.value) })
}

// AdminURL is where the command line finds the admin API of this configuration on the same machine.
func (c *Config) AdminURL() string {
	host, port, err := net.SplitHostPort(c.Admin.Listen)
	if err != nil {
		return ""
	}
	if ip, err := netip.ParseAddr(host); host == "" || (err == nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}
