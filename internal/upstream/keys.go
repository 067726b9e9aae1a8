package upstream

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/keyset"
)

// retryInterval: as long as there are no keys at all, nobody can sign in until a fetch succeeds.
const retryInterval = 5 * time.Second

// newKeyCache keeps a provider's keys (ATTACKS ID05).
func (p *Provider) newKeyCache(load keyset.Load) *keyset.Cache {
	return keyset.New(load, p.now, keyset.Options{
		FreshAtLeast: 5 * time.Minute, FreshAtMost: 12 * time.Hour, Retry: retryInterval,
		Failed: func(err error) {
			if p.KeysFailed != nil {
				p.KeysFailed(err)
			}
		},
	})
}

// key is the jose.KeyFunc of the provider.
func (p *Provider) key(ctx context.Context, h jose.Header) (crypto.PublicKey, error) {
	key, err := findKey(ctx, p.keys, h.Kid, h.Alg)
	switch {
	case errors.Is(err, errUnknownKey):
		return nil, refuse(err, "The id_token is signed with a key that %s does not publish. Send the string exactly as the provider's SDK gave it.", p.name)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return key, nil
}

var errUnknownKey = errors.New("no such key in the provider's set")

// findKey returns the key of that kid. An unknown kid is worth one fetch; while fetching is throttled nothing is known
// about it, which is no verdict.
func findKey(ctx context.Context, c *keyset.Cache, kid string, alg jose.Alg) (crypto.PublicKey, error) {
	keys, err := c.Keys(ctx, func(held []jose.PublicKey) bool {
		_, final := pick(held, kid, alg)
		return final
	})
	if err != nil { // a *keyset.Throttled among them
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	key, _ := pick(keys, kid, alg)
	if key == nil {
		return nil, errUnknownKey
	}
	return key, nil
}

// pick finds the key for a token; final tells that a newer set would not change the answer.
func pick(keys []jose.PublicKey, kid string, alg jose.Alg) (key crypto.PublicKey, final bool) {
	if kid == "" {
		return pickOnly(keys, alg), true
	}
	for i := range keys {
		if keys[i].Kid != kid {
			continue
		}
		if keys[i].Fits(alg) {
			return keys[i].Key, true
		}
		final = true
	}
	return nil, final
}

// pickOnly: without a kid there must be only one key it can be (OIDC Core §10.1).
func pickOnly(keys []jose.PublicKey, alg jose.Alg) (key crypto.PublicKey) {
	for i := range keys {
		switch {
		case !keys[i].Fits(alg):
		case key != nil:
			return nil
		default:
			key = keys[i].Key
		}
	}
	return key
}
