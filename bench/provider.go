package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"
)

// provider is Google's side of the sign-in run: a key set on loopback, and id_tokens signed ahead of the run, since
// one RSA signature costs more than everything the server does with it.
type provider struct {
	key *rsa.PrivateKey
	url string
	srv *http.Server
}

const audience = "web.example"

func startProvider() (*provider, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	set, err := json.Marshal(map[string]any{"keys": []any{map[string]string{
		"kty": "RSA", "kid": "bench", "alg": "RS256", "use": "sig",
		"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()),
		"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
	}}})
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &provider{key: key, url: "http://" + l.Addr().String()}
	p.srv = &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(set)
	})}
	go func() { _ = p.srv.Serve(l) }()
	return p, nil
}

func (p *provider) close() { _ = p.srv.Close() }

// publicKey is the key as the ceiling takes it.
func (p *provider) publicKey() string {
	return base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&p.key.PublicKey))
}

func (p *provider) idToken(subject, nonce string) (string, error) {
	now := time.Now().Unix()
	body, err := json.Marshal(map[string]any{
		"iss": "https://accounts.google.com", "aud": audience, "azp": "android.example", "sub": subject, "nonce": nonce,
		"email": subject + "@gmail.com", "email_verified": true, "iat": now, "exp": now + 3600,
	})
	if err != nil {
		return "", err
	}
	input := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"bench","typ":"JWT"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(body)
	sum := sha256.Sum256([]byte(input))
	sig, err := rsa.SignPKCS1v15(rand.Reader, p.key, crypto.SHA256, sum[:])
	return input + "." + base64.RawURLEncoding.EncodeToString(sig), err
}

// each calls f for 0..n-1 from a few workers, each with a connection of its own, and returns their errors.
func each(addr string, n int, f func(c *conn, i int) error) error {
	const workers = 4
	var (
		wg   sync.WaitGroup
		errs = make([]error, workers)
	)
	for w := range workers {
		wg.Go(func() {
			c, err := dial(addr)
			if err != nil {
				errs[w] = err
				return
			}
			defer c.close()
			for i := w; i < n && errs[w] == nil; i += workers {
				errs[w] = f(c, i)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	return nil
}
