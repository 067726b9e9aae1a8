// Package signin_test signs in as apps do and as forgers do: with every token, nonce and key that must be refused, and
// with what real providers really send.
package signin_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"testing"
	"time"

	"github.com/countersign/countersign/client"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// world is a harness.World in which time stands still between steps.
type world struct {
	*harness.World
	admin *client.Client
	db    *store.DB
}

// unlimited lifts the limit on refused sign-ins, for tests that have more of them.
var unlimited = harness.YAML("limits: {sign_in_failures_per_minute: -1}")

func onEngines(t *testing.T, test func(*testing.T, *world), options ...harness.Option) {
	t.Helper()
	t.Parallel()
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		t.Parallel()
		w := harness.New(t, e, options...)
		w.Clock.Freeze()
		test(t, &world{World: w, admin: w.Admin(), db: w.Store()})
	})
}

const (
	tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	idTokenType   = "urn:ietf:params:oauth:token-type:id_token"
	scope         = "openid offline_access todos.read"
)

// phone makes a phone of the default client; mods change it.
func (w *world) phone(mods ...func(*standin.PhoneConfig)) *standin.Phone {
	w.T.Helper()
	return w.Phone("phone", append([]func(*standin.PhoneConfig){harness.As(harness.ClientID, scope)}, mods...)...)
}

// google is what the default client's Android app asks Google for.
func google(subject string) standin.TokenRequest {
	return standin.GoogleAndroid(harness.GoogleWeb, harness.GoogleAndroid, harness.Person(subject))
}

func apple(subject string) standin.TokenRequest {
	return standin.AppleNative(harness.ClientID, harness.Person(subject))
}

func corp(subject string) standin.TokenRequest {
	return standin.OpenIDNative("mobile", harness.Person(subject))
}

// form is the sign-in that follows from a credential.
func form(clientID, nonce string, c *standin.Credential) url.Values {
	f := url.Values{
		"grant_type": {tokenExchange}, "client_id": {clientID}, "nonce": {nonce}, "scope": {scope},
		"subject_token": {c.IDToken}, "subject_token_type": {idTokenType},
	}
	if c.Code != "" {
		f.Set("provider_code", c.Code)
	}
	if c.User != "" {
		f.Set("user", c.User)
	}
	return f
}

// prepare asks for a nonce and lets the provider issue a token for it, unless the request has a nonce already.
func (w *world) prepare(t *testing.T, p *standin.Phone, from *standin.Provider, r standin.TokenRequest) url.Values {
	t.Helper()
	nonce, err := p.Challenge(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if r.Nonce == "" {
		r.Nonce = nonce
	}
	c, err := from.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	return form(harness.ClientID, nonce, c)
}

// attempt is one whole sign-in, right or wrong.
func (w *world) attempt(t *testing.T, p *standin.Phone, from *standin.Provider, r standin.TokenRequest) *standin.Answer {
	t.Helper()
	return send(t, p, w.prepare(t, p, from, r))
}

func send(t *testing.T, p *standin.Phone, f url.Values) *standin.Answer {
	t.Helper()
	a, err := p.Post(t.Context(), "/token", f)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func wantIn(t *testing.T, a *standin.Answer) *standin.Tokens {
	t.Helper()
	if a.Tokens == nil {
		t.Fatalf("refused: %d %s", a.Status, a.Body)
	}
	return a.Tokens
}

// wantRefused asserts a registered error and a sentence to act on.
func wantRefused(t *testing.T, a *standin.Answer, code string) {
	t.Helper()
	if a.Status != 400 || a.Error != code || len(a.Description) < 20 {
		t.Errorf("got %d %s, want %s", a.Status, a.Body, code)
	}
}

// wantUnavailable asserts that there was no verdict.
func wantUnavailable(t *testing.T, a *standin.Answer) {
	t.Helper()
	if _, ok := a.RetryAfter(); a.Status != 503 || a.Error != "temporarily_unavailable" || !ok {
		t.Errorf("got %d %s, want no verdict", a.Status, a.Body)
	}
}

// rows counts what a sign-in makes.
func (w *world) rows(t *testing.T) (made [4]int64) {
	t.Helper()
	n, err := w.db.Rows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return [4]int64{n["accounts"], n["identities"], n["sessions"], n["devices"]}
}

// unchanged asserts that what comes makes no account, identity, session or device.
func (w *world) unchanged(t *testing.T, what func()) {
	t.Helper()
	before := w.rows(t)
	what()
	if after := w.rows(t); after != before {
		t.Errorf("accounts, identities, sessions, devices were %v and are %v", before, after)
	}
}

func claim(t *testing.T, jwt, name string) string {
	t.Helper()
	claims, err := standin.Claims(jwt)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := claims[name].(string)
	return text
}

// account signs a person in and returns whom the server takes them for.
func (w *world) account(t *testing.T, from *standin.Provider, r standin.TokenRequest) string {
	t.Helper()
	return claim(t, wantIn(t, w.attempt(t, w.phone(), from, r)).AccessToken, "sub")
}

// eventually waits for what happens behind a request, for at most so long.
func eventually(t *testing.T, within time.Duration, what string, holds func() bool) {
	t.Helper()
	tick, end := time.NewTicker(5*time.Millisecond), time.After(within)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// hashOf is how many apps hand the nonce to a provider's SDK.
func hashOf(nonce string) string {
	sum := sha256.Sum256([]byte(nonce))
	return hex.EncodeToString(sum[:])
}
