package fetch

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// The addresses that are not on the public Internet (IANA special-purpose registries, RFC 6890). For IPv6 it is the
// other way round: all unicast space in use lies in 2000::/3, less what is listed.
var (
	special4 = prefixes(
		"0.0.0.0/8",       // this network
		"10.0.0.0/8",      // private
		"100.64.0.0/10",   // carrier-grade NAT
		"127.0.0.0/8",     // loopback
		"169.254.0.0/16",  // link-local, and the metadata service of clouds
		"172.16.0.0/12",   // private
		"192.0.0.0/24",    // protocol assignments
		"192.0.2.0/24",    // documentation
		"192.88.99.0/24",  // 6to4 relays
		"192.168.0.0/16",  // private
		"198.18.0.0/15",   // benchmarks
		"198.51.100.0/24", // documentation
		"203.0.113.0/24",  // documentation
		"224.0.0.0/4",     // multicast
		"240.0.0.0/4",     // reserved, and broadcast
	)
	global6  = netip.MustParsePrefix("2000::/3")
	special6 = prefixes(
		"2001::/23",     // protocol assignments, among them Teredo
		"2001:db8::/32", // documentation
		"2002::/16",     // 6to4: holds any IPv4 address
		"3fff::/20",     // documentation
	)
	nat64 = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052: the IPv4 address is in the last four bytes
)

// loopback is this machine.
var loopback = prefixes("127.0.0.0/8", "::1/128")

// networks beside the public Internet that may be reached.
type networks []netip.Prefix

func (n networks) contains(addr netip.Addr) bool {
	return slices.ContainsFunc(n, func(p netip.Prefix) bool { return p.Contains(addr.Unmap()) })
}

// host tells whether a host is written as an address in these networks, or is the one name of this machine.
func (n networks) host(name string) bool {
	if name == "localhost" {
		return slices.ContainsFunc(loopback, func(p netip.Prefix) bool { return n.contains(p.Addr().Next()) || n.contains(p.Addr()) })
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && n.contains(addr)
}

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// guard judges the very address a connection is about to be made to, after every resolution: a name that resolves
// to another address the second time (DNS rebinding) gains nothing.
func guard(allowed networks) func(network, address string, _ syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		target, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("%w: %q", ErrAddress, address)
		}
		addr := target.Addr().Unmap()
		if public(addr) || allowed.contains(addr) {
			return nil
		}
		return ErrAddress
	}
}

func public(addr netip.Addr) bool {
	if nat64.Contains(addr) {
		embedded := addr.As16()
		addr = netip.AddrFrom4([4]byte(embedded[12:]))
	}
	special := special6
	if addr.Is4() {
		special = special4
	} else if !global6.Contains(addr) || addr.Zone() != "" {
		return false
	}
	return !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(addr) })
}
