package config

import (
	"fmt"
	"net/url"
	"strings"
)

// origin judges what a browser would send as Origin: scheme, host, port and nothing else.
func origin(s string) (text, remedy string) {
	u, err := httpAddress(s)
	switch {
	case err != nil || s != u.Scheme+"://"+strings.ToLower(u.Host):
		return fmt.Sprintf("%q is not an origin", s), "write https://app.example.com, lower case, with no path and no slash at the end"
	case u.Scheme == "http" && !loopbackHost(u.Hostname()):
		return "it is plain http, and not on this machine", "use https; http is accepted for localhost only"
	}
	return "", ""
}

// audience judges the identifier of a resource: an absolute URI without a fragment (RFC 8707 §2).
func audience(s string) (text, remedy string) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || (u.Host == "" && u.Opaque == "") || strings.ContainsAny(s, "# ") {
		return fmt.Sprintf("%q is not an absolute URI", s), "write the app server's address, for example https://api.example.com"
	}
	return "", ""
}
