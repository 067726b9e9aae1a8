package resource

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/countersign/countersign/internal/oauth"
)

// Metadata is what an app server says of itself to clients that do not know it yet (RFC 9728), beside what its Verifier
// knows: whose tokens it takes, and how they are sent. Everything may be empty.
type Metadata struct {
	Scopes        []string // that its endpoints ask for
	DetailTypes   []string // types of authorization_details it understands (RFC 9396)
	Name          string   // for people
	Documentation string   // https address for developers
	PolicyURI     string   // https address of what it does with data
	TermsURI      string   // https address of its terms
	// Certificates: its listener asks for client certificates, so that tokens bound to one pass (RFC 8705).
	Certificates bool
}

// published is the document, ready to be sent.
type published struct {
	body []byte
	path string // of the document, escaped
	url  string // where clients find it
}

// publish prepares the document. Its resource is the Audience, which clients must be able to call: they take the document
// only if its resource is the address they wanted to call (RFC 9728 §3.3). It is found below the origin of BaseURL, which is
// that of the Audience unless an app server is tried out elsewhere.
func (c *Config) publish() (*published, error) {
	if c.Metadata == nil {
		return nil, nil
	}
	id, err := url.Parse(c.Audience)
	if err != nil || secureIdentifier(c.Audience, id) != nil {
		return nil, fmt.Errorf("the Metadata needs an Audience that is an https address without a fragment, not %q", c.Audience)
	}
	for _, a := range []struct{ name, value string }{
		{"Documentation", c.Metadata.Documentation}, {"PolicyURI", c.Metadata.PolicyURI}, {"TermsURI", c.Metadata.TermsURI},
	} {
		if u, err := url.Parse(a.value); a.value != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
			return nil, fmt.Errorf("the %s %q of the Metadata is not an address", a.name, a.value)
		}
	}
	at := oauth.ProtectedResourceAt(id)
	if base, err := url.Parse(c.BaseURL); err == nil {
		at.Scheme, at.Host = base.Scheme, base.Host
	}
	body, err := json.MarshalIndent(c.document(), "", "  ")
	if err != nil {
		return nil, err
	}
	return &published{body: append(body, '\n'), path: at.EscapedPath(), url: at.String()}, nil
}

func (c *Config) document() oauth.ProtectedResource {
	m := c.Metadata
	return oauth.ProtectedResource{
		Resource: c.Audience, AuthorizationServers: []string{c.Issuer},
		Scopes: m.Scopes, BearerMethods: []string{"header"}, DetailTypes: m.DetailTypes,
		DPoPAlgs: strings.Fields(proofAlgs), DPoPRequired: c.RequireDPoP, CertificateBound: m.Certificates,
		Name: m.Name, Documentation: m.Documentation, PolicyURI: m.PolicyURI, TermsURI: m.TermsURI,
	}
}

// secureIdentifier: a resource identifier is https and has no fragment (RFC 9728 §1.2); http will do on this machine.
func secureIdentifier(text string, u *url.URL) error {
	if u.Host == "" || u.User != nil || strings.Contains(text, "#") || (u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname()))) {
		return errors.New("no resource identifier")
	}
	return nil
}

// MetadataPath is where MetadataHandler belongs: /.well-known/oauth-protected-resource, and below it the path of the
// Audience, if it has one (RFC 9728 §3.1). It is empty without Metadata.
func (v *Verifier) MetadataPath() string {
	if v.published == nil {
		return ""
	}
	return v.published.path
}

// MetadataHandler answers with the document, to everybody: there is nothing secret in it, and a browser app of another
// origin may read it. Without Metadata, and for every other path, it answers 404.
func (v *Verifier) MetadataHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case v.published == nil || r.URL.EscapedPath() != v.published.path:
			http.NotFound(w, r)
			return
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "public, max-age=300")
		h.Set("Access-Control-Allow-Origin", "*")
		_, _ = w.Write(v.published.body) // a client that is gone cannot be told
	})
}
