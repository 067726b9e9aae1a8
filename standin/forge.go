package standin

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"

	"github.com/countersign/countersign/internal/jose"
)

// Forgery is a way a token's signature can be wrong. A verifier must refuse all of them.
type Forgery int

// The forgeries (RFC 8725 §2, §3).
const (
	Genuine           Forgery = iota
	AlgNone                   // "alg":"none" and no signature
	HMACWithPublicKey         // HS256 keyed with the PEM of the provider's public key
	UnknownKid                // well signed by a key, and under a kid, that nobody ever published
	ForeignKey                // the provider's kid, another key of the same kind
	ForeignAlg                // the provider's kid, a key of the other kind: ES256 where RS256 is, and the reverse
	EmbeddedKey               // the forger's own public key as jwk in the header
	BadSignature              // one bit of a genuine signature flipped
)

// sign serialises and signs as the request says. The house's own signer writes no foreign headers and knows no
// forgeries, so the bytes are put together here.
func (p *Provider) sign(t TokenRequest, claims map[string]any) (string, error) {
	key, err := p.keyFor(t.Forgery)
	if err != nil {
		return "", err
	}
	header := map[string]any{"alg": string(key.alg), "kid": key.kid, "typ": "JWT"}
	if t.secret != "" && t.Forgery == Genuine { // LINE, for the web
		header["alg"] = "HS256"
		delete(header, "kid")
	}
	if p.kind == Apple {
		delete(header, "typ") // Apple writes none
	}
	if err := forgeHeader(header, t.Forgery, key); err != nil {
		return "", err
	}
	if t.Header != nil {
		t.Header(header)
	}
	head, err := json.Marshal(header)
	if err != nil {
		return "", fmt.Errorf("stand-in provider: header: %w", err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("stand-in provider: claims: %w", err)
	}
	if t.Payload != nil {
		payload = t.Payload(payload)
	}
	input := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(payload)
	signature, err := key.forge(t.Forgery, []byte(input))
	if err != nil {
		return "", err
	}
	if t.secret != "" && t.Forgery == Genuine {
		signature = hs256(t.secret, input)
	}
	compact := input + "." + base64.RawURLEncoding.EncodeToString(signature)
	if t.Token != nil {
		compact = t.Token(compact)
	}
	return compact, nil
}

// keyFor picks the key that signs, under the kid that is claimed.
func (p *Provider) keyFor(f Forgery) (*signingKey, error) {
	current := p.currentKey()
	alg := current.alg
	switch f {
	case ForeignAlg:
		alg = jose.ES256
		if current.alg == jose.ES256 {
			alg = jose.RS256
		}
	case UnknownKid, ForeignKey, EmbeddedKey:
	default:
		return current, nil
	}
	k, err := newSigningKey(alg)
	if err != nil {
		return nil, err
	}
	if f != UnknownKid {
		k.kid = current.kid
	}
	return k, nil
}

func forgeHeader(header map[string]any, f Forgery, key *signingKey) error {
	switch f {
	case AlgNone:
		header["alg"] = "none"
	case HMACWithPublicKey:
		header["alg"] = "HS256"
	case EmbeddedKey:
		jwk, err := (&jose.PublicKey{Key: key.key.Public()}).MarshalJSON()
		if err != nil {
			return fmt.Errorf("stand-in provider: %w", err)
		}
		header["jwk"] = json.RawMessage(jwk)
	case Genuine, UnknownKid, ForeignKey, ForeignAlg, BadSignature:
	}
	return nil
}

func (k *signingKey) forge(f Forgery, input []byte) ([]byte, error) {
	switch f {
	case AlgNone:
		return nil, nil
	case HMACWithPublicKey:
		der, err := x509.MarshalPKIXPublicKey(k.key.Public())
		if err != nil {
			return nil, fmt.Errorf("stand-in provider: %w", err)
		}
		mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		mac.Write(input)
		return mac.Sum(nil), nil
	case BadSignature:
		signature, err := k.sign(input)
		if err == nil {
			signature[len(signature)/2] ^= 1
		}
		return signature, err
	case Genuine, UnknownKid, ForeignKey, ForeignAlg, EmbeddedKey:
	}
	return k.sign(input)
}

// sign is RFC 7518 §3.3 for RSA keys and §3.4 for P-256 ones.
func (k *signingKey) sign(input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	switch key := k.key.(type) {
	case *rsa.PrivateKey:
		return rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			return nil, fmt.Errorf("stand-in provider: %w", err)
		}
		signature := make([]byte, 64)
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
		return signature, nil
	}
	return nil, fmt.Errorf("stand-in provider: a key of type %T", k.key)
}
