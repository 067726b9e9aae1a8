// Package keys_test looks at what a server leaves behind: no key and no secret stands anywhere in the clear, and no
// name or nonce of a stranger opens anything.
package keys_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/hkdf"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/test/harness"
)

// secrets are what must not be found, each in every spelling it could be stored in.
type secrets struct {
	*testing.T
	needles []needle
}

type needle struct {
	name string
	text []byte
}

func (s *secrets) add(name string, secret []byte) {
	s.Helper()
	if len(secret) < 12 {
		s.Fatalf("%s: %d bytes are too few to be looked for", name, len(secret))
	}
	for spelling, text := range map[string]string{
		"as it is": string(secret), "in hexadecimal": hex.EncodeToString(secret),
		"in base64": base64.RawStdEncoding.EncodeToString(secret), "in base64url": base64.RawURLEncoding.EncodeToString(secret),
	} {
		s.needles = append(s.needles, needle{name + " " + spelling, []byte(text)})
	}
}

// in returns the names of all that is found. The first three bytes sort out nearly every place at once.
func (s *secrets) in(content []byte) (found []string) {
	starting := make(map[[3]byte][]needle)
	mayStart := make([]bool, 1<<16)
	for _, n := range s.needles {
		starting[[3]byte(n.text)] = append(starting[[3]byte(n.text)], n)
		mayStart[int(n.text[0])<<8|int(n.text[1])] = true
	}
	for i := 0; i+2 < len(content); i++ {
		if !mayStart[int(content[i])<<8|int(content[i+1])] {
			continue
		}
		for _, n := range starting[[3]byte(content[i:i+3])] {
			if bytes.HasPrefix(content[i:], n.text) {
				found = append(found, n.name)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// keep remembers the secrets of the operator: the configuration's, the master key and every key below it.
func (s *secrets) keep(w *harness.World) {
	s.Helper()
	for name, secret := range map[string]string{
		"a web client's secret": harness.WebSecret, "another web client's secret": harness.PostSecret,
		"a service's secret": harness.ServiceSecret, "a resource's secret": harness.ResourceSecret,
		"another resource's secret": harness.OtherSecret,
	} {
		s.add(name, []byte(secret))
	}
	block, _ := pem.Decode(w.Apple.AppleKey().PrivateKeyPEM)
	s.private("Apple's private key", block.Bytes)

	line := string(w.Config().MasterKey)
	master, err := base64.RawURLEncoding.DecodeString(strings.TrimSpace(line))
	if err != nil {
		s.Fatal(err)
	}
	s.add("the master key", master)
	rows, err := w.Store().Keys(s.Context())
	if err != nil || len(rows) < 3 {
		s.Fatalf("%d keys, %v", len(rows), err)
	}
	for _, row := range rows {
		secret := s.unseal(master, row.ID, row.Sealed)
		if name := fmt.Sprintf("key %d", row.ID); row.Use == "data" {
			s.add(name, secret)
		} else {
			s.private(name, secret)
		}
	}
	s.derived(w)
}

// unseal opens a row of keys without the server's help: fingerprint 8, nonce 12, AES-256-GCM.
func (s *secrets) unseal(master []byte, id uint32, sealed []byte) []byte {
	s.Helper()
	wrap, err := hkdf.Key(sha256.New, master, nil, "countersign/master-wrap", 32)
	if err != nil {
		s.Fatal(err)
	}
	block, err := aes.NewCipher(wrap)
	if err != nil {
		s.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		s.Fatal(err)
	}
	secret, err := gcm.Open(nil, sealed[8:20], sealed[20:], fmt.Appendf(nil, "keys/%d", id))
	if err != nil {
		s.Fatalf("key %d: %v", id, err)
	}
	return secret
}

// private remembers a private key, whole and by its members.
func (s *secrets) private(name string, pkcs8 []byte) {
	s.Helper()
	s.add(name, pkcs8)
	key, err := x509.ParsePKCS8PrivateKey(pkcs8)
	if err != nil {
		s.Fatal(err)
	}
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		d, err := k.Bytes()
		if err != nil {
			s.Fatal(err)
		}
		s.add(name+", its d", d)
	case *rsa.PrivateKey:
		s.add(name+", its d", k.D.Bytes())
		s.add(name+", its p", k.Primes[0].Bytes())
		s.add(name+", its q", k.Primes[1].Bytes())
	default:
		s.Fatalf("%s: a %T", name, key)
	}
}

// derived remembers the keys that the current data key becomes.
func (s *secrets) derived(w *harness.World) {
	s.Helper()
	master, err := keyring.ParseMaster([]byte(w.Config().MasterKey))
	if err != nil {
		s.Fatal(err)
	}
	ring, err := keyring.Open(s.Context(), w.Store(), master, keyring.Options{})
	if err != nil {
		s.Fatal(err)
	}
	for _, p := range []keyring.Purpose{
		keyring.RefreshMAC, keyring.SessionStart, keyring.SignInNonce, keyring.DPoPNonce, keyring.Fingerprint,
		keyring.APIKeyPepper, keyring.Cursor, keyring.Sealing,
	} {
		key, ok := ring.Key(ring.Current(), p)
		if !ok {
			s.Fatalf("no key for %s", p)
		}
		s.add("the key for "+string(p), key)
	}
}
