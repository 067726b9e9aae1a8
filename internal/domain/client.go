package domain

import (
	"encoding/json"
	"slices"
	"time"
)

// ClientType says what kind of app a client is; it decides how it authenticates and how long sessions live.
type ClientType string

// The types of clients. Native and browser apps are public: they carry no secret (RFC 8252 §8.5).
const (
	ClientNative  ClientType = "native"
	ClientBrowser ClientType = "browser"
	ClientWeb     ClientType = "web"
	ClientService ClientType = "service"
)

// DPoPPolicy says whether a client must bind its tokens to a key.
type DPoPPolicy string

// The DPoP policies.
const (
	DPoPAllowed  DPoPPolicy = "allowed"
	DPoPRequired DPoPPolicy = "required"
)

// AuthMethod is the one way a client authenticates (RFC 7591 §2).
type AuthMethod string

// The methods.
const (
	AuthNone        AuthMethod = "none"
	AuthSecretBasic AuthMethod = "client_secret_basic"
	AuthSecretPost  AuthMethod = "client_secret_post"
	AuthPrivateKey  AuthMethod = "private_key_jwt"
	AuthTLS         AuthMethod = "tls_client_auth"             // RFC 8705 §2.1
	AuthSelfSigned  AuthMethod = "self_signed_tls_client_auth" // RFC 8705 §2.2
)

// Unrepeatable tells whether nobody else can send what authenticated the client once more.
func (m AuthMethod) Unrepeatable() bool { return m == AuthPrivateKey || m.ByCertificate() }

// ByCertificate tells whether the method is the client's certificate in the TLS handshake.
func (m AuthMethod) ByCertificate() bool { return m == AuthTLS || m == AuthSelfSigned }

// SigningAlg is a JWS algorithm we sign with.
type SigningAlg string

// The algorithms.
const (
	ES256 SigningAlg = "ES256"
	RS256 SigningAlg = "RS256"
	PS256 SigningAlg = "PS256" // of clients only: we sign with the two above
	EdDSA SigningAlg = "EdDSA" // of clients only
)

// RegisteredBy says who let a client in that is not in the operator's file.
type RegisteredBy string

// The ways.
const (
	RegisteredByToken    RegisteredBy = "token"    // with an initial access token of the operator's (RFC 7591 §3)
	RegisteredByAnybody  RegisteredBy = "anybody"  // registration is open: nobody answers for this client
	RegisteredByDocument RegisteredBy = "document" // its id is the address of its metadata (OAuth Client ID Metadata Document)
)

// Unverified tells whether nobody this server knows answers for the client: people are told so, and nothing is sent to
// its redirect URIs before one of them did something (RFC 9700 §4.11.2).
func (c *Client) Unverified() bool {
	return c.Registered == RegisteredByAnybody || c.Registered == RegisteredByDocument
}

// TLSSubject is whom a certificate must be of: exactly one member is set (RFC 8705 §2.1.2).
type TLSSubject struct {
	DN    string `json:"tls_client_auth_subject_dn,omitempty"` // RFC 4514
	DNS   string `json:"tls_client_auth_san_dns,omitempty"`
	URI   string `json:"tls_client_auth_san_uri,omitempty"`
	IP    string `json:"tls_client_auth_san_ip,omitempty"`
	Email string `json:"tls_client_auth_san_email,omitempty"`
}

