package oauth

import (
	"net/url"
	"strings"
	"testing"
)

func TestMatchRedirect(t *testing.T) {
	registered := []string{
		"https://app.example/cb", "https://app.example/cb?keep=1", "com.ex.app:/cb", "http://127.0.0.1/cb", "http://[::1]:7000/v6",
		"http://localhost:3000/cb", "http://127.0.0.1",
	}
	tests := []struct {
		uri              string
		exactly, anyPort bool // what holds without and with a free port
	}{
		{"https://app.example/cb", true, true},
		{"https://app.example/cb?keep=1", true, true},
		{"com.ex.app:/cb", true, true},
		{"http://127.0.0.1/cb", true, true},
		{"http://127.0.0.1:1/cb", false, true}, // rfc8252-7.3-01
		{"http://127.0.0.1:65535/cb", false, true},
		{"http://[::1]:7000/v6", true, true},
		{"http://[::1]/v6", false, true},
		{"http://[::1]:49152/v6", false, true},
		{"http://127.0.0.1:49152", false, true},

		{"", false, false},
		{"https://app.example/cb/", false, false},
		{"https://app.example/cb#", false, false}, // AZ05
		{"https://app.example:443/cb", false, false},
		{"https://app.example:4711/cb", false, false},
		{"HTTPS://app.example/cb", false, false},
		{"https://app.example/%63b", false, false},
		{"https://app.example@evil/cb", false, false}, // AZ04
		{`https://app.example\evil/cb`, false, false},
		{"https:app.example/cb", false, false},
		{"https://app.example/cb?keep=1&more=2", false, false},
		{"com.ex.app://evil/cb", false, false}, // AZ10
		{"com.ex.app:/cb/", false, false},
		{"http://localhost/cb", false, false}, // AZ08 rfc8252-8.3-01
		{"http://localhost:3001/cb", false, false},
		{"http://[::1]:4711/cb", false, false},
		{"http://127.0.0.1:4711/v6", false, false},
		{"http://127.0.0.1:/cb", false, false},
		{"http://127.0.0.1:65536/cb", false, false},
		{"http://127.0.0.1:+1/cb", false, false},
		{"http://127.0.0.1:1 /cb", false, false},
		{"http://127.0.0.1.evil/cb", false, false},
		{"http://127.0.0.1:1@evil/cb", false, false},
		{"http://127.0.0.1@evil/cb", false, false},
		{`http://127.0.0.1:1\@evil/cb`, false, false},
		{"http://127.0.0.1:1.evil/cb", false, false},
		{"http://127.1:4711/cb", false, false},
		{"http://2130706433/cb", false, false},
		{"http://0.0.0.0:4711/cb", false, false},
		{"http://127.0.0.01/cb", false, false},
		{"https://127.0.0.1:4711/cb", false, false},
		{"HTTP://127.0.0.1:4711/cb", false, false},
		{"http://127.0.0.1:4711/cb?x", false, false},
		{"http://127.0.0.1:4711#", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.uri, func(t *testing.T) {
			if got := MatchRedirect(registered, tt.uri, false); got != tt.exactly {
				t.Errorf("exactly: %t", got)
			}
			if got := MatchRedirect(registered, tt.uri, true); got != tt.anyPort {
				t.Errorf("with any port: %t", got)
			}
		})
	}
}

func TestNothingMatchesWhereNothingIsRegistered(t *testing.T) { // AZ02
	for _, anyPort := range []bool{false, true} {
		if MatchRedirect(nil, "", anyPort) || MatchRedirect(nil, "http://127.0.0.1/", anyPort) {
			t.Error("matched")
		}
	}
}

// FuzzMatchRedirect: whatever comes, a match is the registered URI itself or, as another parser reads it too, the same
// place of the same loopback address.
func FuzzMatchRedirect(f *testing.F) {
	for _, uri := range []string{
		"http://127.0.0.1:1/cb", "http://[::1]:1/cb", "http://127.0.0.1:1@evil/cb", `http://127.0.0.1:1\@evil/cb`, "http://127.0.0.1:0/cb",
		"http://127.0.0.1:00080/cb", "http://127.0.0.1:1?x", "http://127.0.0.1.evil/cb", "https://app.example/cb",
	} {
		f.Add("http://127.0.0.1/cb", uri)
		f.Add(uri, uri)
		f.Add("http://127.0.0.1?x", uri)
	}
	f.Fuzz(func(t *testing.T, registered, uri string) {
		list := []string{"https://other.example/", registered}
		if MatchRedirect(list, uri, false) != (uri == registered || uri == list[0]) {
			t.Fatalf("%q for %q", uri, registered)
		}
		if !MatchRedirect(list, uri, true) || uri == registered || uri == list[0] {
			return
		}
		host := "127.0.0.1"
		if strings.HasPrefix(registered, "http://[") {
			host = "::1"
		}
		want, err1 := url.Parse(registered)
		got, err2 := url.Parse(uri)
		if (err1 != nil) != (err2 != nil) {
			t.Fatalf("%q for %q: one of them is no URI: %v, %v", uri, registered, err1, err2)
		}
		if err1 != nil { // nothing that is no URI can be registered
			return
		}
		if got.Scheme != "http" || got.Hostname() != host || got.User != nil || got.Port() == want.Port() {
			t.Fatalf("%q for %q", uri, registered)
		}
		got.Host, want.Host = "", ""
		if got.String() != want.String() {
			t.Fatalf("%q for %q", uri, registered)
		}
	})
}

func TestWhereAnAnswerGoesTo(t *testing.T) {
	for _, tt := range []struct {
		uri, target string
		private     bool
	}{
		{"https://app.example/cb?x=1", "https://app.example", false},
		{"https://app.example", "https://app.example", false},
		{"https://app.example?x", "https://app.example", false},
		{"http://127.0.0.1:4711/cb", "http://127.0.0.1:4711", false},
		{"http://[::1]:4711/cb", "http://[::1]:4711", false},
		{"com.ex.app:/cb", "com.ex.app:", true},
		{"com.ex.app://host/cb", "com.ex.app:", true},
	} {
		if got := RedirectTarget(tt.uri); got != tt.target {
			t.Errorf("%s: %s", tt.uri, got)
		}
		if got := PrivateUse(tt.uri); got != tt.private {
			t.Errorf("%s: %t", tt.uri, got)
		}
	}
}
