// Package config is the one configuration struct: defaults, YAML and environment, Validate, and a String that shows
// no secret. Unknown keys are errors that name the line and the remedy. It opens nothing but the files it names, and
// it starts nothing: building from a Config is the business of package app.
package config

import (
	"fmt"
	"log/slog"
	"time"
)

// Config is everything an operator can say. Load gives one that is complete and valid.
type Config struct {
	Issuer           string       `yaml:"issuer"`
	Listen           string       `yaml:"listen"`
	Admin            Admin        `yaml:"admin"`
	TLS              TLS          `yaml:"tls"`
	MTLS             MTLS         `yaml:"mtls"`
	TrustedProxies   []string     `yaml:"trusted_proxies"`
	Database         string       `yaml:"database"`
	DatabaseMaxConns int          `yaml:"database_max_connections"`
	MasterKeyFile    string       `yaml:"master_key_file"`
	Log              Log          `yaml:"log"`
	Limits           Limits       `yaml:"limits"`
	Mail             Mail         `yaml:"mail"`
	Pages            Pages        `yaml:"pages"`
	Registration     Registration `yaml:"registration"`
	FetchAllow       []string     `yaml:"fetch_allow"` // networks (CIDR) on this machine that documents of clients may come from
	Revision         int          `yaml:"revision"`    // of clients and resources
	// RecoveryUntil ends a declared recovery: after a restore, refresh tokens ahead of their rows are taken until then.
	RecoveryUntil time.Time  `yaml:"recovery_until"`
	Providers     []Provider `yaml:"providers"`
	Resources     []Resource `yaml:"resources"`
	Clients       []Client   `yaml:"clients"`

	// MasterKey is what the master key file or the environment holds. In dev mode it may be empty: then the server
	// makes the file.
	MasterKey Secret `yaml:"-"`
	Dev       bool   `yaml:"-"` // no file: dev mode

	masterKeyExposed bool // others than its owner may read the file
	src              source
}

// Admin is the private listener.
type Admin struct {
	Listen string `yaml:"listen"`
}

