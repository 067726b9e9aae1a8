package signin_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/signin"
	"github.com/countersign/countersign/internal/token"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/house"
)

// What is wrong with the token itself.
// rfc8725-3.2-02, rfc8725-3.8-01, rfc8725-3.8-02
func TestTokensThatAreRefused(t *testing.T) {
	h := house.OnSQLite(t)
	h.SignIn.FailuresPerMinute = -1
	forge := func(f standin.Forgery) func(*standin.TokenRequest) {
		return func(r *standin.TokenRequest) { r.Forgery = f }
	}
	payload := func(change func([]byte) []byte) func(*standin.TokenRequest) {
		return func(r *standin.TokenRequest) { r.Payload = change }
	}
	for _, tt := range []struct {
		name string
		with func(*standin.TokenRequest)
	}{
		{"ID02 with a trailing slash", mutate("iss", "https://accounts.google.com/")},
		{"ID02 over http", mutate("iss", "http://accounts.google.com")},
		{"ID02 in upper case", mutate("iss", "https://Accounts.Google.com")},
		{"ID02 Apple's issuer, signed by Google's key", mutate("iss", standin.AppleIssuer)},
		{"ID02 without an issuer", mutate("iss", nil)},
		{"ID04 alg none", forge(standin.AlgNone)},
		{"ID04 HS256 over the public key", forge(standin.HMACWithPublicKey)},
		{"ID04 ES256 under an RSA kid", forge(standin.ForeignAlg)},
		{"ID04 another key under the provider's kid", forge(standin.ForeignKey)},
		{"ID04 an embedded key", forge(standin.EmbeddedKey)},
		{"ID04 a bit of the signature flipped", forge(standin.BadSignature)},
		{"ID06 expired", func(r *standin.TokenRequest) {
			r.IssuedAt, r.ExpiresAt = h.Clock.Now().Add(-9*time.Minute), h.Clock.Now().Add(-2*time.Minute)
		}},
		{"ID06 issued in the future", func(r *standin.TokenRequest) { r.IssuedAt = h.Clock.Now().Add(2 * time.Minute) }},
		{"ID06 older than ten minutes", func(r *standin.TokenRequest) { r.IssuedAt = h.Clock.Now().Add(-12 * time.Minute) }},
		{"ID06 without exp", mutate("exp", nil)},
		{"ID06 exp as a string", mutate("exp", "4102444800")},
		{"ID06 exp as 1e400", payload(func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"exp":`), []byte(`"exp":1e400,"was":`), 1)
		})},
		{"ID08 another nonce", mutate("nonce", "another")},
		{"ID08 no nonce in the token", mutate("nonce", nil)},
		{"another client's audience", mutate("aud", "notes.example")},
		{"an app that is not ours", mutate("azp", "evil.example")},
		{"ID10 c_hash without provider_code", mutate("c_hash", "AAAAAAAAAAAAAAAAAAAAAA")},
		{"ID22 two audiences by duplication", payload(func(b []byte) []byte {
			return bytes.Replace(b, []byte(`{`), []byte(`{"aud":"web.example",`), 1)
		})},
		{"ID22 two subjects by duplication", payload(func(b []byte) []byte {
			return bytes.Replace(b, []byte(`{`), []byte(`{"sub":"victim",`), 1)
		})},
		{"ID22 SUB is not sub", payload(func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"sub"`), []byte(`"SUB"`), 1)
		})},
		{"ID22 a byte order mark", payload(func(b []byte) []byte { return append([]byte("\xef\xbb\xbf"), b...) })},
		{"no subject", mutate("sub", nil)},
		{"an empty subject", mutate("sub", "")},
		{"no JWT at all", func(r *standin.TokenRequest) { r.Token = func(string) string { return "hello" } }},
		{"no token at all", func(r *standin.TokenRequest) { r.Token = func(string) string { return "" } }},
		{"a token of a megabyte", func(r *standin.TokenRequest) {
			r.Token = func(s string) string { return s + strings.Repeat("A", 1<<20) }
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token := house.GoogleToken("ada")
			tt.with(&token)
			wantRefused(t, h, h.Request(t, h.Google, token, house.Todo, ""), oauth.InvalidRequest)
		})
	}
	h.Enter(t, h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, "")) // and the plain one is good
}

// Which provider a token may come from.
func TestProvidersThatAreRefused(t *testing.T) {
	h := house.OnSQLite(t)
	evil, err := standin.NewProvider(standin.OIDC)
	if err != nil {
		t.Fatal(err)
	}
	defer evil.Close()
	t.Run("ID01 an issuer nobody configured is not even asked", func(t *testing.T) {
		wantRefused(t, h, h.Request(t, evil, house.CorpToken("ada"), house.Todo, ""), oauth.InvalidRequest)
		if n := evil.Requests("/jwks") + evil.Requests("/.well-known/openid-configuration"); n != 0 {
			t.Errorf("it got %d requests", n)
		}
	})
	t.Run("TX02 a provider this client does not list", func(t *testing.T) {
		wantRefused(t, h, h.Request(t, h.Corp, house.CorpToken("ada"), house.Notes, ""), oauth.InvalidRequest)
	})
	t.Run("TX04 an id_token of our own", func(t *testing.T) {
		in := h.Enter(t, h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, ""))
		r := h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, "")
		r.Evidence.SubjectToken, err = h.Tokens.MintID(h.DB.Now(), token.ID{
			Client: r.Client, AccountID: in.Session.AccountID, SessionID: in.Session.ID, Nonce: r.Evidence.Nonce,
		})
		if err != nil {
			t.Fatal(err)
		}
		wantRefused(t, h, r, oauth.InvalidRequest)
	})
}

