package oauth

import (
	"net/url"
	"testing"
)

// rfc9728-3.1-01
func TestWhereTheDocumentOfAResourceIs(t *testing.T) {
	for identifier, want := range map[string]string{
		"https://api.example.com":            "https://api.example.com/.well-known/oauth-protected-resource",
		"https://api.example.com/":           "https://api.example.com/.well-known/oauth-protected-resource",
		"https://api.example.com:8443/v1":    "https://api.example.com:8443/.well-known/oauth-protected-resource/v1",
		"https://api.example.com/v1/":        "https://api.example.com/.well-known/oauth-protected-resource/v1/",
		"https://api.example.com/a%2Fb/c%20": "https://api.example.com/.well-known/oauth-protected-resource/a%2Fb/c%20",
		"https://api.example.com/?of=todos":  "https://api.example.com/.well-known/oauth-protected-resource?of=todos",
		"https://api.example.com/x?of=todos": "https://api.example.com/.well-known/oauth-protected-resource/x?of=todos",
	} {
		u, err := url.Parse(identifier)
		if err != nil {
			t.Fatal(err)
		}
		if got := ProtectedResourceAt(u).String(); got != want {
			t.Errorf("%s: %s, want %s", identifier, got, want)
		}
	}
}
