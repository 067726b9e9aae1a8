package resource

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Whatever comes, what is taken for a token is one piece of token68, from the header, under a scheme we take.
func FuzzPresent(f *testing.F) {
	f.Add("Bearer abc", "", "")
	f.Add("DPoP abc.def-_~+/==", "x=1", "a=b")
	f.Add("bearer  abc", "access_token=1", "")
	f.Add("Bearer", "%zz;access_token", "access_token")
	f.Fuzz(func(t *testing.T, authorization, query, body string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header["Authorization"] = []string{authorization}
		p, refusal := present(r)
		switch {
		case refusal != nil && p != presented{}:
			t.Errorf("refused, and yet %+v", p)
		case refusal != nil && refusal.Status != http.StatusBadRequest && refusal.Status != http.StatusUnauthorized:
			t.Errorf("status %d", refusal.Status)
		case refusal == nil && (!token68(p.token) || !strings.HasSuffix(authorization, " "+p.token)):
			t.Errorf("%q was read as %q", authorization, p.token)
		case refusal == nil && p.scheme != schemeBearer && p.scheme != schemeDPoP:
			t.Errorf("scheme %q", p.scheme)
		}
	})
}

func FuzzMaxAge(f *testing.F) {
	f.Add("public, max-age=300")
	f.Add("max-age=-1, MAX-AGE=\"9\"")
	f.Fuzz(func(t *testing.T, value string) {
		if age := maxAge(http.Header{"Cache-Control": {value}}); age < minMaxAge || age > maxMaxAge {
			t.Errorf("%q: %v, beyond %v to %v", value, age, minMaxAge, maxMaxAge)
		}
	})
}
