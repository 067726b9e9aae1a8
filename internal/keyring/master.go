package keyring

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Master is the key (and older ones) that wrap everything; it lives outside the database.
type Master struct{ lines []masterLine }

// masterLine is one line of the file: what wraps, and the fingerprint by which a wrapped blob names it.
type masterLine struct {
	fingerprint [fingerprintLen]byte
	aead        cipher.AEAD
}

const (
	masterLen      = 32
	fingerprintLen = 8
)

// errWrongMaster is returned for a blob that no line of the file opens.
var errWrongMaster = errors.New("no line of the master key file opens it: is this the file the database was made with?")

// LogValue hides it.
func (*Master) LogValue() slog.Value { return slog.StringValue("[hidden]") }

// NewMasterLine returns a fresh line for a master key file.
func NewMasterLine() string {
	for {
		line := base64.RawURLEncoding.EncodeToString(randomBytes(masterLen))
		if _, err := ParseMaster([]byte(line)); err == nil { // one in some ten million spells a word we refuse
			return line
		}
	}
}

// ParseMaster reads a master key file: one key a line, base64url of at least 32 bytes, "#" comments; the first
// wraps, the others only unwrap. Short keys, all-equal ones and such as are found in examples are refused.
func ParseMaster(file []byte) (*Master, error) {
	m := &Master{}
	scan := bufio.NewScanner(bytes.NewReader(file))
	for n := 1; scan.Scan(); n++ {
		text := strings.TrimSpace(scan.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		line, err := parseMasterLine(text)
		if err != nil {
			return nil, fmt.Errorf("master key, line %d: %w; make a new one with `countersign key new-master`", n, err)
		}
		m.lines = append(m.lines, line)
	}
	if err := scan.Err(); err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	if len(m.lines) == 0 {
		return nil, errors.New("master key: the file holds no key; make one with `countersign key new-master`")
	}
	return m, nil
}

func parseMasterLine(text string) (masterLine, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	switch {
	case err != nil:
		return masterLine{}, errors.New("not base64url without padding")
	case len(raw) < masterLen:
		return masterLine{}, fmt.Errorf("%d bytes are too short, %d are needed", len(raw), masterLen)
	}
	if reason := guessable(text, raw); reason != "" {
		return masterLine{}, errors.New(reason)
	}
	return newMasterLine(raw)
}

func newMasterLine(raw []byte) (masterLine, error) {
	var l masterLine
	fingerprint, err := hkdf.Key(sha256.New, raw, nil, "countersign/master-fingerprint", fingerprintLen)
	if err != nil {
		return l, err
	}
	copy(l.fingerprint[:], fingerprint)
	wrap, err := hkdf.Key(sha256.New, raw, nil, "countersign/master-wrap", masterLen)
	if err != nil {
		return l, err
	}
	l.aead, err = newAEAD(wrap)
	return l, err
}

// sampleWords betray a line that was copied from an example or typed.
var sampleWords = []string{"change", "example", "sample", "secret", "master", "insecure", "password"}

// guessable says why a key was not drawn at random, if one can see it. None of this ever meets a random key but
// with negligible chance.
func guessable(text string, raw []byte) string {
	distinct := map[byte]bool{}
	steady, printable := true, true
	for i, b := range raw {
		distinct[b] = true
		printable = printable && b >= 0x20 && b < 0x7f
		steady = steady && (i == 0 || b-raw[i-1] == raw[1]-raw[0])
	}
	switch {
	case len(distinct) == 1:
		return "all bytes are equal"
	case printable:
		return "it is text and not random"
	case steady, len(distinct) < masterLen/2:
		return "it follows a pattern and is not random"
	}
	for _, word := range sampleWords {
		if strings.Contains(strings.ToLower(text), word) {
			return "it is a sample key"
		}
	}
	return ""
}

// wrap seals key material under the first line: fingerprint of the line, nonce, ciphertext.
func (m *Master) wrap(aad string, plaintext []byte) []byte {
	first := m.lines[0]
	nonce := randomBytes(first.aead.NonceSize())
	blob := append(first.fingerprint[:], nonce...)
	return first.aead.Seal(blob, nonce, plaintext, []byte(aad))
}

// unwrap opens what any of the lines wrapped.
func (m *Master) unwrap(aad string, blob []byte) ([]byte, error) {
	for _, l := range m.lines {
		rest, named := bytes.CutPrefix(blob, l.fingerprint[:])
		if !named || len(rest) < l.aead.NonceSize() {
			continue
		}
		nonce, sealed := rest[:l.aead.NonceSize()], rest[l.aead.NonceSize():]
		return l.aead.Open(nil, nonce, sealed, []byte(aad))
	}
	return nil, errWrongMaster
}

// wrappedByFirst tells whether the blob is under the line that wraps now.
func (m *Master) wrappedByFirst(blob []byte) bool {
	return bytes.HasPrefix(blob, m.lines[0].fingerprint[:])
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails since Go 1.24
	return b
}
