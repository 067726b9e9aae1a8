package domain

import "strings"

const (
	maxEmailBytes = 254 // RFC 5321 §4.5.3.1.3, less the brackets of a path
	maxLocalBytes = 64  // §4.5.3.1.1
	maxLabelBytes = 63  // RFC 1035 §2.3.4
)

// NormalEmail returns the spelling of an address under which it may be compared: the domain in lower case, the local
// part byte for byte. ok is false for what proves nothing: anything but ASCII, a domain with an empty label (a trailing
// dot among them), a quoted local part, an address literal. Two addresses are one only where the results are equal:
// plus tags, dots and the case of the local part are kept, for only the domain's owner knows what they mean (ATTACKS
// ID13).
func NormalEmail(address string) (normal string, ok bool) {
	local, host, found := strings.Cut(address, "@")
	if !found || len(address) > maxEmailBytes || !plainLocal(local) {
		return "", false
	}
	host = lowerASCII(host)
	if !plainHost(host) {
		return "", false
	}
	return local + "@" + host, true
}

// plainLocal is a dot-atom (RFC 5322 §3.2.3).
func plainLocal(s string) bool {
	if s == "" || len(s) > maxLocalBytes || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for i := range len(s) {
		if !alphanumeric(s[i]) && !strings.ContainsRune(".!#$%&'*+-/=?^_`{|}~", rune(s[i])) {
			return false
		}
	}
	return true
}

// plainHost is a host name of at least two labels, in lower case. Punycode is one: it is compared as it is written.
func plainHost(s string) bool {
	labels := strings.Split(s, ".")
	for _, label := range labels {
		if label == "" || len(label) > maxLabelBytes || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if !alphanumeric(label[i]) && label[i] != '-' {
				return false
			}
		}
	}
	return len(labels) > 1
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// lowerASCII: strings.ToLower would turn the Kelvin sign into a k.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
