package httpd

import (
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/countersign/countersign/internal/oauth"
)

// maxFields bounds one form.
const maxFields = 64

// Form is a strictly decoded form body (RFC 6749 §3.1, §3.2): application/x-www-form-urlencoded only, nothing in the
// query, no duplicates except the names allowed to repeat, empty is absent, at most 64 keys.
type Form struct{ fields []field }

type field struct{ name, value string }

// DecodeForm reads the body. The error is an *oauth.Error, or a *StatusError for a body over the cap.
func DecodeForm(r *http.Request, repeatable ...string) (Form, error) {
	// A query ends up in logs and histories, so what is in it is not even looked at.
	if r.URL.RawQuery != "" {
		return Form{}, oauth.E(oauth.InvalidRequest, "Parameters belong in the body of this request, not in the query string.")
	}
	if !mediaType(r, "application/x-www-form-urlencoded") {
		return Form{}, oauth.E(oauth.InvalidRequest, "Send the parameters as application/x-www-form-urlencoded and say so in Content-Type.")
	}
	body, err := readBody(r)
	if err != nil {
		return Form{}, err
	}
	return parseForm(string(body), repeatable)
}

func parseForm(body string, repeatable []string) (Form, error) {
	return parsePairs(body, false, repeatable)
}

// parsePairs reads name=value pairs; a name may repeat if any may, or if it is among the repeatable ones.
func parsePairs(body string, anyTwice bool, repeatable []string) (Form, error) {
	f := Form{fields: make([]field, 0, 12)}
	for pair := range strings.SplitSeq(body, "&") {
		if pair == "" {
			continue
		}
		if len(f.fields) == maxFields {
			return Form{}, oauth.E(oauth.InvalidRequest, "The form has too many fields.")
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, ok1 := unescape(rawName)
		value, ok2 := unescape(rawValue)
		if !ok1 || !ok2 {
			return Form{}, errMalformed
		}
		if err := checkText(name, value); err != nil {
			return Form{}, err
		}
		if !anyTwice && f.Has(name) && !slices.Contains(repeatable, name) {
			return Form{}, oauth.E(oauth.InvalidRequest, "The parameter "+quotable(name)+" came twice.")
		}
		f.fields = append(f.fields, field{name, value})
	}
	return f, nil
}

var errMalformed = oauth.E(oauth.InvalidRequest, "The form is not well-formed: percent-encode the parameters as UTF-8.")

// unescape decodes once.
func unescape(s string) (string, bool) {
	s, err := url.QueryUnescape(s)
	return s, err == nil
}

// opaque is the one parameter whose value may be any bytes: a token that is none of ours is no mistake of the request.
// It is inactive, or revoked already (IR02, RFC 7662 §2.2, RFC 7009 §2.2).
const opaque = "token"

// checkText refuses what no other parameter of ours may hold (RFC 6749 appendix A).
func checkText(name, value string) error {
	if name == opaque {
		return nil
	}
	switch {
	case !utf8.ValidString(name) || !utf8.ValidString(value):
		return errMalformed
	case strings.IndexByte(name, 0) >= 0 || strings.IndexByte(value, 0) >= 0:
		return oauth.E(oauth.InvalidRequest, "The parameter "+quotable(name)+" holds a NUL character (%00), which none may.")
	}
	return nil
}

// Get returns the value or "".
func (f Form) Get(name string) string {
	for i := range f.fields {
		if f.fields[i].name == name {
			return f.fields[i].value
		}
	}
	return ""
}

// All returns the values of a repeatable field, without empty ones.
func (f Form) All(name string) []string {
	var values []string
	for _, field := range f.fields {
		if field.name == name && field.value != "" {
			values = append(values, field.value)
		}
	}
	return values
}

// Has tells whether the field was in the body at all, even empty.
func (f Form) Has(name string) bool {
	for i := range f.fields {
		if f.fields[i].name == name {
			return true
		}
	}
	return false
}

// mediaType tells whether Content-Type is want, in UTF-8 if it names a charset at all.
func mediaType(r *http.Request, want string) bool {
	values := r.Header["Content-Type"]
	if len(values) != 1 {
		return false
	}
	if values[0] == want {
		return true
	}
	got, params, err := mime.ParseMediaType(values[0])
	if err != nil || got != want {
		return false
	}
	charset, named := params["charset"]
	return !named || strings.EqualFold(charset, "utf-8")
}
