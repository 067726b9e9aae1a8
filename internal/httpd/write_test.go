package httpd_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
)

// write serves one answer over a socket.
func write(t *testing.T, answer func(http.ResponseWriter, *http.Request), headers ...string) answer {
	t.Helper()
	srv := httptest.NewServer(httpd.Handler(httpd.Options{}, []httpd.Route{{Method: "GET", Path: "/", Handler: answer}}))
	defer srv.Close()
	return do(t, "GET", srv.URL+"/", "", headers...)
}

func TestOAuthErrors(t *testing.T) {
	limited := oauth.E(oauth.TooManyRequests, "Slow down.")
	limited.RetryAfter = 1500 * time.Millisecond
	for _, c := range []struct {
		name            string
		err             error
		basic           bool
		status          int
		body            string
		retry, wwwAuthn string
	}{
		{"a code and a sentence", oauth.E(oauth.InvalidGrant, "Sign in again."), true, 400,
			`{"error":"invalid_grant","error_description":"Sign in again."}`, "", ""},
		{"401 names the scheme", oauth.E(oauth.InvalidClient, ""), true, 401, `{"error":"invalid_client"}`, "", `Basic realm="countersign"`},
		{"429 says when, rounded up", limited, true, 429, `{"error":"slow_down","error_description":"Slow down."}`, "2", ""},
		{"a wrapped error is found", fmt.Errorf("rotate session: %w", oauth.E(oauth.InvalidGrant, "x")), true, 400,
			`{"error":"invalid_grant","error_description":"x"}`, "", ""},
		{"a cause stays inside", oauth.E(oauth.InvalidGrant, "x").Because(errors.New("row 7")), true, 400,
			`{"error":"invalid_grant","error_description":"x"}`, "", ""},
		{"a status of HTTP", &httpd.StatusError{Status: 413, Err: oauth.E(oauth.InvalidRequest, "x")}, true, 413,
			`{"error":"invalid_request","error_description":"x"}`, "", ""},
		{"rfc6749-5.2-08 what RFC 6749 appendix A forbids is replaced", oauth.E(oauth.InvalidRequest, "a\"b\\c\r\nü"), true, 400,
			`{"error":"invalid_request","error_description":"a'b/c???"}`, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := write(t, func(w http.ResponseWriter, r *http.Request) { httpd.OAuthError(w, r, c.err, c.basic) })
			if a.StatusCode != c.status || a.body != c.body || a.Header.Get("Content-Type") != "application/json" ||
				a.Header.Get("Retry-After") != c.retry || a.Header.Get("WWW-Authenticate") != c.wwwAuthn {
				t.Errorf("%d %v %s", a.StatusCode, a.Header, a.body)
			}
		})
	}
}

func TestOnlyALimitSaysWhatIsLeftOfIt(t *testing.T) {
	limited := oauth.E(oauth.TooManyRequests, "Slow down.")
	limited.RetryAfter = 1500 * time.Millisecond
	for _, writeError := range []func(http.ResponseWriter, *http.Request, error){
		func(w http.ResponseWriter, r *http.Request, err error) { httpd.OAuthError(w, r, err, false) }, httpd.BearerError, httpd.ProblemError,
	} {
		for err, want := range map[error]string{limited: `"default";r=0;t=2`, oauth.Unavailable(errors.New("x")): ""} {
			a := write(t, func(w http.ResponseWriter, r *http.Request) { writeError(w, r, err) })
			if got := a.Header.Get("RateLimit"); got != want || a.Header.Get("Retry-After") == "" {
				t.Errorf("%d: RateLimit %q, want %q", a.StatusCode, got, want)
			}
		}
	}
}

// What came in a request never makes a line of the log as long as the request may be.
func TestALineOfTheLogIsBounded(t *testing.T) {
	long := strings.Repeat("x", 60_000)
	var log strings.Builder
	o := httpd.Options{Log: slog.New(slog.NewTextHandler(&log, nil))}
	srv := httptest.NewServer(httpd.Handler(o, []httpd.Route{{Method: "GET", Path: "/", Handler: func(w http.ResponseWriter, r *http.Request) {
		httpd.OAuthError(w, r, oauth.E(oauth.InvalidScope, long).Because(errors.New(long)), false)
	}}}))
	do(t, "GET", srv.URL+"/", "")
	srv.Close() // waits for the line
	if n := log.Len(); n < 400 || n > 4000 {
		t.Errorf("%d bytes were logged", n)
	}
}

