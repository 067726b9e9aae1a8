package registration

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"hash/crc32"
	"strings"

	"github.com/countersign/countersign/internal/domain"
)

// What we give out is random and stored as its SHA-256: 256 bits cannot be tried. The prefix lets secret scanners find it,
// and the checksum lets them be sure; it proves nothing.
const (
	secretPrefix = "cs_sk_"
	tokenPrefix  = "cs_rat_"
	secretBytes  = 32
	sumLen       = 6
	base62       = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

func newSecret(prefix string) string {
	var raw [secretBytes]byte
	_, _ = rand.Read(raw[:]) // never fails since Go 1.24
	body := prefix + base64.RawURLEncoding.EncodeToString(raw[:])
	return body + checksum(body)
}

// hashToken is what a registration access token is stored under. Not ok: it is none of ours, which costs no query.
func hashToken(text string) (hash [32]byte, ok bool) {
	want := len(tokenPrefix) + base64.RawURLEncoding.EncodedLen(secretBytes)
	if len(text) != want+sumLen || !strings.HasPrefix(text, tokenPrefix) || checksum(text[:want]) != text[want:] {
		return hash, false
	}
	return sha256.Sum256([]byte(text)), true
}

func checksum(body string) string {
	var digits [sumLen]byte
	rest := crc32.ChecksumIEEE([]byte(body))
	for i := sumLen - 1; i >= 0; i-- {
		digits[i] = base62[rest%62]
		rest /= 62
	}
	return string(digits[:])
}

// giveSecret gives a client a secret if it authenticates with one and has none yet; empty: it gets none.
func giveSecret(c *domain.Client) string {
	if !hasSecret(c) || len(c.SecretHash) > 0 {
		return ""
	}
	secret := newSecret(secretPrefix)
	sum := sha256.Sum256([]byte(secret))
	c.SecretHash = sum[:]
	return secret
}

func hasSecret(c *domain.Client) bool {
	return c.AuthMethod == domain.AuthSecretBasic || c.AuthMethod == domain.AuthSecretPost
}

func secretFits(c *domain.Client, secret string) bool {
	sum := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(sum[:], c.SecretHash) == 1
}
