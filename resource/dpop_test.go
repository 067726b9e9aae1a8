package resource_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/resource"
)

func TestABoundTokenPassesWithItsProof(t *testing.T) {
	a := newAPI(t, nil)
	p := newProver()
	token := a.issuer.bound(p)
	got := a.getBound(t, token, a.proof(t, p, "", token))
	got.want(t, http.StatusOK, "")
	if got.header.Get("DPoP-Nonce") != "" {
		t.Error("a nonce nobody asked for: another process behind the same address would not know it")
	}
}

// rfc9449-8.2-01: where all processes behind an address make the same nonces, every answer to a proof brings the next.
func TestASharedNonceKeyMakesEveryAnswerToAProofBringANonce(t *testing.T) {
	a := newAPI(t, func(c *resource.Config) { c.NonceKey = []byte(strings.Repeat("k", 32)) })
	p := newProver()
	token := a.issuer.bound(p)
	first := a.getBound(t, token, a.proof(t, p, "", token))
	first.want(t, http.StatusOK, "")
	// With a nonce of ours any clock will do.
	proof, err := p.Proof(http.MethodGet, a.URL+"/todos", first.header.Get("DPoP-Nonce"), token, a.clock.now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	second := a.getBound(t, token, proof)
	second.want(t, http.StatusOK, "")
	again := a.getBound(t, token, proof)
	again.want(t, http.StatusUnauthorized, "invalid_dpop_proof")
	if second.header.Get("DPoP-Nonce") == "" || again.header.Get("DPoP-Nonce") == "" {
		t.Error("an answer without a nonce for the next proof")
	}
	plain := a.do(t, a.request(t, http.MethodGet, "/todos", "Bearer "+a.issuer.token(nil)))
	plain.want(t, http.StatusOK, "")
	if plain.header.Get("DPoP-Nonce") != "" {
		t.Error("a nonce for somebody who sends no proofs")
	}
}

// rfc9449-6-01 fapi2-security-5.3.4-05
func TestPossession(t *testing.T) {
	a := newAPI(t, nil)
	p, other := newProver(), newProver()
	token, plain := a.issuer.bound(p), a.issuer.token(nil)
	request := func(auth string, proofs ...string) *http.Request {
		r := a.request(t, http.MethodGet, "/todos", auth)
		r.Header["Dpop"] = proofs
		return r
	}
	proofFor := func(method, url, ath string, at time.Time) string {
		proof, err := p.Proof(method, url, "", ath, at)
		if err != nil {
			t.Fatal(err)
		}
		return proof
	}
	now := a.clock.now()
	good := func() string { return a.proof(t, p, "", token) }
	evil := request("DPoP "+token, proofFor("GET", "https://evil.example/todos", token, now))
	evil.Header.Set("X-Forwarded-Host", "evil.example")
	evil.Header.Set("X-Forwarded-Proto", "https")
	evil.Header.Set("Forwarded", "host=evil.example;proto=https")
	evilHost := request("DPoP "+token, proofFor("GET", "http://evil.example/todos", token, now))
	evilHost.Host = "evil.example"

	tests := []struct {
		name   string
		r      *http.Request
		status int
		code   string
	}{
		{"DP09 bound, sent as Bearer", request("Bearer "+token, good()), 401, "invalid_token"},
		{"DP09 unbound, sent as DPoP", request("DPoP "+plain, a.proof(t, p, "", plain)), 401, "invalid_token"},
		{"DP09 no proof", request("DPoP " + token), 401, "invalid_dpop_proof"},
		{"DP09 ath missing", request("DPoP "+token, a.proof(t, p, "", "")), 401, "invalid_dpop_proof"},
		{"DP09 ath of another token", request("DPoP "+token, a.proof(t, p, "", plain)), 401, "invalid_dpop_proof"},
		{"DP09 another key", request("DPoP "+token, a.proof(t, other, "", token)), 401, "invalid_token"},
		{"DP01 two proofs", request("DPoP "+token, good(), good()), 401, "invalid_dpop_proof"},
		{"DP01 no JWT", request("DPoP "+token, "proof"), 401, "invalid_dpop_proof"},
		{"DP01 another typ: the token itself", request("DPoP "+token, token), 401, "invalid_dpop_proof"},
		{"another method", request("DPoP "+token, proofFor("POST", a.URL+"/todos", token, now)), 401, "invalid_dpop_proof"},
		{"another path", request("DPoP "+token, proofFor("GET", a.URL+"/other", token, now)), 401, "invalid_dpop_proof"},
		{"DP05 another host, named by headers", evil, 401, "invalid_dpop_proof"},
		{"DP05 another host, named by Host", evilHost, 401, "invalid_dpop_proof"},
		{"DP04 a query in htu", request("DPoP "+token, proofFor("GET", a.URL+"/todos?x=1#y", token, now)), 200, ""},
		{"DP08 an old iat", request("DPoP "+token, proofFor("GET", a.URL+"/todos", token, now.Add(-61*time.Second))), 401, "use_dpop_nonce"},
		{"DP08 an iat ahead", request("DPoP "+token, proofFor("GET", a.URL+"/todos", token, now.Add(61*time.Second))), 401, "use_dpop_nonce"},
		{"DP08 a forged nonce", request("DPoP "+token, a.proof(t, p, strings.Repeat("A", 32), token)), 401, "use_dpop_nonce"},
		{"dpop in small letters", request("dpop "+token, good()), 200, ""},
		{"an unbound token beside a useless proof", request("Bearer "+plain, "proof"), 200, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := a.do(t, tt.r)
			got.want(t, tt.status, tt.code)
			if tt.code == "use_dpop_nonce" && got.header.Get("DPoP-Nonce") == "" {
				t.Error("asked for a nonce and gave none")
			}
			scheme, _, _ := strings.Cut(tt.r.Header.Get("Authorization"), " ")
			if tt.status == 401 && !strings.HasPrefix(strings.ToLower(got.challenge), strings.ToLower(scheme)+" ") {
				t.Errorf("the challenge begins with another scheme: %s", got.challenge)
			}
		})
	}
}

