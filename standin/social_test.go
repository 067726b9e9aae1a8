package standin_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/countersign/countersign/standin"
)

// signedIn is what a trip's redemption answers.
func signedIn(t *testing.T, p *standin.Provider, username string, change func(url.Values)) map[string]any {
	t.Helper()
	status, answer := redeem(t, p, walk(t, p, nil, username, change).Get("code"), nil)
	if status != http.StatusOK {
		t.Fatalf("%d %v", status, answer)
	}
	return answer
}

func proof(secret, token string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(token))
	return hex.EncodeToString(mac.Sum(nil))
}

func TestFacebookAnswersOnlyWhoKnowsTheAppSecret(t *testing.T) {
	p := newWebProvider(t, standin.Facebook)
	if err := p.AddPerson(standin.Person{Username: "phone-only"}); err != nil {
		t.Fatal(err)
	}
	token := signedIn(t, p, "phone-only", nil)["access_token"].(string)
	ask := func(query string) (int, map[string]any) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL()+"/me?"+query, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := (&http.Client{}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		var body map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, body
	}
	for _, wrong := range []string{"", "appsecret_proof=", "appsecret_proof=" + proof("another", token), "appsecret_proof=" + proof(webSecret, "another")} {
		if status, body := ask("fields=id&" + wrong); status != http.StatusBadRequest || body["id"] != nil {
			t.Errorf("%q: %d %v", wrong, status, body)
		}
	}
	right := "&appsecret_proof=" + proof(webSecret, token)
	status, body := ask("fields=id,name,email,picture" + right)
	if _, isText := body["id"].(string); status != http.StatusOK || !isText || body["name"] == nil || body["email"] != nil || body["first_name"] != nil {
		t.Errorf("%d %v", status, body)
	}
	if status, body := ask("x" + right); status != http.StatusOK || body["name"] != nil {
		t.Errorf("without fields: %d %v", status, body)
	}
}

// The same channel: HS256 without a kid for the web, ES256 with one for apps.
func TestLINESignsForTheWebWithTheSecretAndForAppsWithAKey(t *testing.T) {
	p := newWebProvider(t, standin.LINE)
	web := signedIn(t, p, "alice", nil)["id_token"].(string)
	head, rest, _ := strings.Cut(web, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	header, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil || !strings.Contains(string(header), `"HS256"`) || strings.Contains(string(header), "kid") {
		t.Errorf("%s, %v", header, err)
	}
	mac := hmac.New(sha256.New, []byte(webSecret))
	mac.Write([]byte(head + "." + payload))
	if signature != base64.RawURLEncoding.EncodeToString(mac.Sum(nil)) {
		t.Error("it is not signed with the channel secret")
	}
	claims, err := standin.Claims(web)
	if err != nil || claims["iss"] != standin.LINEIssuer || claims["email_verified"] != nil || claims["auth_time"] != nil || claims["amr"] == nil {
		t.Errorf("%v, %v", claims, err)
	}
	modest, err := standin.Claims(signedIn(t, p, "alice", func(q url.Values) { q.Set("scope", "openid profile") })["id_token"].(string))
	if err != nil || claims["email"] != "alice@example.com" || modest["email"] != nil {
		t.Errorf("an address that was not asked for: %v, %v", modest, err)
	}
	asked, err := standin.Claims(signedIn(t, p, "alice", func(q url.Values) { q.Set("max_age", "60") })["id_token"].(string))
	if err != nil || asked["auth_time"] == nil {
		t.Errorf("%v, %v", asked, err)
	}
	native, err := p.Issue(standin.LINENative(webClient, p.PersonNamed("alice")))
	if err != nil {
		t.Fatal(err)
	}
	verifiedClaims(t, p, webClient, native.IDToken)
}

func TestLimitedLoginIsOfThePersonTheWebKnows(t *testing.T) {
	p := newWebProvider(t, standin.Facebook)
	alice := p.PersonNamed("alice")
	c, err := p.Issue(standin.FacebookLimited(webClient, alice))
	if err != nil {
		t.Fatal(err)
	}
	claims, err := standin.Claims(c.IDToken)
	if err != nil || claims["iss"] != standin.FacebookIssuer || claims["sub"] != alice.Subject || claims["jti"] == nil || claims["email_verified"] != nil {
		t.Errorf("%v, %v", claims, err)
	}
	verifiedClaims(t, p, webClient, c.IDToken)
}

func TestDiscordsAddressMayBeMissingOrUnverified(t *testing.T) {
	p := newWebProvider(t, standin.Discord)
	for _, who := range []standin.Person{
		{Username: "none"}, {Username: "unverified", Email: "u@example.com", UnverifiedEmail: true}, {Username: "verified", Email: "v@example.com"},
	} {
		if err := p.AddPerson(who); err != nil {
			t.Fatal(err)
		}
		var user map[string]any
		getJSON(t, p.URL()+"/users/@me", signedIn(t, p, who.Username, nil)["access_token"].(string), &user)
		if _, isText := user["id"].(string); !isText || user["verified"] != (who.Username == "verified") || (user["email"] == nil) != (who.Email == "") {
			t.Errorf("%s: %v", who.Username, user)
		}
	}
	if _, err := p.Issue(standin.TokenRequest{Audience: "x", Subject: "y"}); err == nil {
		t.Error("Discord signs id_tokens")
	}
}
