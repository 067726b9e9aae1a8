package keyring

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func masterText(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func mustMaster(t testing.TB, lines ...string) *Master {
	t.Helper()
	m, err := ParseMaster([]byte(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// KL04, rfc8725-3.5-01
func TestMasterKeysThatAreRefused(t *testing.T) {
	counting := make([]byte, 32)
	for i := range counting {
		counting[i] = byte(i)
	}
	good := NewMasterLine()
	for _, c := range []struct{ name, file, says string }{
		{"an empty file", "", "holds no key"},
		{"comments alone", "# one\n\n#two\n", "holds no key"},
		{"31 bytes", masterText(randomBytes(31)), "31 bytes are too short"},
		{"16 bytes", masterText(randomBytes(16)), "too short"},
		{"all zero", masterText(make([]byte, 32)), "equal"},
		{"all equal", masterText(bytes.Repeat([]byte{0x5a}, 32)), "equal"},
		{"counting up", masterText(counting), "pattern"},
		{"two bytes in turn", masterText(bytes.Repeat([]byte{1, 200}, 16)), "pattern"},
		{"a word over and over", strings.Repeat("changeme", 6), "pattern"},
		{"text behind base64", masterText([]byte("correct horse battery staple, says he")), "text"},
		{"a sample", "example0bmFdw8Vdg6M0gRjwp0eVbq2ZkXn7c1hLtQ4", "sample"},
		{"padded base64", base64.StdEncoding.EncodeToString(randomBytes(32)), "not base64url"},
		{"hexadecimal with spaces", "00 11 22 33", "not base64url"},
		{"a bad second line", good + "\n\nshort\n", "line 3"},
		{"trailing bits", good[:42] + "_", "not base64url"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseMaster([]byte(c.file))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("error %v, want one that says %q", err, c.says)
			}
			if !strings.Contains(err.Error(), "countersign key new-master") {
				t.Errorf("the error names no remedy: %v", err)
			}
			if c.file != "" && len(c.file) > 20 && strings.Contains(err.Error(), c.file[:20]) {
				t.Errorf("the error shows the key: %v", err)
			}
		})
	}
}

func TestAMasterKeyFileMayHoldCommentsAndOlderKeys(t *testing.T) {
	m := mustMaster(t, "# wraps since March", NewMasterLine(), "", "  "+NewMasterLine()+"  ", "# the end")
	if len(m.lines) != 2 {
		t.Errorf("%d lines, want 2", len(m.lines))
	}
}

// rfc8725-3.5-01
func TestNewLinesAreAcceptedAndDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		line := NewMasterLine()
		if _, err := ParseMaster([]byte(line)); err != nil || seen[line] {
			t.Fatalf("line %q: seen before %v, error %v", line, seen[line], err)
		}
		seen[line] = true
	}
}

func TestTheFirstLineWrapsAndAllUnwrap(t *testing.T) {
	oldLine, newLine := NewMasterLine(), NewMasterLine()
	before, during := mustMaster(t, oldLine), mustMaster(t, newLine, oldLine)
	blob := before.wrap("keys/7", []byte("material"))

	if during.wrappedByFirst(blob) {
		t.Error("an old blob counts as new")
	}
	if got, err := during.unwrap("keys/7", blob); err != nil || string(got) != "material" {
		t.Errorf("unwrapped %q, %v", got, err)
	}
	if _, err := mustMaster(t, newLine).unwrap("keys/7", blob); err == nil {
		t.Error("opened without the old line")
	}
	if _, err := during.unwrap("keys/8", blob); err == nil {
		t.Error("opened as another row's")
	}
	for i := range blob {
		damaged := bytes.Clone(blob)
		damaged[i] ^= 1
		if _, err := during.unwrap("keys/7", damaged); err == nil {
			t.Errorf("opened with byte %d damaged", i)
		}
		if _, err := during.unwrap("keys/7", blob[:i]); err == nil {
			t.Errorf("opened %d bytes of it", i)
		}
	}
}

func TestAMasterKeyIsNotPrinted(t *testing.T) {
	var out bytes.Buffer
	m := mustMaster(t, NewMasterLine())
	slog.New(slog.NewJSONHandler(&out, nil)).Info("start", "master", m)
	if !strings.Contains(out.String(), "[hidden]") {
		t.Error(out.String())
	}
}

// rfc8725-3.10-01
func TestKidsReadBackAndNothingElseDoes(t *testing.T) {
	for _, id := range []uint32{0, 1, 1_790_000_000, 1<<32 - 1} {
		for _, alg := range []string{"ES256", "RS256"} {
			kid := kidOf(id, alg)
			if got, ok := parseKid(kid); !ok || got != id {
				t.Errorf("kid %q reads as %d, %v", kid, got, ok)
			}
		}
	}
	for _, kid := range []string{"", "-", "-es256", "1z141z4", "00a-es256", "A-es256", "+a-es256", "1z141z4-", "1z141z4-anything", "1z141z4-es256 ", "1z141z4-none", "../../x-es256", "zzzzzzzzzz-es256", strings.Repeat("a", 4096)} {
		if id, ok := parseKid(kid); ok {
			t.Errorf("kid %q reads as %d", kid, id)
		}
	}
}

func TestIDsOfDifferentKindsNeverMeet(t *testing.T) {
	for low := range uint32(40) {
		for i, k := range allKinds {
			id := k.firstID(low)
			if id < low || id >= low+idStep {
				t.Errorf("%s: first id from %d is %d", k.alg, low, id)
			}
			for _, other := range allKinds[i+1:] {
				if id%idStep == other.firstID(low)%idStep {
					t.Error(fmt.Sprint(k.alg, " and ", other.alg, " share ids"))
				}
			}
		}
	}
}
