package resource

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/oauth"
)

// Error is a refusal: what the client is told, and for the app server's own log the cause.
type Error struct {
	Status      int           // 400, 401, 403 or 503
	Code        string        // RFC 6750 §3.1, RFC 9449 §7.1; empty: no token came
	Description string        // a sentence for the developer of the app
	RetryAfter  time.Duration // for 503

	scheme string   // under which the token came
	scopes []string // that were missing
	cause  error
}

func (e *Error) Error() string {
	text := "access token: " + e.Description
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

func (e *Error) because(cause error) *Error {
	e.cause = cause
	return e
}

func noCredentials() *Error {
	return &Error{Status: http.StatusUnauthorized, Description: "Send an access token in the Authorization header."}
}

func badRequest(description string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: string(oauth.InvalidRequest), Description: description}
}

func unauthorized(code oauth.Code, description string) *Error {
	return &Error{Status: http.StatusUnauthorized, Code: string(code), Description: description}
}

func unavailable(description string, cause error) *Error {
	return &Error{
		Status: http.StatusServiceUnavailable, Code: string(oauth.TemporarilyUnavailable), Description: description,
		RetryAfter: time.Second, cause: cause,
	}
}

// WriteError answers a request with an error of Verify: status, WWW-Authenticate, a fresh nonce where one is asked
// for, and a JSON body. Any other error is a 500 that says nothing.
func (v *Verifier) WriteError(w http.ResponseWriter, err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Status: http.StatusInternalServerError, Code: string(oauth.ServerError), Description: "Something went wrong on our side."}
	}
	h := w.Header()
	if e.Status != http.StatusServiceUnavailable && e.Status != http.StatusInternalServerError {
		h["Www-Authenticate"] = v.challenges(e)
	}
	if e.Code == string(oauth.UseDPoPNonce) || v.config.RequireNonce || v.handsOut && e.scheme == schemeDPoP {
		h.Set("DPoP-Nonce", v.Nonce())
	}
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((e.RetryAfter+time.Second-1)/time.Second)))
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/json")
	w.WriteHeader(e.Status)
	body, _ := json.Marshal(struct { // two strings cannot fail
		Code        string `json:"error,omitempty"`
		Description string `json:"error_description"`
	}{e.Code, e.Description})
	_, _ = w.Write(body) // a client that is gone cannot be told
}

// proofAlgs is what proofs may be signed with (RFC 9449 §7.1).
const proofAlgs = "ES256 RS256 PS256 EdDSA Ed25519"

// challenges names the schemes we take, that of the request first and with the error (RFC 6750 §3, RFC 9449 §7.1).
func (v *Verifier) challenges(e *Error) []string {
	var params []string
	if e.Code != "" {
		params = append(params, quote("error", e.Code), quote("error_description", e.Description))
	}
	if len(e.scopes) > 0 {
		params = append(params, quote("scope", strings.Join(e.scopes, " ")))
	}
	realm := quote("realm", v.config.Audience)
	if v.published != nil {
		realm += ", " + quote("resource_metadata", v.published.url) // RFC 9728 §5.1
	}
	bearer := schemeBearer + " " + realm
	proof := schemeDPoP + " " + realm + ", " + quote("algs", proofAlgs)
	withError := func(challenge string) string { return strings.Join(append([]string{challenge}, params...), ", ") }
	switch {
	case v.config.RequireDPoP:
		return []string{withError(proof)}
	case e.scheme == schemeDPoP:
		return []string{withError(proof), bearer}
	}
	return []string{withError(bearer), proof}
}

// quote writes an auth-param. The values are ours and hold no quote or backslash, but for an audience that could.
func quote(name, value string) string {
	return name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}
