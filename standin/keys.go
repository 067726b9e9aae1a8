package standin

import (
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/countersign/countersign/internal/jose"
)

// signingKey is one key of a provider.
type signingKey struct {
	kid       string
	alg       jose.Alg
	key       crypto.Signer
	published bool
}

func newSigningKey(alg jose.Alg) (*signingKey, error) {
	key, err := jose.GenerateKey(alg)
	if err != nil {
		return nil, fmt.Errorf("stand-in provider: %w", err)
	}
	return &signingKey{kid: randomHex(20), alg: alg, key: key}, nil
}

func (p *Provider) addKey(published bool) (*signingKey, error) {
	k, err := newSigningKey(p.alg)
	if err != nil {
		return nil, err
	}
	k.published = published
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = append(p.keys, k)
	return k, nil
}

// RotateKeys makes a new key, publishes it and signs with it from now on. Older keys stay published, as real
// providers do. It returns the new key's id.
func (p *Provider) RotateKeys() (kid string, err error) {
	k, err := p.addKey(true)
	if err != nil {
		return "", err
	}
	return k.kid, nil
}

// RotateKeysUnpublished makes a new key and signs with it, but its key set shows it only after PublishKeys: a
// provider that publishes late.
func (p *Provider) RotateKeysUnpublished() (kid string, err error) {
	k, err := p.addKey(false)
	if err != nil {
		return "", err
	}
	return k.kid, nil
}

// PublishKeys puts all keys into the key set.
func (p *Provider) PublishKeys() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.keys {
		k.published = true
	}
}

// DropOldKeys takes all keys but the newest out of the key set: tokens they signed are no longer anybody's.
func (p *Provider) DropOldKeys() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = p.keys[max(len(p.keys)-1, 0):] // GitHub and Discord have none
}

func (p *Provider) currentKey() *signingKey {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[len(p.keys)-1]
}

func (p *Provider) publishedSet() ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var public []jose.PublicKey
	for _, k := range p.keys {
		if k.published {
			public = append(public, jose.PublicKey{Key: k.key.Public(), Kid: k.kid, Alg: k.alg, Use: "sig"})
		}
	}
	set, err := jose.MarshalSet(public)
	if err != nil || p.kind != Microsoft {
		return set, err
	}
	return withIssuers(set)
}

// withIssuers says of each key whose tokens it signs, as Microsoft's set does.
func withIssuers(set []byte) ([]byte, error) {
	var document struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal(set, &document); err != nil {
		return nil, fmt.Errorf("stand-in provider: %w", err)
	}
	for _, key := range document.Keys {
		key["issuer"] = MicrosoftIssuer("{tenantid}")
	}
	return json.Marshal(document)
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b)
}

func randomText(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}