// Client is an app that asks for tokens.
type Client struct {
	ID           string           `json:"id"`
	Name         string           `json:"name,omitempty"`
	Type         ClientType       `json:"type"`
	DPoP         DPoPPolicy       `json:"dpop"`
	AuthMethod   AuthMethod       `json:"auth_method"`
	SecretHash   []byte           `json:"secret_hash,omitempty"`          // SHA-256
	OldSecret    []byte           `json:"previous_secret_hash,omitempty"` // SHA-256 of the one before, good until it is taken away
	JWKS         json.RawMessage  `json:"jwks,omitempty"`                 // the client's public keys (RFC 7517 §5)
	JWKSURI      string           `json:"jwks_uri,omitempty"`             // or where they are
	Providers    []ClientProvider `json:"providers,omitempty"`
	Resources    []string         `json:"resources,omitempty"` // ids of resources it may ask for
	Scopes       []string         `json:"scopes,omitempty"`
	RedirectURIs []string         `json:"redirect_uris,omitempty"`
	Origins      []string         `json:"origins,omitempty"` // for CORS, browser clients only

	// Ways to sign in on our pages, beside its providers.
	Email    bool `json:"email,omitempty"`    // by a code sent to an address
	Passkeys bool `json:"passkeys,omitempty"` // by WebAuthn

	FirstParty  bool `json:"first_party,omitempty"`   // of whoever runs this server: nobody is asked for consent
	DeviceGrant bool `json:"device_grant,omitempty"`  // RFC 8628
	WithoutPKCE bool `json:"pkce_optional,omitempty"` // confidential only: it may leave out code_challenge
	// LegacyAssertionAudience also takes the token endpoint as audience of a client assertion. It is wrong wherever the
	// client can be changed: such an assertion is good at every server that claims this endpoint.
	LegacyAssertionAudience bool `json:"legacy_assertion_audience,omitempty"`

	// What high assurance asks for (fapi.go says what a profile makes of it).
	Profile              ClientProfile `json:"profile,omitempty"`
	RequirePushed        bool          `json:"require_pushed_authorization_requests,omitempty"`      // RFC 9126 §6
	RequireSignedRequest bool          `json:"require_signed_request_object,omitempty"`              // RFC 9101 §10.5
	RequestAlg           SigningAlg    `json:"request_object_signing_alg,omitempty"`                 // empty: any that we take
	RequestURIs          []string      `json:"request_uris,omitempty"`                               // the only ones fetched (OIDC Core §6.2)
	ResponseAlg          SigningAlg    `json:"authorization_signed_response_alg,omitempty"`          // JARM; empty: as its ID tokens
	CertificateBound     bool          `json:"tls_client_certificate_bound_access_tokens,omitempty"` // RFC 8705 §3.4
	Certificate          TLSSubject    `json:"certificate,omitzero"`                                 // whom AuthTLS expects
	DetailTypes          []string      `json:"authorization_details_types,omitempty"`                // RFC 9396 §10

	// Pairwise: it sees a `sub` of its own sector, which says nothing to other clients (OIDC Core §8.1).
	Pairwise bool   `json:"pairwise,omitempty"`
	Sector   string `json:"sector_identifier,omitempty"` // a host name; empty: that of its redirect URIs

	// Registered is how a client came here that no operator declared; empty: one did.
	Registered   RegisteredBy `json:"registered,omitempty"`
	RegisteredAt time.Time    `json:"registered_at,omitzero"`
	UsedAt       time.Time    `json:"-"` // when a registered client last got a token, to the day

	DefaultMaxAge *int64 `json:"default_max_age,omitempty"` // seconds, where a request has no max_age (OIDC Registration §2)

	PostLogoutURIs    []string `json:"post_logout_redirect_uris,omitempty"`
	BackchannelLogout string   `json:"backchannel_logout_uri,omitempty"`

	// What the pages show of it.
	HomeURI   string `json:"client_uri,omitempty"`
	PolicyURI string `json:"policy_uri,omitempty"`
	TermsURI  string `json:"tos_uri,omitempty"`
	Logo      []byte `json:"logo,omitempty"` // PNG, JPEG, WebP or SVG; served by us, so that no third party learns who signs in
	LogoType  string `json:"logo_type,omitempty"`

	AccessTokenTTL  time.Duration `json:"access_token_ttl,omitempty"` // zero: 10 min, 5 for bearer
	SessionIdle     time.Duration `json:"session_idle,omitempty"`     // zero: by type and tier
	SessionAbsolute time.Duration `json:"session_absolute,omitempty"` // zero: by type and tier
	BearerGrace     time.Duration `json:"bearer_grace,omitempty"`     // zero: by type
	AccessTokenAlg  SigningAlg    `json:"access_token_alg,omitempty"` // empty: ES256
	IDTokenAlg      SigningAlg    `json:"id_token_alg,omitempty"`     // empty: ES256 for native, RS256 otherwise
	UserInfoAlg     SigningAlg    `json:"userinfo_alg,omitempty"`     // empty: JSON, unsigned
}

// ClientProvider is what one client accepts of one provider: its own audiences, so that one app's token never
// signs in to another. Without audiences it may only send people to the provider from our pages.
type ClientProvider struct {
	Name      string   `json:"name"`
	Audiences []string `json:"audiences"`
	AZP       []string `json:"azp,omitempty"`
	// AcceptTokensWithoutNonce is wrong wherever the provider's SDK can carry a nonce: without one, a stolen
	// id_token can be played once within five minutes by anyone.
	AcceptTokensWithoutNonce bool `json:"accept_tokens_without_nonce,omitempty"`
}

// Confidential tells whether the client authenticates with something of its own.
func (c *Client) Confidential() bool { return c.AuthMethod != AuthNone }

