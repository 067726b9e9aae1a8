package oauthhttp_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// rfc9449-5-01 rfc9449-5.2-01 rfc9449-4.3-01 rfc9449-4.3-02 rfc9449-4.3-08 rfc9449-4.3-09
func TestBadProofsAtTheTokenEndpoint(t *testing.T) { // DP01 DP05
	h := build(t)
	phone := h.phone(t)
	proof := func(method, url string) string {
		p, err := phone.key.Proof(method, url, "", "", time.Now())
		fatal(t, err)
		return p
	}
	good := proof("POST", h.url+"/token")
	for _, c := range []struct {
		name    string
		headers []string
	}{
		{"none, where the client must send one", nil},
		{"DP01 two", []string{"DPoP", good, "DPoP", good}},
		{"DP01 no JWT", []string{"DPoP", "proof"}},
		{"an empty one", []string{"DPoP", ""}},
		{"for another method", []string{"DPoP", proof("GET", h.url+"/token")}},
		{"for another endpoint", []string{"DPoP", proof("POST", h.url+"/revoke")}},
		{"DP05 for the host of a forwarding header", []string{
			"DPoP", proof("POST", "https://evil.example/token"), "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https",
			"Forwarded", "host=evil.example;proto=https",
		}},
		{"DP05 for the Host of the request", []string{"DPoP", proof("POST", "http://evil.example/token"), "Host", "evil.example"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := post(t, h.url+"/token", []string{"grant_type", "refresh_token", "client_id", "strict", "refresh_token", "x"}, c.headers...)
			if !a.failed(t, 400, "invalid_dpop_proof") || strings.Contains(a.body, "evil") {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		})
	}
}

// DP08 rfc9449-8-01 rfc9449-8.1-01 rfc9449-4.3-10 rfc9449-4.3-11
func TestAskingForANonceBurnsNothing(t *testing.T) {
	h := build(t)
	phone := h.phone(t)
	form := phone.signInForm(t, "app", "pat")
	send := func(nonce string, clock time.Duration) answer {
		p, err := phone.key.Proof("POST", h.url+"/token", nonce, "", time.Now().Add(clock))
		fatal(t, err)
		return post(t, h.url+"/token", form, "DPoP", p)
	}
	for name, a := range map[string]answer{
		"a clock two hours ahead":          send("", 2*time.Hour),
		"a clock two hours behind":         send("", -2*time.Hour),
		"a nonce that is not ours":         send("bm9uZSBvZiBvdXJz", 0),
		"the same, with a clock far ahead": send("bm9uZSBvZiBvdXJz", 2*time.Hour),
	} {
		if !a.failed(t, 400, "use_dpop_nonce") || len(a.Header.Values("DPoP-Nonce")) != 1 {
			t.Errorf("%s: %d %v %s", name, a.StatusCode, a.Header, a.body)
		}
	}
	nonce := send("", 2*time.Hour).Header.Get("DPoP-Nonce")
	if strings.Trim(nonce, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" { // rfc9449-8.1-01
		t.Errorf("nonce %q", nonce)
	}
	if a := send(nonce, 2*time.Hour); a.StatusCode != 200 {
		t.Errorf("with the nonce any clock will do, and nothing was burned: %d %s", a.StatusCode, a.body)
	}
}

func TestDP06AtTheTokenEndpointAServicesProofWorksOnce(t *testing.T) {
	h := build(t)
	proof := h.phone(t).proof(t, "POST", "/token", "")
	ask := func() answer {
		return post(t, h.url+"/token", []string{"grant_type", "client_credentials"}, append(basic("nightly", secret), proof...)...)
	}
	if a := ask(); a.StatusCode != 200 || a.json(t)["token_type"] != "DPoP" {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	if a := ask(); !a.failed(t, 400, "invalid_dpop_proof") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

func TestDP06AtRefreshARepeatedProofIsARetry(t *testing.T) {
	h := build(t)
	phone := h.phone(t)
	in := phone.signIn(t, "app", "pat")
	proof := phone.proof(t, "POST", "/token", "")
	form := []string{"grant_type", "refresh_token", "client_id", "app", "refresh_token", in["refresh_token"].(string)}
	first, second := post(t, h.url+"/token", form, proof...), post(t, h.url+"/token", form, proof...)
	if first.StatusCode != 200 || second.StatusCode != 200 || first.json(t)["refresh_token"] != second.json(t)["refresh_token"] {
		t.Errorf("%s\n%s", first.body, second.body)
	}
}

// DP06 DP09 RS01 RT18 rfc9449-4.3-12 rfc9449-7.1-01 rfc9449-7.1-02 rfc9449-7.1-03 rfc9449-7.2-01 rfc9449-7.2-03 rfc9700-4.10.1-01
// rfc9068-5-01
func TestWhoMayPresentAnAccessToken(t *testing.T) {
	h := build(t)
	phone, thief := h.phone(t), h.phone(t)
	bound := phone.signIn(t, "app", "pat", "scope", "openid offline_access")
	unbound := h.bearerPhone().signIn(t, "app", "pat", "scope", "openid")
	token := bound["access_token"].(string)
	bearer := unbound["access_token"].(string)
	spent := phone.proof(t, "GET", "/userinfo", token)
	for _, c := range []struct {
		name, authorization string
		proof               []string
		status              int
		error               string
	}{
		{"a bound token and its proof", "DPoP " + token, spent, 200, ""},
		{"DP06 the same proof again", "DPoP " + token, spent, 401, "invalid_dpop_proof"},
		{"a bound token as DPoP in another case", "dpop " + token, phone.proof(t, "GET", "/userinfo", token), 200, ""},
		{"DP09 without a proof", "DPoP " + token, nil, 401, "invalid_dpop_proof"},
		{"DP09 as Bearer", "Bearer " + token, nil, 401, "invalid_token"},
		{"DP09 as Bearer, with its proof", "Bearer " + token, phone.proof(t, "GET", "/userinfo", token), 401, "invalid_token"},
		{"DP09 without ath", "DPoP " + token, phone.proof(t, "GET", "/userinfo", ""), 401, "invalid_dpop_proof"},
		{"DP09 with ath of another token", "DPoP " + token, phone.proof(t, "GET", "/userinfo", bearer), 401, "invalid_dpop_proof"},
		{"DP09 by another key", "DPoP " + token, thief.proof(t, "GET", "/userinfo", token), 401, "invalid_token"},
		{"for another method", "DPoP " + token, phone.proof(t, "POST", "/userinfo", token), 401, "invalid_dpop_proof"},
		{"for another endpoint", "DPoP " + token, phone.proof(t, "GET", "/token", token), 401, "invalid_dpop_proof"},
		{"an unbound token", "Bearer " + bearer, nil, 200, ""},
		{"DP09 an unbound token as DPoP", "DPoP " + bearer, thief.proof(t, "GET", "/userinfo", bearer), 401, "invalid_token"},
		{"RS01 an id_token", "Bearer " + unbound["id_token"].(string), nil, 401, "invalid_token"},
		{"RT18 a refresh token", "Bearer " + bound["refresh_token"].(string), nil, 401, "invalid_token"},
		{"nonsense", "Bearer nonsense", nil, 401, "invalid_token"},
		{"rfc6749-10.3-01 a bit flipped", "Bearer " + flipped(bearer), nil, 401, "invalid_token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := get(t, h.url+"/userinfo", append([]string{"Authorization", c.authorization}, c.proof...)...)
			if c.status == 200 && a.StatusCode == 200 {
				return
			}
			first := a.Header.Values("WWW-Authenticate")
			scheme, _, _ := strings.Cut(c.authorization, " ")
			if !a.failed(t, c.status, c.error) || len(first) != 2 || !strings.Contains(first[0], `error="`+c.error+`"`) ||
				!strings.EqualFold(strings.Fields(first[0])[0], scheme) || !strings.Contains(strings.Join(first, ","), `algs="ES256`) {
				t.Errorf("%d %q %s", a.StatusCode, first, a.body)
			}
		})
	}
}

// flipped changes one bit of a token's signature.
func flipped(token string) string {
	at := strings.LastIndex(token, ".") + 5
	b := []byte(token)
	if b[at] == 'A' {
		b[at] = 'B'
	} else {
		b[at] = 'A'
	}
	return string(b)
}

func TestDP06OneProofFiftyTimesAtOnceWorksOnce(t *testing.T) {
	h := build(t)
	phone := h.phone(t)
	token := phone.signIn(t, "app", "pat")["access_token"].(string)
	headers := append([]string{"Authorization", "DPoP " + token}, phone.proof(t, "GET", "/userinfo", token)...)
	var worked atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if get(t, h.url+"/userinfo", headers...).StatusCode == http.StatusOK {
				worked.Add(1)
			}
		})
	}
	all.Wait()
	if worked.Load() != 1 {
		t.Errorf("it worked %d times", worked.Load())
	}
}

