package clientauth

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"slices"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
)

// The reasons, for the request event.
var (
	errNoCertificate  = errors.New("the connection shows no client certificate")
	errNoCA           = errors.New("nobody is declared whose certificates are taken (mtls.ca_file)")
	errOtherSubject   = errors.New("the certificate is not of the registered subject")
	errForeignKey     = errors.New("the certificate's key is none of the client's")
	errUnverifiedCert = errors.New("the certificate is not from an authority of mtls.ca_file, or not for now, or not for clients")
)

// judgeCertificate holds the certificate of the TLS connection against the client it is to authenticate. The handshake has
// proved that whoever is there has its key, and nothing else. An *oauth.Error is a fault of ours.
func (s *Service) judgeCertificate(ctx context.Context, c *domain.Client, came Credentials) error {
	switch {
	case came.Certificate == nil:
		return errNoCertificate
	case c.AuthMethod == domain.AuthTLS:
		return s.judgeSubject(c, came)
	}
	return s.judgeOwnKey(ctx, c, came.Certificate)
}

// judgeSubject is tls_client_auth (RFC 8705 §2.1): from an authority of the operator's, in its time by our clock, for
// clients, and of the one registered subject. What a TLS library found out in the handshake is not asked: the chain is
// judged here, for every request, so that a connection that was opened in time does not outlast its certificate.
func (s *Service) judgeSubject(c *domain.Client, came Credentials) error {
	if s.CA == nil {
		return errNoCA
	}
	between := x509.NewCertPool()
	for _, cert := range came.Intermediates {
		between.AddCert(cert)
	}
	_, err := came.Certificate.Verify(x509.VerifyOptions{
		Roots: s.CA, Intermediates: between, CurrentTime: s.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	switch {
	case err != nil:
		return errors.Join(errUnverifiedCert, err)
	case !c.Certificate.Fits(came.Certificate):
		return errOtherSubject
	}
	return nil
}

// judgeOwnKey is self_signed_tls_client_auth (RFC 8705 §2.2): the certificate's key is one the client registered. Nothing
// else of the certificate is looked at, neither who signed it nor its dates: whoever has the key can write a certificate
// with any dates in a moment, so they say nothing that the key does not. A key ends when the client takes it out of its set.
func (s *Service) judgeOwnKey(ctx context.Context, c *domain.Client, cert *x509.Certificate) error {
	shown, ok := cert.PublicKey.(interface{ Equal(x crypto.PublicKey) bool })
	if !ok {
		return errForeignKey
	}
	among := func(keys []jose.PublicKey) bool {
		return slices.ContainsFunc(keys, func(k jose.PublicKey) bool { return shown.Equal(k.Key) })
	}
	keys, err := s.KeysUntil(ctx, c, among) // a set that the client publishes may have a new one
	if err == nil && !among(keys) {
		err = errForeignKey
	}
	return err
}