// Provider finds what the client accepts of the named provider.
func (c *Client) Provider(name string) (ClientProvider, bool) {
	i := slices.IndexFunc(c.Providers, func(p ClientProvider) bool { return p.Name == name })
	if i < 0 {
		return ClientProvider{}, false
	}
	return c.Providers[i], true
}

// TakesSignInBy tells whether a way to sign in is one the client lists: what an identity of this issuer and this provider
// proves. Whoever signed in another way, through another client, is not signed in for this one.
func (c *Client) TakesSignInBy(issuer, provider string) bool {
	switch issuer {
	case EmailIssuer:
		return c.Email
	case PasskeyIssuer:
		return c.Passkeys
	}
	_, listed := c.Provider(provider)
	return listed
}

// NativeSignIn tells whether the client may exchange a provider's id_token: some provider lists audiences for it.
func (c *Client) NativeSignIn() bool {
	return slices.ContainsFunc(c.Providers, func(p ClientProvider) bool { return len(p.Audiences) > 0 })
}

// DisplayName is what people are shown.
func (c *Client) DisplayName() string {
	if c.Name != "" {
		return c.Name
	}
	return c.ID
}

// Lifetimes of a session by client type and tier (DESIGN section 3).
type Lifetimes struct {
	Idle     time.Duration
	Absolute time.Duration // zero: none
	Grace    time.Duration // how long a bearer parent is answered
}

const day = 24 * time.Hour

// Lifetimes returns the client's own settings over the defaults of its type and the tier.
func (c *Client) Lifetimes(t Tier) Lifetimes {
	l := Lifetimes{Idle: 60 * day, Absolute: 365 * day, Grace: day}
	switch {
	case t == TierBound:
		l = Lifetimes{Idle: 90 * day, Grace: day}
	case c.Type == ClientBrowser:
		l = Lifetimes{Idle: 14 * day, Absolute: 30 * day, Grace: time.Minute}
	}
	if c.SessionIdle > 0 {
		l.Idle = c.SessionIdle
	}
	if c.SessionAbsolute > 0 {
		l.Absolute = c.SessionAbsolute
	}
	if c.BearerGrace > 0 {
		l.Grace = c.BearerGrace
	}
	return l
}

// AccessTTL returns how long an access token of this client lives.
func (c *Client) AccessTTL(bound bool) time.Duration {
	switch {
	case c.AccessTokenTTL > 0:
		return c.AccessTokenTTL
	case bound:
		return 10 * time.Minute
	}
	return 5 * time.Minute
}

// AccessAlg returns the algorithm of the client's access tokens.
func (c *Client) AccessAlg() SigningAlg {
	if c.AccessTokenAlg != "" {
		return c.AccessTokenAlg
	}
	return ES256
}

// IDAlg returns the algorithm of the client's ID tokens.
func (c *Client) IDAlg() SigningAlg {
	switch {
	case c.IDTokenAlg != "":
		return c.IDTokenAlg
	case c.Type == ClientNative, c.FAPI():
		return ES256
	}
	return RS256
}

// JARMAlg returns the algorithm of signed authorization responses.
func (c *Client) JARMAlg() SigningAlg {
	if c.ResponseAlg != "" {
		return c.ResponseAlg
	}
	return c.IDAlg()
}

// Resource is an app server (an API) that accepts our access tokens.
type Resource struct {
	ID         string   `json:"id"`
	Audience   string   `json:"audience"`
	Scopes     []string `json:"scopes,omitempty"`
	SecretHash []byte   `json:"secret_hash,omitempty"` // SHA-256; empty: it may not introspect

	// Details are the types of authorization_details it declares (RFC 9396 §2.1).
	Details []DetailType `json:"authorization_details_types,omitempty"`
	// IntrospectionAlg signs its introspection answers where it asks for signed ones (RFC 9701 §6); empty: ES256.
	IntrospectionAlg SigningAlg `json:"introspection_signed_response_alg,omitempty"`
}

// DetailType is one type of authorization_details: what a request of it may say, and how people read it. The members of
// RFC 9396 §2.2 need no declaration, unless they are required.
type DetailType struct {
	Type     string   `json:"type"`
	Title    string   `json:"title,omitempty"`    // for people; empty: the type
	Fields   []string `json:"fields,omitempty"`   // members of its own
	Required []string `json:"required,omitempty"` // of these or of the common ones
}

// Catalog is all the operator declared, as the database holds it. ClientState says which client may be used now.
type Catalog struct {
	Version   int64 // counts the changes; the database's own
	Revision  int64 // the highest a configuration file declared; zero: none has one
	Clients   []Client
	Resources []Resource
}
