package domain

import "testing"

// oidc-core-8.1-02
func TestAClientIsOfOneSectorOrOfNone(t *testing.T) {
	for name, tt := range map[string]struct {
		sector string
		uris   []string
		want   string
	}{
		"one host":                     {"", []string{"https://App.example/cb", "https://app.example:8443/other?x=y"}, "app.example"},
		"two hosts":                    {"", []string{"https://app.example/cb", "https://www.app.example/cb"}, ""},
		"two hosts and a word":         {"Example.com", []string{"https://app.example/cb", "https://www.app.example/cb"}, "example.com"},
		"none":                         {"", nil, ""},
		"none and a word":              {"example.com", nil, "example.com"},
		"a scheme of its own":          {"", []string{"com.example.app:/cb"}, ""},
		"a host and a scheme":          {"", []string{"https://app.example/cb", "com.example.app:/cb"}, ""},
		"this machine":                 {"", []string{"http://127.0.0.1/cb"}, ""},
		"this machine by its name":     {"", []string{"http://localhost:3000/cb"}, ""},
		"this machine, version 6":      {"", []string{"http://[::1]/cb"}, ""},
		"a host and this machine":      {"", []string{"https://app.example/cb", "http://127.0.0.1/cb"}, ""},
		"what is no address":           {"", []string{"https://app.example/%zz"}, ""},
		"this machine before the host": {"", []string{"http://127.0.0.1/cb", "https://app.example/cb"}, ""},
	} {
		c := &Client{Sector: tt.sector, RedirectURIs: tt.uris}
		if got, ok := c.SectorID(); got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %q, %v", name, got, ok)
		}
	}
}
