package dpop

import (
	"net/url"
	"strings"
)

const maxHTUBytes = 2 << 10

// sameURL compares htu with the URL of the endpoint: without query and fragment, after the normalisation of
// RFC 3986 §6.2.2 and §6.2.3 (RFC 9449 §4.3).
func sameURL(htu, endpoint string) bool {
	if len(htu) > maxHTUBytes {
		return false
	}
	got, ok := normalURL(htu)
	if !ok {
		return false
	}
	want, ok := normalURL(endpoint)
	return ok && got == want
}

func normalURL(raw string) (string, bool) {
	u, err := url.Parse(normalEscapes(raw))
	if err != nil || u.User != nil || u.Opaque != "" || u.Hostname() == "" {
		return "", false
	}
	// net/url lower-cases the scheme.
	defaultPort, ok := map[string]string{"https": "443", "http": "80"}[u.Scheme]
	if !ok {
		return "", false
	}
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port := u.Port(); port != "" && port != defaultPort {
		host += ":" + port
	}
	path := u.ResolveReference(&url.URL{Path: u.Path, RawPath: u.RawPath}).EscapedPath() // removes dot segments
	if path == "" {
		path = "/"
	}
	return u.Scheme + "://" + host + path, true
}

// normalEscapes decodes what needs no escape and writes the others in upper case (RFC 3986 §6.2.2.1, §6.2.2.2).
func normalEscapes(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' || i+2 >= len(s) {
			b.WriteByte(s[i])
			continue
		}
		escape := s[i : i+3]
		if char, err := url.PathUnescape(escape); err == nil && unreserved(char[0]) {
			b.WriteString(char)
		} else {
			b.WriteString(strings.ToUpper(escape))
		}
		i += 2
	}
	return b.String()
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}
