package jose

import (
	"encoding/json"
	"fmt"
	"slices"
)

const maxSetKeys = 100

// ParseSet reads a JWK set; members it cannot use (unknown kty, encryption keys) are skipped, not fatal
// (RFC 7517 §5). At most 100 keys.
func ParseSet(data []byte) ([]PublicKey, error) {
	set, err := ParseObject(data)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	members, ok := set.m["keys"].([]any)
	if !ok {
		return nil, fmt.Errorf("key set: keys is missing or no array")
	}
	if len(members) > maxSetKeys {
		return nil, fmt.Errorf("key set: more than %d keys", maxSetKeys)
	}
	keys := make([]PublicKey, 0, len(members))
	for _, member := range members {
		jwk, ok := member.(map[string]any)
		if !ok || !forVerifying(Claims{jwk}) {
			continue
		}
		if k, err := publicKeyFrom(Claims{jwk}); err == nil {
			keys = append(keys, *k)
		}
	}
	return keys, nil
}

// maxPublishedKeys bounds the set of a client: its keys to sign with, several while they are exchanged, and those for
// other uses.
const maxPublishedKeys = 32

// ParsePublicSet is ParseSet for what a client publishes: a set in which any key is private or symmetric is refused as a
// whole, for whoever published it did not mean to (RFC 7591 §2).
func ParsePublicSet(data []byte) ([]PublicKey, error) {
	set, err := ParseObject(data)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	members, _, err := set.Objects("keys")
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	if len(members) > maxPublishedKeys {
		return nil, fmt.Errorf("key set: more than %d keys", maxPublishedKeys)
	}
	for _, jwk := range members {
		if holdsSecret(jwk) {
			return nil, ErrPrivateKey
		}
	}
	return ParseSet(data)
}

// holdsSecret looks for the members of private keys and of the symmetric key (RFC 7518 §6).
func holdsSecret(jwk Claims) bool {
	return slices.ContainsFunc([]string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}, jwk.Has)
}

// forVerifying reads use and key_ops (RFC 7517 §4.2, §4.3).
func forVerifying(jwk Claims) bool {
	use, ok, err := jwk.String("use")
	if err != nil || ok && use != "sig" {
		return false
	}
	ops, ok, err := jwk.Strings("key_ops")
	return err == nil && (!ok || slices.Contains(ops, "verify"))
}

// MarshalSet writes {"keys":[…]}.
func MarshalSet(keys []PublicKey) ([]byte, error) {
	set := struct {
		Keys []PublicKey `json:"keys"`
	}{Keys: append([]PublicKey{}, keys...)} // never null
	return json.Marshal(set)
}
