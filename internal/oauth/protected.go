package oauth

import "net/url"

// ProtectedResource is the document in which an API says who issues its tokens and how to send them (RFC 9728 §2). There
// is no jwks_uri: answers of an API are not signed.
type ProtectedResource struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers"`
	Scopes               []string `json:"scopes_supported,omitempty"`
	BearerMethods        []string `json:"bearer_methods_supported"`
	DPoPAlgs             []string `json:"dpop_signing_alg_values_supported"`
	DPoPRequired         bool     `json:"dpop_bound_access_tokens_required,omitempty"`
	CertificateBound     bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	DetailTypes          []string `json:"authorization_details_types_supported,omitempty"`
	Name                 string   `json:"resource_name,omitempty"`
	Documentation        string   `json:"resource_documentation,omitempty"`
	PolicyURI            string   `json:"resource_policy_uri,omitempty"`
	TermsURI             string   `json:"resource_tos_uri,omitempty"`
}

// ProtectedResourcePath is where the document is for a resource whose identifier has no path (RFC 9728 §3).
const ProtectedResourcePath = "/.well-known/oauth-protected-resource"

// ProtectedResourceAt is where the document of a resource is: the well-known path goes between the host of its identifier
// and the path, without the slash of an empty one (RFC 9728 §3.1). The query, of the few that have one, stays.
func ProtectedResourceAt(identifier *url.URL) *url.URL {
	at := &url.URL{Scheme: identifier.Scheme, Host: identifier.Host, RawQuery: identifier.RawQuery}
	at.Path, at.RawPath = ProtectedResourcePath, ProtectedResourcePath
	if identifier.Path != "/" {
		at.Path += identifier.Path
		at.RawPath += identifier.EscapedPath()
	}
	return at
}
