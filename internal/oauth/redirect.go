package oauth

import (
	"strconv"
	"strings"
)

// MatchRedirect tells whether a redirect URI is one of the registered ones: the one road for this decision. The strings
// must be equal, byte for byte, before anything parses them (RFC 9700 §2.1): what two parsers read differently is how
// codes went astray. With anyPort, for native apps, the port of a loopback address is free (RFC 8252 §7.3): the app gets
// it from its system. That holds for the literals 127.0.0.1 and [::1] and not for localhost, which is a name that can be
// pointed elsewhere (§8.3).
func MatchRedirect(registered []string, uri string, anyPort bool) bool {
	for _, r := range registered {
		if r == uri || (anyPort && sameBesidesPort(r, uri)) {
			return true
		}
	}
	return false
}

var loopbackLiterals = []string{"http://127.0.0.1", "http://[::1]"}

func sameBesidesPort(registered, uri string) bool {
	for _, host := range loopbackLiterals {
		want, ok := strings.CutPrefix(registered, host)
		if !ok {
			continue
		}
		got, ok := strings.CutPrefix(uri, host)
		if !ok {
			return false
		}
		want, okWant := cutPort(want)
		got, okGot := cutPort(got)
		return okWant && okGot && want == got
	}
	return false
}

// cutPort removes ":port" from the front of what follows a host. Without it, what follows must be the path, the query or
// nothing: more letters would make it another host.
func cutPort(s string) (rest string, ok bool) {
	if port, isPort := strings.CutPrefix(s, ":"); isPort {
		digits := len(port) - len(strings.TrimLeft(port, "0123456789"))
		if _, err := strconv.ParseUint(port[:digits], 10, 16); err != nil {
			return "", false
		}
		s = port[digits:]
	}
	return s, s == "" || s[0] == '/' || s[0] == '?'
}

// PrivateUse tells whether a redirect URI has a scheme of an app's own (RFC 8252 §7.1). Any app on the device may have
// claimed the same one, so nothing is sent there without a person's doing (§8.6).
func PrivateUse(uri string) bool {
	scheme, _, _ := strings.Cut(uri, ":")
	return scheme != "https" && scheme != "http"
}

// RedirectTarget is what a Content-Security-Policy calls the place a redirect URI leads to: an origin, or a scheme.
func RedirectTarget(uri string) string {
	scheme, rest, _ := strings.Cut(uri, ":")
	if PrivateUse(uri) {
		return scheme + ":"
	}
	rest = strings.TrimPrefix(rest, "//")
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		rest = rest[:i]
	}
	return scheme + "://" + rest
}
