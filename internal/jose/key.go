package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"

	lib "github.com/go-jose/go-jose/v4"
)

// An RSA key outside these bounds is refused: below it is weak, above it makes us work (CVE-2016-9121's class).
const (
	minRSABits = 2048
	maxRSABits = 4096
)

var errKey = errors.New("key refused")

// ErrPrivateKey is the refusal of a JWK that holds more than a public key.
var ErrPrivateKey = fmt.Errorf("%w: it holds a private or symmetric key", errKey)

// PublicKey is a public JWK.
type PublicKey struct {
	Key crypto.PublicKey
	Kid string
	Alg Alg // may be empty in a foreign set
	Use string
}

// Thumbprint is RFC 7638 with SHA-256, base64url.
func (k PublicKey) Thumbprint() (string, error) {
	sum, err := (&lib.JSONWebKey{Key: k.Key}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("thumbprint: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// MarshalJSON writes the public members only, with kid, alg and use.
func (k PublicKey) MarshalJSON() ([]byte, error) {
	if err := knownKey(k.Key); err != nil {
		return nil, err
	}
	return lib.JSONWebKey{Key: k.Key, KeyID: k.Kid, Algorithm: string(k.Alg), Use: k.Use}.MarshalJSON()
}

// ParsePublicJWK reads one JWK; private and symmetric keys are refused.
func ParsePublicJWK(data []byte) (*PublicKey, error) {
	members, err := ParseObject(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errKey, err)
	}
	return publicKeyFrom(members)
}

func publicKeyFrom(jwk Claims) (*PublicKey, error) {
	if holdsSecret(jwk) {
		return nil, ErrPrivateKey
	}
	k := &PublicKey{}
	var alg, kty string
	for name, into := range map[string]*string{"kty": &kty, "kid": &k.Kid, "alg": &alg, "use": &k.Use} {
		var err error
		if *into, _, err = jwk.String(name); err != nil {
			return nil, fmt.Errorf("%w: %w", errKey, err)
		}
	}
	k.Alg = algNamed(alg)
	var err error
	switch kty {
	case "EC":
		k.Key, err = ecKey(jwk)
	case "RSA":
		k.Key, err = rsaKey(jwk)
	case "OKP":
		k.Key, err = edKey(jwk)
	default:
		err = fmt.Errorf("%w: kty is not EC, RSA or OKP", errKey)
	}
	if err != nil {
		return nil, err
	}
	return k, nil
}

// ecKey reads RFC 7518 §6.2: P-256 only, both coordinates in full length.
func ecKey(jwk Claims) (crypto.PublicKey, error) {
	if crv, _, err := jwk.String("crv"); err != nil || crv != "P-256" {
		return nil, fmt.Errorf("%w: crv is not P-256", errKey)
	}
	x, errX := octets(jwk, "x")
	y, errY := octets(jwk, "y")
	if err := errors.Join(errX, errY); err != nil {
		return nil, err
	}
	if len(x) != 32 || len(y) != 32 {
		return nil, fmt.Errorf("%w: a coordinate is not 32 bytes", errKey)
	}
	point := append(append([]byte{4}, x...), y...)
	k, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, fmt.Errorf("%w: the point is not on its curve", errKey)
	}
	return k, nil
}

// rsaKey reads RFC 7518 §6.3.
func rsaKey(jwk Claims) (crypto.PublicKey, error) {
	n, errN := octets(jwk, "n")
	e, errE := octets(jwk, "e")
	if err := errors.Join(errN, errE); err != nil {
		return nil, err
	}
	exponent := new(big.Int).SetBytes(e)
	if len(e) > 8 || !exponent.IsInt64() {
		return nil, fmt.Errorf("%w: the RSA exponent is too large", errKey)
	}
	k := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}
	if err := checkRSA(k); err != nil {
		return nil, err
	}
	return k, nil
}

func checkRSA(k *rsa.PublicKey) error {
	if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
		return fmt.Errorf("%w: an RSA key has %d to %d bits", errKey, minRSABits, maxRSABits)
	}
	if k.N.Bit(0) == 0 || k.E < 3 || k.E&1 == 0 || k.E > 1<<31-1 {
		return fmt.Errorf("%w: not an RSA public key", errKey)
	}
	return nil
}

// edKey reads RFC 8037 §2: Ed25519 only.
func edKey(jwk Claims) (crypto.PublicKey, error) {
	if crv, _, err := jwk.String("crv"); err != nil || crv != "Ed25519" {
		return nil, fmt.Errorf("%w: crv is not Ed25519", errKey)
	}
	x, err := octets(jwk, "x")
	if err != nil {
		return nil, err
	}
	if len(x) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%w: x is not 32 bytes", errKey)
	}
	return ed25519.PublicKey(x), nil
}

func octets(jwk Claims, name string) ([]byte, error) {
	s, ok, err := jwk.String(name)
	if err != nil || !ok {
		return nil, fmt.Errorf("%w: %s is missing or no string", errKey, name)
	}
	data, err := decodePart(name, s)
	if err != nil {
		return nil, fmt.Errorf("%w: %s is not base64url", errKey, name)
	}
	return data, nil
}

// knownKey tells whether a key is one of the three kinds we use, and sound.
func knownKey(key crypto.PublicKey) error {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return fmt.Errorf("%w: not on P-256", errKey)
		}
	case *rsa.PublicKey:
		return checkRSA(k)
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return fmt.Errorf("%w: not 32 bytes", errKey)
		}
	default:
		return fmt.Errorf("%w: a key of type %T", errKey, key)
	}
	return nil
}

// keyFits tells whether a token of alg can have been signed by this kind of key.
func keyFits(alg Alg, key crypto.PublicKey) error {
	if err := knownKey(key); err != nil {
		return err
	}
	fits := false
	switch key.(type) {
	case *ecdsa.PublicKey:
		fits = alg == ES256
	case *rsa.PublicKey:
		fits = alg == RS256 || alg == PS256
	case ed25519.PublicKey:
		fits = alg == EdDSA
	}
	if !fits {
		return fmt.Errorf("%w: it is not for %s", errKey, alg)
	}
	return nil
}

// Fits tells whether the key may verify tokens of alg: by its kind, and by what the set says of it.
func (k PublicKey) Fits(alg Alg) bool {
	return (k.Alg == "" || k.Alg == alg) && (k.Use == "" || k.Use == "sig") && keyFits(alg, k.Key) == nil
}
