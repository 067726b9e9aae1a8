package app

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/config"
)

// certificate is the TLS pair, read again when its files change: certificates are renewed every few weeks and a
// server should not be restarted for it.
type certificate struct {
	files config.TLS
	log   *slog.Logger

	mu      sync.Mutex
	pair    *tls.Certificate
	stamp   [2]fileStamp // of the files as last read, good or bad
	checked time.Time
}

// fileStamp tells whether a file changed.
type fileStamp struct {
	modified time.Time
	size     int64
}

// checkEvery bounds how often handshakes look at the files.
const checkEvery = time.Second

func newCertificate(files config.TLS, log *slog.Logger) *certificate {
	return &certificate{files: files, log: log}
}

// config reads the pair a first time and returns what a server needs.
func (c *certificate) config() (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checked = time.Now()
	if err := c.read(); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: suites(), GetCertificate: c.get}, nil
}

// suites are those of TLS 1.2: ECDHE with AES-GCM, of which none gives up yesterday's traffic with today's key and none
// has a known weakness (RFC 9325 §4.2, FAPI 2.0 §5.2.2). Those of TLS 1.3 are sound, and Go lets nobody choose among them.
func suites() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	}
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) >= checkEvery {
		c.checked = time.Now()
		c.reload()
	}
	return c.pair, nil
}

// reload reads changed files. A pair that cannot be used, for instance because only one file is written yet, leaves
// the old one in place.
func (c *certificate) reload() {
	stamp, err := c.stamps()
	if err != nil || stamp == c.stamp {
		return
	}
	if err := c.read(); err != nil {
		c.log.Error("the new certificate cannot be used; serving the old one", "cause", err)
		return
	}
	c.log.Info("new certificate", "cert_file", c.files.CertFile)
}

func (c *certificate) read() error {
	stamp, err := c.stamps()
	if err != nil {
		return err
	}
	c.stamp = stamp
	pair, err := tls.LoadX509KeyPair(c.files.CertFile, c.files.KeyFile)
	if err != nil {
		return err
	}
	c.pair = &pair
	return nil
}

func (c *certificate) stamps() (stamps [2]fileStamp, err error) {
	for i, file := range []string{c.files.CertFile, c.files.KeyFile} {
		info, err := os.Stat(file)
		if err != nil {
			return stamps, err
		}
		stamps[i] = fileStamp{info.ModTime(), info.Size()}
	}
	return stamps, nil
}
