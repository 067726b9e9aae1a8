package oauth

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// MaxRedirectURIs is how many one client may have: who needs more wants a wildcard, and there is none.
const MaxRedirectURIs = 20

// What a browser runs or reads instead of going there, and what is no page.
var scriptSchemes = []string{"javascript", "data", "file", "filesystem", "blob", "vbscript", "about", "view-source", "ws", "wss", "ftp"}

// ScriptScheme tells whether the scheme of an address, in any case, is one nobody is ever sent to.
func ScriptScheme(scheme string) bool { return slices.Contains(scriptSchemes, strings.ToLower(scheme)) }

const schemesAllowed = "allowed are https, http on this machine (127.0.0.1, [::1], localhost) and, for a native client, a scheme of its own in reverse domain notation: com.example.app:/callback"

// CheckRedirect judges where a client wants its users sent back to (RFC 8252 §7, RFC 9700 §2.1), declared or registered:
// the one road for this decision. Both texts are empty for a good one.
func CheckRedirect(s string, native bool) (text, remedy string) {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '\\' || s[i] == '*' {
			return "it has a character no redirect URI may have", "remove spaces, backslashes, stars and letters beyond ASCII; wildcards are not supported"
		}
	}
	if scheme, _, found := strings.Cut(s, ":"); found && ScriptScheme(scheme) {
		return fmt.Sprintf("the scheme %s: is not allowed", strings.ToLower(scheme)), schemesAllowed
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme == "":
		return "it is not an absolute URI", "write https://app.example.com/callback or com.example.app:/callback"
	case strings.Contains(s, "#"):
		return "it has a fragment", "remove # and what follows"
	case u.User != nil:
		return "it has a user name in it", "remove what stands before the @"
	case u.Scheme == "https" || u.Scheme == "http":
		return webRedirect(u)
	case !native:
		return fmt.Sprintf("only a native client may use its own scheme (%s:)", u.Scheme), "use https, or give the client type: native"
	case !strings.Contains(u.Scheme, "."):
		return fmt.Sprintf("the scheme %s: could be any app's", u.Scheme), "use a domain of yours in reverse, com.example.app:/callback (RFC 8252, section 7.1)"
	case u.Opaque != "":
		return "its scheme is followed by no slash", "write " + u.Scheme + ":/callback"
	}
	return "", ""
}

func webRedirect(u *url.URL) (text, remedy string) {
	switch {
	case u.Hostname() == "":
		return "it names no host", "write https://app.example.com/callback"
	case u.Scheme == "http" && !LoopbackHost(u.Hostname()):
		return "it is plain http, and not on this machine", "use https; http is accepted for 127.0.0.1, [::1] and localhost only"
	}
	return "", ""
}

// LoopbackHost tells whether a host is this machine, by its name or as an address.
func LoopbackHost(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
