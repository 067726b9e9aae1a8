package faults_test

import (
	"context"
	"database/sql"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/countersign/countersign/standin"
)

// customers are one of everybody who may ask for something, with all they need for it.
type customers struct {
	bound, bearer, newcomer *standin.Phone
	access                  string     // of the bound phone
	signIn                  url.Values // of the newcomer, ready to be sent
	stable                  string     // refresh token of the confidential client
}

func gather(t *testing.T, p *pair) *customers {
	t.Helper()
	way := p.way.Client()
	c := &customers{
		bound: p.signedIn("bound customer", way), bearer: p.signedIn("bearer customer", way, bearer), newcomer: p.phone("newcomer", way),
	}
	tokens, err := c.bound.Refresh(t.Context())
	must(t, err)
	c.access = tokens.AccessToken
	nonce, err := c.newcomer.Challenge(t.Context(), "")
	must(t, err)
	c.signIn = p.exchange(t, nonce)
	c.signIn.Set("client_id", appID)
	challenge, err := p.nodes[0].post(t.Context(), "/challenge", nil, webID, webSecret)
	must(t, err)
	web, err := p.nodes[0].post(t.Context(), "/token", p.exchange(t, challenge.body.Nonce), webID, webSecret)
	must(t, err)
	if c.stable = web.body.RefreshToken; c.stable == "" {
		t.Fatalf("the web client was answered %+v", web)
	}
	return c
}

// exchange is the request of a sign-in (C11), ready to be sent.
func (p *pair) exchange(t *testing.T, nonce string) url.Values {
	t.Helper()
	credential, err := p.prompt("somebody")(t.Context(), nonce)
	must(t, err)
	return url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {credential.IDToken},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:id_token"}, "nonce": {nonce},
		"scope": {"openid offline_access todos.read"}, "resource": {audience},
	}
}

// wish is something a customer asks for; it returns status, error and Retry-After of the answer.
type wish struct {
	name string
	ask  func(context.Context, *node) (status int, code, retryAfter string, err error)
}

// grants are every grant there is.
func (c *customers) grants(p *pair) []wish {
	return []wish{
		{"refresh of a bound session", p.by(func(ctx context.Context) (*standin.Answer, error) {
			return c.bound.Present(ctx, c.bound.RefreshToken())
		})},
		{"refresh of a bearer session", p.by(func(ctx context.Context) (*standin.Answer, error) {
			return c.bearer.Present(ctx, c.bearer.RefreshToken())
		})},
		{"sign-in", p.by(func(ctx context.Context) (*standin.Answer, error) { return c.newcomer.Post(ctx, "/token", c.signIn) })},
		{"refresh of a stable session", posted("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {c.stable}}, webID, webSecret)},
		{"client credentials", posted("/token", url.Values{"grant_type": {"client_credentials"}}, serviceID, serviceSecret)},
	}
}

// others are what else needs the database. None may call done what is not.
func (c *customers) others() []wish {
	return []wish{
		{"revocation of a refresh token", posted("/revoke", url.Values{"client_id": {appID}, "token": {c.bound.RefreshToken()}}, "", "")},
		{"revocation of an access token", posted("/revoke", url.Values{"client_id": {appID}, "token": {c.access}}, "", "")},
		{"introspection", posted("/introspect", url.Values{"token": {c.access}}, resourceID, resourceSecret)},
	}
}

func posted(path string, form url.Values, id, secret string) func(context.Context, *node) (int, string, string, error) {
	return func(ctx context.Context, n *node) (int, string, string, error) {
		a, err := n.post(ctx, path, form, id, secret)
		return a.status, a.body.Error, a.retryAfter, err
	}
}

// by is a wish of a phone, whose requests the pair's network takes to any node.
func (p *pair) by(send func(context.Context) (*standin.Answer, error)) func(context.Context, *node) (int, string, string, error) {
	return func(ctx context.Context, _ *node) (int, string, string, error) {
		a, err := send(ctx)
		if err != nil {
			return 0, "", "", err
		}
		return a.Status, a.Error, a.Header.Get("Retry-After"), nil
	}
}

// refusedForNow asks for everything on every node at once, and wants 503 and the time to come again.
func (p *pair) refusedForNow(t *testing.T, wishes []wish) {
	t.Helper()
	var all sync.WaitGroup
	for _, n := range p.nodes {
		for _, w := range wishes {
			all.Go(func() {
				status, code, retryAfter, err := w.ask(t.Context(), n)
				if err != nil || status != http.StatusServiceUnavailable || code != "temporarily_unavailable" || retryAfter == "" {
					t.Errorf("%s, %s: answered %d %q, Retry-After %q, %v", n.name, w.name, status, code, retryAfter, err)
				}
			})
		}
	}
	all.Wait()
}

// served asks for everything once.
func (p *pair) served(t *testing.T, wishes []wish) {
	t.Helper()
	for _, w := range wishes {
		status, code, _, err := w.ask(t.Context(), p.nodes[0])
		if err != nil || status != http.StatusOK {
			t.Errorf("afterwards, %s: answered %d %q, %v", w.name, status, code, err)
		}
	}
}

// TK14, IR05: nobody is told that a grant, a client or a token is no good, and nobody that a session has ended, while
// the database is dead. Then everybody gets what they asked for, with the very same request.
func withoutDatabase(t *testing.T, p *pair) {
	c := gather(t, p)
	held := c.bound.RefreshToken()
	must(t, p.cluster.Kill())
	p.refusedForNow(t, append(c.grants(p), c.others()...))
	must(t, p.restartDatabase())
	p.served(t, append(c.grants(p), c.others()[2]))

	must(t, p.cluster.Kill())
	signOut := make(chan error, 1)
	go func() { signOut <- c.bound.SignOut(t.Context()) }()
	eventually(t, "the phone is signed out at once", func() bool { return !c.bound.SignedIn() })
	must(t, p.restartDatabase())
	must(t, <-signOut) // C30
	if a, err := c.bound.Present(t.Context(), held); err != nil || a.Error != "invalid_grant" {
		t.Errorf("after the sign-out: %+v, %v", a, err)
	}
}

// TK14: the same while every connection of the pools waits for a lock that nobody gives back.
func withoutConnections(t *testing.T, p *pair) {
	c := gather(t, p)
	db, err := sql.Open("pgx", p.database)
	must(t, err)
	defer func() { check(t, db.Close()) }()
	tx, err := db.BeginTx(t.Context(), nil)
	must(t, err)
	_, err = tx.ExecContext(t.Context(), "LOCK TABLE sessions, clients, nonces IN ACCESS EXCLUSIVE MODE")
	must(t, err)
	p.refusedForNow(t, append(c.grants(p), c.others()...))
	must(t, tx.Rollback())
	p.served(t, append(c.grants(p), c.others()[2]))
}
