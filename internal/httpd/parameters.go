package httpd

import (
	"net/http"
	"slices"

	"github.com/countersign/countersign/internal/oauth"
)

// DecodeParameters reads what a browser carries to us: the query of a GET, the form body of a POST (OIDC Core §3.1.2.1).
// Unlike DecodeForm it does not refuse a repeated parameter: whether that is told to the person or to the client depends
// on which one it is. Get has the first value then, Twice and Repeated tell.
func DecodeParameters(r *http.Request) (Form, error) {
	if r.Method != http.MethodPost {
		return parsePairs(r.URL.RawQuery, true, nil)
	}
	if r.URL.RawQuery != "" {
		return Form{}, oauth.E(oauth.InvalidRequest, "Parameters belong in the body of this request, not in the query string.")
	}
	if !mediaType(r, "application/x-www-form-urlencoded") {
		return Form{}, &StatusError{Status: http.StatusUnsupportedMediaType, Err: oauth.E(oauth.InvalidRequest,
			"Send the parameters as application/x-www-form-urlencoded and say so in Content-Type.")}
	}
	body, err := readBody(r)
	if err != nil {
		return Form{}, err
	}
	return parsePairs(string(body), true, nil)
}

// Twice tells whether the field came more than once.
func (f Form) Twice(name string) bool {
	n := 0
	for i := range f.fields {
		if f.fields[i].name == name {
			n++
		}
	}
	return n > 1
}

// Repeated returns the first field that came more than once although it is not among those that may; "" if none did.
func (f Form) Repeated(except ...string) string {
	for i := range f.fields {
		if name := f.fields[i].name; f.Twice(name) && !slices.Contains(except, name) {
			return name
		}
	}
	return ""
}

// Pairs calls use for every field in the order in which they came.
func (f Form) Pairs(use func(name, value string)) {
	for i := range f.fields {
		use(f.fields[i].name, f.fields[i].value)
	}
}

// NewForm is a form of these fields, names and values by turns. It is for parameters that came in another shape; what no
// parameter may hold is refused here too.
func NewForm(pairs ...string) (Form, error) {
	f := Form{fields: make([]field, 0, len(pairs)/2)}
	for i := 0; i+1 < len(pairs); i += 2 {
		if err := checkText(pairs[i], pairs[i+1]); err != nil {
			return Form{}, err
		}
		f.fields = append(f.fields, field{pairs[i], pairs[i+1]})
	}
	if len(f.fields) > maxFields {
		return Form{}, oauth.E(oauth.InvalidRequest, "The request has too many parameters.")
	}
	return f, nil
}
