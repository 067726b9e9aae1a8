package jose

import (
	"crypto/hmac"
	"crypto/sha256"
)

// hs256 is no algorithm of Verify: there it would let a public key, which everybody has, be taken for a secret (RFC 8725
// §2.1). No Policy can ask for it.
const hs256 Alg = "HS256"

// MinSecret is how long a secret for HS256 must be (RFC 7518 §3.2).
const MinSecret = sha256.Size

// VerifyHMAC reads a token that whoever shares a secret with us signed with HS256, and nothing else: it takes no other
// algorithm and asks nobody for a key, as Verify takes no secret. It says only that one of the two of us made the token.
// That is wrong for every token that comes from a third party, such as an app: see Verify for those.
func VerifyHMAC(raw string, secret []byte) (Claims, error) {
	if len(secret) < MinSecret {
		return Claims{}, refuse("a secret of %d bytes is too short for %s", len(secret), hs256)
	}
	c, err := splitCompact(raw, 0)
	if err != nil {
		return Claims{}, err
	}
	if _, err := c.readHeader(Policy{Algs: []Alg{hs256}}); err != nil {
		return Claims{}, err
	}
	got, err := decodePart("signature", c.signature)
	if err != nil {
		return Claims{}, err
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(c.signed))
	if !hmac.Equal(got, mac.Sum(nil)) {
		return Claims{}, ErrSignature
	}
	return c.readClaims()
}
