package session

import (
	"bytes"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var testMACKey = []byte("a key of thirty-two bytes, tests")

func sampleHandle() handle {
	h := handle{format: format1, keyID: 1_790_000_000, counter: 7}
	for i := range h.session {
		h.session[i] = byte(i + 1)
		h.secret[i] = byte(0xf0 - i)
	}
	return h
}

func TestATokenHasTheFormScannersLookFor(t *testing.T) {
	token := string(sampleHandle().mint(testMACKey))
	if !regexp.MustCompile(`^cs_rt_[A-Za-z0-9_-]{76}[0-9A-Za-z]{6}$`).MatchString(token) {
		t.Errorf("token %q", token)
	}
}

// The bytes are a promise to every node and every release that has to answer a retry: they must never change.
func TestTheBytesOfFormat1AreFixed(t *testing.T) {
	const want = "cs_rt_AWqxO4ABAgMEBQYHCAkKCwwNDg8QAAAAB_Dv7u3s6-rp6Ofm5eTj4uE2WwmXMMrW7rNTUiNkxFHb1bukxK"
	if got := string(sampleHandle().mint(testMACKey)); got != want {
		t.Errorf("minted  %s\nbut was %s", got, want)
	}
}

func TestATokenReadsBackAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := handle{
			format:  format1,
			keyID:   rapid.Uint32().Draw(t, "key"),
			counter: rapid.Uint32().Draw(t, "counter"),
		}
		copy(h.session[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "session"))
		copy(h.secret[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "secret"))
		got, mac, ok := parse(string(h.mint(testMACKey)))
		if !ok || got != h || !got.authentic(testMACKey, mac) {
			t.Fatalf("read back %+v, wrote %+v", got, h)
		}
		if got.authentic(append([]byte("x"), testMACKey...), mac) {
			t.Fatal("authentic under another key")
		}
	})
}

// RT09
func TestEveryDamagedTokenIsRefused(t *testing.T) {
	good := string(sampleHandle().mint(testMACKey))
	refused := func(name, text string) {
		t.Helper()
		if h, mac, ok := parse(text); ok && h.authentic(testMACKey, mac) {
			t.Errorf("%s: taken for ours", name)
		}
	}
	for i := range good {
		for bit := range 8 {
			damaged := []byte(good)
			damaged[i] ^= 1 << bit
			refused(fmt.Sprintf("bit %d of byte %d flipped", bit, i), string(damaged))

			// with the checksum put right, the MAC alone must refuse it
			if i >= len(tokenPrefix) && i < textLen {
				text := string(damaged[:textLen])
				refused(fmt.Sprintf("the same with its checksum, byte %d", i), text+checksum(text))
			}
		}
		refused(fmt.Sprintf("cut after %d bytes", i), good[:i])
	}
	for name, text := range map[string]string{
		"empty":                "",
		"prefix alone":         tokenPrefix,
		"one byte more":        good + "0",
		"a space before":       " " + good,
		"a newline after":      good + "\n",
		"other prefix":         "cs_at_" + good[len(tokenPrefix):],
		"upper-case prefix":    "CS_RT_" + good[len(tokenPrefix):],
		"longer than 256":      good + strings.Repeat("A", 256),
		"a JWT":                "eyJhbGciOiJFUzI1NiJ9.e30.c2ln",
		"padding in the text":  good[:textLen-1] + "=" + good[textLen:],
		"standard base64":      strings.NewReplacer("-", "+", "_", "/").Replace(good),
		"NUL bytes throughout": strings.Repeat("\x00", tokenLen),
	} {
		refused(name, text)
	}
}

func TestOtherFormatsAreNotRead(t *testing.T) {
	for _, format := range []uint8{0, 2, 255} {
		h := sampleHandle()
		h.format = format
		if _, _, ok := parse(string(h.mint(testMACKey))); ok {
			t.Errorf("format %d was read", format)
		}
	}
}

func TestALogHidesTheToken(t *testing.T) {
	var out bytes.Buffer
	token := sampleHandle().mint(testMACKey)
	slog.New(slog.NewTextHandler(&out, nil)).Info("refreshed", "token", token)
	if strings.Contains(out.String(), string(token)[10:]) {
		t.Error("the log shows the token: " + out.String())
	}
}

func FuzzParse(f *testing.F) {
	f.Add(string(sampleHandle().mint(testMACKey)))
	f.Add("cs_rt_")
	f.Fuzz(func(t *testing.T, text string) {
		h, mac, ok := parse(text)
		if !ok {
			return
		}
		// What is read is read in one way only: writing it gives the text again.
		if h.authentic(testMACKey, mac) && string(h.mint(testMACKey)) != text {
			t.Errorf("%q is a second spelling of %q", text, h.mint(testMACKey))
		}
	})
}
