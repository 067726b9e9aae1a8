package clientauth_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/clientauth"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/oauth"
)

func TestAClientAuthenticatesByWhatItSigned(t *testing.T) {
	onEachEngine(t, func(t *testing.T, a *asserting) {
		at := func(d time.Duration) int64 { return a.now.Add(d).Unix() }
		for _, c := range []struct {
			name, client string
			change       func(*assertion)
		}{
			{"rfc7521-4.2-01 rfc7523-2.2-01 ES256, named by kid", "web-jwt", nothing},
			{"rfc7521-4.2-02 the same client_id in the form", "web-jwt", func(x *assertion) { x.form.ClientID = "web-jwt" }},
			{"rfc7523-5-01 RS256", "web-jwt", signedBy(rsaKey, jose.RS256, "rsa")},
			{"PS256", "web-jwt", signedBy(rsaKey, jose.PS256, "rsa")},
			{"EdDSA", "web-jwt", signedBy(edKey, jose.EdDSA, "ed")},
			{"a key that is for PS256 alone", "pinned", signedBy(rsaKey, jose.PS256, "rsa")},
			{"no kid: the one key of the algorithm", "web-jwt", signedBy(edKey, jose.EdDSA, "")},
			{"no kid: each key of the algorithm is tried", "two-ec", signedBy(ecKey, jose.ES256, "")},
			{"fapi2-security-5.4.3-01 several keys of one kid: the one that fits", "one-kid", signedBy(ecKey, jose.ES256, "k")},
			{"fapi2-security-5.4.3-01 the one of the algorithm", "one-kid", signedBy(rsaKey, jose.PS256, "k")},
			{"a key without kid, and no kid", "unnamed", signedBy(ecKey, jose.ES256, "")},
			{"no typ", "web-jwt", func(x *assertion) { delete(x.header, "typ") }},
			{"a typ of its own", "web-jwt", headed("typ", "client-authentication+jwt")},
			{"the whole media type", "web-jwt", headed("typ", "application/client-authentication+jwt")},
			{"no iat", "web-jwt", without("iat")},
			{"iat and nbf 8 s ahead", "web-jwt", func(x *assertion) { x.claims["iat"], x.claims["nbf"] = at(8*time.Second), at(8*time.Second) }},
			{"exp an hour ahead", "web-jwt", claimed("exp", at(time.Hour))},
			{"a jti of 256 bytes", "web-jwt", claimed("jti", strings.Repeat("j", 256))},
			{"CA06 rfc8725-3.10-02 a foreign jku beside our kid", "web-jwt", headed("jku", "https://evil.example/keys")},
			{"legacy: the issuer", "legacy", signedBy(ecKey, jose.ES256, "")},
			{"legacy: the issuer in an array", "legacy", func(x *assertion) { delete(x.header, "kid"); x.claims["aud"] = []string{issuer} }},
			{"legacy: our token endpoint", "legacy", func(x *assertion) { delete(x.header, "kid"); x.claims["aud"] = tokenURL }},
			{"legacy: our token endpoint in an array", "legacy", func(x *assertion) { delete(x.header, "kid"); x.claims["aud"] = []string{tokenURL} }},
		} {
			t.Run(c.name, func(t *testing.T) {
				x := a.good(c.client)
				c.change(x)
				client, err := a.Client(t.Context(), x.credentials())
				if err != nil || client.ID != c.client {
					t.Errorf("%v %v", client, err)
				}
			})
		}
	})
}

