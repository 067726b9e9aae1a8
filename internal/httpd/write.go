package httpd

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/oauth"
)

// DPoPAlgs is what the challenge of a protected endpoint says about proofs (RFC 9449 §7.1): the algorithms package
// dpop accepts.
const DPoPAlgs = "ES256 RS256 PS256 EdDSA Ed25519"

// StatusError is a refusal whose status comes from HTTP itself and not from the OAuth code.
type StatusError struct {
	Status int
	Err    *oauth.Error
}

func (e *StatusError) Error() string { return e.Err.Error() }

// Unwrap returns the *oauth.Error.
func (e *StatusError) Unwrap() error { return e.Err }

func refuse(status int, description string) *StatusError {
	return &StatusError{Status: status, Err: oauth.E(oauth.InvalidRequest, description)}
}

var errTooLarge = refuse(http.StatusRequestEntityTooLarge, "The body of the request is too large.")

// WriteJSON writes v with the status.
func WriteJSON(w http.ResponseWriter, r *http.Request, status int, v any) {
	writeJSON(w, r, "application/json", status, v)
}

func writeJSON(w http.ResponseWriter, r *http.Request, mediaType string, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		event.Add(r.Context(), "cause", err.Error())
		status, body = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	h := w.Header()
	h["Content-Type"] = []string{mediaType}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone cannot be told
}

// oauthBody is RFC 6749 §5.2; request_id is ours, for errors that are our own fault.
type oauthBody struct {
	Error       oauth.Code `json:"error"`
	Description string     `json:"error_description,omitempty"`
	RequestID   string     `json:"request_id,omitempty"`
}

// OAuthError writes RFC 6749 §5.2 JSON; 401 carries WWW-Authenticate: Basic where basic is set.
func OAuthError(w http.ResponseWriter, r *http.Request, err error, basic bool) {
	e, status := judge(r, err)
	if status == http.StatusUnauthorized && basic {
		w.Header()["Www-Authenticate"] = []string{`Basic realm="countersign"`}
	}
	writeOAuth(w, r, e, status)
}

func writeOAuth(w http.ResponseWriter, r *http.Request, e *oauth.Error, status int) {
	retryAfter(w, e)
	WriteJSON(w, r, status, oauthBody{Error: e.Code, Description: printable(e.Description), RequestID: ownFault(r, e)})
}

// BearerError writes a resource error: WWW-Authenticate with the scheme, error, max_age, scope and DPoP algs
// (RFC 6750 §3, RFC 9449 §7.1, RFC 9470 §3). err nil means no credentials came: no error code.
func BearerError(w http.ResponseWriter, r *http.Request, err error) {
	if err == nil {
		challenge(w, r, "")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	e, status := judge(r, err)
	switch e.Code {
	case oauth.InvalidDPoPProof, oauth.UseDPoPNonce:
		status = http.StatusUnauthorized
	}
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		challenge(w, r, challengeParams(e))
	}
	writeOAuth(w, r, e, status)
}

func challengeParams(e *oauth.Error) string {
	params := ` error="` + string(e.Code) + `", error_description="` + printable(e.Description) + `"`
	if e.MaxAge > 0 {
		params += `, max_age="` + strconv.FormatInt(int64(e.MaxAge/time.Second), 10) + `"`
	}
	if e.Scope != "" {
		params += `, scope="` + printable(e.Scope) + `"`
	}
	return params
}

// challenge names both schemes; the one that was tried comes first and carries the error.
func challenge(w http.ResponseWriter, r *http.Request, params string) {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	dpop := `algs="` + DPoPAlgs + `"`
	switch {
	case params == "":
		w.Header()["Www-Authenticate"] = []string{`Bearer realm="countersign"`, "DPoP " + dpop}
	case strings.EqualFold(scheme, "DPoP"):
		w.Header()["Www-Authenticate"] = []string{"DPoP" + params + ", " + dpop, `Bearer realm="countersign"`}
	default:
		w.Header()["Www-Authenticate"] = []string{"Bearer" + params, "DPoP " + dpop}
	}
}

