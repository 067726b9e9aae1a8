package apikey

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"log/slog"
	"strings"

	"github.com/countersign/countersign/internal/domain"
)

// Text is an API key as its owner holds it:
//
//	cs_sk_ base64url( data key id 4 B | key id 16 B | secret 32 B ) CRC32 in 6 base62 characters
//
// The prefix lets secret scanners find it and the checksum lets them be sure.
type Text string

// LogValue hides it.
func (Text) LogValue() slog.Value { return slog.StringValue("cs_sk_…") }

const (
	prefix    = "cs_sk_"
	rawLen    = 4 + 16 + 32
	sumLen    = 6
	bodyLen   = (rawLen*8 + 5) / 6
	textLen   = len(prefix) + bodyLen + sumLen
	base62    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	base62Len = uint32(len(base62))
)

// token is a key taken apart.
type token struct {
	pepper uint32 // id of the data key its hash is made with
	id     domain.APIKeyID
	secret [32]byte
}

func newToken(pepper uint32) token {
	t := token{pepper: pepper}
	_, _ = rand.Read(t.id[:]) // never fails since Go 1.24
	_, _ = rand.Read(t.secret[:])
	return t
}

func (t *token) text() Text {
	raw := binary.BigEndian.AppendUint32(make([]byte, 0, rawLen), t.pepper)
	raw = append(append(raw, t.id[:]...), t.secret[:]...)
	body := prefix + base64.RawURLEncoding.EncodeToString(raw)
	return Text(body + checksum(body))
}

// parse takes a text apart, strictly: one text for one key.
func parse(text string) (token, bool) {
	var t token
	if len(text) != textLen || !strings.HasPrefix(text, prefix) {
		return t, false
	}
	body, sum := text[:textLen-sumLen], text[textLen-sumLen:]
	if checksum(body) != sum {
		return t, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(body[len(prefix):])
	if err != nil || len(raw) != rawLen { // the decoder skips CR and LF
		return t, false
	}
	t.pepper = binary.BigEndian.Uint32(raw)
	copy(t.id[:], raw[4:])
	copy(t.secret[:], raw[20:])
	return t, true
}

// checksum finds typing errors; it proves nothing.
func checksum(body string) string {
	var out [sumLen]byte
	n := crc32.ChecksumIEEE([]byte(body))
	for i := sumLen - 1; i >= 0; i-- {
		out[i] = base62[n%base62Len]
		n /= base62Len
	}
	return string(out[:])
}
