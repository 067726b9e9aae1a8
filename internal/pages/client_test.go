package pages

import "testing"

// RG06: what is said of where a client is cannot be made to look like another place.
func TestTheHostOfAnAddressIsShownAsItIs(t *testing.T) {
	for address, want := range map[string]struct {
		host string
		app  bool
	}{
		"https://harbour.example/cb":               {"harbour.example", false},
		"https://HARBOUR.example:8443/cb":          {"harbour.example", false},
		"https://bank.example@harbour.example/cb":  {"harbour.example", false},
		"https://h\u0430rbour.example/":            {"h%D0%B0rbour.example", false}, // a letter of another alphabet
		"https://harbour\u202e.example/":           {"harbour%E2%80%AE.example", false},
		"http://127.0.0.1/cb":                      {"127.0.0.1", true},
		"http://[::1]:1234/cb":                     {"::1", true},
		"http://localhost/cb":                      {"localhost", true},
		"http://localhost.harbour.example/cb":      {"localhost.harbour.example", false},
		"com.example.harbour:/cb":                  {"com.example.harbour", true},
		"com.example.harbour://bank.example/login": {"com.example.harbour", true},
	} {
		if host, app := hostOf(address); host != want.host || app != want.app {
			t.Errorf("%s: %s, %t", address, host, app)
		}
	}
}
