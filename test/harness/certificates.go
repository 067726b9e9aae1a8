package harness

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority issues certificates.
type Authority struct {
	key  crypto.Signer
	cert *x509.Certificate
}

// NewAuthority makes an authority of a name.
func NewAuthority(t testing.TB, name string) *Authority {
	t.Helper()
	return newAuthority(t, name, nil)
}

// Below makes an authority that this one answers for.
func (a *Authority) Below(t testing.TB, name string) *Authority {
	t.Helper()
	return newAuthority(t, name, a)
}

func newAuthority(t testing.TB, name string, above *Authority) *Authority {
	t.Helper()
	a := &Authority{key: newKey(t)}
	template := certificate(func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: name}
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
	})
	parent, signer := template, a.key
	if above != nil {
		parent, signer = above.cert, above.key
	}
	a.cert = signed(t, template, parent, a.key.Public(), signer)
	return a
}

// PEM is its own certificate.
func (a *Authority) PEM() string { return encoded("CERTIFICATE", a.cert.Raw) }

// Pool trusts it and nobody else.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// Issue makes a key and a certificate for it, for a client and good for an hour unless mods say otherwise. It comes with
// the authority's own, as a client sends it.
func (a *Authority) Issue(t testing.TB, mods ...func(*x509.Certificate)) *tls.Certificate {
	t.Helper()
	return a.issueTo(t, newKey(t), mods...)
}

func (a *Authority) issueTo(t testing.TB, key crypto.Signer, mods ...func(*x509.Certificate)) *tls.Certificate {
	t.Helper()
	leaf := signed(t, certificate(mods...), a.cert, key.Public(), a.key)
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw, a.cert.Raw}, PrivateKey: key, Leaf: leaf}
}

// SelfSigned makes a key and a certificate by this very key.
func SelfSigned(t testing.TB, mods ...func(*x509.Certificate)) *tls.Certificate {
	t.Helper()
	return SelfSignedBy(t, newKey(t), mods...)
}

// SelfSignedBy makes a certificate of a key by itself.
func SelfSignedBy(t testing.TB, key crypto.Signer, mods ...func(*x509.Certificate)) *tls.Certificate {
	t.Helper()
	template := certificate(mods...)
	leaf := signed(t, template, template, key.Public(), key)
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

func certificate(mods ...func(*x509.Certificate)) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	c := &x509.Certificate{
		SerialNumber: serial, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	for _, m := range mods {
		m(c)
	}
	return c
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func signed(t testing.TB, template, parent *x509.Certificate, public any, signer crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func encoded(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// secure is what a world has that speaks TLS.
type secure struct {
	servers *Authority // who issued the servers' certificate
	clients *Authority // of mtls.ca_file; nil: none
	rsa     bool       // the servers' key
}

// WithRSA gives the servers of MutualTLS an RSA key instead of an EC one.
func WithRSA(o *options) { o.secure.rsa = true }

// MutualTLS makes the servers speak TLS, with a second listener that asks for client certificates; those of
// tls_client_auth are from this authority.
func MutualTLS(clients *Authority) Option {
	return func(o *options) { o.secure = &secure{clients: clients} }
}

// scheme of the servers.
func (w *World) scheme() string {
	if w.options.secure != nil {
		return "https://"
	}
	return "http://"
}

// trust is a transport that knows the servers' authority, on connections of its own; mods change its TLS.
func (w *World) trust(mods ...func(*tls.Config)) *http.Transport {
	t := &http.Transport{MaxIdleConnsPerHost: 128, ForceAttemptHTTP2: true}
	if w.options.secure != nil {
		t.TLSClientConfig = &tls.Config{RootCAs: w.options.secure.servers.Pool(), MinVersion: tls.VersionTLS12}
		for _, m := range mods {
			m(t.TLSClientConfig)
		}
	}
	return t
}

// ServersPEM is the certificate of the authority that a client has to know to trust the servers of MutualTLS.
func (w *World) ServersPEM() string { return w.options.secure.servers.PEM() }

// way is a transport that many share, where there is nothing of its own to trust.
func (w *World) way() http.RoundTripper {
	if w.options.secure == nil {
		return http.DefaultTransport
	}
	return w.trust()
}

// Showing is a way to the servers that shows a certificate where one is asked for; nil shows none.
func (w *World) Showing(cert *tls.Certificate, mods ...func(*tls.Config)) *http.Client {
	w.T.Helper()
	if cert != nil {
		mods = append(mods, func(c *tls.Config) {
			// Whatever authorities the server names: it is the server that is to judge.
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
		})
	}
	transport := w.trust(mods...)
	w.T.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: w.watching(transport), Timeout: 20 * time.Second}
}

// certify writes the pair of the servers and the authorities of clients, and the configuration that names them.
func (w *World) certify(mutual string) string {
	s := w.options.secure
	private := newKey(w.T)
	if s.rsa {
		var err error
		if private, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			w.T.Fatal(err)
		}
	}
	pair := s.servers.issueTo(w.T, private, func(c *x509.Certificate) {
		c.DNSNames, c.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
		c.ExtKeyUsage, c.NotAfter = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, time.Now().Add(24*time.Hour)
	})
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		w.T.Fatal(err)
	}
	text := "tls: {cert_file: ./tls.pem, key_file: ./tls.key}\nmtls: {listen: \"" + mutual + "\", url: \"" + w.Mutual + "\""
	files := map[string]string{"tls.pem": encoded("CERTIFICATE", pair.Certificate[0]), "tls.key": encoded("PRIVATE KEY", key)}
	if s.clients != nil {
		text += ", ca_file: ./clients.pem"
		files["clients.pem"] = s.clients.PEM()
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(content), 0o600); err != nil {
			w.T.Fatal(err)
		}
	}
	return text + "}\n"
}
