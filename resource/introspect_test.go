package resource_test

import (
	"net/http"
	"testing"

	"github.com/countersign/countersign/resource"
)

func asking(c *resource.Config) {
	c.IntrospectionURL, c.ResourceID, c.ResourceSecret = c.Issuer+"/introspect", "todo:api", "pass:word+%"
}

// rfc7662-4-06 fapi2-security-5.3.4-03
func TestIntrospectionDecidesAfterTheLocalChecks(t *testing.T) {
	a := newAPI(t, asking)
	token := "Bearer " + a.issuer.token(nil)
	a.get(t, token).want(t, http.StatusOK, "")
	if got, want := a.issuer.basic, "todo%3Aapi:pass%3Aword%2B%25"; got != want {
		t.Errorf("credentials %q, want %q (RFC 6749 §2.3.1)", got, want)
	}
	a.issuer.set(func() { a.issuer.inactive = true })
	a.get(t, token).want(t, http.StatusUnauthorized, "invalid_token")
	a.get(t, "Bearer AAAA").want(t, http.StatusUnauthorized, "invalid_token")
}

func TestWhatIsNoAnswerIsNoVerdict(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"our own credentials are wrong": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		"the issuer is down":            func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"not JSON":                      func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"no member active":              func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"scope":"x"}`)) },
		"active as text":                func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"active":"true"}`)) },
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t, asking)
			token := "Bearer " + a.issuer.token(nil)
			a.get(t, token).want(t, http.StatusOK, "") // the keys are there
			a.issuer.answering(answer)
			a.get(t, token).want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
		})
	}
}
