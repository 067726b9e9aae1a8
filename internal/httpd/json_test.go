package httpd_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
)

type body struct {
	Name  string            `json:"name"`
	Count int               `json:"count,omitempty"`
	Inner *inner            `json:"inner"`
	List  []inner           `json:"list"`
	Map   map[string]string `json:"map"`
	Any   any               `json:"any"`
	Out   string            `json:"-"`
}

type inner struct {
	Deep string `json:"deep"`
}

func TestJSONIsReadStrictly(t *testing.T) {
	for _, c := range []struct {
		name, contentType, body string
		optional                bool
		status                  int // 0: accepted
		want                    string
	}{
		{"a whole document", "application/json", `{"name":"x","inner":{"deep":"y"},"list":[{"deep":"z"}],"map":{"k":"v"},"any":{"q":[1]}}`, false, 0, ""},
		{"a charset is fine", "application/json; charset=utf-8", `{}`, false, 0, ""},
		{"an optional empty body", "", ``, true, 0, ""},
		{"a missing body", "application/json", ``, false, 400, "missing"},
		{"another media type", "text/plain", `{}`, false, 415, "application/json"},
		{"a form", formType, `name=x`, false, 415, "application/json"},
		{"AD02 an unknown field", "application/json", `{"verified":true}`, false, 400, "The field verified is not known here."},
		{"AD02 an unknown field below", "application/json", `{"list":[{"x":1}]}`, false, 400, "The field x is not known"},
		{"a field that is none", "application/json", `{"-":"x"}`, false, 400, "not known"},
		{"an untagged name", "application/json", `{"Out":"x"}`, false, 400, "not known"},
		{"another case", "application/json", `{"NAME":"x"}`, false, 400, "not known"},
		{"a duplicate", "application/json", `{"name":"x","name":"x"}`, false, 400, "The field name came twice."},
		{"a duplicate below", "application/json", `{"inner":{"deep":"a","deep":"b"}}`, false, 400, "came twice"},
		{"a duplicate in disguise", "application/json", `{"name":"x","n\u0061me":"y"}`, false, 400, "came twice"},
		{"a duplicate in anything", "application/json", `{"any":{"a":1,"a":2}}`, false, 400, "came twice"},
		{"trailing data", "application/json", `{} {}`, false, 400, "follows"},
		{"half a document", "application/json", `{"name":`, false, 400, "not a JSON document"},
		{"no document at all", "application/json", `hello`, false, 400, "not a JSON document"},
		{"the wrong type", "application/json", `{"name":1}`, false, 400, "The field name has the wrong JSON type."},
		{"the wrong type at the top", "application/json", `[]`, false, 400, "The body must be a JSON object."},
		{"a string at the top", "application/json", ` "x"`, false, 400, "The body must be a JSON object."},
		{"null is no object", "application/json", `null`, false, 400, "The body must be a JSON object."},
		{"nothing but space", "application/json", ` `, false, 400, "not a JSON document"},
		{"a number that does not fit", "application/json", `{"count":1e400}`, false, 400, "count"},
		{"invalid UTF-8", "application/json", "{\"name\":\"\xff\"}", false, 400, "UTF-8"},
		{"a BOM", "application/json", "\ufeff{}", false, 400, "not a JSON document"},
		{"32 levels", "application/json", `{"any":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`, false, 0, ""},
		{"40 levels", "application/json", `{"any":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, false, 400, "nested too deeply"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", strings.NewReader(c.body))
			if c.contentType != "" {
				r.Header.Set("Content-Type", c.contentType)
			}
			err := httpd.DecodeJSON(r, &body{}, c.optional)
			if c.status == 0 {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var e *oauth.Error
			if !errors.As(err, &e) || !strings.Contains(e.Description, c.want) {
				t.Fatalf("%v", err)
			}
			status := e.Status()
			var s *httpd.StatusError
			if errors.As(err, &s) {
				status = s.Status
			}
			if status != c.status {
				t.Errorf("status %d", status)
			}
		})
	}
}

// FuzzJSON asserts that what is accepted says the same when written and read again.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{`{}`, `{"name":"x"}`, `{"name":"x","name":"y"}`, `{"any":[{}]}`, `null`, `{"list":null}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		read := func(data []byte) (body, error) {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(data)))
			r.Header.Set("Content-Type", "application/json")
			var b body
			err := httpd.DecodeJSON(r, &b, false)
			return b, err
		}
		first, err := read(data)
		if err != nil {
			return
		}
		written, err := json.Marshal(first)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := read(written); err != nil {
			t.Errorf("%q was accepted, %q is not: %v", data, written, err)
		}
	})
}
