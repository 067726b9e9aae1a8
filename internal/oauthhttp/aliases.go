package oauthhttp

import "github.com/countersign/countersign/internal/domain"

// aliases are the endpoints as clients with a certificate reach them (RFC 8705 §5): the same ones, on the listener that
// asks for it. Those that people see are not among them: a browser that is asked for a certificate bothers its person.
type aliases struct {
	Token         string `json:"token_endpoint"`
	Push          string `json:"pushed_authorization_request_endpoint"`
	Device        string `json:"device_authorization_endpoint"`
	UserInfo      string `json:"userinfo_endpoint"`
	Introspection string `json:"introspection_endpoint"`
	Revocation    string `json:"revocation_endpoint"`
}

// MutualTLS is what the door says of the listener that asks for certificates.
type MutualTLS struct {
	URL       string // where clients reach it; empty: there is none
	Authority bool   // somebody may issue the certificates of tls_client_auth
}

func (t MutualTLS) aliases() *aliases {
	if t.URL == "" {
		return nil
	}
	return &aliases{
		Token: t.URL + pathToken, Push: t.URL + pathPAR, Device: t.URL + pathDevice, UserInfo: t.URL + pathUserInfo,
		Introspection: t.URL + pathIntrospect, Revocation: t.URL + pathRevoke,
	}
}

// methods are the ways to authenticate by a certificate.
func (t MutualTLS) methods() []domain.AuthMethod {
	switch {
	case t.URL == "":
		return nil
	case t.Authority:
		return []domain.AuthMethod{domain.AuthTLS, domain.AuthSelfSigned}
	}
	return []domain.AuthMethod{domain.AuthSelfSigned}
}
