package clientauth

import (
	"context"
	"crypto"
	"errors"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
)

var errNoKey = errors.New("no key of the client fits the kid and alg of what it signed")

// Verify verifies what a client signed: an assertion, a request object. It tries the keys that may have signed it: the
// one it names, or, where it names none, each that is for its algorithm. What the header says of keys elsewhere (jku,
// x5u, x5c, jwk) is never looked at (RFC 8725 §3.10). Which algorithms the client may use is the policy's to say and, under
// a profile, the client's. An *oauth.Error is a fault of ours; every other error is a verdict.
func (s *Service) Verify(ctx context.Context, c *domain.Client, signed string, p jose.Policy) (jose.Claims, error) {
	var keys []jose.PublicKey
	for tried := 0; ; tried++ {
		claims, _, err := jose.Verify(ctx, signed, p, func(ctx context.Context, h jose.Header) (key crypto.PublicKey, err error) {
			if !c.TakesAlg(domain.SigningAlg(h.Alg)) {
				return nil, errNoKey
			}
			if tried == 0 { // once the header is known to be one we take
				keys, err = s.KeysUntil(ctx, c, func(held []jose.PublicKey) bool { return settled(held, h) })
			}
			if err != nil {
				return nil, err
			}
			return nth(keys, tried, h)
		})
		switch {
		case errors.Is(err, errNoKey) && tried > 0:
			return jose.Claims{}, jose.ErrSignature
		case !errors.Is(err, jose.ErrSignature):
			return claims, err
		}
	}
}

// Keys are the public keys of a client, the published ones as fresh as their owner wants them. Its error is a fault of
// ours: nothing is known about them for the moment.
func (s *Service) Keys(ctx context.Context, c *domain.Client) ([]jose.PublicKey, error) {
	return s.KeysUntil(ctx, c, func([]jose.PublicKey) bool { return true })
}

// KeysUntil is Keys for who looks for a certain one: where enough says that it is not among those at hand, they are
// fetched again, at most once a minute. Where that is too soon, nothing is known about the key, which is an error.
func (s *Service) KeysUntil(ctx context.Context, c *domain.Client, enough func([]jose.PublicKey) bool) ([]jose.PublicKey, error) {
	if c.JWKSURI != "" {
		return s.published.keys(ctx, s, c, enough)
	}
	n := s.index.of(s.Catalog())
	if n.clients[c.ID] == c {
		return n.keys[c.ID], nil
	}
	keys, _ := jose.ParseSet(c.JWKS) // keys that cannot be read are none: then nothing the client signs is right
	return keys, nil
}

// settled tells whether no newer set would say anything else about who signed: the key that is named is there, or, where
// none is named, one for the algorithm.
func settled(keys []jose.PublicKey, h jose.Header) bool {
	for _, k := range keys {
		if k.Kid == h.Kid || (h.Kid == "" && k.Fits(h.Alg)) {
			return true
		}
	}
	return false
}

// nth is one of the keys that fit a header, counted from zero.
func nth(keys []jose.PublicKey, n int, h jose.Header) (crypto.PublicKey, error) {
	for _, k := range keys {
		if !k.Fits(h.Alg) || (h.Kid != "" && h.Kid != k.Kid) {
			continue
		}
		if n == 0 {
			return k.Key, nil
		}
		n--
	}
	return nil, errNoKey
}
