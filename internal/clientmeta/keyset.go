package clientmeta

import (
	"encoding/json"
	"errors"
	"slices"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
)

// MaxKeys bounds the set of a client: several at once only while they are exchanged.
const MaxKeys = 10

// The faults of a key, beside jose.ErrPrivateKey and what makes it unreadable.
var (
	ErrNotForSigning = errors.New("it is not for signing with ES256, PS256, RS256 or EdDSA")
	ErrSameKid       = errors.New("it has the kid of another one")
)

// Key is one key of a client's set as it was judged: usable, or at fault.
type Key struct {
	*jose.PublicKey // nil: it cannot be read
	Fault           error
	SameAs          int // the index of the other one, with ErrSameKid
}

// ReadKeys judges the JWK Set of a client, declared or registered, key by key. What becomes of a fault is the caller's: the
// operator hears of every one, and of a registered set only the keys that can be used are kept (RFC 7517 §5).
func ReadKeys(set []byte) ([]Key, error) {
	members, err := jose.ParseObject(set) // strict: no name twice
	if err != nil {
		return nil, err
	}
	var read struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(set, &read); err != nil || !members.Has("keys") {
		return nil, errors.New(`"keys" is missing or no array`)
	}
	keys, kids := make([]Key, len(read.Keys)), map[string]int{}
	for i, raw := range read.Keys {
		k := judgeKey(raw)
		if k.PublicKey != nil && k.Kid != "" {
			if first, twice := kids[k.Kid]; twice {
				k.Fault, k.SameAs = ErrSameKid, first
			} else {
				kids[k.Kid] = i
			}
		}
		keys[i] = k
	}
	return keys, nil
}

func judgeKey(raw json.RawMessage) Key {
	key, err := jose.ParsePublicJWK(raw)
	if err != nil {
		return Key{Fault: err}
	}
	// What a set is read for is verifying: use and key_ops count.
	verifying, err := jose.ParseSet(slices.Concat([]byte(`{"keys":[`), raw, []byte("]}")))
	fits := func(alg domain.SigningAlg) bool { return key.Fits(jose.Alg(alg)) }
	if err != nil || len(verifying) == 0 || !slices.ContainsFunc(clientAlgs, fits) {
		return Key{PublicKey: key, Fault: ErrNotForSigning}
	}
	return Key{PublicKey: key}
}

// MarshalKeys writes the keys without fault as the database keeps them: the members that count and no other; nil: there is
// none.
func MarshalKeys(keys []Key) (json.RawMessage, error) {
	var usable []jose.PublicKey
	for _, k := range keys {
		if k.Fault == nil {
			usable = append(usable, *k.PublicKey)
		}
	}
	if len(usable) == 0 {
		return nil, nil
	}
	return jose.MarshalSet(usable)
}
