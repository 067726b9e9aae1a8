package config

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/countersign/countersign/internal/clientmeta"
	"github.com/countersign/countersign/internal/jose"
)

const (
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
	set, err := clientmeta.ReadKeys(v.Clients[i].JWKS)
	switch {
	case err != nil:
		v.add(where, "it is not a JWK Set: "+err.Error(), jwksRemedy)
		return
	case len(set) == 0:
		v.add(where, "there is no key in it", jwksRemedy)
	case len(set) > clientmeta.MaxKeys:
		v.add(where, fmt.Sprintf("there are more than %d keys in it", clientmeta.MaxKeys), "keep those the client signs with")
	}
	for j, key := range set {
		switch {
		case errors.Is(key.Fault, jose.ErrPrivateKey):
			v.add(where, fmt.Sprintf("keys[%d] is no public key alone: it has private or symmetric members", j), privateKeyRemedy)
		case key.PublicKey == nil:
			v.add(where, fmt.Sprintf("keys[%d] cannot be used: %v", j, key.Fault), "give it an EC P-256, an Ed25519 or an RSA key of 2048 to 4096 bits")
		case errors.Is(key.Fault, clientmeta.ErrNotForSigning):
			v.add(where, fmt.Sprintf("keys[%d] is not for signing with ES256, PS256, RS256 or EdDSA", j), `remove it, or correct its "use", "key_ops" and "alg"`)
		case errors.Is(key.Fault, clientmeta.ErrSameKid):
			v.add(where, fmt.Sprintf("keys[%d] has the kid of keys[%d]", j, key.SameAs), "give each key a kid of its own")
		case key.Kid == "" && len(set) > 1:
			v.add(where, fmt.Sprintf("keys[%d] has no kid, and is not the only one", j), "give each key a kid, and let the client send it in the header")
		}
	}
}

// publicKeys is the set as the database keeps it. Validate has judged it.
func publicKeys(data []byte) json.RawMessage {
	set, err := clientmeta.ReadKeys(data)
	if err != nil {
		return nil
	}
	out, err := clientmeta.MarshalKeys(set)
	if err != nil {
		return nil
	}
	return out
}
