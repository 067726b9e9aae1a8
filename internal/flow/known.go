package flow

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"github.com/countersign/countersign/internal/keyring"
)

// A browser in which somebody has signed in with a code by mail keeps a cookie that says so: the id of a data key, an id
// of the browser's own and a MAC over that and the address. What strangers ask for and guess does not count against it,
// so that they cannot lock the person out (ATTACKS DS06). It signs nobody in, and without it all is as for everybody.
const (
	knownKeyLen = 4
	knownIDLen  = 16
)

// introduce makes the cookie of a browser in which an address was proved. A browser that has one for that address keeps
// its id, and with it what was counted.
func (s *Service) introduce(cookie, address string) string {
	id, ok := s.recognise(cookie, address)
	if !ok {
		id = make([]byte, knownIDLen)
		_, _ = rand.Read(id) // never fails since Go 1.24
	}
	current := s.Keys.Current()
	key, ok := s.Keys.Key(current, keyring.KnownBrowser)
	if !ok {
		return ""
	}
	text := append(binary.BigEndian.AppendUint32(nil, current), id...)
	return base64.RawURLEncoding.EncodeToString(append(text, knownMAC(key, id, address)...))
}

// recognise tells whether a cookie was made by introduce for this very address, letter by letter, and returns the
// browser's id.
func (s *Service) recognise(cookie, address string) (id []byte, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cookie)
	if err != nil || len(raw) != knownKeyLen+knownIDLen+sha256.Size {
		return nil, false
	}
	key, ok := s.Keys.Key(binary.BigEndian.Uint32(raw), keyring.KnownBrowser)
	if !ok {
		return nil, false
	}
	id, mac := raw[knownKeyLen:knownKeyLen+knownIDLen], raw[knownKeyLen+knownIDLen:]
	return id, hmac.Equal(mac, knownMAC(key, id, address))
}

func knownMAC(key, id []byte, address string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(id)
	mac.Write([]byte(address))
	return mac.Sum(nil)
}
