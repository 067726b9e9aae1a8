package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// Signer signs with one key. It is safe for concurrent use.
type Signer struct {
	alg Alg
	kid string
	key crypto.Signer
	jwk json.RawMessage // the bare public key, for SignWithJWK
}

// NewSigner pairs a private key with its algorithm and kid. ES256 wants P-256, RS256 at least 2048 bits.
func NewSigner(alg Alg, kid string, key crypto.Signer) (*Signer, error) {
	if key == nil {
		return nil, fmt.Errorf("new signer: no key")
	}
	if err := keyFits(alg, key.Public()); err != nil {
		return nil, fmt.Errorf("new signer: %w", err)
	}
	jwk, err := PublicKey{Key: key.Public()}.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("new signer: %w", err)
	}
	return &Signer{alg: alg, kid: kid, key: key, jwk: jwk}, nil
}

// Kid returns the key id.
func (s *Signer) Kid() string { return s.kid }

// Alg returns the algorithm.
func (s *Signer) Alg() Alg { return s.alg }

// Public returns the public half.
func (s *Signer) Public() PublicKey {
	return PublicKey{Key: s.key.Public(), Kid: s.kid, Alg: s.alg, Use: "sig"}
}

// protected is all we ever write into a header.
type protected struct {
	Alg Alg             `json:"alg"`
	Typ string          `json:"typ,omitempty"`
	Kid string          `json:"kid,omitempty"`
	JWK json.RawMessage `json:"jwk,omitempty"`
}

// Sign serialises claims (a struct or map) and signs them under the given typ. Extra header members other than
// alg, kid, typ and, where embedJWK, jwk are never written.
func (s *Signer) Sign(typ string, claims any) (string, error) {
	return s.sign(protected{Alg: s.alg, Typ: typ, Kid: s.kid}, claims)
}

// SignWithJWK is Sign with the public key in the header and no kid: a DPoP proof (RFC 9449 §4.2).
func (s *Signer) SignWithJWK(typ string, claims any) (string, error) {
	return s.sign(protected{Alg: s.alg, Typ: typ, JWK: s.jwk}, claims)
}

func (s *Signer) sign(h protected, claims any) (string, error) {
	header, err := json.Marshal(h)
	if err != nil {
		return "", fmt.Errorf("sign: header: %w", err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("sign: claims: %w", err)
	}
	b64 := base64.RawURLEncoding
	token := make([]byte, 0, b64.EncodedLen(len(header))+b64.EncodedLen(len(payload))+2+b64.EncodedLen(maxRSABits/8))
	token = b64.AppendEncode(token, header)
	token = append(token, '.')
	token = b64.AppendEncode(token, payload)
	sig, err := signOver(s.alg, s.key, token)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	token = append(token, '.')
	return string(b64.AppendEncode(token, sig)), nil
}

// GenerateKey makes a private key for alg (P-256, or RSA 2048).
func GenerateKey(alg Alg) (crypto.Signer, error) {
	switch alg {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256, PS256:
		return rsa.GenerateKey(rand.Reader, minRSABits)
	case EdDSA:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("generate key: no algorithm %q", alg)
}
