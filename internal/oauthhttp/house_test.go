package oauthhttp_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/bearer"
	"github.com/countersign/countersign/internal/clientauth"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/oauthhttp"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/signin"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/token"
	"github.com/countersign/countersign/internal/upstream"
	"github.com/countersign/countersign/standin"
)

// house is this door on a socket, with everything below it real: SQLite, keys, and stand-in Google and corporate
// providers.
type house struct {
	url    string // and issuer
	db     *store.DB
	ring   *keyring.Ring
	google *standin.Provider
	corp   *standin.Provider
	log    *logged
	ahead  atomic.Int64 // of the true time, in nanoseconds

	catalog atomic.Pointer[domain.Catalog]
}

// declare replaces what is configured.
func (h *house) declare(t *testing.T, c domain.Catalog) {
	t.Helper()
	fatal(t, h.db.PutCatalog(context.Background(), c))
	stored, err := h.db.Catalog(context.Background())
	fatal(t, err)
	h.catalog.Store(stored)
}

type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

const (
	todoAPI  = "https://api.example.com"
	notesAPI = "https://notes.example.com"
	secret   = "s3cret of the house"
)

func hashed(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

// basic is an Authorization header and its value.
func basic(id, secret string) []string {
	pair := url.QueryEscape(id) + ":" + url.QueryEscape(secret)
	return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))}
}

func declared() domain.Catalog {
	google := []domain.ClientProvider{{Name: "google", Audiences: []string{"web.example"}, AZP: []string{"android.example"}}}
	scopes := strings.Fields("openid profile email offline_access todos.read todos.write notes.read account.read account.manage")
	return domain.Catalog{
		Resources: []domain.Resource{
			{ID: "todo-api", Audience: todoAPI, Scopes: []string{"todos.read", "todos.write"}, SecretHash: hashed(secret)},
			{ID: "notes-api", Audience: notesAPI, Scopes: []string{"notes.read"}, SecretHash: hashed(secret)},
		},
		Clients: []domain.Client{
			{ID: "app", Type: domain.ClientNative, DPoP: domain.DPoPAllowed, AuthMethod: domain.AuthNone, Providers: google, Resources: []string{"todo-api", "notes-api"}, Scopes: scopes},
			{ID: "strict", Type: domain.ClientNative, DPoP: domain.DPoPRequired, AuthMethod: domain.AuthNone, Providers: google, Resources: []string{"todo-api"}, Scopes: scopes},
			{ID: "modest", Type: domain.ClientNative, DPoP: domain.DPoPAllowed, AuthMethod: domain.AuthNone, Providers: google, Scopes: []string{"openid", "profile"}},
			{ID: "bare", Type: domain.ClientNative, DPoP: domain.DPoPAllowed, AuthMethod: domain.AuthNone, Scopes: []string{"openid"}},
			{ID: "web", Type: domain.ClientWeb, DPoP: domain.DPoPAllowed, AuthMethod: domain.AuthSecretBasic, SecretHash: hashed(secret), Providers: google, Resources: []string{"todo-api"}, Scopes: scopes},
			{ID: "nightly", Type: domain.ClientService, DPoP: domain.DPoPAllowed, AuthMethod: domain.AuthSecretBasic, SecretHash: hashed(secret), Resources: []string{"todo-api"}, Scopes: []string{"todos.read", "todos.write"}},
			{ID: "poster", Type: domain.ClientService, DPoP: domain.DPoPAllowed, AuthMethod: domain.AuthSecretPost, SecretHash: hashed(secret), Resources: []string{"todo-api"}, Scopes: []string{"todos.read"}},
		},
	}
}

func build(t *testing.T) *house {
	t.Helper()
	ctx := context.Background()
	h := &house{log: &logged{}, google: provider(t, standin.Google), corp: provider(t, standin.OIDC)}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(h.log.String())
		}
	})
	srv := httptest.NewUnstartedServer(nil)
	h.url = "http://" + srv.Listener.Addr().String()

	var err error
	h.db, err = store.Open(ctx, store.Options{
		URL:   "sqlite:" + filepath.Join(t.TempDir(), "test.db"),
		Clock: func() time.Time { return time.Now().Add(time.Duration(h.ahead.Load())) },
	})
	fatal(t, err)
	t.Cleanup(func() { _ = h.db.Close() })
	_, err = h.db.Migrate(ctx)
	fatal(t, err)
	h.declare(t, declared())
	master, err := keyring.ParseMaster([]byte(keyring.NewMasterLine()))
	fatal(t, err)
	h.ring, err = keyring.Open(ctx, h.db, master, keyring.Options{})
	fatal(t, err)

	srv.Config = httpd.Server(h.handler(t, h.catalog.Load))
	srv.Start()
	t.Cleanup(srv.Close)
	return h
}

func provider(t *testing.T, kind standin.Kind) *standin.Provider {
	t.Helper()
	p, err := standin.NewProvider(kind)
	fatal(t, err)
	t.Cleanup(p.Close)
	return p
}

