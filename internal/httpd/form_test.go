package httpd_test

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
)

func TestFormsAreReadStrictly(t *testing.T) {
	srv, _ := serve(t, httpd.Options{})
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "p%d=1&", i)
		}
		return b.String()
	}
	for _, c := range []struct {
		name, target, contentType, body string
		status                          int
		want                            string // in the body of the answer
	}{
		{"a plain form", "/form", formType, "a=1", 200, `"a":"1"`},
		{"a charset is fine", "/form", formType + "; charset=UTF-8", "a=1", 200, `"a":"1"`},
		{"plus and percent are decoded once", "/form", formType, "a=x+y%252B", 200, `"a":"x y%2B"`},
		{"TK02 rfc6749-3.2-03 empty is absent", "/form", formType, "a=&many=&many=1", 200, `"a":"","many":["1"]`},
		{"TK02 resource may repeat", "/form", formType, "many=1&many=2", 200, `"many":["1","2"]`},
		{"empty pairs are nothing", "/form", formType, "&&a=1&", 200, `"a":"1"`},
		{"an empty body is an empty form", "/form", formType, "", 200, `"a":""`},
		{"TK02 a duplicate", "/form", formType, "a=1&a=1", 400, "The parameter a came twice."},
		{"TK02 a duplicate of an empty one", "/form", formType, "a=&a=1", 400, "came twice"},
		{"TK02 a duplicate in disguise", "/form", formType, "a=1&%61=2", 400, "came twice"},
		{"a duplicate name is repeated only if harmless", "/form", formType, "%3Cscript%3E=1&%3Cscript%3E=1", 400, "The parameter in question came twice."},
		{"TK01 a parameter in the query", "/form?a=1", formType, "a=1", 400, "not in the query string"},
		{"TK01 an unknown parameter in the query", "/form?x", formType, "a=1", 400, "not in the query string"},
		{"TK01 JSON", "/form", "application/json", `{"a":"1"}`, 400, "application/x-www-form-urlencoded"},
		{"TK01 multipart", "/form", "multipart/form-data; boundary=x", "--x--", 400, "application/x-www-form-urlencoded"},
		{"no Content-Type", "/form", "", "a=1", 400, "application/x-www-form-urlencoded"},
		{"another charset", "/form", formType + "; charset=utf-7", "a=1", 400, "application/x-www-form-urlencoded"},
		{"a broken escape", "/form", formType, "a=%zz", 400, "percent-encode"},
		{"invalid UTF-8", "/form", formType, "a=%ff", 400, "percent-encode"},
		{"NUL", "/form", formType, "a=x%00y", 400, "The parameter a holds a NUL character (%00)"},
		{"NUL in a name", "/form", formType, "x%00y=1", 400, "The parameter in question holds a NUL character"},
		{"IR02 a token is opaque", "/form", formType, "a=1&token=x%00y%ff", 200, `"a":"1"`},
		{"a token is percent-encoded all the same", "/form", formType, "token=%zz", 400, "percent-encode"},
		{"a token comes once", "/form", formType, "token=%00&token=%00", 400, "came twice"},
		{"64 fields", "/form", formType, many(64), 200, `"a"`},
		{"DS01 65 fields", "/form", formType, many(65), 400, "too many fields"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := do(t, "POST", srv.URL+c.target, c.body, "Content-Type", c.contentType)
			if a.StatusCode != c.status || !strings.Contains(a.body, c.want) {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
			if c.status == 400 && a.json(t)["error"] != string(oauth.InvalidRequest) {
				t.Errorf("%s", a.body)
			}
		})
	}
}

// FuzzForm asserts that whatever is accepted is what the standard library reads too, without duplicates.
func FuzzForm(f *testing.F) {
	for _, seed := range []string{"", "a=1", "a=1&a=2", "a=%41&&b", "many=1&many=2", "=x", "a=1;b=2", "%", "a=\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest("POST", "/form", strings.NewReader(body))
		r.Header.Set("Content-Type", formType)
		form, err := httpd.DecodeForm(r, "many")
		if err != nil {
			return
		}
		if strings.Contains(body, ";") {
			return // the standard library refuses it; for a form it is a character like any other
		}
		want, err := url.ParseQuery(body)
		if err != nil {
			t.Fatalf("accepted what url.ParseQuery refuses: %q", body)
		}
		for name, values := range want {
			if name != "many" && (len(values) != 1 || form.Get(name) != values[0] || !form.Has(name)) {
				t.Errorf("%q: %q read as %q, want %q", body, name, form.Get(name), values)
			}
		}
	})
}
