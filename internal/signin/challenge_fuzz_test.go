package signin

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/upstream"
)

// FuzzParseChallenge asserts that a nonce has one spelling: whatever is accepted is written back as it came.
func FuzzParseChallenge(f *testing.F) {
	good := make([]byte, nonceBody+nonceMAC)
	good[0] = nonceVersion
	for _, seed := range [][]byte{good, good[:len(good)-1], append([]byte{2}, good[1:]...), append([]byte{1, 7}, good[2:]...)} {
		f.Add(base64.RawURLEncoding.EncodeToString(seed))
	}
	f.Add("")
	f.Add("AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, ok := parseChallenge(text)
		if !ok {
			return
		}
		if again := c.String(); again != text {
			t.Fatalf("%q was accepted and is written as %q", text, again)
		}
		if purposeBits(c.purpose) < 0 || c.mintedAt.Before(time.Unix(0, 0)) {
			t.Fatalf("%q has purpose %q and time %v", text, c.purpose, c.mintedAt)
		}
	})
}

// FuzzUserName asserts that a name can always be shown: no controls, no overlong text, no panic.
func FuzzUserName(f *testing.F) {
	for _, seed := range []string{
		`{"name":{"firstName":"Ada","lastName":"Lovelace"}}`, `Ada Lovelace`, `{"name":null}`, `{`, "a\x00b", "\u202eeda",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, user string) {
		name, err := displayName(&upstream.Subject{}, user)
		if err != nil {
			return
		}
		for _, part := range []string{name.whole, name.given, name.family} {
			if len([]rune(part)) > maxNameRunes {
				t.Fatalf("name of %d characters", len([]rune(part)))
			}
			for _, r := range part {
				if !domain.Printable(r) {
					t.Fatalf("%q has %q in it", part, r)
				}
			}
		}
	})
}
