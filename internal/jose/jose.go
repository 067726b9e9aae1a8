// Package jose is the one place where JWTs are verified and signed, and the only importer of the JOSE library. It
// pins algorithms and typ, caps sizes and reads JSON strictly. It knows no OAuth and fetches nothing.
package jose

import (
	"context"
	"crypto"
	"errors"
	"time"
)

// Alg is a JWS algorithm (RFC 7518 §3.1).
type Alg string

// The algorithms we ever accept; a Policy lists which of them.
const (
	ES256 Alg = "ES256"
	RS256 Alg = "RS256"
	PS256 Alg = "PS256"
	EdDSA Alg = "EdDSA"
)

// Policy says what a token must look like before a key is even asked for.
type Policy struct {
	Algs     []Alg
	Typ      string // required exactly (case-insensitive, "application/" ignored); "" accepts JWT or none
	MaxBytes int    // of the compact form; zero: 16 KiB
}

// Header is the protected header, already checked against the Policy. jku, x5u, x5c are ignored and never fetched;
// a crit or b64 member was refused.
type Header struct {
	Alg Alg
	Kid string
	Typ string
	JWK *PublicKey // only if the token carries one (DPoP); public, on its curve, RSA 2048 to 4096
}

// KeyFunc returns the key that must have signed the token.
type KeyFunc func(ctx context.Context, h Header) (crypto.PublicKey, error)

// ErrToken is wrapped by every refusal of a token itself. Errors of a KeyFunc are passed on as they are.
var ErrToken = errors.New("token refused")

// Verify is the one road: parse, policy, key, signature, then strict claims. No claim is returned unless the
// signature held.
func Verify(ctx context.Context, raw string, p Policy, key KeyFunc) (Claims, Header, error) {
	panic("unbuilt")
}

// PeekIssuer reads `iss` of an unverified token, to choose among pinned issuers and for nothing else.
func PeekIssuer(raw string) (string, error) { panic("unbuilt") }

// SigningInputHash is SHA-256 over header.payload: the name of a token whatever its signature bytes.
func SigningInputHash(raw string) [32]byte { panic("unbuilt") }

// Claims is a strictly read JSON object: names are case-sensitive, a duplicate name was refused.
type Claims struct{ m map[string]any }

// ParseObject reads one JSON object strictly: no duplicate names, valid UTF-8, no BOM, no trailing data, depth 32 at
// most. Numbers are kept as json.Number.
func ParseObject(data []byte) (Claims, error) { panic("unbuilt") }

// String returns a member that must be a JSON string; ok is false if absent; a wrong type is an error.
func (c Claims) String(name string) (value string, ok bool, err error) { panic("unbuilt") }

// Strings returns a member that is a string or an array of strings.
func (c Claims) Strings(name string) (values []string, ok bool, err error) { panic("unbuilt") }

// Time returns a NumericDate (RFC 7519 §2): a plain integer or decimal, no exponent, within years 1970 to 9999.
func (c Claims) Time(name string) (t time.Time, ok bool, err error) { panic("unbuilt") }

// Bool returns a member that is a boolean, or the string "true" or "false" (Apple).
func (c Claims) Bool(name string) (value, ok bool, err error) { panic("unbuilt") }

// Object returns a member that is an object.
func (c Claims) Object(name string) (value Claims, ok bool, err error) { panic("unbuilt") }

// Has tells whether the member is there at all.
func (c Claims) Has(name string) bool { _, ok := c.m[name]; return ok }

// PublicKey is a public JWK.
type PublicKey struct {
	Key crypto.PublicKey
	Kid string
	Alg Alg // may be empty in a foreign set
	Use string
}

// Thumbprint is RFC 7638 with SHA-256, base64url.
func (k *PublicKey) Thumbprint() (string, error) { panic("unbuilt") }

// MarshalJSON writes the public members only, with kid, alg and use.
func (k *PublicKey) MarshalJSON() ([]byte, error) { panic("unbuilt") }

// ParsePublicJWK reads one JWK; private and symmetric keys are refused.
func ParsePublicJWK(data []byte) (*PublicKey, error) { panic("unbuilt") }

// ParseSet reads a JWK set; members it cannot use (unknown kty, encryption keys) are skipped, not fatal
// (RFC 7517 §5). At most 100 keys.
func ParseSet(data []byte) ([]PublicKey, error) { panic("unbuilt") }

// MarshalSet writes {"keys":[…]}.
func MarshalSet(keys []PublicKey) ([]byte, error) { panic("unbuilt") }

// Signer signs with one key. It is safe for concurrent use.
type Signer struct {
	alg Alg
	kid string
	key crypto.Signer
}

// NewSigner pairs a private key with its algorithm and kid. ES256 wants P-256, RS256 at least 2048 bits.
func NewSigner(alg Alg, kid string, key crypto.Signer) (*Signer, error) { panic("unbuilt") }

// Kid returns the key id.
func (s *Signer) Kid() string { return s.kid }

// Alg returns the algorithm.
func (s *Signer) Alg() Alg { return s.alg }

// Sign serialises claims (a struct or map) and signs them under the given typ. Extra header members other than
// alg, kid, typ and, where embedJWK, jwk are never written.
func (s *Signer) Sign(typ string, claims any) (string, error) { panic("unbuilt") }

// SignWithJWK is Sign with the public key in the header and no kid: a DPoP proof (RFC 9449 §4.2).
func (s *Signer) SignWithJWK(typ string, claims any) (string, error) { panic("unbuilt") }

// Public returns the public half.
func (s *Signer) Public() PublicKey {
	return PublicKey{Key: s.key.Public(), Kid: s.kid, Alg: s.alg, Use: "sig"}
}

// GenerateKey makes a private key for alg (P-256, or RSA 2048).
func GenerateKey(alg Alg) (crypto.Signer, error) { panic("unbuilt") }
