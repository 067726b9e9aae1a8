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
