package oauthhttp

import (
	"encoding/json"
	"strings"

	"github.com/countersign/countersign/internal/clientauth"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/flow"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/oauth"
)

// metadata is the document of RFC 8414 §2 and OIDC Discovery §3. It says what is true of this release.
type metadata struct {
	Issuer                string `json:"issuer"`
	AuthorizationEndpoint string `json:"authorization_endpoint"`
	TokenEndpoint         string `json:"token_endpoint"`
	PushEndpoint          string `json:"pushed_authorization_request_endpoint"` // RFC 9126 §5
	DeviceEndpoint        string `json:"device_authorization_endpoint"`         // RFC 8628 §4
	EndSessionEndpoint    string `json:"end_session_endpoint"`                  // RP-Initiated Logout §2.1
	JWKSURI               string `json:"jwks_uri"`
	UserInfoEndpoint      string `json:"userinfo_endpoint"`
	RegistrationEndpoint  string `json:"registration_endpoint,omitempty"` // RFC 8414 §2; none: nobody may register
	IntrospectionEndpoint string `json:"introspection_endpoint"`
	RevocationEndpoint    string `json:"revocation_endpoint"`
	ChallengeEndpoint     string `json:"challenge_endpoint"` // ours: the nonces of native sign-in

	GrantTypes    []string `json:"grant_types_supported"`
	ResponseTypes []string `json:"response_types_supported"`
	ResponseModes []string `json:"response_modes_supported"`
	PKCEMethods   []string `json:"code_challenge_methods_supported"`
	Prompts       []string `json:"prompt_values_supported"`
	ACRs          []string `json:"acr_values_supported"`
	Locales       []string `json:"ui_locales_supported,omitempty"`
	Scopes        []string `json:"scopes_supported"`                                // our own; those of app servers are theirs to publish
	DetailTypes   []string `json:"authorization_details_types_supported,omitempty"` // RFC 9396 §10
	SubjectTypes  []string `json:"subject_types_supported"`
	Claims        []string `json:"claims_supported"`

	TokenAuth         []domain.AuthMethod `json:"token_endpoint_auth_methods_supported"`
	RevocationAuth    []domain.AuthMethod `json:"revocation_endpoint_auth_methods_supported"`
	IntrospectionAuth []domain.AuthMethod `json:"introspection_endpoint_auth_methods_supported"`

	AssertionAlgs  []jose.Alg `json:"token_endpoint_auth_signing_alg_values_supported"`
	RevocationAlgs []jose.Alg `json:"revocation_endpoint_auth_signing_alg_values_supported"`

	IDTokenAlgs       []jose.Alg `json:"id_token_signing_alg_values_supported"`
	UserInfoAlgs      []jose.Alg `json:"userinfo_signing_alg_values_supported"`
	IntrospectionAlgs []jose.Alg `json:"introspection_signing_alg_values_supported"` // RFC 9701 §7
	DPoPAlgs          []string   `json:"dpop_signing_alg_values_supported"`
	RequestObjectAlgs []jose.Alg `json:"request_object_signing_alg_values_supported"` // never none, whatever else comes

	ResponseAlgs []jose.Alg `json:"authorization_signing_alg_values_supported"` // JARM §4

	RequestParameter    bool `json:"request_parameter_supported"`
	RequestURIParameter bool `json:"request_uri_parameter_supported"`
	RegisteredURIs      bool `json:"require_request_uri_registration"` // no other is ever fetched
	ClaimsParameter     bool `json:"claims_parameter_supported"`
	IssInResponse       bool `json:"authorization_response_iss_parameter_supported"` // RFC 9207 §3
	BackchannelLogout   bool `json:"backchannel_logout_supported"`
	BackchannelSID      bool `json:"backchannel_logout_session_supported"`
	ClientDocuments     bool `json:"client_id_metadata_document_supported,omitempty"` // CIMD draft -01 §5

	CertificateBound bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"` // RFC 8705 §3.3
	Aliases          *aliases `json:"mtls_endpoint_aliases,omitempty"`                      // RFC 8705 §5
}

// claimsSupported are the claims an ID token or a userinfo answer may have.
var claimsSupported = []string{
	"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash",
	"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website",
	"gender", "birthdate", "zoneinfo", "locale", "updated_at", "email", "email_verified",
	"phone_number", "phone_number_verified", "address",
}

