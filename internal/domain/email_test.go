package domain

import (
	"strings"
	"testing"
)

// ID13: addresses are one only where they are byte-equal after the domain was lower-cased in ASCII.
func TestAddressesAreComparedByteForByteButForTheDomainsCase(t *testing.T) {
	for in, want := range map[string]string{
		"victim@example.com":               "victim@example.com",
		"victim@EXAMPLE.Com":               "victim@example.com",
		"Victim@example.com":               "Victim@example.com",
		"victim+tag@example.com":           "victim+tag@example.com",
		"v.i.c.t.i.m@example.com":          "v.i.c.t.i.m@example.com",
		"o'neill_{x}@example.com":          "o'neill_{x}@example.com",
		"victim@xn--bcher-kva.example":     "victim@xn--bcher-kva.example",
		"victim@a-b.1.example":             "victim@a-b.1.example",
		strings.Repeat("l", 64) + "@b.net": strings.Repeat("l", 64) + "@b.net",
	} {
		if got, ok := NormalEmail(in); !ok || got != want {
			t.Errorf("%s: %q, %v, want %q", in, got, ok, want)
		}
	}
}

// ID13
func TestWhatIsNoPlainAddressProvesNothing(t *testing.T) {
	for name, in := range map[string]string{
		"empty":                     "",
		"no at":                     "victim.example.com",
		"no local part":             "@example.com",
		"no domain":                 "victim@",
		"two ats":                   "victim@evil@example.com",
		"Kelvin sign in the domain": "victim@\u212aelvin.example",
		"Kelvin sign in the name":   "\u212aim@example.com",
		"dotless i":                 "v\u0131ctim@example.com",
		"fullwidth":                 "\uff56ictim@example.com",
		"ideographic full stop":     "victim@example\u3002com",
		"umlaut domain":             "victim@b\u00fccher.example",
		"trailing dot":              "victim@example.com.",
		"leading dot in the domain": "victim@.example.com",
		"two dots in the domain":    "victim@example..com",
		"one label":                 "victim@localhost",
		"an address literal":        "victim@[127.0.0.1]",
		"quoted":                    `"victim"@example.com`,
		"a comment":                 "victim(x)@example.com",
		"a space":                   "victim @example.com",
		"a space before":            " victim@example.com",
		"a line feed":               "victim@example.com\n",
		"a NUL":                     "victim\x00@example.com",
		"a dot first":               ".victim@example.com",
		"a dot last":                "victim.@example.com",
		"two dots":                  "vic..tim@example.com",
		"an underscore host":        "victim@ex_ample.com",
		"a hyphen first":            "victim@-example.com",
		"a long local part":         strings.Repeat("l", 65) + "@b.net",
		"a long label":              "v@" + strings.Repeat("l", 64) + ".net",
		"a long address":            "v@" + strings.Repeat("label.", 50) + "net",
		"invalid UTF-8":             "victim\xff@example.com",
	} {
		if got, ok := NormalEmail(in); ok || got != "" {
			t.Errorf("%s: %q, %v", name, got, ok)
		}
	}
}

func FuzzNormalEmail(f *testing.F) {
	f.Add("Victim+tag@EXAMPLE.com")
	f.Add("victim@\u212aelvin.example.")
	f.Fuzz(func(t *testing.T, in string) {
		got, ok := NormalEmail(in)
		if !ok {
			if got != "" {
				t.Fatalf("%q from what is refused", got)
			}
			return
		}
		at := strings.IndexByte(in, '@')
		if again, ok := NormalEmail(got); !ok || again != got || got[:at] != in[:at] || !strings.EqualFold(got, in) || len(got) != len(in) {
			t.Fatalf("%q became %q, then %q", in, got, again)
		}
	})
}
