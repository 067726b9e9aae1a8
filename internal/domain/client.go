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
)

// SigningAlg is a JWS algorithm we sign with.
type SigningAlg string

// The algorithms.
const (
	ES256 SigningAlg = "ES256"
	RS256 SigningAlg = "RS256"
)

// Client is an app that asks for tokens.
type Client struct {
	ID           string           `json:"id"`
	Name         string           `json:"name,omitempty"`
	Type         ClientType       `json:"type"`
	DPoP         DPoPPolicy       `json:"dpop"`
	AuthMethod   AuthMethod       `json:"auth_method"`
	SecretHash   []byte           `json:"secret_hash,omitempty"`          // SHA-256
	OldSecret    []byte           `json:"previous_secret_hash,omitempty"` // SHA-256 of the one before, good until it is taken away
	JWKS         json.RawMessage  `json:"jwks,omitempty"`                 // public keys of private_key_jwt (RFC 7517 §5)
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
	case c.Type == ClientNative:
		return ES256
	}
	return RS256
}

// Resource is an app server (an API) that accepts our access tokens.
type Resource struct {
	ID         string   `json:"id"`
	Audience   string   `json:"audience"`
	Scopes     []string `json:"scopes,omitempty"`
	SecretHash []byte   `json:"secret_hash,omitempty"` // SHA-256; empty: it may not introspect
}

// Catalog is all the operator declared, as the database holds it. ClientState says which client may be used now.
type Catalog struct {
	Version   int64 // counts the changes; the database's own
	Revision  int64 // the highest a configuration file declared; zero: none has one
	Clients   []Client
	Resources []Resource
}
