package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/app"
	"github.com/countersign/countersign/internal/config"
)

// writeCertificate makes a self-signed pair with a serial number to tell it by.
func writeCertificate(t *testing.T, dir string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "tls.key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	write(t, filepath.Join(dir, "tls.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
}

// serial shakes hands and returns the serial number of the certificate shown.
func serial(t *testing.T, address string) int64 {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

func TestARenewedCertificateIsServedWithoutARestart(t *testing.T) {
	dir := folder(t)
	writeCertificate(t, dir, 1)
	public, admin := listen(t), listen(t)
	_, port, _ := net.SplitHostPort(public.Addr().String())
	text := fmt.Sprintf(configuration, port, public.Addr(), admin.Addr(), "sqlite:./countersign.db", "tls: {cert_file: ./tls.pem, key_file: ./tls.key}\n")
	write(t, dir+"/c.yaml", strings.Replace(text, "issuer: http:", "issuer: https:", 1))
	cfg, err := config.Load(dir + "/c.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := run(t, cfg, app.Options{Public: public, Admin: admin}, dir)
	address := strings.TrimPrefix(s.PublicURL(), "https://")
	if got := serial(t, address); got != 1 {
		t.Fatalf("serial %d", got)
	}

	// A pair half written leaves the old one in place.
	write(t, filepath.Join(dir, "tls.key"), "not yet")
	eventually(t, 5*time.Second, "the log tells of the bad pair", func() bool {
		if got := serial(t, address); got != 1 {
			t.Fatalf("serial %d", got)
		}
		return strings.Contains(s.log.String(), "serving the old one")
	})
	writeCertificate(t, dir, 2)
	eventually(t, 5*time.Second, "the new certificate is served", func() bool { return serial(t, address) == 2 })
}
