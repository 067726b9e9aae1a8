package resource

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// The schemes an access token comes under (RFC 6750 §2.1, RFC 9449 §7.1).
const (
	schemeBearer = "Bearer"
	schemeDPoP   = "DPoP"
)

// presented is an access token as it came.
type presented struct {
	scheme string
	token  string
}

// present finds the token, in the Authorization header alone. Elsewhere it would end up in logs and histories, so it
// is refused there even beside a good header (RFC 6750 §2).
func present(r *http.Request) (presented, *Error) {
	if inQuery(r) || inBody(r) {
		return presented{}, badRequest("Send the access token in the Authorization header, not in the query or the body.")
	}
	headers := r.Header.Values("Authorization")
	switch len(headers) {
	case 0:
		return presented{}, noCredentials()
	case 1:
	default:
		return presented{}, badRequest("The request has more than one Authorization header.")
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	switch {
	case strings.EqualFold(scheme, schemeBearer):
		scheme = schemeBearer
	case strings.EqualFold(scheme, schemeDPoP):
		scheme = schemeDPoP
	default:
		return presented{}, noCredentials() // some other scheme: to us it says nothing
	}
	if !token68(token) {
		return presented{}, badRequest("The Authorization header must be the scheme, one space and the access token.")
	}
	return presented{scheme: scheme, token: token}, nil
}

// token68 is the syntax of RFC 7235 §2.1.
func token68(s string) bool {
	body := strings.TrimRight(s, "=")
	for i := range len(body) {
		c := body[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-._~+/", rune(c)) {
			return false
		}
	}
	return body != ""
}

const tokenParameter = "access_token"

func inQuery(r *http.Request) bool {
	values, _ := url.ParseQuery(r.URL.RawQuery) // what could be read of a malformed query counts
	return values.Has(tokenParameter)
}

// maxPeek bounds how much of a form we look at; a token further on is never read by anybody.
const maxPeek = 64 << 10

// inBody looks into a form body and puts what it read back for the handler.
func inBody(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" || r.Body == nil || r.Body == http.NoBody {
		return false
	}
	head, err := io.ReadAll(io.LimitReader(r.Body, maxPeek))
	rest := io.Reader(r.Body)
	if err != nil {
		rest = failedReader{err} // the handler sees the same failure
	}
	r.Body = peeked{Reader: io.MultiReader(bytes.NewReader(head), rest), Closer: r.Body}
	values, _ := url.ParseQuery(string(head))
	return values.Has(tokenParameter)
}

type peeked struct {
	io.Reader
	io.Closer
}

type failedReader struct{ err error }

func (f failedReader) Read([]byte) (int, error) { return 0, f.err }

// address is what a proof must name as htu: our own address and the path the client asked for, not what a mux made of
// it and nothing from a header (RFC 9449 §4.3).
func (v *Verifier) address(r *http.Request) string {
	path := r.URL.EscapedPath()
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
		path = u.EscapedPath()
	}
	return v.config.BaseURL + path
}
