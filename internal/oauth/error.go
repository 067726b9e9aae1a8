// Package oauth is the wire vocabulary: error codes, parameter names, scopes. It decides nothing about who may do
// what and does no I/O.
package oauth

import (
	"errors"
	"net/http"
	"time"
)

// Code is a registered error code.
type Code string

// The codes, with where they are registered.
const (
	InvalidRequest         Code = "invalid_request"                  // RFC 6749 §5.2
	InvalidClient          Code = "invalid_client"                   // RFC 6749 §5.2
	InvalidGrant           Code = "invalid_grant"                    // RFC 6749 §5.2
	UnauthorizedClient     Code = "unauthorized_client"              // RFC 6749 §5.2
	UnsupportedGrantType   Code = "unsupported_grant_type"           // RFC 6749 §5.2
	InvalidScope           Code = "invalid_scope"                    // RFC 6749 §5.2
	InvalidTarget          Code = "invalid_target"                   // RFC 8707 §2
	InvalidToken           Code = "invalid_token"                    // RFC 6750 §3.1
	InsufficientScope      Code = "insufficient_scope"               // RFC 6750 §3.1
	InvalidDPoPProof       Code = "invalid_dpop_proof"               // RFC 9449 §5
	UseDPoPNonce           Code = "use_dpop_nonce"                   // RFC 9449 §8
	InsufficientUserAuth   Code = "insufficient_user_authentication" // RFC 9470 §3
	ServerError            Code = "server_error"                     // RFC 6749 §4.1.2.1
	TemporarilyUnavailable Code = "temporarily_unavailable"          // RFC 6749 §4.1.2.1
	TooManyRequests        Code = "slow_down"                        // RFC 8628 §3.5, with status 429
	UnsupportedTokenType   Code = "unsupported_token_type"           // RFC 7009 §2.2.1

	AccessDenied             Code = "access_denied"                     // RFC 6749 §4.1.2.1
	UnsupportedResponseType  Code = "unsupported_response_type"         // RFC 6749 §4.1.2.1
	LoginRequired            Code = "login_required"                    // OIDC Core §3.1.2.6
	ConsentRequired          Code = "consent_required"                  // OIDC Core §3.1.2.6
	InteractionRequired      Code = "interaction_required"              // OIDC Core §3.1.2.6
	AccountSelectionRequired Code = "account_selection_required"        // OIDC Core §3.1.2.6
	RequestURINotSupported   Code = "request_uri_not_supported"         // OIDC Core §3.1.2.6
	RegistrationNotSupported Code = "registration_not_supported"        // OIDC Core §3.1.2.6
	UnmetAuthentication      Code = "unmet_authentication_requirements" // OIDC Unmet Authentication Requirements 1.0
	AuthorizationPending     Code = "authorization_pending"             // RFC 8628 §3.5
	ExpiredToken             Code = "expired_token"                     // RFC 8628 §3.5

	InvalidRequestURI     Code = "invalid_request_uri"           // OIDC Core §3.1.2.6, RFC 9126 §2.2
	InvalidRequestObject  Code = "invalid_request_object"        // OIDC Core §3.1.2.6, RFC 9101 §6
	InvalidDetails        Code = "invalid_authorization_details" // RFC 9396 §5
	InvalidRedirectURI    Code = "invalid_redirect_uri"          // RFC 7591 §3.2.2
	InvalidClientMetadata Code = "invalid_client_metadata"       // RFC 7591 §3.2.2
	InvalidStatement      Code = "invalid_software_statement"    // RFC 7591 §3.2.2
	UnapprovedStatement   Code = "unapproved_software_statement" // RFC 7591 §3.2.2
)

// Error has two faces: the client sees a registered code and a sentence of ours, the request event sees the cause.
type Error struct {
	Code        Code
	Description string        // for the developer of the app; says what to do
	RetryAfter  time.Duration // for 429 and 503; zero otherwise
	MaxAge      time.Duration // for insufficient_user_authentication
	Scope       string        // for insufficient_scope: what would be enough
	cause       error
}

// E makes an error.
func E(code Code, description string) *Error { return &Error{Code: code, Description: description} }

// Unavailable is the answer to every passing fault of ours: never invalid_grant, on which apps sign people out.
func Unavailable(cause error) *Error {
	return &Error{
		Code: TemporarilyUnavailable, Description: "The server cannot answer right now. Retry with the same request after the time in Retry-After.",
		RetryAfter: time.Second, cause: cause,
	}
}

// UnknownClient is the answer to whoever is no client of ours, or fails to show it: one body for all reasons, so that
// it tells nobody which ids exist.
func UnknownClient(cause error) *Error {
	return &Error{
		Code: InvalidClient, cause: cause,
		Description: "Client authentication failed: the client is not known, its credentials are wrong, or this is not the method it is registered for.",
	}
}

// DisabledClient is the answer to a client of ours that its operator has switched off. Whoever hears it has shown to be
// that client, or asked for one that keeps no secret.
func DisabledClient() *Error { return E(InvalidClient, "This client is disabled.") }

// Because returns a copy of e that carries the cause for the request event.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

func (e *Error) Error() string {
	s := string(e.Code)
	if e.Description != "" {
		s += ": " + e.Description
	}
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Status returns the HTTP status that belongs to the code at an OAuth endpoint.
func (e *Error) Status() int {
	switch e.Code {
	case InvalidClient, InvalidToken, InsufficientUserAuth:
		return http.StatusUnauthorized
	case InsufficientScope:
		return http.StatusForbidden
	case TooManyRequests:
		if e.RetryAfter == 0 {
			return http.StatusBadRequest // no limit of ours, but what a device's poll is told (RFC 8628 §3.5)
		}
		return http.StatusTooManyRequests
	case TemporarilyUnavailable:
		return http.StatusServiceUnavailable
	case ServerError:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

// AsError finds the *Error in err's chain; everything unknown is a server_error that carries err as its cause.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return E(ServerError, "Something went wrong on our side. Quote the request id when you report it.").Because(err)
}