// DP06
func TestAProofPassesOnce(t *testing.T) {
	a := newAPI(t, nil)
	p := newProver()
	token := a.issuer.bound(p)
	proof := a.proof(t, p, "", token)
	var passed, refused atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			switch got := a.getBound(t, token, proof); got.status {
			case http.StatusOK:
				passed.Add(1)
			case http.StatusUnauthorized:
				refused.Add(1)
				got.want(t, http.StatusUnauthorized, "invalid_dpop_proof")
			}
		})
	}
	wg.Wait()
	if passed.Load() != 1 || refused.Load() != 49 {
		t.Errorf("%d passed, %d were refused", passed.Load(), refused.Load())
	}
	a.clock.advance(59 * time.Second)
	a.getBound(t, token, proof).want(t, http.StatusUnauthorized, "invalid_dpop_proof")
	a.clock.advance(2 * time.Second)
	a.getBound(t, token, proof).want(t, http.StatusUnauthorized, "use_dpop_nonce")
}

// DP06: the time of a proof by a phone whose clock is ahead comes later. It has passed once all the same.
func TestAProofFromTheFuturePassesOnceToo(t *testing.T) {
	a := newAPI(t, nil)
	p := newProver()
	token := a.issuer.token(func(c map[string]any) {
		c["cnf"] = map[string]string{"jkt": p.JKT()}
		c["exp"] = a.clock.now().Add(24 * time.Hour).Unix()
	})
	nonce := a.getBound(t, token, must(p.Proof(http.MethodGet, a.URL+"/todos", "", token, a.clock.now().Add(time.Hour)))).header.Get("DPoP-Nonce")
	const ahead = 2 * time.Hour
	proof := must(p.Proof(http.MethodGet, a.URL+"/todos", nonce, token, a.clock.now().Add(ahead)))
	a.getBound(t, token, proof).want(t, http.StatusOK, "")
	a.clock.advance(ahead)
	a.getBound(t, token, proof).want(t, http.StatusUnauthorized, "invalid_dpop_proof")
}

