package oauthhttp

import (
	"encoding/json"
	"strings"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/oauth"
)

// metadata is the document of RFC 8414 §2 and OIDC Discovery §3. It says what is true of this release: until there is
// an authorization endpoint none is named, and response_types_supported, which both documents require, is empty.
type metadata struct {
	Issuer                string `json:"issuer"`
	TokenEndpoint         string `json:"token_endpoint"`
	JWKSURI               string `json:"jwks_uri"`
	UserInfoEndpoint      string `json:"userinfo_endpoint"`
	IntrospectionEndpoint string `json:"introspection_endpoint"`
	RevocationEndpoint    string `json:"revocation_endpoint"`
	ChallengeEndpoint     string `json:"challenge_endpoint"` // ours: the nonces of native sign-in

	GrantTypes    []string `json:"grant_types_supported"`
	ResponseTypes []string `json:"response_types_supported"`
	Scopes        []string `json:"scopes_supported"` // our own; those of app servers are theirs to publish
	SubjectTypes  []string `json:"subject_types_supported"`
	Claims        []string `json:"claims_supported"`

	TokenAuth         []domain.AuthMethod `json:"token_endpoint_auth_methods_supported"`
	RevocationAuth    []domain.AuthMethod `json:"revocation_endpoint_auth_methods_supported"`
	IntrospectionAuth []domain.AuthMethod `json:"introspection_endpoint_auth_methods_supported"`

	IDTokenAlgs       []jose.Alg `json:"id_token_signing_alg_values_supported"`
	DPoPAlgs          []string   `json:"dpop_signing_alg_values_supported"`
	RequestObjectAlgs []jose.Alg `json:"request_object_signing_alg_values_supported"` // never none, whatever else comes

	// Left out, these would mean true (request_uri) or leave it open.
	RequestParameter    bool `json:"request_parameter_supported"`
	RequestURIParameter bool `json:"request_uri_parameter_supported"`
	ClaimsParameter     bool `json:"claims_parameter_supported"`
}

func (d *Door) metadata() *document {
	clientAuth := []domain.AuthMethod{domain.AuthNone, domain.AuthSecretBasic, domain.AuthSecretPost}
	m := metadata{
		Issuer:                d.Issuer,
		TokenEndpoint:         d.Issuer + pathToken,
		JWKSURI:               d.Issuer + pathJWKS,
		UserInfoEndpoint:      d.Issuer + pathUserInfo,
		IntrospectionEndpoint: d.Issuer + pathIntrospect,
		RevocationEndpoint:    d.Issuer + pathRevoke,
		ChallengeEndpoint:     d.Issuer + pathChallenge,

		GrantTypes:    []string{oauth.GrantTokenExchange, oauth.GrantRefreshToken, oauth.GrantClientCredentials},
		ResponseTypes: []string{},
		Scopes: []string{
			oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail, oauth.ScopeOfflineAccess,
			oauth.ScopeAccountRead, oauth.ScopeAccountManage,
		},
		SubjectTypes: []string{"public"},
		Claims:       []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "sid", "name", "email", "email_verified"},

		TokenAuth:         clientAuth,
		RevocationAuth:    clientAuth,
		IntrospectionAuth: []domain.AuthMethod{domain.AuthSecretBasic},

		IDTokenAlgs:       []jose.Alg{jose.ES256, jose.RS256},
		DPoPAlgs:          strings.Fields(httpd.DPoPAlgs),
		RequestObjectAlgs: []jose.Alg{jose.ES256, jose.PS256},
	}
	body, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		panic(err) // strings and booleans only
	}
	return newDocument("application/json", append(body, '\n'))
}
