package keyring

import (
	"context"
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
)

// youngFor is how long a node may be behind with its keys: an unknown key made since then may exist all the same.
const youngFor = 60 * time.Second

// Current returns the id of the data key that mints now.
func (r *Ring) Current() uint32 {
	row, _ := r.keys.Load().minting(dataKind, r.db.Now())
	return row.ID
}

// Key returns the key derived for a purpose from a data key this node knows; never a query. The bytes are shared
// and must not be changed.
func (r *Ring) Key(id uint32, p Purpose) ([]byte, bool) {
	k, ok := r.keys.Load().data[id]
	if !ok || (!p.lasting() && r.tooOld(k.row)) {
		return nil, false
	}
	derived, ok := k.derived[p]
	return derived, ok
}

// First returns the key derived for a purpose from the very first data key. It is for what must come out the same for
// ever, on every node, through every rotation: data keys are never removed, and the first one has no other before it. ok
// is false only where that key cannot be opened, which stops a node at its start, or where somebody dropped it.
func (r *Ring) First(p Purpose) (key []byte, ok bool) {
	seen := r.keys.Load()
	row, found := seen.oldest(dataKind)
	if !found {
		return nil, false
	}
	k, ok := seen.data[row.ID]
	if !ok {
		return nil, false
	}
	key, ok = k.derived[p]
	return key, ok
}

func (r *Ring) tooOld(row domain.Key) bool {
	return !row.RetiredAt.IsZero() && !r.db.Now().Before(row.RetiredAt.Add(r.o.KeepData))
}

// Find is Key, but an unknown id that may be too young for this node to know is looked up, at most once a second
// per node. That is an id made less than 60 s before the last load; in the worst case a node that could not load
// for long learns here of the keys that mint meanwhile.
func (r *Ring) Find(ctx context.Context, id uint32, p Purpose) ([]byte, bool, error) {
	if key, ok := r.Key(id, p); ok {
		return key, true, nil
	}
	if r.mayExist(id) {
		if err := r.lookAgain(ctx); err != nil {
			return nil, false, err
		}
	}
	if r.keys.Load().shut(id) {
		return nil, false, fmt.Errorf("key %d: %w", id, errShut)
	}
	key, ok := r.Key(id, p)
	return key, ok, nil
}

// errShut is no verdict on what a key made: another node, with all lines of the master key, may well read it.
var errShut = errors.New("the key is in the database, but this node cannot open it")

// mayExist tells whether a key of this id may be in the database although this node does not know it.
func (r *Ring) mayExist(id uint32) bool {
	seen, madeAt := r.keys.Load(), time.Unix(int64(id), 0)
	if seen.known(id) || madeAt.After(r.db.Now().Add(youngFor)) {
		return false
	}
	return madeAt.After(seen.loadedAt.Add(-youngFor))
}

// Signer returns the key that signs with alg now.
func (r *Ring) Signer(alg domain.SigningAlg) (*jose.Signer, error) {
	seen := r.keys.Load()
	row, ok := seen.minting(signingKind(alg), r.db.Now())
	if !ok {
		return nil, fmt.Errorf("no key signs with %q", alg)
	}
	return seen.signing[row.ID].signer, nil
}

func signingKind(alg domain.SigningAlg) kind {
	if alg == domain.RS256 {
		return rs256Kind
	}
	return es256Kind
}

// PublicKeys returns what /jwks publishes: next, current and recently retired keys, never dropped ones.
func (r *Ring) PublicKeys() []jose.PublicKey {
	seen, now := r.keys.Load(), r.db.Now()
	keys := make([]jose.PublicKey, 0, len(seen.signing))
	for _, row := range seen.rows {
		if k, ok := seen.signing[row.ID]; ok && k.accepted(now) {
			keys = append(keys, k.signer.Public())
		}
	}
	return keys
}

func (k *signingKey) accepted(now time.Time) bool {
	return k.row.ExpiresAt.IsZero() || now.Before(k.row.ExpiresAt)
}

// PublicKey returns one published key; it has the type of accesstoken.KeyFunc. An unknown kid is refused with an
// error that wraps jose.ErrToken; any other error means that nothing is known about it.
func (r *Ring) PublicKey(ctx context.Context, kid string, alg jose.Alg) (crypto.PublicKey, error) {
	id, ok := parseKid(kid)
	if !ok {
		return nil, fmt.Errorf("%w: kid is none of ours", jose.ErrToken)
	}
	if r.mayExist(id) {
		if err := r.lookAgain(ctx); err != nil {
			return nil, err
		}
	}
	seen := r.keys.Load()
	if seen.shut(id) {
		return nil, fmt.Errorf("kid %q: %w", kid, errShut)
	}
	k, ok := seen.signing[id]
	if !ok || !k.accepted(r.db.Now()) || k.signer.Kid() != kid || k.signer.Alg() != alg {
		return nil, fmt.Errorf("%w: kid %q is not published for %s", jose.ErrToken, kid, alg)
	}
	return k.signer.Public().Key, nil
}

// errSealed is all that is said about bytes that do not open.
var errSealed = errors.New("the sealed bytes do not open: wrong key, wrong row or damaged")

const sealedIDLen = 4

// Seal encrypts with AES-256-GCM under the current data key; aad names the row ("identities/idn_…/refresh").
func (r *Ring) Seal(aad string, plaintext []byte) ([]byte, error) {
	seen := r.keys.Load()
	row, ok := seen.minting(dataKind, r.db.Now())
	if !ok {
		return nil, errors.New("no data key mints")
	}
	aead := seen.data[row.ID].sealing
	nonce := randomBytes(aead.NonceSize())
	blob := binary.BigEndian.AppendUint32(nil, row.ID)
	blob = append(blob, nonce...)
	return aead.Seal(blob, nonce, plaintext, []byte(aad)), nil
}

// Open decrypts what Seal made for the same aad.
func (r *Ring) Open(aad string, sealed []byte) ([]byte, error) {
	if len(sealed) < sealedIDLen {
		return nil, errSealed
	}
	k, ok := r.keys.Load().data[binary.BigEndian.Uint32(sealed)]
	if !ok {
		return nil, errSealed
	}
	rest := sealed[sealedIDLen:]
	if len(rest) < k.sealing.NonceSize() {
		return nil, errSealed
	}
	plaintext, err := k.sealing.Open(nil, rest[:k.sealing.NonceSize()], rest[k.sealing.NonceSize():], []byte(aad))
	if err != nil {
		return nil, errSealed
	}
	return plaintext, nil
}