// rfc9449-9-01
func TestAResourceAsksForANonceWith401(t *testing.T) {
	h := build(t)
	phone := h.phone(t)
	token := phone.signIn(t, "app", "pat")["access_token"].(string)
	ask := func(nonce string) answer {
		p, err := phone.key.Proof("GET", h.url+"/userinfo", nonce, token, time.Now().Add(3*time.Hour))
		fatal(t, err)
		return get(t, h.url+"/userinfo", "Authorization", "DPoP "+token, "DPoP", p)
	}
	a := ask("")
	if !a.failed(t, 401, "use_dpop_nonce") || !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), `DPoP error="use_dpop_nonce"`) {
		t.Fatalf("%d %v", a.StatusCode, a.Header)
	}
	if again := ask(a.Header.Get("DPoP-Nonce")); again.StatusCode != 200 {
		t.Errorf("%d %s", again.StatusCode, again.body)
	}
}

func TestUserInfoTellsWhatTheScopeAllows(t *testing.T) {
	h := build(t)
	ask := func(in map[string]any) answer {
		return get(t, h.url+"/userinfo", "Authorization", "Bearer "+in["access_token"].(string))
	}
	phone := h.bearerPhone()
	for scope, want := range map[string]map[string]any{
		"openid":               {},
		"openid email":         {"email": "pat@example.com", "email_verified": true},
		"openid profile":       {"name": "Pat Doe"},
		"openid profile email": {"name": "Pat Doe", "email": "pat@example.com", "email_verified": true},
		"openid todos.read":    {}, // whatever the audience
	} {
		t.Run(scope, func(t *testing.T) {
			in := phone.signIn(t, "app", "pat", "scope", scope)
			want["sub"] = claims(t, in["access_token"])["sub"]
			a := ask(in)
			got := a.json(t)
			if _, known := got["updated_at"]; known == (want["name"] == nil) {
				t.Errorf("updated_at: %v", known)
			}
			delete(got, "updated_at")
			if a.StatusCode != 200 || len(got) != len(want) || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
			for name, value := range want {
				if got[name] != value {
					t.Errorf("%s = %v, want %v", name, got[name], value)
				}
			}
		})
	}
	t.Run("by POST too", func(t *testing.T) {
		in := phone.signIn(t, "app", "pat")
		if a := request(t, "POST", h.url+"/userinfo", "", "Authorization", "Bearer "+in["access_token"].(string)); a.StatusCode != 200 {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	})
	t.Run("not without openid", func(t *testing.T) { // rfc6749-7-01
		if a := ask(phone.signIn(t, "app", "pat", "scope", "todos.read")); !a.failed(t, 403, "insufficient_scope") {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	})
	t.Run("not for a service", func(t *testing.T) {
		if a := ask(h.service(t, "nightly").json(t)); !a.failed(t, 403, "insufficient_scope") {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	})
	t.Run("not after the session ended", func(t *testing.T) {
		in := phone.signIn(t, "app", "pat")
		if a := h.revoke(t, "app", in["access_token"]); a.StatusCode != 200 {
			t.Fatal(a.body)
		}
		if a := ask(in); !a.failed(t, 401, "invalid_token") {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	})
	t.Run("not while the account is disabled", func(t *testing.T) {
		in := phone.signIn(t, "app", "lee")
		var id domain.AccountID
		fatal(t, id.UnmarshalText([]byte(claims(t, in["access_token"])["sub"].(string))))
		_, err := h.db.SetAccountState(context.Background(), id, domain.AccountDisabled, domain.Event{At: h.db.Now(), Action: "account.disable"})
		fatal(t, err)
		if a := ask(in); !a.failed(t, 401, "invalid_token") {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	})
}
