package startup_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"
)

// authority signs certificates that an app of ours would trust.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "An authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key, cert, x509.NewCertPool()}
	a.pool.AddCert(cert)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes a certificate for localhost, with its chain, and its key, as PEM.
func (a *authority) issue(t *testing.T, serial int64) (chain, key string) {
	t.Helper()
	private := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	leaf, err := x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, block := range [][]byte{leaf, a.cert.Raw} {
		if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: block}); err != nil {
			t.Fatal(err)
		}
	}
	return out.String(), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// trusting is a client that knows the authority and nobody else, on a connection of its own.
func (a *authority) trusting(t *testing.T, latest uint16) *http.Client {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: a.pool, ServerName: "localhost", MinVersion: tls.VersionTLS10, MaxVersion: latest},
		ForceAttemptHTTP2: true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

// shaken is what came of a handshake and a question.
type shaken struct {
	status, protocol int
	version          uint16
	serial           int64 // of the certificate
}

func ask(t *testing.T, c *http.Client, address string) (shaken, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"/health", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		return shaken{}, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return shaken{res.StatusCode, res.ProtoMajor, res.TLS.Version, res.TLS.PeerCertificates[0].SerialNumber.Int64()}, err
}

// secured starts a server with a certificate of the authority.
func secured(t *testing.T, a *authority) (p *process, dir string) {
	t.Helper()
	dir = folder(t)
	text := strings.Replace(plain, "issuer: http:", "issuer: https:", 1)
	write(t, dir, "countersign.yaml", strings.Replace(text, "database:", "tls: {cert_file: ./tls.pem, key_file: ./tls.key}\ndatabase:", 1))
	chain, key := a.issue(t, 100)
	write(t, dir, "tls.pem", chain)
	write(t, dir, "tls.key", key)
	return start(t, command(t, dir, nil, "serve", "--config", "countersign.yaml")), dir
}

func TestTLSComesFromFiles(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	p, _ := secured(t, a)
	if !strings.HasPrefix(p.public, "https://") {
		t.Fatal(p.public)
	}
	want := shaken{http.StatusOK, 2, tls.VersionTLS13, 100}
	if got, err := ask(t, a.trusting(t, tls.VersionTLS13), p.public); err != nil || got != want {
		t.Errorf("%+v %v", got, err)
	}
	want.version = tls.VersionTLS12
	if got, err := ask(t, a.trusting(t, tls.VersionTLS12), p.public); err != nil || got != want {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := ask(t, a.trusting(t, tls.VersionTLS11), p.public); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	if plain := get(t, "http://"+strings.TrimPrefix(p.public, "https://")+"/health", ""); plain.status != http.StatusBadRequest {
		t.Errorf("without TLS: %d %s", plain.status, plain.body)
	}
	stranger := newAuthority(t)
	if _, err := ask(t, stranger.trusting(t, tls.VersionTLS13), p.public); err == nil {
		t.Error("a client that does not know the authority was let on")
	}
}

func TestANewCertificateIsTakenWithoutARestart(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	p, dir := secured(t, a)
	held := a.trusting(t, tls.VersionTLS13)
	if got, err := ask(t, held, p.public); err != nil || got.serial != 100 {
		t.Fatalf("%+v, %v", got, err)
	}
	// half of the new pair is not yet a pair
	chain, key := a.issue(t, 200)
	write(t, dir, "tls.pem", chain)
	eventually(t, "the log tells of the pair that does not fit", p.out, func() bool {
		got, err := ask(t, a.trusting(t, tls.VersionTLS13), p.public)
		if err != nil || got.serial != 100 {
			t.Fatalf("%+v, %v", got, err)
		}
		return strings.Contains(p.out.String(), "serving the old one")
	})
	write(t, dir, "tls.key", key)
	eventually(t, "the new certificate is shown", p.out, func() bool {
		got, err := ask(t, a.trusting(t, tls.VersionTLS13), p.public)
		if err != nil {
			t.Fatal(err)
		}
		return got.serial == 200
	})
	if got, err := ask(t, held, p.public); err != nil || got.serial != 100 {
		t.Errorf("the connection that was there before: %+v, %v", got, err)
	}
	if strings.Contains(p.out.String(), "PRIVATE KEY") {
		t.Error("the log shows the key")
	}
}
