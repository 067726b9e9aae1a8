package oauth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
)

// MethodS256 is the only transformation of RFC 7636 §4.2 we take: with `plain`, whoever sees the request has the
// verifier (RFC 9700 §2.1.1).
const MethodS256 = "S256"

// ValidChallenge tells whether s can be an S256 code challenge: base64url of 32 bytes, without padding.
func ValidChallenge(s string) bool { return sha256Text(s) }

// ValidThumbprint tells whether s can be an RFC 7638 SHA-256 thumbprint, as dpop_jkt carries one.
func ValidThumbprint(s string) bool { return sha256Text(s) }

func sha256Text(s string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(raw) == sha256.Size && len(s) == base64.RawURLEncoding.EncodedLen(sha256.Size)
}

// VerifierFits compares a verifier with the challenge of the code, in constant time (RFC 7636 §4.6). A verifier is 43 to
// 128 unreserved characters (§4.1); what is none never fits. A code without a challenge takes no verifier: sending one
// all the same means that somebody took the challenge away (RFC 9700 §4.8.2).
func VerifierFits(verifier, challenge string) bool {
	if challenge == "" {
		return verifier == ""
	}
	if len(verifier) < 43 || len(verifier) > 128 {
		return false
	}
	for i := range len(verifier) {
		if !unreserved(verifier[i]) {
			return false
		}
	}
	sum := sha256.Sum256([]byte(verifier))
	got := base64.RawURLEncoding.EncodeToString(sum[:])
	return subtle.ConstantTimeCompare([]byte(got), []byte(challenge)) == 1
}

// Challenge is the S256 challenge of a verifier (RFC 7636 §4.2).
func Challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// unreserved is RFC 3986 §2.3.
func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}
