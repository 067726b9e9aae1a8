package oauthhttp_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

var b64 = base64.RawURLEncoding.EncodeToString

// handmade is a proof put together by hand.
type handmade struct {
	header, claims map[string]any
	sign           func(t *testing.T, digest []byte) []byte
	hmac           []byte // the key of HS256, instead of sign
}

func (p handmade) text(t *testing.T) string {
	t.Helper()
	header, err := json.Marshal(p.header)
	fatal(t, err)
	claims, err := json.Marshal(p.claims)
	fatal(t, err)
	input := b64(header) + "." + b64(claims)
	if p.hmac != nil {
		m := hmac.New(sha256.New, p.hmac)
		m.Write([]byte(input))
		return input + "." + b64(m.Sum(nil))
	}
	digest := sha256.Sum256([]byte(input))
	return input + "." + b64(p.sign(t, digest[:]))
}

// byHand is a good proof for a POST to that address, to be spoiled.
func byHand(t *testing.T, htu string) handmade {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	fatal(t, err)
	point, err := key.PublicKey.Bytes() // 4, x, y
	fatal(t, err)
	return handmade{
		header: map[string]any{
			"typ": "dpop+jwt", "alg": "ES256",
			"jwk": map[string]any{"kty": "EC", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])},
		},
		claims: map[string]any{"jti": rand.Text(), "htm": "POST", "htu": htu, "iat": time.Now().Unix()},
		sign: func(t *testing.T, digest []byte) []byte {
			t.Helper()
			r, s, err := ecdsa.Sign(rand.Reader, key, digest)
			fatal(t, err)
			return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		},
	}
}

// byRSA is the same with an RSA key.
func byRSA(bits int) func(*testing.T, *handmade) {
	return func(t *testing.T, p *handmade) {
		t.Helper()
		key, err := rsa.GenerateKey(rand.Reader, bits)
		fatal(t, err)
		p.header["alg"] = "RS256"
		p.header["jwk"] = map[string]any{"kty": "RSA", "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())}
		p.sign = func(t *testing.T, digest []byte) []byte {
			t.Helper()
			signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest)
			fatal(t, err)
			return signature
		}
	}
}

func inHeader(name string, value any) func(*testing.T, *handmade) {
	return func(_ *testing.T, p *handmade) { put(p.header, name, value) }
}

func inClaims(name string, value any) func(*testing.T, *handmade) {
	return func(_ *testing.T, p *handmade) { put(p.claims, name, value) }
}

func inKey(name string, value any) func(*testing.T, *handmade) {
	return func(_ *testing.T, p *handmade) { put(p.header["jwk"].(map[string]any), name, value) }
}

// put sets a member; nil takes it away.
func put(m map[string]any, name string, value any) {
	if m[name] = value; value == nil {
		delete(m, name)
	}
}

