package config

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/countersign/countersign/internal/jose"
)

const (
	maxClientKeys    = 10 // several at once only while they are exchanged
	audienceIssuer   = "issuer"
	audienceLegacy   = "legacy"
	jwksRemedy       = `write a JWK Set (RFC 7517 §5): {"keys": [{"kty": "EC", "crv": "P-256", "kid": "2026-11", "x": "…", "y": "…"}]}`
	privateKeyRemedy = `remove the private members (d and, of an RSA key, p, q, dp, dq, qi): the private key stays with the client. ` +
		`If this file was anywhere but there, make a new key`
)

// clientKeys judges the public keys of a client that signs assertions, one by one: what is skipped here the client
// would wonder about.
func (v check) clientKeys(i int) {
	where := at("clients", i, "jwks_file")
	set, err := keySet(v.Clients[i].JWKS)
	switch {
	case err != nil:
		v.add(where, "it is not a JWK Set: "+err.Error(), jwksRemedy)
		return
	case len(set) == 0:
		v.add(where, "there is no key in it", jwksRemedy)
	case len(set) > maxClientKeys:
		v.add(where, fmt.Sprintf("there are more than %d keys in it", maxClientKeys), "keep those the client signs with")
	}
	seen := map[string]int{}
	for j, raw := range set {
		key, err := jose.ParsePublicJWK(raw)
		switch {
		case errors.Is(err, jose.ErrPrivateKey):
			v.add(where, fmt.Sprintf("keys[%d] is no public key alone: it has private or symmetric members", j), privateKeyRemedy)
			continue
		case err != nil:
			v.add(where, fmt.Sprintf("keys[%d] cannot be used: %v", j, err), "give it an EC P-256, an Ed25519 or an RSA key of 2048 to 4096 bits")
			continue
		case !signs(key):
			v.add(where, fmt.Sprintf("keys[%d] is not for signing with ES256, PS256, RS256 or EdDSA", j), `remove it, or correct its "use" and "alg"`)
		case key.Kid == "" && len(set) > 1:
			v.add(where, fmt.Sprintf("keys[%d] has no kid, and is not the only one", j), "give each key a kid, and let the client send it in the header")
		}
		if earlier, dup := seen[key.Kid]; dup && key.Kid != "" {
			v.add(where, fmt.Sprintf("keys[%d] has the kid of keys[%d]", j, earlier), "give each key a kid of its own")
		}
		seen[key.Kid] = j
	}
}

func signs(key *jose.PublicKey) bool {
	for _, alg := range []jose.Alg{jose.ES256, jose.PS256, jose.RS256, jose.EdDSA} {
		if key.Fits(alg) {
			return true
		}
	}
	return false
}

// keySet takes a JWK Set apart. The strict reader goes first: it refuses duplicate names.
func keySet(data []byte) ([]json.RawMessage, error) {
	members, err := jose.ParseObject(data)
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil || !members.Has("keys") {
		return nil, errors.New(`"keys" is missing or no array`)
	}
	return set.Keys, nil
}

// publicKeys is the set as the database keeps it: the members that count and no other. Validate has judged it.
func publicKeys(data []byte) json.RawMessage {
	set, err := keySet(data)
	if err != nil {
		return nil
	}
	var keys []jose.PublicKey
	for _, raw := range set {
		if key, err := jose.ParsePublicJWK(raw); err == nil {
			keys = append(keys, *key)
		}
	}
	out, err := jose.MarshalSet(keys)
	if err != nil {
		return nil
	}
	return out
}
