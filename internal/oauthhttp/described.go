package oauthhttp

import (
	"net/http"
	"slices"
	"sync/atomic"
)

// describe is GET of both metadata documents (RFC 8414 §3, OIDC Discovery §4).
func (d *Door) describe(w http.ResponseWriter, r *http.Request) {
	d.described.of(d.detailTypes(), d.metadata).serve(w, r)
}

// detailTypes lists the types of authorization_details that resources declare now (RFC 9396 §10).
func (d *Door) detailTypes() []string {
	if d.Catalog == nil {
		return nil
	}
	var types []string
	for _, r := range d.Catalog().Resources {
		for _, declared := range r.Details {
			types = append(types, declared.Type)
		}
	}
	slices.Sort(types)
	return slices.Compact(types)
}

// publishedMetadata keeps the document as written, until resources declare other types: the catalog changes while the
// server runs, and nothing else of the document does.
type publishedMetadata struct {
	current atomic.Pointer[describedTypes]
}

type describedTypes struct {
	types []string
	doc   *document
}

func (p *publishedMetadata) of(types []string, write func(types []string) *document) *document {
	if now := p.current.Load(); now != nil && slices.Equal(now.types, types) {
		return now.doc
	}
	now := &describedTypes{types, write(types)}
	p.current.Store(now)
	return now.doc
}
