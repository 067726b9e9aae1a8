package oauth

import (
	"slices"
	"strings"
)

// Grant types (RFC 6749, RFC 8693).
const (
	GrantRefreshToken      = "refresh_token"
	GrantClientCredentials = "client_credentials"
	GrantTokenExchange     = "urn:ietf:params:oauth:grant-type:token-exchange"
	GrantCode              = "authorization_code"
	GrantDeviceCode        = "urn:ietf:params:oauth:grant-type:device_code" // RFC 8628 §3.4
)

// What /authorize understands.
const (
	ResponseCode     = "code"
	ResponseQuery    = "query"
	ResponseFormPost = "form_post" // OAuth 2.0 Form Post Response Mode

	ResponseJWT         = "jwt" // JARM §2.3: for a code that is query.jwt
	ResponseQueryJWT    = "query.jwt"
	ResponseFormPostJWT = "form_post.jwt"

	PromptNone    = "none"
	PromptLogin   = "login"
	PromptConsent = "consent"
	PromptSelect  = "select_account"
)

// Token types (RFC 8693 §3).
const (
	TypeIDToken     = "urn:ietf:params:oauth:token-type:id_token"
	TypeAccessToken = "urn:ietf:params:oauth:token-type:access_token"
)

// The scopes we define ourselves. Those of OpenID Connect belong to no resource; account.* belong to the issuer.
const (
	ScopeOpenID        = "openid"
	ScopeProfile       = "profile"
	ScopeEmail         = "email"
	ScopePhone         = "phone"
	ScopeAddress       = "address"
	ScopeOfflineAccess = "offline_access"
	ScopeAccountRead   = "account.read"
	ScopeAccountManage = "account.manage"
)

// IdentityScope tells whether s is about the person and goes with any audience.
func IdentityScope(s string) bool {
	switch s {
	case ScopeOpenID, ScopeProfile, ScopeEmail, ScopePhone, ScopeAddress, ScopeOfflineAccess:
		return true
	}
	return false
}

// AccountScope tells whether s belongs to the issuer itself.
func AccountScope(s string) bool { return s == ScopeAccountRead || s == ScopeAccountManage }

// MaxScopes bounds one request.
const MaxScopes = 64

// ParseScope splits a scope parameter (RFC 6749 §3.3) and drops repetitions. It refuses characters outside
// %x21 / %x23-5B / %x5D-7E and more than MaxScopes values.
func ParseScope(s string) ([]string, bool) {
	if s == "" {
		return nil, true
	}
	parts := strings.Split(s, " ")
	if len(parts) > MaxScopes {
		return nil, false
	}
	out := make([]string, 0, len(parts))
	for _, p := range parts {
		if !validScope(p) {
			return nil, false
		}
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out, true
}

func validScope(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}

// JoinScope is the inverse of ParseScope.
func JoinScope(scopes []string) string { return strings.Join(scopes, " ") }

// CommonDetails are the members that an entry of authorization_details may have whatever its type (RFC 9396 §2.2).
func CommonDetails() []string {
	return []string{"actions", "datatypes", "identifier", "privileges", "locations"}
}

// CommonDetail tells whether a member is one of CommonDetails.
func CommonDetail(name string) bool { return slices.Contains(CommonDetails(), name) }