// DP01, DP02 at the door: each proof is a good one with one thing wrong, and what it came with is as good as before.
func TestDP02ProofsThatAreWrongInOneThing(t *testing.T) {
	h := build(t)
	form := h.bearerPhone().signInForm(t, "app", "pat") // for a nonce that no key asked for, so that any good proof will do
	for name, spoil := range map[string]func(*testing.T, *handmade){
		"DP01 another typ":             inHeader("typ", "JWT"),
		"DP01 no typ":                  inHeader("typ", nil),
		"DP01 no key":                  inHeader("jwk", nil),
		"DP01 a key as text":           inHeader("jwk", "key"),
		"DP01 no jti":                  inClaims("jti", nil),
		"DP01 jti a number":            inClaims("jti", 7),
		"DP01 no htm":                  inClaims("htm", nil),
		"DP01 htm a list":              inClaims("htm", []string{"POST"}),
		"DP01 no htu":                  inClaims("htu", nil),
		"DP01 htu a list":              inClaims("htu", []string{h.url + "/token"}),
		"DP01 no iat":                  inClaims("iat", nil),
		"DP01 iat as text":             inClaims("iat", "1893456000"),
		"DP02 a private key":           inKey("d", b64(make([]byte, 32))),
		"DP02 a symmetric member":      inKey("k", b64(make([]byte, 32))),
		"DP02 a point off the curve":   inKey("y", b64(make([]byte, 32))),
		"DP02 RSA 1024":                byRSA(1024),
		"DP02 alg none":                inHeader("alg", "none"),
		"DP02 an algorithm not listed": inHeader("alg", "ES512"),
		"DP02 HS256 over the public key": func(_ *testing.T, p *handmade) {
			p.header["alg"], p.hmac = "HS256", []byte(p.header["jwk"].(map[string]any)["x"].(string))
		},
		"DP02 HS256 and a symmetric key": func(_ *testing.T, p *handmade) {
			p.hmac = []byte("a symmetric key of 32 bytes, long")
			p.header["alg"], p.header["jwk"] = "HS256", map[string]any{"kty": "oct", "k": b64(p.hmac)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := byHand(t, h.url+"/token")
			spoil(t, &p)
			a := post(t, h.url+"/token", form, "DPoP", p.text(t))
			if !a.failed(t, 400, "invalid_dpop_proof") || a.json(t)["error_description"] == "" {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		})
	}
	t.Run("DP02 RSA of 8192 bits is refused before anybody computes with it", func(t *testing.T) {
		p, n := byHand(t, h.url+"/token"), make([]byte, 1024)
		_, _ = rand.Read(n)
		n[0], n[1023] = n[0]|0x80, n[1023]|1
		p.header["alg"], p.header["jwk"] = "RS256", map[string]any{"kty": "RSA", "n": b64(n), "e": "AQAB"}
		a := post(t, h.url+"/token", form, "DPoP", p.text(t))
		if !a.failed(t, 400, "invalid_dpop_proof") || !strings.Contains(a.body, "2048 to 4096 bits") {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	})
	for name, whole := range map[string]func(*testing.T, *handmade){"unspoiled": func(*testing.T, *handmade) {}, "RSA 2048": byRSA(2048)} {
		t.Run(name, func(t *testing.T) {
			p := byHand(t, h.url+"/token")
			whole(t, &p)
			a := post(t, h.url+"/token", form, "DPoP", p.text(t))
			if a.StatusCode != 200 || a.json(t)["token_type"] != "DPoP" {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
			form = h.bearerPhone().signInForm(t, "app", "pat")
		})
	}
}

// DP04 and DP05 at the door of a server that is known by another name than its socket's: behind a proxy that ends TLS.
func TestDP04TheURLOfAProofIsThatOfTheIssuerInAnySpelling(t *testing.T) {
	h := build(t)
	known := &house{url: "https://login.example", db: h.db, ring: h.ring, google: h.google, corp: h.corp, log: h.log}
	srv := httptest.NewServer(known.handler(t, h.catalog.Load))
	defer srv.Close()
	for htu, good := range map[string]bool{
		"https://login.example/token":          true,
		"https://login.example/token?a=b":      true,
		"https://login.example/token#x":        true,
		"https://LOGIN.Example/token":          true,
		"HTTPS://login.example/token":          true,
		"https://login.example:443/token":      true,
		"HTTPS://LOGIN.EXAMPLE:443/token?a#x":  true,
		srv.URL + "/token":                     false,
		"http://login.example/token":           false,
		"http://login.example:443/token":       false,
		"https://login.example:8443/token":     false,
		"https://login.example/TOKEN":          false,
		"https://login.example.evil.com/token": false,
	} {
		t.Run(htu, func(t *testing.T) {
			form := h.bearerPhone().signInForm(t, "app", "pat")
			a := post(t, srv.URL+"/token", form, "DPoP", byHand(t, htu).text(t))
			switch {
			case good && (a.StatusCode != 200 || a.json(t)["token_type"] != "DPoP"):
				t.Errorf("%d %s", a.StatusCode, a.body)
			case !good && !a.failed(t, 400, "invalid_dpop_proof"):
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		})
	}
}