func (d *Door) metadata(detailTypes []string) *document {
	clientAuth := append(
		[]domain.AuthMethod{domain.AuthNone, domain.AuthSecretBasic, domain.AuthSecretPost, domain.AuthPrivateKey}, d.MTLS.methods()...)
	m := metadata{
		Issuer:                d.Issuer,
		AuthorizationEndpoint: d.Issuer + "/authorize",
		TokenEndpoint:         d.Issuer + pathToken,
		PushEndpoint:          d.Issuer + pathPAR,
		DeviceEndpoint:        d.Issuer + pathDevice,
		EndSessionEndpoint:    d.Issuer + "/logout",
		JWKSURI:               d.Issuer + pathJWKS,
		UserInfoEndpoint:      d.Issuer + pathUserInfo,
		IntrospectionEndpoint: d.Issuer + pathIntrospect,
		RevocationEndpoint:    d.Issuer + pathRevoke,
		ChallengeEndpoint:     d.Issuer + pathChallenge,

		GrantTypes: []string{
			oauth.GrantCode, oauth.GrantRefreshToken, oauth.GrantDeviceCode, oauth.GrantTokenExchange, oauth.GrantClientCredentials,
		},
		ResponseTypes: []string{oauth.ResponseCode},
		ResponseModes: []string{
			oauth.ResponseQuery, oauth.ResponseFormPost, oauth.ResponseJWT, oauth.ResponseQueryJWT, oauth.ResponseFormPostJWT,
		},
		PKCEMethods: []string{oauth.MethodS256},
		Prompts:     []string{oauth.PromptNone, oauth.PromptLogin, oauth.PromptConsent, oauth.PromptSelect},
		ACRs:        []string{domain.ACRSingle, domain.ACRPhish},
		Locales:     d.Locales,
		Scopes: []string{
			oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail, oauth.ScopePhone, oauth.ScopeAddress, oauth.ScopeOfflineAccess,
			oauth.ScopeAccountRead, oauth.ScopeAccountManage,
		},
		DetailTypes:  detailTypes,
		SubjectTypes: []string{"public", "pairwise"},
		Claims:       claimsSupported,

		TokenAuth:         clientAuth,
		RevocationAuth:    clientAuth,
		IntrospectionAuth: []domain.AuthMethod{domain.AuthSecretBasic},

		AssertionAlgs:  append(clientauth.AssertionAlgs(), "Ed25519"), // both names of one (RFC 9864 §2.2)
		RevocationAlgs: append(clientauth.AssertionAlgs(), "Ed25519"),

		IDTokenAlgs:       []jose.Alg{jose.ES256, jose.RS256},
		UserInfoAlgs:      []jose.Alg{jose.ES256, jose.RS256},
		IntrospectionAlgs: []jose.Alg{jose.ES256, jose.RS256},
		DPoPAlgs:          strings.Fields(httpd.DPoPAlgs),
		RequestObjectAlgs: append(flow.RequestAlgs(), "Ed25519"),
		ResponseAlgs:      []jose.Alg{jose.ES256, jose.RS256},

		RequestParameter:    true,
		RequestURIParameter: true,
		RegisteredURIs:      true,

		ClaimsParameter:   true,
		IssInResponse:     true,
		BackchannelLogout: true,
		BackchannelSID:    true,
		ClientDocuments:   d.Registration != nil && d.Registration.Documents,

		CertificateBound: d.MTLS.URL != "",
		Aliases:          d.MTLS.aliases(),
	}
	if d.registers() {
		m.RegistrationEndpoint = d.Issuer + pathRegister
	}
	return jsonDocument(m)
}

// protectedResource is what the issuer says of itself as a resource (RFC 9728 §2): of /account/v1, whose tokens have the
// issuer as their audience, and of /userinfo.
func (d *Door) protectedResource() *document {
	return jsonDocument(oauth.ProtectedResource{
		Resource:             d.Issuer,
		AuthorizationServers: []string{d.Issuer},
		Scopes: []string{
			oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail, oauth.ScopePhone, oauth.ScopeAddress,
			oauth.ScopeAccountRead, oauth.ScopeAccountManage,
		},
		BearerMethods:    []string{"header"},
		DPoPAlgs:         strings.Fields(httpd.DPoPAlgs),
		CertificateBound: d.MTLS.URL != "",
	})
}

// jsonDocument writes down what is made of strings, lists and booleans.
func jsonDocument(v any) *document {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err) // of those nothing can fail
	}
	return newDocument("application/json", append(body, '\n'))
}