// TLS files are reloaded when they change; both empty means a trusted proxy or loopback speaks for us.
type TLS struct {
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

// On tells whether the public listener speaks TLS itself.
func (t TLS) On() bool { return t.CertFile != "" && t.KeyFile != "" }

// MTLS is the listener that asks for client certificates (RFC 8705). Its certificate is that of TLS.
type MTLS struct {
	Listen string `yaml:"listen"`  // empty: there is none
	URL    string `yaml:"url"`     // where clients reach it: an https origin beside the issuer's
	CAFile string `yaml:"ca_file"` // PEM: who may issue the certificates of tls_client_auth

	CA []byte `yaml:"-"`
}

// On tells whether there is a listener that asks for client certificates.
func (m MTLS) On() bool { return m.Listen != "" }

// Registration says who may register clients over HTTP (RFC 7591).
type Registration struct {
	Mode      string `yaml:"mode"`      // off | token | open; empty: off
	Documents bool   `yaml:"documents"` // a client id may be the https address of its metadata
	// What such clients may have. Empty scopes: openid, profile, email, offline_access.
	Scopes    []string            `yaml:"scopes"`
	Resources []string            `yaml:"resources"`
	Providers []string            `yaml:"providers"` // names; empty: all that people can be sent to from our pages
	Email     bool                `yaml:"email"`
	Passkeys  bool                `yaml:"passkeys"`
	Issuers   []SoftwareStatement `yaml:"software_statements"`
}

// SoftwareStatement is somebody whose word about software is taken (RFC 7591 §2.3).
type SoftwareStatement struct {
	Issuer   string `yaml:"issuer"`
	JWKSFile string `yaml:"jwks_file"`

	JWKS []byte `yaml:"-"`
}

// Log says how events are written.
type Log struct {
	Format string `yaml:"format"` // text | json
	Level  string `yaml:"level"`  // debug | info | warn | error
}

// Limits lifts or tightens rate limits; zero is the default, negative lifts.
type Limits struct {
	RefreshRetriesPerMinute int `yaml:"refresh_retries_per_minute"`
	RefreshesPerMinute      int `yaml:"refreshes_per_minute"`
	SignInFailuresPerMinute int `yaml:"sign_in_failures_per_minute"`
	AuthFailuresPerMinute   int `yaml:"auth_failures_per_minute"`
	InFlight                int `yaml:"in_flight"`
	EmailCodesPerHour       int `yaml:"email_codes_per_hour"`
	EmailCodesAskedPerHour  int `yaml:"email_codes_asked_per_hour"`
	DeviceGuessesPerHour    int `yaml:"device_guesses_per_hour"`
	TripsPerMinute          int `yaml:"trips_per_minute"`
}

// Pages says what people see on the hosted pages.
type Pages struct {
	Folder string `yaml:"folder"` // files in it take the place of built-in ones
	Name   string `yaml:"name"`   // of whoever runs this server
}

// Provider is an upstream identity provider.
type Provider struct {
	Name           string   `yaml:"name"`
	Type           string   `yaml:"type"`  // google | apple | microsoft | github | facebook | line | discord | gitlab | oidc | oauth2
	Label          string   `yaml:"label"` // what people call it; empty: by its type, or its name
	Issuer         string   `yaml:"issuer"`
	JWKSURI        string   `yaml:"jwks_uri"`
	Algorithms     []string `yaml:"algorithms"`
	TeamID         string   `yaml:"team_id"`
	KeyID          string   `yaml:"key_id"`
	PrivateKeyFile string   `yaml:"private_key_file"`
	Standin        string   `yaml:"standin"`

	// Our client at the provider, for sign-in on our pages.
	ClientID         string   `yaml:"client_id"`
	ClientSecretFile string   `yaml:"client_secret_file"`
	Scopes           []string `yaml:"scopes"`

	Tenant             string   `yaml:"tenant"`
	Tenants            []string `yaml:"tenants"`
	BaseURL            string   `yaml:"base_url"`
	GraphVersion       string   `yaml:"graph_version"`
	AuthorizeURL       string   `yaml:"authorize_url"`
	TokenURL           string   `yaml:"token_url"`
	UserInfoURL        string   `yaml:"userinfo_url"`
	SubjectClaim       string   `yaml:"subject_claim"`
	EmailClaim         string   `yaml:"email_claim"`
	EmailVerifiedClaim string   `yaml:"email_verified_claim"`
	NameClaim          string   `yaml:"name_claim"`
	PKCE               string   `yaml:"pkce"` // true | false; empty: true

	PrivateKeyPEM Secret `yaml:"-"`
	ClientSecret  Secret `yaml:"-"`
}

// Resource is an app server.
type Resource struct {
	ID         string   `yaml:"id"`
	Audience   string   `yaml:"audience"`
	Scopes     []string `yaml:"scopes"`
	SecretFile string   `yaml:"secret_file"`

	Details          []DetailType `yaml:"authorization_details_types"`
	IntrospectionAlg string       `yaml:"introspection_signed_response_alg"`

	Secret Secret `yaml:"-"`
}

// DetailType is a type of authorization_details (RFC 9396).
type DetailType struct {
	Type     string   `yaml:"type"`
	Title    string   `yaml:"title"`
	Fields   []string `yaml:"fields"`
	Required []string `yaml:"required"`
}

// Client is an app.
type Client struct {
	ID              string           `yaml:"id"`
	Name            string           `yaml:"name"`
	Type            string           `yaml:"type"`
	DPoP            string           `yaml:"dpop"`
	AuthMethod      string           `yaml:"auth_method"` // as in RFC 7591 §2; confidential only
	SecretFile      string           `yaml:"secret_file"`
	OldSecretFile   string           `yaml:"previous_secret_file"` // accepted beside secret_file until the line is removed
	JWKSFile        string           `yaml:"jwks_file"`
	AssertionAud    string           `yaml:"assertion_audience"` // issuer | legacy
	Email           bool             `yaml:"email"`
	Passkeys        bool             `yaml:"passkeys"`
	FirstParty      bool             `yaml:"first_party"`
	DeviceGrant     bool             `yaml:"device_grant"`
	PKCE            string           `yaml:"pkce"` // required | optional
	Providers       []ClientProvider `yaml:"providers"`
	Resources       []string         `yaml:"resources"`
	Scopes          []string         `yaml:"scopes"`
	RedirectURIs    []string         `yaml:"redirect_uris"`
	Origins         []string         `yaml:"origins"`
	PostLogoutURIs  []string         `yaml:"post_logout_redirect_uris"`
	BackchannelURI  string           `yaml:"backchannel_logout_uri"`
	ClientURI       string           `yaml:"client_uri"`
	PolicyURI       string           `yaml:"policy_uri"`
	TermsURI        string           `yaml:"tos_uri"`
	LogoFile        string           `yaml:"logo_file"`
	AccessTokenTTL  time.Duration    `yaml:"access_token_ttl"`
	SessionIdle     time.Duration    `yaml:"session_idle"`
	SessionAbsolute time.Duration    `yaml:"session_absolute"`
	BearerGrace     time.Duration    `yaml:"bearer_grace"`
	AccessTokenAlg  string           `yaml:"access_token_alg"`
	IDTokenAlg      string           `yaml:"id_token_alg"`
	UserInfoAlg     string           `yaml:"userinfo_signed_response_alg"`

	Profile              string   `yaml:"profile"` // fapi2 | fapi2-message-signing
	RequirePushed        bool     `yaml:"require_pushed_authorization_requests"`
	RequireSignedRequest bool     `yaml:"require_signed_request_object"`
	RequestAlg           string   `yaml:"request_object_signing_alg"`
	RequestURIs          []string `yaml:"request_uris"`
	ResponseAlg          string   `yaml:"authorization_signed_response_alg"`
	JWKSURI              string   `yaml:"jwks_uri"`
	CertificateBound     bool     `yaml:"tls_client_certificate_bound_access_tokens"`
	TLSSubjectDN         string   `yaml:"tls_client_auth_subject_dn"`
	TLSDNS               string   `yaml:"tls_client_auth_san_dns"`
	TLSURI               string   `yaml:"tls_client_auth_san_uri"`
	TLSIP                string   `yaml:"tls_client_auth_san_ip"`
	TLSEmail             string   `yaml:"tls_client_auth_san_email"`
	DetailTypes          []string `yaml:"authorization_details_types"`
	SubjectType          string   `yaml:"subject_type"` // public | pairwise
	Sector               string   `yaml:"sector_identifier"`

	Secret    Secret `yaml:"-"`
	OldSecret Secret `yaml:"-"`
	JWKS      []byte `yaml:"-"` // as the file has it
	Logo      []byte `yaml:"-"`
}

// ClientProvider is what a client accepts of a provider. Without audiences its id_tokens are not: then people are only
// sent there from our pages.
type ClientProvider struct {
	Name                                 string   `yaml:"name"`
	Audiences                            []string `yaml:"audiences"`
	AZP                                  []string `yaml:"azp"`
	DangerouslyAcceptTokensWithoutANonce bool     `yaml:"dangerously_accept_tokens_without_a_nonce"`
}

// Secret is text that no log, error or String ever shows.
type Secret string

const hidden = "[hidden]"

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return fmt.Sprintf("%q", s.String()) }

// LogValue hides the secret from logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