func TestAPhoneWithAWrongClockPassesWithANonce(t *testing.T) {
	a := newAPI(t, nil)
	p := newProver()
	token := a.issuer.bound(p)
	send := func(nonce string) answer {
		proof, err := p.Proof(http.MethodGet, a.URL+"/todos", nonce, token, a.clock.now().Add(-24*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		return a.getBound(t, token, proof)
	}
	asked := send("")
	asked.want(t, http.StatusUnauthorized, "use_dpop_nonce")
	if !strings.Contains(asked.challenge, `DPoP realm="`+audience+`", algs="ES256 RS256 PS256 EdDSA Ed25519", error="use_dpop_nonce"`) {
		t.Errorf("challenge %s", asked.challenge)
	}
	nonce := asked.header.Get("DPoP-Nonce")
	send(nonce).want(t, http.StatusOK, "")
	a.clock.advance(6 * time.Minute)
	send(nonce).want(t, http.StatusUnauthorized, "use_dpop_nonce")
}

func TestRequireNonce(t *testing.T) {
	a := newAPI(t, func(c *resource.Config) { c.RequireNonce = true })
	p := newProver()
	token := a.issuer.bound(p)
	asked := a.getBound(t, token, a.proof(t, p, "", token))
	asked.want(t, http.StatusUnauthorized, "use_dpop_nonce")
	passed := a.getBound(t, token, a.proof(t, p, asked.header.Get("DPoP-Nonce"), token))
	passed.want(t, http.StatusOK, "")
	next := passed.header.Get("DPoP-Nonce")
	if next == "" {
		t.Fatal("no nonce for the next request")
	}
	a.getBound(t, token, a.proof(t, p, next, token)).want(t, http.StatusOK, "")
}

// Two processes behind one address.
func TestProcessesWithOneNonceKeyKnowEachOthersNonces(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	shared := func(c *resource.Config) { c.RequireNonce, c.NonceKey = true, key }
	first, second := newAPI(t, shared), newAPI(t, shared)
	p := newProver()
	token := second.issuer.bound(p)
	second.getBound(t, token, second.proof(t, p, first.Nonce(), token)).want(t, http.StatusOK, "")

	stranger := newAPI(t, func(c *resource.Config) { c.RequireNonce = true })
	second.getBound(t, token, second.proof(t, p, stranger.Nonce(), token)).want(t, http.StatusUnauthorized, "use_dpop_nonce")
}

func TestRequireDPoP(t *testing.T) {
	a := newAPI(t, func(c *resource.Config) { c.RequireDPoP = true })
	got := a.get(t, "Bearer "+a.issuer.token(nil))
	got.want(t, http.StatusUnauthorized, "invalid_token")
	if strings.Contains(got.challenge, "Bearer") {
		t.Errorf("it offers what it refuses: %s", got.challenge)
	}
	p := newProver()
	token := a.issuer.bound(p)
	a.getBound(t, token, a.proof(t, p, "", token)).want(t, http.StatusOK, "")
}

// A mux that strips a prefix does not change what the phone asked for.
func TestTheAddressIsTheOneTheClientAskedFor(t *testing.T) {
	a := newAPI(t, nil)
	p := newProver()
	token := a.issuer.bound(p)
	for _, path := range []string{"/deep/er", "/deep/with%20space", "/deep/a%2Fb", "/deep/?q=1"} {
		t.Run(path, func(t *testing.T) {
			proof, err := p.Proof(http.MethodGet, a.URL+path, "", token, a.clock.now())
			if err != nil {
				t.Fatal(err)
			}
			r := a.request(t, http.MethodGet, path, "DPoP "+token)
			r.Header.Set("DPoP", proof)
			a.do(t, r).want(t, http.StatusOK, "")
		})
	}
}

func TestAPrefixAProxyTookAwayBelongsToTheAddress(t *testing.T) {
	a := newAPI(t, func(c *resource.Config) { c.BaseURL = "https://api.example.com/v1/" })
	p := newProver()
	token := a.issuer.bound(p)
	proof, err := p.Proof(http.MethodGet, "https://api.example.com/v1/todos", "", token, a.clock.now())
	if err != nil {
		t.Fatal(err)
	}
	a.getBound(t, token, proof).want(t, http.StatusOK, "")
}
