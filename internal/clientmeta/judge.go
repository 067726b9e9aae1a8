package clientmeta

import (
	"slices"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

// Application types (OIDC Registration §2).
const (
	typeNative = "native"
	typeWeb    = "web"
)

// Judge makes a client of metadata, by the operator's terms, and says how the client came here; the caller gives it id
// and secret. m comes back as it is registered: with our defaults, and without what we do not give (RFC 7591 §2, §3.2.1).
// Errors: invalid_redirect_uri, invalid_client_metadata.
func (t *Terms) Judge(m *Metadata, by domain.RegisteredBy) (*domain.Client, error) {
	c := &domain.Client{Registered: by, DPoP: domain.DPoPAllowed}
	for _, step := range []func(*Metadata, *domain.Client) error{
		t.method, t.grants, t.kind, t.redirects, t.shown, t.keys, t.certificate, t.reach, t.subject, t.algorithms, t.requests, t.logout,
	} {
		if err := step(m, c); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// method: one way to authenticate. What is left out means a secret (RFC 7591 §2), but for a document, which can share none
// (CIMD draft -01 §4.1).
func (t *Terms) method(m *Metadata, c *domain.Client) error {
	byDocument := c.Registered == domain.RegisteredByDocument
	if m.AuthMethod == "" {
		m.AuthMethod = domain.AuthSecretBasic
		if byDocument {
			m.AuthMethod = domain.AuthNone
		}
	}
	switch m.AuthMethod {
	case domain.AuthNone, domain.AuthPrivateKey:
	case domain.AuthSecretBasic, domain.AuthSecretPost:
		if byDocument {
			return invalid("A client that is named by its document shares no secret with us: token_endpoint_auth_method can be none or private_key_jwt.")
		}
	case domain.AuthTLS, domain.AuthSelfSigned:
		if !t.TLS {
			return invalid("This server takes no client certificates: choose another token_endpoint_auth_method.")
		}
	default:
		return invalid("token_endpoint_auth_method can be one of those in the server's metadata.")
	}
	c.AuthMethod = m.AuthMethod
	return nil
}

// grants: what the client asks for tokens with (RFC 7591 §2.1).
func (t *Terms) grants(m *Metadata, c *domain.Client) error {
	if len(m.GrantTypes) == 0 {
		m.GrantTypes = []string{oauth.GrantCode}
		if t.gives(m, oauth.ScopeOfflineAccess) { // or the scope would say what the grants deny
			m.GrantTypes = append(m.GrantTypes, oauth.GrantRefreshToken)
		}
	}
	for i, g := range m.GrantTypes {
		switch g {
		case oauth.GrantCode, oauth.GrantRefreshToken, oauth.GrantDeviceCode, oauth.GrantClientCredentials:
		default:
			return invalid("grant_types can hold authorization_code, refresh_token, client_credentials and urn:ietf:params:oauth:grant-type:device_code.")
		}
		if slices.Index(m.GrantTypes, g) != i {
			return invalid("A value stands twice in grant_types.")
		}
	}
	c.DeviceGrant = slices.Contains(m.GrantTypes, oauth.GrantDeviceCode)
	if m.ResponseTypes == nil && m.codes() {
		m.ResponseTypes = []string{oauth.ResponseCode}
	}
	switch {
	case slices.ContainsFunc(m.ResponseTypes, func(r string) bool { return r != oauth.ResponseCode }) || len(m.ResponseTypes) > 1:
		return invalid("response_types can only be code: tokens are not sent through a browser.")
	case m.codes() != (len(m.ResponseTypes) > 0):
		return invalid("response_types and grant_types do not fit: code belongs to authorization_code.")
	case !m.codes() && !c.DeviceGrant && !m.forItself():
		return invalid("grant_types has no way to get a first token: refresh_token alone gets none.")
	case m.forItself() && len(m.GrantTypes) > 1:
		return invalid("client_credentials stands alone: what asks for itself and what asks for people are two clients.")
	}
	return nil
}

// codes tells whether people are sent back to the client with a code.
func (m *Metadata) codes() bool { return slices.Contains(m.GrantTypes, oauth.GrantCode) }

// forItself tells whether the client asks for tokens without people.
func (m *Metadata) forItself() bool {
	return slices.Contains(m.GrantTypes, oauth.GrantClientCredentials)
}

// kind decides the type of the client: what it can keep, and where it runs.
func (t *Terms) kind(m *Metadata, c *domain.Client) error {
	switch m.ApplicationType {
	case "", typeWeb, typeNative:
	default:
		return invalid("application_type can be web or native.")
	}
	onDevice := m.ApplicationType == typeNative || (m.ApplicationType == "" && m.returnsToDevice())
	switch confidential := c.Confidential(); {
	case m.forItself() && !confidential:
		return invalid("client_credentials is for clients that authenticate: choose another token_endpoint_auth_method than none.")
	case m.forItself() && c.Unverified():
		// Nobody answers for it and no person agrees: it would have whatever the resources give to services.
		return oauth.E(oauth.InvalidClientMetadata, "client_credentials is not open to clients that nobody here answers for: register with an initial access token.")
	case m.forItself():
		c.Type = domain.ClientService
	case confidential && m.ApplicationType == typeNative:
		return invalid("A native app keeps no secret, for everybody who has the app has it (RFC 8252, section 8.5): token_endpoint_auth_method must be none.")
	case confidential:
		c.Type = domain.ClientWeb
	case onDevice, !m.codes():
		c.Type = domain.ClientNative
	default:
		c.Type = domain.ClientBrowser
	}
	if m.ApplicationType == "" {
		m.ApplicationType = typeWeb
		if c.Type == domain.ClientNative {
			m.ApplicationType = typeNative
		}
	}
	return nil
}

// returnsToDevice tells whether some redirect leads to an app on the person's own machine.
func (m *Metadata) returnsToDevice() bool {
	return slices.ContainsFunc(m.RedirectURIs, func(uri string) bool { return oauth.PrivateUse(uri) || plain(uri) })
}

// gives tells whether a scope is within the terms, and one the client wants: all it may have where it does not say.
func (t *Terms) gives(m *Metadata, scope string) bool {
	asked, _ := oauth.ParseScope(m.Scope)
	return slices.Contains(t.scopes(), scope) && (m.Scope == "" || slices.Contains(asked, scope))
}

// reach is what the client may ask for: within the terms, and never more than it said.
func (t *Terms) reach(m *Metadata, c *domain.Client) error {
	if _, ok := oauth.ParseScope(m.Scope); !ok {
		return invalid("scope has characters no scope may have, or more than 64 values.")
	}
	for _, s := range t.scopes() {
		aboutPeople := oauth.IdentityScope(s) || oauth.AccountScope(s)
		if s == oauth.ScopeOfflineAccess && !slices.Contains(m.GrantTypes, oauth.GrantRefreshToken) {
			continue // it is the scope that gives refresh tokens, and this client does not ask with one
		}
		if t.gives(m, s) && (!m.forItself() || !aboutPeople) {
			c.Scopes = append(c.Scopes, s)
		}
	}
	if m.Scope != "" && len(c.Scopes) == 0 {
		return invalid("None of these scopes is open to clients that register themselves.")
	}
	m.Scope = oauth.JoinScope(c.Scopes)
	c.Resources = t.Resources
	if !m.forItself() {
		c.Providers, c.Email, c.Passkeys = t.providers(), t.Email, t.Passkeys
	}
	for _, d := range m.DetailTypes {
		if !slices.Contains(t.DetailTypes, d) {
			return invalid("authorization_details_types names a type that no resource here declares.")
		}
	}
	c.DetailTypes = m.DetailTypes
	if m.DPoPBound {
		c.DPoP = domain.DPoPRequired
	}
	return nil
}
