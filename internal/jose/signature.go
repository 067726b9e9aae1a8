package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"fmt"
	"math/big"
)

// Both directions call the standard library's primitives themselves. The JOSE library's road in parses the token and
// its header a second time, a quarter of an ES256 verification; its road out for a crypto.Signer gives PS256 a salt
// of another length than RFC 7518 §3.5 wants. Tests hold it against ours in both directions.

// pss is RFC 7518 §3.5: the salt is as long as the hash.
var pss = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}

func (c compact) checkSignature(alg Alg, key crypto.PublicKey) error {
	sig, err := decodePart("signature", c.signature)
	if err != nil {
		return err
	}
	// The key is held against the algorithm, never the other way round (RFC 8725 §3.1).
	if err := keyFits(alg, key); err != nil {
		return refuse("%w", err)
	}
	if !holds(alg, key, []byte(c.signed), sig) {
		return ErrSignature
	}
	return nil
}

// holds verifies sig with a key that fits alg (RFC 7518 §3.3 to §3.5, RFC 8037 §3.1).
func holds(alg Alg, key crypto.PublicKey, signed, sig []byte) bool {
	digest := sha256.Sum256(signed)
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if len(sig) != 64 {
			return false
		}
		r, s := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])
		return ecdsa.Verify(k, digest[:], r, s)
	case *rsa.PublicKey:
		if alg == PS256 {
			return rsa.VerifyPSS(k, crypto.SHA256, digest[:], sig, pss) == nil
		}
		return rsa.VerifyPKCS1v15(k, crypto.SHA256, digest[:], sig) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(k, signed, sig)
	}
	return false
}

// signOver is the other direction, with a key that fits alg.
func signOver(alg Alg, key crypto.Signer, input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	switch alg {
	case EdDSA:
		return key.Sign(rand.Reader, input, crypto.Hash(0))
	case RS256:
		return key.Sign(rand.Reader, digest[:], crypto.SHA256)
	case PS256:
		return key.Sign(rand.Reader, digest[:], pss)
	}
	der, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var pair struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &pair); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("the signature is no pair of integers (%d bytes left): %w", len(rest), err)
	}
	sig := make([]byte, 64) // RFC 7518 §3.4
	pair.R.FillBytes(sig[:32])
	pair.S.FillBytes(sig[32:])
	return sig, nil
}
