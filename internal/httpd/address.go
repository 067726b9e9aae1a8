package httpd

import (
	"net/http"
	"net/netip"
	"strings"
)

// clientAddr is the peer's address or, behind trusted proxies, the right-most address of X-Forwarded-For that is not
// one of them: everything left of it was written by the client itself. The zero Addr means it is not known.
func (l *listener) clientAddr(r *http.Request) netip.Addr {
	addr := parseAddr(r.RemoteAddr)
	if len(l.proxies) == 0 || apart(r) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for i := len(hops) - 1; i >= 0 && l.trusted(addr); i-- {
		hop := parseAddr(strings.TrimSpace(hops[i]))
		if !hop.IsValid() {
			break
		}
		addr = hop
	}
	return addr
}

func (l *listener) trusted(addr netip.Addr) bool {
	for _, p := range l.proxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// parseAddr reads an address with or without a port.
func parseAddr(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// truncated is what events and audit rows keep of an address: enough to see a pattern, not a person.
func truncated(addr netip.Addr) string { return prefixOf(addr, 24, 48) }

// LimitKey names the caller for rate limits: an IPv4 address, or the /64 of an IPv6 one, since whoever has one
// address of a /64 has them all.
func LimitKey(r *http.Request) string { return prefixOf(parseAddr(r.RemoteAddr), 32, 64) }

func prefixOf(addr netip.Addr, bits4, bits6 int) string {
	bits := bits6
	if addr.Is4() {
		bits = bits4
	}
	prefix, err := addr.Prefix(bits)
	if err != nil || !addr.IsValid() {
		return ""
	}
	return prefix.String()
}
