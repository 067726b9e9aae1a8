package clients_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/countersign/countersign/test/harness"
)

const (
	webRedirect = "https://todo.example/cb"
	loopback    = "http://127.0.0.1:49152/cb" // the port is the app's own affair (RFC 8252 §7.3)
)

// outcome is what every sign-in ends with, as the client's library reports it.
type outcome struct {
	Claims    map[string]any `json:"claims"`
	Tokens    tokenSet       `json:"tokens"`
	Refreshed tokenSet       `json:"refreshed"`
	UserInfo  map[string]any `json:"userinfo"`
}

type tokenSet struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	RefreshToken string `json:"refresh_token"`
	IDToken      string `json:"id_token"`
	Scope        string `json:"scope"`
}

// expect is what must be true of every outcome.
type expect struct {
	client, tokenType, alg string
	refreshTokenChanges    bool
}

func (w *world) check(t *testing.T, o outcome, e expect) {
	t.Helper()
	pinned := oidc.Config{ClientID: e.client, SupportedSigningAlgs: []string{e.alg}}
	id, err := w.provider.VerifierContext(w.ctx, &pinned).Verify(w.ctx, o.Tokens.IDToken)
	if err != nil {
		t.Fatal(err)
	}
	if o.Claims["sub"] != id.Subject || o.Claims["iss"] != w.Issuer || o.UserInfo["sub"] != id.Subject {
		t.Errorf("claims %v, userinfo %v, the ID token is about %s", o.Claims, o.UserInfo, id.Subject)
	}
	if strings.Contains(o.Refreshed.Scope, "email") && o.UserInfo["email"] != w.Google.PersonNamed("ada").Email {
		t.Errorf("userinfo %v", o.UserInfo)
	}
	for name, tokens := range map[string]tokenSet{"first": o.Tokens, "refreshed": o.Refreshed} {
		if !strings.EqualFold(tokens.TokenType, e.tokenType) || !w.Active(tokens.AccessToken) {
			t.Errorf("%s: %s", name, tokens.TokenType)
		}
	}
	if o.Tokens.AccessToken == o.Refreshed.AccessToken {
		t.Error("the refreshed access token is the first one")
	}
	if changed := o.Tokens.RefreshToken != o.Refreshed.RefreshToken; changed != e.refreshTokenChanges {
		t.Errorf("the refresh token changes: %t", changed)
	}
}

// logOut opens the address a client made for it in the browser that signed in.
func (w *world) logOut(t *testing.T, b *harness.Web, address, token string) {
	t.Helper()
	b.Open(address)
	if b.Left == nil || !strings.HasPrefix(b.Left.String(), "https://todo.example/bye?") || b.Left.Query().Get("state") != "so long" {
		t.Fatalf("left for %v\n%s", b.Left, b.Page)
	}
	if w.Active(token) {
		t.Error("the access token outlived the logout")
	}
}

// params are a script's; more are added to them.
func params(client, redirect, scope string, more ...string) map[string]any {
	p := map[string]any{"client_id": client, "scope": scope, "resource": harness.Audience}
	if redirect != "" {
		p["redirect_uri"] = redirect
	}
	for i := 0; i+1 < len(more); i += 2 {
		p[more[i]] = more[i+1]
	}
	return p
}

// signer is a key pair of a client that signs: the public half as configuration, the private one as a JWK.
func signer(t *testing.T) (jwksFile string, private map[string]string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	public := map[string]string{"kty": "EC", "crv": "P-256", "kid": "one", "x": text(point[1:33]), "y": text(point[33:])}
	jwks, err := json.Marshal(map[string]any{"keys": []any{public}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "client.jwks")
	if err := os.WriteFile(path, jwks, 0o600); err != nil {
		t.Fatal(err)
	}
	private = map[string]string{"d": text(d)}
	for name, value := range public {
		private[name] = value
	}
	return path, private
}

// confidential is a web client with a way of its own to authenticate.
func confidential(id, how string) harness.Option {
	return harness.Clients("  - {id: " + id + ", type: web, " + how + ", resources: [todo-api],\n" +
		"     providers: [{name: google}], redirect_uris: [\"" + webRedirect + "\"],\n" +
		"     scopes: [openid, profile, email, offline_access, todos.read]}\n")
}

// query is the query of an address.
func query(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}