func TestBearerErrors(t *testing.T) {
	stepUp := oauth.E(oauth.InsufficientUserAuth, "Sign in again.")
	stepUp.MaxAge = 5 * time.Minute
	for _, c := range []struct {
		name, authorization string
		err                 error
		status              int
		challenges          []string
	}{
		{"no credentials: no error code", "", nil, 401, []string{`Bearer realm="countersign"`, `DPoP algs="ES256 RS256 PS256 EdDSA Ed25519"`}},
		{"a bad bearer token", "Bearer x", oauth.E(oauth.InvalidToken, "No."), 401,
			[]string{`Bearer error="invalid_token", error_description="No."`, `DPoP algs="ES256 RS256 PS256 EdDSA Ed25519"`}},
		{"a bad bound token", "dpop x", oauth.E(oauth.InvalidToken, "No."), 401,
			[]string{`DPoP error="invalid_token", error_description="No.", algs="ES256 RS256 PS256 EdDSA Ed25519"`, `Bearer realm="countersign"`}},
		{"a proof without our nonce is 401 here", "DPoP x", oauth.E(oauth.UseDPoPNonce, "Again."), 401,
			[]string{`DPoP error="use_dpop_nonce", error_description="Again.", algs="ES256 RS256 PS256 EdDSA Ed25519"`, `Bearer realm="countersign"`}},
		{"a bad proof is 401 here", "DPoP x", oauth.E(oauth.InvalidDPoPProof, "No."), 401,
			[]string{`DPoP error="invalid_dpop_proof", error_description="No.", algs="ES256 RS256 PS256 EdDSA Ed25519"`, `Bearer realm="countersign"`}},
		{"a missing scope", "Bearer x", oauth.E(oauth.InsufficientScope, "No."), 403,
			[]string{`Bearer error="insufficient_scope", error_description="No."`, `DPoP algs="ES256 RS256 PS256 EdDSA Ed25519"`}},
		{"a missing scope that has a name", "Bearer x", &oauth.Error{Code: oauth.InsufficientScope, Description: "No.", Scope: "todos.read"}, 403,
			[]string{`Bearer error="insufficient_scope", error_description="No.", scope="todos.read"`, `DPoP algs="ES256 RS256 PS256 EdDSA Ed25519"`}},
		{"step-up", "Bearer x", stepUp, 401,
			[]string{`Bearer error="insufficient_user_authentication", error_description="Sign in again.", max_age="300"`, `DPoP algs="ES256 RS256 PS256 EdDSA Ed25519"`}},
		{"a bad request needs no challenge", "Bearer x", oauth.E(oauth.InvalidRequest, "No."), 400, nil},
		{"nor does an outage", "Bearer x", oauth.Unavailable(errors.New("x")), 503, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var headers []string
			if c.authorization != "" {
				headers = []string{"Authorization", c.authorization}
			}
			a := write(t, func(w http.ResponseWriter, r *http.Request) { httpd.BearerError(w, r, c.err) }, headers...)
			got := a.Header.Values("WWW-Authenticate")
			if a.StatusCode != c.status || strings.Join(got, "|") != strings.Join(c.challenges, "|") {
				t.Errorf("%d %q", a.StatusCode, got)
			}
			if (c.err == nil) != (a.body == "") {
				t.Errorf("body %q", a.body)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	a := write(t, func(w http.ResponseWriter, r *http.Request) {
		httpd.Problem(w, r, http.StatusConflict, "", "Last identity", "Link another one first.")
	})
	if a.StatusCode != 409 || a.Header.Get("Content-Type") != "application/problem+json" ||
		a.body != `{"type":"about:blank","title":"Last identity","status":409,"detail":"Link another one first."}` {
		t.Errorf("%d %v %s", a.StatusCode, a.Header, a.body)
	}
	b := write(t, func(w http.ResponseWriter, r *http.Request) {
		httpd.ProblemError(w, r, oauth.Unavailable(errors.New("the database is down")))
	})
	if b.StatusCode != 503 || b.Header.Get("Retry-After") != "1" || b.json(t)["error"] != "temporarily_unavailable" || strings.Contains(b.body, "database") {
		t.Errorf("%d %v %s", b.StatusCode, b.Header, b.body)
	}
	c := write(t, func(w http.ResponseWriter, r *http.Request) { httpd.ProblemError(w, r, errors.New("boom")) })
	if c.StatusCode != 500 || c.json(t)["request_id"] != c.Header.Get("X-Request-Id") {
		t.Errorf("%d %s", c.StatusCode, c.body)
	}
}

func TestAValueThatIsNoJSONIsAServerError(t *testing.T) {
	a := write(t, func(w http.ResponseWriter, r *http.Request) { httpd.WriteJSON(w, r, http.StatusOK, make(chan int)) })
	if a.StatusCode != 500 || a.json(t)["error"] != "server_error" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}
