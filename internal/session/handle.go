package session

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"log/slog"

	"github.com/countersign/countersign/internal/domain"
)

// RefreshToken is the text of one; its LogValue hides it.
type RefreshToken string

// LogValue hides the token.
func (RefreshToken) LogValue() slog.Value { return slog.StringValue(tokenPrefix + "[hidden]") }

// A refresh token is tokenPrefix, base64url of the 57 bytes below, and the CRC32 (IEEE) of both in 6 base62
// characters, by which a scanner tells a leaked token from noise without asking us.
//
//	format 1 | key id 4 | session id 16 | counter 4 | secret 16 | MAC 16
//
// The MAC is HMAC-SHA256 under the key id's refresh key over tokenPrefix and the 41 bytes before it, cut to 16.
const (
	tokenPrefix = "cs_rt_"
	format1     = 1

	secretLen = 16
	macLen    = 16
	bodyLen   = 1 + 4 + 16 + 4 + secretLen
	crcLen    = 6
	textLen   = len(tokenPrefix) + (bodyLen+macLen)*4/3
	tokenLen  = textLen + crcLen
)

// handle is what a refresh token says.
type handle struct {
	format  uint8
	keyID   uint32
	session domain.SessionID
	counter uint32
	secret  [secretLen]byte
}

func (h handle) secretHash() [32]byte { return sha256.Sum256(h.secret[:]) }

// mint writes the token. The same handle under the same key is always the same text: this is what makes the answer
// to a retry byte-identical.
func (h handle) mint(macKey []byte) RefreshToken {
	raw := h.body()
	raw = append(raw, tokenMAC(macKey, raw)...)
	text := tokenPrefix + base64.RawURLEncoding.EncodeToString(raw)
	return RefreshToken(text + checksum(text))
}

func (h handle) body() []byte {
	raw := make([]byte, 0, bodyLen+macLen)
	raw = append(raw, h.format)
	raw = binary.BigEndian.AppendUint32(raw, h.keyID)
	raw = append(raw, h.session[:]...)
	raw = binary.BigEndian.AppendUint32(raw, h.counter)
	return append(raw, h.secret[:]...)
}

// parse reads the text strictly. What it returns is forged until authentic says otherwise.
func parse(text string) (h handle, mac [macLen]byte, ok bool) {
	if len(text) != tokenLen || text[:len(tokenPrefix)] != tokenPrefix {
		return handle{}, mac, false
	}
	if checksum(text[:textLen]) != text[textLen:] {
		return handle{}, mac, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text[len(tokenPrefix):textLen])
	if err != nil || len(raw) != bodyLen+macLen || raw[0] != format1 {
		return handle{}, mac, false
	}
	h.format = raw[0]
	h.keyID = binary.BigEndian.Uint32(raw[1:])
	copy(h.session[:], raw[5:])
	h.counter = binary.BigEndian.Uint32(raw[21:])
	copy(h.secret[:], raw[25:])
	copy(mac[:], raw[bodyLen:])
	return h, mac, true
}

// authentic tells whether we wrote the token, in constant time.
func (h handle) authentic(macKey []byte, mac [macLen]byte) bool {
	return hmac.Equal(tokenMAC(macKey, h.body()), mac[:])
}

func tokenMAC(key, body []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(tokenPrefix))
	m.Write(body)
	return m.Sum(nil)[:macLen]
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// checksum is the CRC32 of text as 6 base62 digits, the highest first.
func checksum(text string) string {
	var digits [crcLen]byte
	rest := crc32.ChecksumIEEE([]byte(text))
	for i := crcLen - 1; i >= 0; i-- {
		digits[i] = base62[rest%62]
		rest /= 62
	}
	return string(digits[:])
}
