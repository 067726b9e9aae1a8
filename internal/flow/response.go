package flow

import (
	"net/url"
	"strings"
)

// AddToQuery adds parameters to a URI without touching what it has: it was compared byte for byte, and a parser that
// wrote it anew might change it.
func AddToQuery(uri string, params ...Param) string {
	var b strings.Builder
	b.WriteString(uri)
	sep := byte('?')
	if strings.Contains(uri, "?") {
		sep = '&'
		if strings.HasSuffix(uri, "?") || strings.HasSuffix(uri, "&") {
			sep = 0
		}
	}
	for _, p := range params {
		if sep != 0 {
			b.WriteByte(sep)
		}
		b.WriteString(url.QueryEscape(p.Name) + "=" + url.QueryEscape(p.Value))
		sep = '&'
	}
	return b.String()
}