func (h *house) handler(t *testing.T, catalog func() *domain.Catalog) http.Handler {
	t.Helper()
	fetcher := fetch.New(fetch.Options{AllowLoopback: true})
	google, err := upstream.New(upstream.Settings{Name: "google", Type: "google", Standin: h.google.URL()}, fetcher, h.db.Now)
	fatal(t, err)
	corp, err := upstream.New(upstream.Settings{Name: "corp", Type: "oidc", Issuer: h.corp.Issuer(), Standin: h.corp.URL()}, fetcher, h.db.Now)
	fatal(t, err)
	providers, err := upstream.NewSet(google, corp)
	fatal(t, err)

	nonces := &dpop.Nonces{
		Key:     func(id uint32) ([]byte, bool) { return h.ring.Key(id, keyring.DPoPNonce) },
		Current: h.ring.Current,
	}
	proofs, replay := &dpop.Verifier{Nonces: nonces}, dpop.NewReplay(1<<16)
	sessions := &session.Service{DB: h.db, Keys: h.ring}
	tokens := &token.Service{Issuer: h.url, DB: h.db, Keys: h.ring, Sessions: sessions}
	signIn := &signin.Service{DB: h.db, Keys: h.ring, Sessions: sessions, Providers: providers, Issuer: h.url}
	clients := &clientauth.Service{
		Catalog: catalog, Failures: clientauth.NewLimiter(0), Now: h.db.Now, Issuer: h.url, TokenURL: h.url + "/token", DB: h.db,
	}
	door := &oauthhttp.Door{
		Issuer: h.url, DB: h.db, Keys: h.ring, Clients: clients, SignIn: signIn, Tokens: tokens,
		Grant: &grant.Service{
			Issuer: h.url, DB: h.db, Catalog: catalog, Clients: clients,
			DPoP: proofs, Replay: replay, Sessions: sessions, SignIn: signIn, Tokens: tokens,
		},
		Bearer: &bearer.Service{Tokens: tokens, DPoP: proofs, Replay: replay},
	}
	return httpd.Handler(httpd.Options{
		Log:       slog.New(slog.NewJSONHandler(h.log, nil)),
		DPoPNonce: func() string { return nonces.Mint(h.db.Now()) },
	}, door.Routes())
}

// device is an app installation; a nil key sends no proofs.
type device struct {
	h   *house
	key *dpop.Prover
}

func (h *house) phone(t *testing.T) *device {
	t.Helper()
	key, err := dpop.NewProver()
	fatal(t, err)
	return &device{h, key}
}

func (h *house) bearerPhone() *device { return &device{h: h} }

// proof is a DPoP header and its value, or nothing without a key.
func (d *device) proof(t *testing.T, method, path, accessToken string) []string {
	t.Helper()
	if d.key == nil {
		return nil
	}
	p, err := d.key.Proof(method, d.h.url+path, "", accessToken, time.Now())
	fatal(t, err)
	return []string{"DPoP", p}
}

// challenge asks for a nonce.
func (d *device) challenge(t *testing.T, client string) string {
	t.Helper()
	form := []string{"client_id", client}
	if d.key != nil {
		form = append(form, "dpop_jkt", d.key.JKT())
	}
	a := post(t, d.h.url+"/challenge", form)
	nonce, _ := a.json(t)["nonce"].(string)
	if a.StatusCode != 200 || nonce == "" {
		t.Fatalf("challenge: %d %s", a.StatusCode, a.body)
	}
	return nonce
}

// signInForm is a sign-in by the person with the subject, ready to be sent.
func (d *device) signInForm(t *testing.T, client, subject string, more ...string) []string {
	t.Helper()
	form := append([]string{"client_id", client}, d.h.credentialForm(t, d.challenge(t, client), subject)...)
	return append(form, more...)
}

// credentialForm is what an app sends once the person signed in at Google.
func (h *house) credentialForm(t *testing.T, nonce, subject string) []string {
	t.Helper()
	asked := standin.GoogleAndroid("web.example", "android.example", standin.Person{Subject: subject, Email: subject + "@example.com", Name: "Pat Doe"})
	asked.Nonce = nonce
	credential, err := h.google.Issue(asked)
	fatal(t, err)
	return []string{
		"grant_type", oauth.GrantTokenExchange, "nonce", nonce,
		"subject_token", credential.IDToken, "subject_token_type", oauth.TypeIDToken,
	}
}

// signIn signs in and returns the answer's members.
func (d *device) signIn(t *testing.T, client, subject string, more ...string) map[string]any {
	t.Helper()
	a := post(t, d.h.url+"/token", d.signInForm(t, client, subject, more...), d.proof(t, "POST", "/token", "")...)
	if a.StatusCode != 200 {
		t.Fatalf("sign-in: %d %s", a.StatusCode, a.body)
	}
	return a.json(t)
}

// refresh sends a refresh token.
func (d *device) refresh(t *testing.T, client string, refreshToken any, more ...string) answer {
	t.Helper()
	text, _ := refreshToken.(string)
	form := append([]string{"grant_type", "refresh_token", "client_id", client, "refresh_token", text}, more...)
	return post(t, d.h.url+"/token", form, d.proof(t, "POST", "/token", "")...)
}

// service asks for a token of client_credentials.
func (h *house) service(t *testing.T, id string, more ...string) answer {
	t.Helper()
	return post(t, h.url+"/token", append([]string{"grant_type", "client_credentials"}, more...), basic(id, secret)...)
}

// introspect asks as a resource.
func (h *house) introspect(t *testing.T, resource string, token any) answer {
	t.Helper()
	return post(t, h.url+"/introspect", []string{"token", token.(string)}, basic(resource, secret)...)
}

func (h *house) revoke(t *testing.T, client string, token any) answer {
	t.Helper()
	return post(t, h.url+"/revoke", []string{"client_id", client, "token", token.(string)})
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