// problem is RFC 9457 §3.1 with our code and, for errors that are our own fault, the request id.
type problem struct {
	Type      string     `json:"type"`
	Title     string     `json:"title"`
	Status    int        `json:"status"`
	Detail    string     `json:"detail,omitempty"`
	Error     oauth.Code `json:"error,omitempty"`
	RequestID string     `json:"request_id,omitempty"`
}

// Problem writes problem+json (RFC 9457), for the JSON APIs. An empty typ is about:blank.
func Problem(w http.ResponseWriter, r *http.Request, status int, typ, title, detail string) {
	if typ == "" {
		typ = "about:blank"
	}
	event.Add(r.Context(), "problem", title)
	writeJSON(w, r, "application/problem+json", status, problem{Type: typ, Title: title, Status: status, Detail: detail})
}

// ProblemError writes an error of a rule or a decoder as problem+json: the status follows from the error, the cause
// goes to the request event.
func ProblemError(w http.ResponseWriter, r *http.Request, err error) {
	e, status := judge(r, err)
	retryAfter(w, e)
	writeJSON(w, r, "application/problem+json", status, problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status,
		Detail: e.Description, Error: e.Code, RequestID: ownFault(r, e),
	})
}

// Judge finds what a person or client may see of an error, and the status of the answer; the rest goes into the request's
// event, Retry-After into the header. It is for writers of other formats than those here.
func Judge(w http.ResponseWriter, r *http.Request, err error) (*oauth.Error, int) {
	e, status := judge(r, err)
	retryAfter(w, e)
	return e, status
}

// judge finds what the client may see of an error and puts the rest into the request event. A deadline that passed or
// a client that left is no verdict on the request: 503.
func judge(r *http.Request, err error) (*oauth.Error, int) {
	var known *oauth.Error
	if !errors.As(err, &known) && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		err = oauth.Unavailable(err)
	}
	e := oauth.AsError(err)
	status := e.Status()
	var http *StatusError
	if errors.As(err, &http) {
		status = http.Status
	}
	ctx := r.Context()
	event.Add(ctx, "error", string(e.Code))
	event.Add(ctx, "reason", atMost(maxDescription, e.Description))
	if cause := e.Unwrap(); cause != nil {
		event.Add(ctx, "cause", atMost(maxCause, cause.Error()))
	}
	return e, status
}

func ownFault(r *http.Request, e *oauth.Error) string {
	if e.Code != oauth.ServerError {
		return ""
	}
	return event.From(r.Context()).ID
}

func retryAfter(w http.ResponseWriter, e *oauth.Error) {
	if e.RetryAfter <= 0 {
		return
	}
	seconds := int64((e.RetryAfter + time.Second - 1) / time.Second)
	w.Header()["Retry-After"] = []string{strconv.FormatInt(seconds, 10)}
	if e.Code == oauth.TooManyRequests { // draft-ietf-httpapi-ratelimit-headers: what remains, and until when
		w.Header()["Ratelimit"] = []string{`"default";r=0;t=` + strconv.FormatInt(seconds, 10)}
	}
}

// What keeps an answer, and a line of the log, short where a sentence names what came.
const (
	maxDescription = 400
	maxCause       = 2000
)

func atMost(bytes int, s string) string { return s[:min(len(s), bytes)] }

// printable keeps a description within what RFC 6749 §5.2 and a quoted string allow: %x20-21, %x23-5B, %x5D-7E.
func printable(s string) string {
	s = atMost(maxDescription, s)
	return strings.Map(func(c rune) rune {
		switch {
		case c == '"':
			return '\''
		case c == '\\':
			return '/'
		case c < 0x20 || c > 0x7e:
			return '?'
		}
		return c
	}, s)
}

// quotable is a name from the request as a sentence of ours may repeat it, or nothing if it is none we would.
func quotable(name string) string {
	if name == "" || len(name) > 40 {
		return "in question"
	}
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '.' && c != '-' {
			return "in question"
		}
	}
	return name
}
