package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// Error is an answer of the server that is no success (RFC 9457). Find it with errors.As.
type Error struct {
	Status     int           // HTTP status
	Code       string        // the server's error code, for example "invalid_token"; may be empty
	Title      string        // in a word
	Detail     string        // what to do about it
	RequestID  string        // also in the server's log; quote it when you report a problem
	RetryAfter time.Duration // how long to wait where Temporary is true; zero if the server did not say
}

func (e *Error) Error() string {
	s := fmt.Sprintf("countersign: %d %s", e.Status, e.Title)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.RequestID != "" {
		s += " (request " + e.RequestID + ")"
	}
	return s
}

// Temporary tells whether the same call may succeed later.
func (e *Error) Temporary() bool {
	return e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable
}

// IsNotFound tells whether err says that there is no such account, session, key or client.
func IsNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}

// problemType is what the admin API says that it does not have something in (RFC 9457 §3). A 404 of another type says
// that there is no admin API.
const problemType = "application/problem+json"

func newError(res *http.Response, body []byte) *Error {
	var problem struct {
		Title  string `json:"title"`
		Detail string `json:"detail"`
		Error  string `json:"error"`
		// The listener itself, before any route, answers in OAuth's words.
		Description string `json:"error_description"`
	}
	_ = json.Unmarshal(body, &problem) // a proxy may have answered: the status says enough
	e := &Error{
		Status: res.StatusCode, Code: problem.Error, Title: problem.Title, Detail: problem.Detail,
		RequestID: res.Header.Get("X-Request-Id"),
	}
	if e.Title == "" {
		e.Title = http.StatusText(res.StatusCode)
	}
	if e.Detail == "" {
		e.Detail = problem.Description
	}
	if media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); e.Status == http.StatusNotFound && media != problemType {
		e.Detail = "this looks like the public listener; the base URL (--server) is the address of admin.listen"
	}
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}
