package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"testing"
)

// Every benchmark stands beside the bare signature it cannot be faster than.

var benchClaims = struct {
	Iss   string            `json:"iss"`
	Sub   string            `json:"sub"`
	Aud   string            `json:"aud"`
	Exp   int64             `json:"exp"`
	Iat   int64             `json:"iat"`
	JTI   string            `json:"jti"`
	Scope string            `json:"scope"`
	Sid   string            `json:"sid"`
	CID   string            `json:"client_id"`
	Cnf   map[string]string `json:"cnf"`
}{
	"https://login.example", "acc_AAAAAAAAAAAAAAAAAAAAAA", "https://api.example.com", 1893456000, 1893455400, "AAAAAAAAAAAAAAAAAAAAAA",
	"openid offline_access todos.read", "ses_AAAAAAAAAAAAAAAAAAAAAA", "com.example.todo",
	map[string]string{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},
}

var benchDigest = sha256.Sum256([]byte("what is signed"))

func BenchmarkSignES256Bare(b *testing.B) {
	key := testKeys[ES256].key.(*ecdsa.PrivateKey)
	for b.Loop() {
		if _, err := ecdsa.SignASN1(rand.Reader, key, benchDigest[:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSignES256(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := testKeys[ES256].Sign("at+jwt", benchClaims); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyES256Bare(b *testing.B) {
	key := testKeys[ES256].key.(*ecdsa.PrivateKey)
	sig, err := ecdsa.SignASN1(rand.Reader, key, benchDigest[:])
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if !ecdsa.VerifyASN1(&key.PublicKey, benchDigest[:], sig) {
			b.Fatal("does not hold")
		}
	}
}

func BenchmarkVerifyES256(b *testing.B) { benchVerify(b, ES256) }

func BenchmarkVerifyRS256Bare(b *testing.B) {
	key := testKeys[RS256].key.(*rsa.PrivateKey)
	sig, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, benchDigest[:])
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, benchDigest[:], sig) != nil {
			b.Fatal("does not hold")
		}
	}
}

func BenchmarkVerifyRS256(b *testing.B) { benchVerify(b, RS256) }

func benchVerify(b *testing.B, alg Alg) {
	b.ReportAllocs()
	raw := sign(b, alg, "at+jwt", benchClaims)
	key := keyOf(alg)
	for b.Loop() {
		if _, _, err := Verify(b.Context(), raw, Policy{Algs: allAlgs, Typ: "at+jwt"}, key); err != nil {
			b.Fatal(err)
		}
	}
}
