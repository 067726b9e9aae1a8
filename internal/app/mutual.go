package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"

	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauthhttp"
)

// The mutual-TLS listener is a second way to the public handler (RFC 8705 §5): it asks for a client certificate, so it is
// apart from the one that browsers come to. TLS takes any certificate there, and none: what it is worth is for the rules
// to say, client by client.

// MutualURL is where the listener that asks for certificates is reached on this machine; "" where there is none.
func (a *App) MutualURL() string {
	if a.mutualListener == nil {
		return ""
	}
	return a.url(a.mutualListener, true)
}

// mutualServer serves the public handler with the certificate of the public listener. Clients reach it at an address of
// its own, which is what their proofs name.
func (a *App) mutualServer(public http.Handler, secure *tls.Config) *http.Server {
	s := httpd.Server(public)
	s.BaseContext = func(net.Listener) context.Context {
		return httpd.WithBase(context.Background(), a.config.MTLS.URL)
	}
	s.TLSConfig = secure.Clone()
	s.TLSConfig.ClientAuth = tls.RequestClientCert
	return s
}

// authorities are those of mtls.ca_file; nil where it is not set.
func (a *App) authorities() *x509.CertPool {
	if len(a.config.MTLS.CA) == 0 {
		return nil
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.config.MTLS.CA) // Validate has read every one of them
	return pool
}

// mutualTLS is what metadata says of it.
func (a *App) mutualTLS() oauthhttp.MutualTLS {
	if !a.config.MTLS.On() {
		return oauthhttp.MutualTLS{}
	}
	return oauthhttp.MutualTLS{URL: a.config.MTLS.URL, Authority: len(a.config.MTLS.CA) > 0}
}
