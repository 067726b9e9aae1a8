// Package jose is the one place where JWTs are verified and signed, and the only importer of the JOSE library. It
// pins algorithms and typ, caps sizes and reads JSON strictly. It knows no OAuth and fetches nothing.
package jose

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"
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

const (
	defaultMaxBytes = 16 << 10
	maxKidBytes     = 256
)

// Policy says what a token must look like before a key is even asked for.
type Policy struct {
	Algs     []Alg
	Typ      string // required exactly (case-insensitive, "application/" ignored); "" accepts JWT or none
	OrTyp    string // accepted beside Typ, where a type of its own came later than the tokens did; "" accepts no other
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

// ErrSignature is the refusal of a token whose signature does not hold; it wraps ErrToken.
var ErrSignature = fmt.Errorf("%w: the signature does not hold", ErrToken)

// Verify is the one road: parse, policy, key, signature, then strict claims. No claim is returned unless the
// signature held, so that an expired token with a bad signature reads as a bad signature.
func Verify(ctx context.Context, raw string, p Policy, key KeyFunc) (Claims, Header, error) {
	c, err := splitCompact(raw, p.MaxBytes)
	if err != nil {
		return Claims{}, Header{}, err
	}
	h, err := c.readHeader(p)
	if err != nil {
		return Claims{}, Header{}, err
	}
	k, err := key(ctx, h)
	if err != nil {
		return Claims{}, Header{}, err
	}
	if err := c.checkSignature(h.Alg, k); err != nil {
		return Claims{}, Header{}, err
	}
	claims, err := c.readClaims()
	if err != nil {
		return Claims{}, Header{}, err
	}
	return claims, h, nil
}

// readHeader reads the protected header and holds it against the policy.
func (c compact) readHeader(p Policy) (Header, error) {
	data, err := decodePart("header", c.header)
	if err != nil {
		return Header{}, err
	}
	members, err := ParseObject(data)
	if err != nil {
		return Header{}, refuse("header: %w", err)
	}
	// crit: we understand no extension (RFC 7515 §4.1.11), b64 is one (RFC 7797); enc and zip make a JWE.
	for _, name := range []string{"crit", "b64", "enc", "zip"} {
		if members.Has(name) {
			return Header{}, refuse("header has %s", name)
		}
	}
	name, _, err := members.String("alg")
	alg := algNamed(name)
	if err != nil || !slices.Contains(p.Algs, alg) {
		return Header{}, refuse("alg is not one of %v", p.Algs)
	}
	h := Header{Alg: alg}
	if h.Typ, _, err = members.String("typ"); err != nil || !p.takes(h.Typ) {
		return Header{}, refuse("typ is not %q", p.Typ)
	}
	if h.Kid, _, err = members.String("kid"); err != nil || len(h.Kid) > maxKidBytes {
		return Header{}, refuse("kid is not a string of at most %d bytes", maxKidBytes)
	}
	if members.Has("jwk") {
		h.JWK, err = headerJWK(members)
	}
	return h, err
}

// algNamed reads the name of an algorithm. Ed25519 is what RFC 9864 §2.2 calls the only curve of EdDSA we take.
func algNamed(name string) Alg {
	if name == "Ed25519" {
		return EdDSA
	}
	return Alg(name)
}

func headerJWK(members Claims) (*PublicKey, error) {
	jwk, _, err := members.Object("jwk")
	if err != nil {
		return nil, refuse("jwk: %w", err)
	}
	k, err := publicKeyFrom(jwk)
	if err != nil {
		return nil, refuse("jwk: %w", err)
	}
	return k, nil
}

func (p Policy) takes(typ string) bool {
	return typMatches(p.Typ, typ) || (p.OrTyp != "" && typMatches(p.OrTyp, typ))
}

// typMatches compares media types: case-insensitive, "application/" may be left out (RFC 7515 §4.1.9).
func typMatches(want, got string) bool {
	const prefix = "application/"
	if len(got) > len(prefix) && strings.EqualFold(got[:len(prefix)], prefix) {
		got = got[len(prefix):]
	}
	if want == "" {
		return got == "" || strings.EqualFold(got, "JWT")
	}
	return strings.EqualFold(got, want)
}

// refuse makes an error that wraps ErrToken, and what args wrap.
func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrToken}, args...)...)
}
