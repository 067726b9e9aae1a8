package clientauth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/clientauth"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/test/pgcluster"
)

const (
	issuer    = "https://login.example"
	tokenURL  = issuer + "/token"
	jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// The keys of the clients of these tests, and a stranger's.
var (
	ecKey, otherEC = mustEC(), mustEC()
	rsaKey         = must(rsa.GenerateKey(rand.Reader, 2048))
	edKey          = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func mustEC() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

func jwks(keys ...jose.PublicKey) json.RawMessage { return must(jose.MarshalSet(keys)) }

func public(kid string, key crypto.Signer, alg jose.Alg) jose.PublicKey {
	return jose.PublicKey{Key: key.Public(), Kid: kid, Alg: alg, Use: "sig"}
}

// asserting is a server whose clients sign; its clock stands still.
type asserting struct {
	*clientauth.Service
	now time.Time
}

func assertingCatalog() *domain.Catalog {
	signs := func(id string, keys json.RawMessage) domain.Client {
		return domain.Client{ID: id, Type: domain.ClientWeb, AuthMethod: domain.AuthPrivateKey, JWKS: keys}
	}
	legacy := signs("legacy", jwks(public("a", ecKey, "")))
	legacy.LegacyAssertionAudience = true
	secretive := signs("secretive", jwks(public("ec", ecKey, "")))
	secretive.AuthMethod, secretive.SecretHash = domain.AuthSecretBasic, hash(secret)
	c := catalog()
	c.Clients = append(c.Clients, secretive,
		signs("web-jwt", jwks(public("ec", ecKey, ""), public("rsa", rsaKey, ""), public("ed", edKey, ""))),
		signs("pinned", jwks(public("rsa", rsaKey, jose.PS256))),
		signs("two-ec", jwks(public("old", otherEC, ""), public("new", ecKey, ""))),
		signs("one-kid", jwks(public("k", otherEC, ""), public("k", rsaKey, jose.PS256), public("k", ecKey, ""))),
		signs("unnamed", jwks(public("", ecKey, ""))),
		signs("keyless", json.RawMessage(`{"keys":[]}`)),
		signs("broken", json.RawMessage(`{`)),
		signs("other-jwt", jwks(public("ec", otherEC, ""))),
		legacy)
	return c
}

func newAsserting(t *testing.T, url string) *asserting {
	t.Helper()
	a := &asserting{now: time.Now().Truncate(time.Second)}
	clock := func() time.Time { return a.now }
	db, err := store.Open(t.Context(), store.Options{URL: url, Clock: clock, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := assertingCatalog()
	a.Service = &clientauth.Service{
		Catalog: func() *domain.Catalog { return c }, Now: clock, Issuer: issuer, TokenURL: tokenURL, DB: db,
	}
	return a
}

func onEachEngine(t *testing.T, test func(t *testing.T, a *asserting)) {
	t.Run("sqlite", func(t *testing.T) {
		test(t, newAsserting(t, "sqlite:"+filepath.Join(t.TempDir(), "countersign.db")))
	})
	t.Run("postgres", func(t *testing.T) { test(t, newAsserting(t, pgcluster.Shared(t))) })
}

// members of a JSON object.
type members map[string]any

// assertion is a good one of web-jwt, to be spoiled.
type assertion struct {
	header, claims members
	key            crypto.Signer
	alg            jose.Alg
	form           clientauth.Credentials
}

func (a *asserting) good(client string) *assertion {
	return &assertion{
		header: members{"typ": "JWT", "kid": "ec"},
		claims: members{
			"iss": client, "sub": client, "aud": issuer, "jti": rand.Text(),
			"iat": a.now.Unix(), "exp": a.now.Add(time.Minute).Unix(),
		},
		key: ecKey, alg: jose.ES256,
		form: clientauth.Credentials{AssertionType: jwtBearer},
	}
}

// sign is written by hand, so that it also makes what the signer in jose would not.
func (a *assertion) sign() string {
	if a.header["alg"] == nil {
		a.header["alg"] = string(a.alg)
	}
	encode := base64.RawURLEncoding.EncodeToString
	input := encode(must(json.Marshal(a.header))) + "." + encode(must(json.Marshal(a.claims)))
	return input + "." + encode(a.signature(input))
}

func (a *assertion) signature(input string) []byte {
	digest := sha256.Sum256([]byte(input))
	switch key := a.key.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			panic(err)
		}
		sig := make([]byte, 64)
		r.FillBytes(sig[:32])
		s.FillBytes(sig[32:])
		return sig
	case *rsa.PrivateKey:
		if a.alg == jose.PS256 {
			return must(rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: 32}))
		}
		return must(rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:]))
	case ed25519.PrivateKey:
		return ed25519.Sign(key, []byte(input))
	}
	return nil
}

func (a *assertion) credentials() clientauth.Credentials {
	c := a.form
	if c.Assertion == "" {
		c.Assertion = a.sign()
	}
	return c
}

// signedBy sets key, algorithm and kid.
func signedBy(key crypto.Signer, alg jose.Alg, kid string) func(*assertion) {
	return func(a *assertion) {
		a.key, a.alg, a.header["kid"] = key, alg, kid
		if kid == "" {
			delete(a.header, "kid")
		}
	}
}

func claimed(name string, value any) func(*assertion) {
	return func(a *assertion) { a.claims[name] = value }
}

func headed(name string, value any) func(*assertion) {
	return func(a *assertion) { a.header[name] = value }
}

func without(name string) func(*assertion) { return func(a *assertion) { delete(a.claims, name) } }

func nothing(*assertion) {}
