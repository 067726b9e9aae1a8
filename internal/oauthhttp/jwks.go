package oauthhttp

import (
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/jose"
)

// keys is GET /jwks (RFC 7517 §5).
func (d *Door) keys(w http.ResponseWriter, r *http.Request) {
	doc, err := d.jwks.of(d.Keys.PublicKeys())
	if err != nil {
		httpd.OAuthError(w, r, err, false)
		return
	}
	doc.serve(w, r)
}

// publishedKeys keeps the set as written, until the ring publishes other keys.
type publishedKeys struct{ current atomic.Pointer[publishedSet] }

type publishedSet struct {
	kids []string
	doc  *document
}

func (p *publishedKeys) of(keys []jose.PublicKey) (*document, error) {
	kids := make([]string, len(keys))
	for i := range keys {
		kids[i] = keys[i].Kid
	}
	if set := p.current.Load(); set != nil && slices.Equal(set.kids, kids) {
		return set.doc, nil
	}
	body, err := jose.MarshalSet(keys)
	if err != nil {
		return nil, err
	}
	set := &publishedSet{kids, newDocument("application/jwk-set+json", body)}
	p.current.Store(set)
	return set.doc, nil
}
