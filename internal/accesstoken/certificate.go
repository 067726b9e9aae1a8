package accesstoken

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
)

// CertificateThumbprint is x5t#S256 of a certificate (RFC 8705 §3.1): base64url of the SHA-256 of its DER.
func CertificateThumbprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// FitsCertificate tells whether the token may be used over a connection on which the client showed these certificates,
// its own first: any connection for a token that is bound to none, and for one that is the very certificate it was issued
// to (RFC 8705 §3). Who signed the certificate and when it ends says nothing here: the thumbprint is that of one
// certificate, and the handshake has shown that the client has its key.
func (t *Token) FitsCertificate(shown []*x509.Certificate) bool {
	if t.X5T == "" {
		return true
	}
	return len(shown) > 0 && subtle.ConstantTimeCompare([]byte(CertificateThumbprint(shown[0])), []byte(t.X5T)) == 1
}
