package oauthhttp

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// document is a public JSON document that clients may cache for five minutes.
type document struct {
	mediaType string
	body      []byte
	etag      string
}

func newDocument(mediaType string, body []byte) *document {
	sum := sha256.Sum256(body)
	return &document{mediaType, body, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
}

func (doc *document) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("ETag", doc.etag)
	if doc.knownTo(r) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", doc.mediaType)
	_, _ = w.Write(doc.body) // a client that is gone cannot be told
}

func (doc *document) knownTo(r *http.Request) bool {
	for held := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if strings.TrimPrefix(strings.TrimSpace(held), "W/") == doc.etag {
			return true
		}
	}
	return false
}
