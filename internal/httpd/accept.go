package httpd

import (
	"net/http"
	"strconv"
	"strings"
)

// Prefers tells whether the caller would rather have the media type offered than the one it gets otherwise (RFC 9110
// §12.5.1). Of two that are equally welcome it is the one that is named: a wildcard asks for nothing special.
func Prefers(r *http.Request, offered, otherwise string) bool {
	accept := strings.Join(r.Header.Values("Accept"), ",")
	special, named := weight(accept, offered)
	usual, _ := weight(accept, otherwise)
	return special > usual || (named && special > 0 && special == usual)
}

// weight is how welcome a media type is, in thousandths, by the range that names it most exactly; named: by its very name.
func weight(accept, mediaType string) (thousandths int, named bool) {
	kind, _, _ := strings.Cut(mediaType, "/")
	best := -1
	for _, part := range splitQuoted(accept, ',') {
		fields := splitQuoted(part, ';')
		exactness := -1
		switch name := strings.ToLower(strings.TrimSpace(fields[0])); name {
		case mediaType:
			exactness = 2
		case kind + "/*":
			exactness = 1
		case "*/*":
			exactness = 0
		}
		q, ok := quality(fields[1:])
		if exactness > best && ok {
			best, thousandths = exactness, q
		}
	}
	return thousandths, best == 2
}

// quality reads the q among a range's parameters. ok is false for a range that is none of ours: one with other parameters
// names another representation, and one whose weight cannot be read says nothing.
func quality(params []string) (thousandths int, ok bool) {
	thousandths = 1000
	for i, p := range params {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if !strings.EqualFold(name, "q") {
			return 0, false
		}
		if thousandths, ok = qvalue(value); !ok || i > 0 {
			return 0, false
		}
	}
	return thousandths, true
}

// qvalue reads `0` or `1` with up to three decimals (RFC 9110 §12.4.2).
func qvalue(s string) (thousandths int, ok bool) {
	whole, decimals, dotted := strings.Cut(s, ".")
	if (whole != "0" && whole != "1") || len(decimals) > 3 {
		return 0, false
	}
	n, err := strconv.ParseUint((decimals + "000")[:3], 10, 16)
	if err != nil || (whole == "1" && n > 0) || (dotted && strings.HasPrefix(decimals, "+")) {
		return 0, false
	}
	if whole == "1" {
		return 1000, true
	}
	return int(n), true
}

// splitQuoted splits at a separator that stands outside of quotes.
func splitQuoted(s string, separator byte) (parts []string) {
	quoted, from := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			parts, from = append(parts, s[from:i]), i+1
		}
	}
	return append(parts, s[from:])
}