// rfc7521-4.2.1-01, rfc7521-5.2-01, rfc7523-3.2-01
func TestABadAssertionIsNoAuthentication(t *testing.T) {
	a := newAsserting(t, "sqlite:"+filepath.Join(t.TempDir(), "countersign.db"))
	at := func(d time.Duration) int64 { return a.now.Add(d).Unix() }
	hs256 := func(x *assertion) { // the classic: the public key as the secret
		x.header["alg"], x.header["kid"] = "HS256", "rsa"
		input := strings.Join(strings.Split(x.sign(), ".")[:2], ".")
		mac := hmac.New(sha256.New, must(x509.MarshalPKIXPublicKey(rsaKey.Public())))
		mac.Write([]byte(input))
		x.form.Assertion = input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	foreignJWK := must(json.Marshal(public("ec", otherEC, "")))
	for _, c := range []struct {
		name, client string
		change       func(*assertion)
	}{
		{"CA01 alg none", "web-jwt", func(x *assertion) {
			x.header["alg"], x.key = "none", nil
		}},
		{"CA01 HS256 with the public key", "web-jwt", hs256},
		{"CA01 an algorithm the key is not for", "pinned", signedBy(rsaKey, jose.RS256, "rsa")},
		{"CA01 the algorithm of another key", "web-jwt", signedBy(rsaKey, jose.RS256, "ec")},
		{"CA02 rfc7521-4.2-03 a client with a secret asserts", "web", nothing},
		{"CA02 a client with a secret asserts, though it has keys", "secretive", nothing},
		{"CA02 a public client asserts", "phone", nothing},
		{"an unknown client", "nobody", nothing},
		{"another client's key", "other-jwt", nothing},
		{"a client without keys", "keyless", nothing},
		{"a client whose keys cannot be read", "broken", nothing},

		{"CA04 rfc7521-5.2-02 another server", "web-jwt", claimed("aud", "https://other.example")},
		{"CA04 our token endpoint", "web-jwt", claimed("aud", tokenURL)},
		{"CA04 our issuer in an array", "web-jwt", claimed("aud", []string{issuer})},
		{"CA04 our issuer with a slash", "web-jwt", claimed("aud", issuer+"/")},
		{"CA04 rfc7523-3-03 no aud", "web-jwt", without("aud")},
		{"CA04 legacy: ours and another", "legacy", func(x *assertion) {
			delete(x.header, "kid")
			x.claims["aud"] = []string{tokenURL, "https://other.example"}
		}},
		{"CA04 legacy: a token endpoint of evil metadata", "legacy", func(x *assertion) { delete(x.header, "kid"); x.claims["aud"] = "https://evil.example/token" }},
		{"CA04 legacy: an empty array", "legacy", func(x *assertion) { delete(x.header, "kid"); x.claims["aud"] = []string{} }},

		{"CA05 rfc7523-3-04 no exp", "web-jwt", without("exp")},
		{"CA05 rfc7521-5.2-03 exp in the past", "web-jwt", claimed("exp", at(-time.Second))},
		{"CA05 exp is now", "web-jwt", claimed("exp", at(0))},
		{"CA05 exp over an hour ahead", "web-jwt", claimed("exp", at(time.Hour+time.Second))},
		{"CA05 exp is a text", "web-jwt", claimed("exp", "tomorrow")},
		{"CA05 iat 60 s ahead", "web-jwt", claimed("iat", at(time.Minute))},
		{"CA05 rfc7523-3-05 nbf 60 s ahead", "web-jwt", claimed("nbf", at(time.Minute))},
		{"CA05 rfc7523-3-02 another sub", "web-jwt", claimed("sub", "other-jwt")},
		{"CA05 no sub", "web-jwt", without("sub")},
		{"CA05 rfc7523-3-01 no iss", "web-jwt", without("iss")},
		{"CA05 another iss", "web-jwt", claimed("iss", "other-jwt")},
		{"CA05 no jti", "web-jwt", without("jti")},
		{"CA05 an empty jti", "web-jwt", claimed("jti", "")},
		{"CA05 a jti over 256 bytes", "web-jwt", claimed("jti", strings.Repeat("j", 257))},

		{"CA06 an unknown kid", "web-jwt", headed("kid", "ec2")},
		{"CA06 rfc8725-3.10-02 the attacker's key in the header", "web-jwt", func(x *assertion) {
			x.key, x.header["jwk"] = otherEC, json.RawMessage(foreignJWK)
		}},
		{"CA06 the attacker's key in the header and no kid", "web-jwt", func(x *assertion) {
			x.key, x.header["jwk"] = otherEC, json.RawMessage(foreignJWK)
			delete(x.header, "kid")
		}},
		{"CA06 the attacker's jku", "web-jwt", func(x *assertion) { x.key, x.header["jku"] = otherEC, "https://evil.example/keys" }},
		{"CA06 the attacker's x5u", "web-jwt", func(x *assertion) { x.key, x.header["x5u"] = otherEC, "https://evil.example/cert" }},
		{"CA06 the attacker's x5c", "web-jwt", func(x *assertion) { x.key, x.header["x5c"] = otherEC, []string{"MIIB"} }},
		{"CA06 crit", "web-jwt", headed("crit", []string{"exp"})},
		{"rfc7521-5.2-04 rfc7523-3-06 a signature that does not hold", "web-jwt", func(x *assertion) { x.key = otherEC }},

		{"rfc7523-3-08 the typ of a proof", "web-jwt", headed("typ", "dpop+jwt")},
		{"the typ of an access token", "web-jwt", headed("typ", "at+jwt")},
		{"no JWT at all", "web-jwt", func(x *assertion) { x.form.Assertion = "x.y.z" }},
		{"rfc7521-4.2-02 another client_id in the form", "web-jwt", func(x *assertion) { x.form.ClientID = "web" }},
		{"rfc7523-2.2-01 no client_assertion_type", "web-jwt", func(x *assertion) { x.form.AssertionType = "" }},
		{"the type of a SAML assertion", "web-jwt", func(x *assertion) {
			x.form.AssertionType = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := a.good(c.client)
			c.change(x)
			client, err := a.Client(t.Context(), x.credentials())
			e := oauth.AsError(err)
			if client != nil || err == nil || e.Code != oauth.InvalidClient {
				t.Fatalf("%v %v", client, err)
			}
			if said := oauth.UnknownClient(nil).Description; e.Description != said { // CA10
				t.Errorf("it tells more than others: %s", e.Description)
			}
		})
	}
}

// CA02: the other way round, a client that signs has no secret to send.
func TestAClientThatSignsHasNoOtherWay(t *testing.T) {
	s := newAsserting(t, "sqlite:"+filepath.Join(t.TempDir(), "countersign.db"))
	for name, came := range map[string]clientauth.Credentials{
		"Basic": header(basic("web-jwt", secret)...), "a secret in the form": post("web-jwt", secret),
		"an empty secret": header(basic("web-jwt", "")...), "its id alone": {ClientID: "web-jwt"},
	} {
		if client, err := s.Client(t.Context(), came); err == nil || oauth.AsError(err).Code != oauth.InvalidClient {
			t.Errorf("%s: %v %v", name, client, err)
		}
	}
}

// CA08 rfc7521-4.2-04
func TestAnAssertionBesideAnotherMethodIsRefused(t *testing.T) {
	s := newAsserting(t, "sqlite:"+filepath.Join(t.TempDir(), "countersign.db"))
	for name, add := range map[string]func(*clientauth.Credentials){
		"Basic":    func(c *clientauth.Credentials) { c.Authorization = basic("web-jwt", "") },
		"a secret": func(c *clientauth.Credentials) { c.ClientSecret, c.HasSecret = secret, true },
	} {
		x := s.good("web-jwt")
		came := x.credentials()
		with := came
		add(&with)
		if _, err := s.Client(t.Context(), with); oauth.AsError(err).Code != oauth.InvalidRequest {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.Client(t.Context(), came); err != nil {
			t.Errorf("%s: the assertion was spent with it: %v", name, err)
		}
	}
}

// rfc7521-8.2-01, rfc7523-3-07
func TestAnAssertionIsTakenOnce(t *testing.T) {
	onEachEngine(t, func(t *testing.T, a *asserting) {
		x := a.good("web-jwt")
		came := x.credentials()
		var taken, refused sync.Map
		var done sync.WaitGroup
		for i := range 8 {
			done.Go(func() {
				if _, err := a.Client(context.Background(), came); err == nil {
					taken.Store(i, true)
				} else if oauth.AsError(err).Code == oauth.InvalidClient {
					refused.Store(i, true)
				}
			})
		}
		done.Wait()
		if size(&taken) != 1 || size(&refused) != 7 {
			t.Errorf("%d were taken and %d refused", size(&taken), size(&refused))
		}
		// The jti is what counts, not the bytes; and it is each client's own.
		resigned := *x
		if _, err := a.Client(t.Context(), resigned.credentials()); oauth.AsError(err).Code != oauth.InvalidClient {
			t.Errorf("the same jti, signed anew: %v", err)
		}
		other := a.good("other-jwt")
		other.key, other.claims["jti"] = otherEC, x.claims["jti"]
		if _, err := a.Client(t.Context(), other.credentials()); err != nil {
			t.Errorf("another client's: %v", err)
		}
	})
}

func size(m *sync.Map) (n int) {
	m.Range(func(any, any) bool { n++; return true })
	return n
}

// Nobody but the client can spend what is the client's.
func TestABadAssertionSpendsNothing(t *testing.T) {
	a := newAsserting(t, "sqlite:"+filepath.Join(t.TempDir(), "countersign.db"))
	good := a.good("web-jwt")
	forged := a.good("web-jwt")
	forged.key, forged.claims["jti"] = otherEC, good.claims["jti"]
	if _, err := a.Client(t.Context(), forged.credentials()); err == nil {
		t.Fatal("a forged assertion was taken")
	}
	if _, err := a.Client(t.Context(), good.credentials()); err != nil {
		t.Errorf("its jti was spent by the forgery: %v", err)
	}
}

func TestADatabaseThatIsDownIsNoVerdict(t *testing.T) {
	a := newAsserting(t, "sqlite:"+filepath.Join(t.TempDir(), "countersign.db"))
	if err := a.DB.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Client(t.Context(), a.good("web-jwt").credentials()); oauth.AsError(err).Code != oauth.TemporarilyUnavailable {
		t.Error(err)
	}
}

// CA10, rfc7521-8.1-01
func TestFailedAssertionsAreLimited(t *testing.T) {
	a := newAsserting(t, "sqlite:"+filepath.Join(t.TempDir(), "countersign.db"))
	a.Failures = clientauth.NewLimiter(2)
	for range 2 {
		x := a.good("web-jwt")
		x.key = otherEC
		_, _ = a.Client(t.Context(), x.credentials())
	}
	if _, err := a.Client(t.Context(), a.good("web-jwt").credentials()); oauth.AsError(err).Code != oauth.TooManyRequests {
		t.Error(err)
	}
}

func TestAClientIsFoundByItsName(t *testing.T) {
	s := service(0)
	if c, err := s.Named(t.Context(), "spa"); err != nil || c == nil || c.ID != "spa" {
		t.Errorf("%v", c)
	}
	if c, err := s.Named(t.Context(), "nobody"); err != nil || c != nil {
		t.Errorf("%v", c)
	}
}

func TestTwoSecretsLiveUntilTheOldOneIsTakenAway(t *testing.T) {
	c := &domain.Catalog{Clients: []domain.Client{
		{ID: "web", Type: domain.ClientWeb, AuthMethod: domain.AuthSecretBasic, SecretHash: hash("new"), OldSecret: hash("old")},
		{ID: "post", Type: domain.ClientWeb, AuthMethod: domain.AuthSecretPost, SecretHash: hash("new"), OldSecret: hash("old")},
		{ID: "one", Type: domain.ClientWeb, AuthMethod: domain.AuthSecretBasic, SecretHash: hash("new")},
		{ID: "hollow", Type: domain.ClientWeb, AuthMethod: domain.AuthSecretBasic},
	}}
	s := &clientauth.Service{Catalog: func() *domain.Catalog { return c }}
	for _, tt := range []struct {
		name string
		came clientauth.Credentials
		good bool
	}{
		{"the new one", header(basic("web", "new")...), true},
		{"the old one", header(basic("web", "old")...), true},
		{"neither", header(basic("web", "older")...), false},
		{"both in one", header(basic("web", "newold")...), false},
		{"the new one in the body", post("post", "new"), true},
		{"the old one in the body", post("post", "old"), true},
		{"the old one after it is gone", header(basic("one", "old")...), false},
		{"an empty one", header(basic("one", "")...), false},
		{"none was ever set", header(basic("hollow", "")...), false},
	} {
		if _, err := s.Client(t.Context(), tt.came); (err == nil) != tt.good {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// FuzzAssertion asserts that nobody gets in without a signature of the client.
func FuzzAssertion(f *testing.F) {
	a := &asserting{now: time.Unix(1_800_000_000, 0)}
	c := assertingCatalog()
	a.Service = &clientauth.Service{Catalog: func() *domain.Catalog { return c }, Now: func() time.Time { return a.now }, Issuer: issuer, TokenURL: tokenURL}
	forged := a.good("web-jwt")
	forged.key = mustEC()
	f.Add(forged.sign())
	f.Add("e30.e30.")
	f.Fuzz(func(t *testing.T, assertion string) {
		came := clientauth.Credentials{Assertion: assertion, AssertionType: jwtBearer}
		if client, err := a.Client(context.Background(), came); err == nil || client != nil {
			t.Errorf("%q authenticated %s", assertion, client.ID)
		}
	})
}
