package fetch

import (
	"net/http"
	"net/netip"
	"testing"
	"time"
)

func TestWhatIsPublic(t *testing.T) {
	for addr, want := range map[string]bool{
		"142.250.74.109":           true, // accounts.google.com
		"17.32.194.37":             true, // appleid.apple.com
		"1.1.1.1":                  true,
		"172.15.255.255":           true,
		"172.32.0.0":               true,
		"100.63.255.255":           true,
		"223.255.255.255":          true,
		"2a00:1450:4001:829::1":    true,
		"2620:149:af0::10":         true,
		"64:ff9b::8.8.8.8":         true, // NAT64 of a public address
		"::ffff:8.8.8.8":           true,
		"0.0.0.0":                  false,
		"0.1.2.3":                  false,
		"10.255.255.255":           false,
		"100.64.0.0":               false,
		"100.127.255.255":          false,
		"127.0.0.1":                false,
		"127.255.255.254":          false,
		"169.254.169.254":          false,
		"172.16.0.1":               false,
		"172.31.255.255":           false,
		"192.0.0.8":                false,
		"192.0.2.1":                false,
		"192.168.1.1":              false,
		"198.18.0.1":               false,
		"198.51.100.1":             false,
		"203.0.113.1":              false,
		"224.0.0.1":                false,
		"240.0.0.1":                false,
		"255.255.255.255":          false,
		"::":                       false,
		"::1":                      false,
		"::127.0.0.1":              false,
		"::ffff:127.0.0.1":         false,
		"::ffff:10.0.0.1":          false,
		"64:ff9b::10.0.0.1":        false,
		"64:ff9b::169.254.169.254": false,
		"64:ff9b:1::1":             false,
		"100::1":                   false,
		"2001::1":                  false,
		"2001:2::1":                false,
		"2001:db8::1":              false,
		"2002:7f00:1::":            false,
		"3fff::1":                  false,
		"5f00::1":                  false,
		"fc00::1":                  false,
		"fd12:3456::1":             false,
		"fe80::1":                  false,
		"fe80::1%eth0":             false,
		"2a00::1%eth0":             false,
		"fec0::1":                  false,
		"ff02::1":                  false,
	} {
		if got := guard(nil)("tcp", netip.AddrPortFrom(netip.MustParseAddr(addr), 443).String(), nil) == nil; got != want {
			t.Errorf("%s: public = %v", addr, got)
		}
	}
}

func TestAllowLoopbackAllowsNothingElse(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:80": true, "[::1]:80": true, "[::ffff:127.0.0.1]:80": true, "10.0.0.1:80": false, "169.254.169.254:80": false,
		"[fd00::1]:80": false, "not an address": false,
	} {
		if got := guard(loopback)("tcp", address, nil) == nil; got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}

// FuzzGuard: no special address gets through, in whatever notation it comes.
func FuzzGuard(f *testing.F) {
	for _, seed := range []string{"127.0.0.1:443", "[::ffff:a00:1]:443", "[64:ff9b::a00:1]:443", "[2002:a00:1::]:443", "8.8.8.8:53", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		if guard(nil)("tcp", address, nil) != nil {
			return
		}
		addr := netip.MustParseAddrPort(address).Addr().Unmap()
		if addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast() || addr.IsMulticast() || addr.IsUnspecified() || addr.Zone() != "" {
			t.Fatalf("%s passes", address)
		}
	})
}

func TestMaxAge(t *testing.T) {
	for name, tc := range map[string]struct {
		control []string
		age     string
		want    time.Duration
	}{
		"none":              {nil, "", 0},
		"Google's":          {[]string{"public, max-age=24873, must-revalidate, no-transform"}, "", 24873 * time.Second},
		"with Age":          {[]string{"max-age=100"}, "40", time.Minute},
		"Age over it":       {[]string{"max-age=100"}, "400", 0},
		"two lines":         {[]string{"public", "Max-Age=60"}, "", time.Minute},
		"quoted":            {[]string{`max-age="60"`}, "", time.Minute},
		"no-store":          {[]string{"no-store, max-age=60"}, "", 0},
		"no-cache after it": {[]string{"max-age=60, no-cache"}, "", 0},
		"negative":          {[]string{"max-age=-60"}, "", 0},
		"huge":              {[]string{"max-age=4294967295"}, "", maxMaxAge},
		"over 32 bits":      {[]string{"max-age=99999999999999999999"}, "", 0},
		"no number":         {[]string{"max-age"}, "x", 0},
	} {
		h := http.Header{"Cache-Control": tc.control}
		if tc.age != "" {
			h.Set("Age", tc.age)
		}
		if got := maxAge(h); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
