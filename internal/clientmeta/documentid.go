package clientmeta

import (
	"net/url"
	"slices"
	"strings"
)

const maxDocumentID = 1 << 10

// IsDocumentID tells whether a client id is the address of a metadata document (CIMD draft -01 §3): https, a path, no
// fragment, user name or dot segments. Letters beyond ASCII, and capitals where they mean nothing, would be a second
// spelling of one client; a query would be as many clients as there are values.
func IsDocumentID(id string) bool {
	rest, ok := strings.CutPrefix(id, "https://")
	if !ok || len(id) > maxDocumentID || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`\#?"<>^{|}`+"`", r) }) {
		return false
	}
	u, err := url.Parse(id)
	if err != nil || u.User != nil || u.Hostname() == "" || strings.Contains(rest[:len(u.Host)], "@") || u.Host != strings.ToLower(u.Host) {
		return false
	}
	if port := u.Port(); port == "443" || strings.HasSuffix(u.Host, ":") || strings.HasPrefix(port, "0") {
		return false
	}
	path := strings.TrimPrefix(rest, u.Host)
	if len(path) < 2 || path[0] != '/' {
		return false
	}
	return !slices.ContainsFunc(strings.Split(path, "/"), dotSegment)
}

// dotSegment finds . and .., in either spelling of the dot.
func dotSegment(segment string) bool {
	plain := strings.ReplaceAll(strings.ToLower(segment), "%2e", ".")
	return plain == "." || plain == ".."
}
