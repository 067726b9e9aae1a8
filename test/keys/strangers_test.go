package keys_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/resource"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// rfc8725-3.10-01: a kid that has not the form of ours is not written down, and no kid breaks the log.
func TestAStrangersKidLeadsNowhere(t *testing.T) {
	t.Parallel()
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		key, err := jose.GenerateKey(jose.ES256)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now().Unix()
		young := strconv.FormatInt(now, 36) // as a key's that this node may not know yet
		for _, kid := range []string{
			"stranger/../../../etc/passwd", "https://stranger.example/jwks", "stranger' OR 1=1 --", "stranger\",\"admin\":\"yes",
			"stranger\r\nlevel=error", "stranger\x00", strings.Repeat("stranger", 30),
			young + "-es256\r\nlevel=error", young + `-es256","level":"error`,
		} {
			signer, err := jose.NewSigner(jose.ES256, kid, key)
			if err != nil {
				t.Fatal(err)
			}
			token, err := signer.Sign("at+jwt", map[string]any{
				"iss": w.Issuer, "sub": "acc_AAAAAAAAAAAAAAAAAAAAAA", "aud": w.Issuer, "client_id": harness.ClientID, "iat": now,
				"exp": now + 300, "jti": "x", "scope": "openid", "sid": "ses_AAAAAAAAAAAAAAAAAAAAAA",
			})
			if err != nil {
				t.Fatal(err)
			}
			a := w.Do(w.Request(http.MethodGet, "/userinfo", "", harness.Set("Authorization", "Bearer "+token)))
			if a.Status != http.StatusUnauthorized || a.Error() != "invalid_token" {
				t.Errorf("kid %q: %d %s", kid, a.Status, a.Body)
			}
			if w.Active(token) {
				t.Errorf("kid %q: the token is active", kid)
			}
		}
		if strings.Contains(w.Log.String(), "stranger") {
			t.Error("the log shows a stranger's kid")
		}
		for line := range strings.Lines(w.Log.String()) {
			var event map[string]any
			if err := json.Unmarshal([]byte(line), &event); err != nil || event["level"] == "error" {
				t.Errorf("a kid broke the log: %s", line)
			}
		}
	})
}

// rfc9449-9-02
func TestNoncesOfOneServerAreWorthNothingAtTheOther(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.SQLite)
	phone := w.SignedIn("phone", "pat")
	tokens, err := phone.AccessToken(t.Context(), harness.Audience)
	if err != nil {
		t.Fatal(err)
	}
	app := httptest.NewUnstartedServer(nil)
	t.Cleanup(app.Close)
	verifier, err := resource.New(resource.Config{
		Issuer: w.Issuer, Audience: harness.Audience, BaseURL: "http://" + app.Listener.Addr().String(), RequireNonce: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	app.Config.Handler = verifier.Middleware("todos.read")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	app.Start()
	atTheApp := func(nonce string) harness.Answer {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, app.URL+"/todos", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "DPoP "+tokens.AccessToken)
		r.Header.Set("DPoP", proof(t, phone, http.MethodGet, app.URL+"/todos", nonce, tokens.AccessToken))
		return w.Do(r)
	}
	atTheServer := func(nonce string) harness.Answer {
		return w.Refresh(harness.ClientID, phone.RefreshToken(),
			harness.Set("DPoP", proof(t, phone, http.MethodPost, w.Issuer+"/token", nonce, "")))
	}
	ours, theirs := atTheServer("made up").Header.Get("DPoP-Nonce"), atTheApp("").Header.Get("DPoP-Nonce")
	if ours == "" || theirs == "" {
		t.Fatalf("nonces %q and %q", ours, theirs)
	}
	if a := atTheServer(theirs); a.Status != http.StatusBadRequest || a.Error() != "use_dpop_nonce" {
		t.Errorf("the app's at the server: %d %s", a.Status, a.Body)
	}
	if a := atTheApp(ours); a.Status != http.StatusUnauthorized || a.Error() != "use_dpop_nonce" {
		t.Errorf("the server's at the app: %d %s", a.Status, a.Body)
	}
	if a := atTheServer(ours); a.Status != http.StatusOK {
		t.Errorf("the server's at the server: %d %s", a.Status, a.Body)
	}
	if a := atTheApp(theirs); a.Status != http.StatusOK {
		t.Errorf("the app's at the app: %d %s", a.Status, a.Body)
	}
}

func proof(t *testing.T, p *standin.Phone, method, url, nonce, accessToken string) string {
	t.Helper()
	raw, err := p.Proof(method, url, nonce, accessToken)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
