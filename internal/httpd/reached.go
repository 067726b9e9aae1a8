package httpd

import (
	"context"
	"crypto/x509"
	"net/http"
)

type baseKey struct{}

// WithBase is the context of a listener that clients reach at another address than the issuer's: the http.Server hands
// it to every request of that listener (BaseContext). The address is from the configuration, never from a request. TLS ends
// at such a listener, so no proxy before it has written a header: X-Forwarded-For is not believed there.
func WithBase(ctx context.Context, base string) context.Context {
	return context.WithValue(ctx, baseKey{}, base)
}

// Base is the address at which the request's listener is reached, without a slash at its end: what a proof must name,
// before the path. Only a listener beside the issuer's says what it is.
func Base(r *http.Request, issuer string) string {
	if base, ok := r.Context().Value(baseKey{}).(string); ok {
		return base
	}
	return issuer
}

// apart tells whether the request came to a listener with an address of its own.
func apart(r *http.Request) bool { return r.Context().Value(baseKey{}) != nil }

// Certificates is what the client showed in the TLS handshake, its own first; none on a listener that asks for none. No
// header is read for it, whoever sends it (ATTACKS CA12).
func Certificates(r *http.Request) []*x509.Certificate {
	if r.TLS == nil {
		return nil
	}
	return r.TLS.PeerCertificates
}