// ID08: a nonce is good for one client, one key, one purpose and ten minutes.
func TestNoncesThatAreRefused(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		phone, other := h.Phone(t).JKT(), h.Phone(t).JKT()
		fresh := func(clientID, jkt string, p signin.Purpose) string {
			nonce, err := h.SignIn.Challenge(h.DB.Now(), clientID, jkt, p)
			if err != nil {
				t.Fatal(err)
			}
			return nonce
		}
		good := fresh(house.Todo, phone, signin.PurposeSignIn)
		for _, tt := range []struct{ name, nonce string }{
			{"missing", ""},
			{"of the app's own making", hexSum("random")},
			{"the hash of ours", hexSum(good)},
			{"with a bit of its MAC flipped", flip(good, len(good)-3)},
			{"with a bit of its time flipped", flip(good, 10)},
			{"with a bit of its key id flipped", flip(good, 4)},
			{"with an end", good + "A"},
			{"for another client", fresh(house.Notes, phone, signin.PurposeSignIn)},
			{"for another key", fresh(house.Todo, other, signin.PurposeSignIn)},
			{"for linking", fresh(house.Todo, phone, signin.PurposeLink)},
			{"for re-authentication", fresh(house.Todo, phone, signin.PurposeReauth)},
		} {
			t.Run(tt.name, func(t *testing.T) {
				r := h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, phone)
				token := house.GoogleToken("ada")
				token.Nonce = tt.nonce
				c, err := h.Google.Issue(token)
				if err != nil {
					t.Fatal(err)
				}
				r.Evidence = signin.Evidence{SubjectToken: c.IDToken, Nonce: tt.nonce}
				wantRefused(t, h, r, oauth.InvalidRequest)
			})
		}
		t.Run("TX05 asked for with a key and sent without one", func(t *testing.T) {
			r := h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, phone)
			r.JKT = ""
			wantRefused(t, h, r, oauth.InvalidDPoPProof)
		})
		t.Run("ten minutes old", func(t *testing.T) {
			r := h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, phone)
			h.Clock.Step(10 * time.Minute)
			token := house.GoogleToken("ada")
			token.Nonce = r.Evidence.Nonce
			c, err := h.Google.Issue(token)
			if err != nil {
				t.Fatal(err)
			}
			r.Evidence.SubjectToken = c.IDToken
			wantRefused(t, h, r, oauth.InvalidRequest)
		})
		t.Run("asked for without a key and sent with one: accepted", func(t *testing.T) {
			r := h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, "")
			r.JKT = phone
			if in := h.Enter(t, r); in.Session.JKT != phone {
				t.Errorf("session bound to %q", in.Session.JKT)
			}
		})
	})
}

// ID10: the code that comes along must be the one the token speaks of.
func TestCodeOfAnotherSignIn(t *testing.T) {
	h := house.OnSQLite(t)
	r := h.Request(t, h.Apple, house.AppleToken("ada"), house.Todo, "")
	mine := r.Evidence.ProviderCode
	for name, code := range map[string]string{"missing": "", "another": mine + "x"} {
		t.Run(name, func(t *testing.T) {
			r.Evidence.ProviderCode = code
			wantRefused(t, h, r, oauth.InvalidRequest)
		})
	}
	r.Evidence.ProviderCode = mine
	h.Enter(t, r)
}

func TestChallengeParameters(t *testing.T) {
	h := house.OnSQLite(t)
	for _, tt := range []struct {
		name, jkt string
		purpose   signin.Purpose
	}{
		{"an unknown purpose", "", "logout"},
		{"no purpose", "", ""},
		{"a thumbprint that is none", "abc", signin.PurposeSignIn},
		{"a thumbprint with padding", strings.Repeat("A", 43) + "=", signin.PurposeSignIn},
		{"a thumbprint with loose bits", strings.Repeat("A", 42) + "B", signin.PurposeSignIn},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := h.SignIn.Challenge(h.DB.Now(), house.Todo, tt.jkt, tt.purpose)
			wantCode(t, err, oauth.InvalidRequest)
		})
	}
	before := rows(t, h)
	a, errA := h.SignIn.Challenge(h.DB.Now(), house.Todo, "", signin.PurposeSignIn)
	b, errB := h.SignIn.Challenge(h.DB.Now(), house.Todo, "", signin.PurposeSignIn)
	if errA != nil || errB != nil || a == b || len(a) > 64 {
		t.Errorf("nonces %q, %q, %v, %v", a, b, errA, errB)
	}
	if after := rows(t, h); after["nonces"] != before["nonces"] {
		t.Error("a challenge stored something")
	}
}

// flip changes the character at i.
func flip(s string, i int) string {
	c := byte('A')
	if s[i] == c {
		c = 'B'
	}
	return s[:i] + string(c) + s[i+1:]
}
