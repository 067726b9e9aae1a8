package httpd

import (
	"net/http"
	"testing"
)

// rfc9701-4-01
func TestWhatACallerWouldRatherHave(t *testing.T) {
	const jwt, json = "application/token-introspection+jwt", "application/json"
	for accept, want := range map[string]bool{
		"":                                    false,
		"*/*":                                 false,
		"application/*":                       false,
		json:                                  false,
		"text/html":                           false,
		jwt:                                   true,
		"Application/Token-Introspection+JWT": true,
		jwt + ", " + json:                     true,
		json + "," + jwt:                      true,
		jwt + ", */*":                         true,
		jwt + ";q=0.5, " + json:               false,
		jwt + "; Q=0.5 , */*;q=0.4":           true,
		jwt + ";q=0.5, application/*":         false,
		jwt + ";q=0":                          false,
		jwt + ";q=0, */*":                     false,
		jwt + ";q=0.000":                      false,
		jwt + ";q=0.001":                      true,
		jwt + ";q=1.000":                      true,
		json + ";q=0, */*":                    true,
		json + ";q=0.3, application/*":        true,
		jwt + ";q=2":                          false,
		jwt + ";q=1.001":                      false,
		jwt + ";q=0.1234":                     false,
		jwt + ";q=-1":                         false,
		jwt + ";q=0.+1":                       false,
		jwt + ";q=NaN":                        false,
		jwt + ";q":                            false,
		jwt + ";v=2":                          false,
		jwt + ";q=1;q=0":                      false,
		`text/x;a="` + jwt + `,` + jwt + `"`:  false,
		"application/jwt":                     false,
		"application/token-introspection":     false,
		",,;,":                                false,
	} {
		r := &http.Request{Header: http.Header{"Accept": {accept}}}
		if got := Prefers(r, jwt, json); got != want {
			t.Errorf("Accept: %s: %v", accept, got)
		}
	}
	two := &http.Request{Header: http.Header{"Accept": {"text/html", jwt}}}
	if !Prefers(two, jwt, json) || Prefers(&http.Request{}, jwt, json) {
		t.Error("two headers are one list, and none is no wish")
	}
}
