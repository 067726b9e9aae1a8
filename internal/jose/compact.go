package jose

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// compact is a token in its three parts, still encoded (RFC 7515 §7.1).
type compact struct {
	header, payload, signature string
	signed                     string // header.payload: what the signature is over
}

func splitCompact(raw string, maxBytes int) (compact, error) {
	if maxBytes == 0 {
		maxBytes = defaultMaxBytes
	}
	if len(raw) > maxBytes {
		return compact{}, refuse("larger than %d bytes", maxBytes)
	}
	first, last := strings.IndexByte(raw, '.'), strings.LastIndexByte(raw, '.')
	if first < 0 || first == last || strings.IndexByte(raw[first+1:last], '.') >= 0 {
		return compact{}, refuse("not a signed token of three parts") // five parts would be a JWE
	}
	return compact{header: raw[:first], payload: raw[first+1 : last], signature: raw[last+1:], signed: raw[:last]}, nil
}

// decodePart reads base64url without padding. The decoder of the standard library skips line ends and, unless
// strict, ignores trailing bits: both would give one token several spellings.
func decodePart(what, part string) ([]byte, error) {
	if strings.ContainsAny(part, "\r\n") {
		return nil, refuse("%s is not base64url", what)
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil, refuse("%s is not base64url", what)
	}
	return data, nil
}

func (c compact) readClaims() (Claims, error) {
	data, err := decodePart("payload", c.payload)
	if err != nil {
		return Claims{}, err
	}
	claims, err := ParseObject(data)
	if err != nil {
		return Claims{}, refuse("claims: %w", err)
	}
	return claims, nil
}

// PeekIssuer reads `iss` of an unverified token, to choose among pinned issuers and for nothing else.
func PeekIssuer(raw string) (string, error) {
	c, err := splitCompact(raw, 0)
	if err != nil {
		return "", err
	}
	claims, err := c.readClaims()
	if err != nil {
		return "", err
	}
	iss, ok, err := claims.String("iss")
	if err != nil || !ok || iss == "" {
		return "", refuse("iss is missing or no string")
	}
	return iss, nil
}

// SigningInputHash is SHA-256 over header.payload: the name of a token whatever its signature bytes.
func SigningInputHash(raw string) [32]byte {
	return sha256.Sum256([]byte(raw[:max(0, strings.LastIndexByte(raw, '.'))]))
}
