package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/client"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/standin"
)

// pair is two processes on one PostgreSQL, each with a pool of two connections, and a network where all is well.
type pair struct {
	*fleet
	api *client.Client
	way *standin.Network
}

// TestTwoProcessesAreOneServer: what no process knows by itself, they know together.
func TestTwoProcessesAreOneServer(t *testing.T) {
	t.Parallel()
	f := onPostgres(t, []int{2, 2})
	p := &pair{fleet: f, api: f.api(), way: f.network()}
	for _, act := range []struct {
		name string
		play func(*testing.T, *pair)
	}{
		{"RT02 a hundred presentations of one token on two nodes have one successor", hundredAtOnce},
		{"sixty-four phones share pools of two connections", sixtyFourPhones},
		{"RT20 a retry on another node after the keys turned brings the same bytes", retryAcrossKeys},
		{"KL01 signing keys turn under load, and one is dropped", turnAndDropKeys},
		{"TK14 IR05 without a database everything is 503", withoutDatabase},
		{"TK14 with every connection stuck everything is 503", withoutConnections},
		{"RT17 reuse is found out after everything was restarted", reuseAfterRestart},
	} {
		t.Run(act.name, func(t *testing.T) { act.play(t, p) })
	}
}

// towards sends everything on the pair's network to some of the nodes only.
func (p *pair) towards(t *testing.T, nodes ...*node) {
	t.Helper()
	var addresses []string
	for _, n := range nodes {
		addresses = append(addresses, n.public)
	}
	must(t, p.way.Route(strings.TrimPrefix(p.issuer, "http://"), addresses...))
}

// row is the session of a refresh token as the database has it.
func (p *pair) row(t *testing.T, refreshToken string) row {
	t.Helper()
	parsed, ok := parse(refreshToken)
	r, found := p.look().rows[parsed.session]
	if !ok || !found {
		t.Fatal("the token is of no session")
	}
	return r
}

func hundredAtOnce(t *testing.T, p *pair) {
	for name, mods := range map[string][]func(*standin.PhoneConfig){"bound": nil, "bearer": {bearer}} {
		t.Run(name, func(t *testing.T) {
			phone := p.signedIn("hundred "+name, p.way.Client(), mods...)
			token := phone.RefreshToken()
			const many = 100
			answers := make([]*standin.Answer, many)
			var all sync.WaitGroup
			for i := range many {
				all.Go(func() {
					var err error
					answers[i], err = phone.Present(t.Context(), token)
					check(t, err)
				})
			}
			all.Wait()
			successors := map[string]bool{}
			for _, a := range answers {
				if a == nil || a.Tokens == nil {
					t.Fatalf("one was answered %+v", a)
				}
				successors[a.Tokens.RefreshToken] = true
			}
			if r := p.row(t, token); len(successors) != 1 || r.counter != 1 {
				t.Errorf("%d successors, counter %d", len(successors), r.counter)
			}
		})
	}
}

// A pool far smaller than the concurrency: whoever asked it for a second connection while holding one would stand
// still here.
func sixtyFourPhones(t *testing.T, p *pair) {
	const phones, refreshes = 64, 4
	history := newHistory(time.Now)
	var all sync.WaitGroup
	for i := range phones {
		mods := []func(*standin.PhoneConfig){impatient, history.watch}
		if i%4 == 0 {
			mods = append([]func(*standin.PhoneConfig){bearer}, mods...)
		}
		phone := p.phone(fmt.Sprintf("crowd-%d", i), p.way.Client(), mods...)
		all.Go(func() {
			_, err := phone.SignIn(t.Context(), p.prompt(fmt.Sprintf("crowd-%d", i%8)))
			check(t, err)
			for range refreshes {
				_, err := phone.Refresh(t.Context())
				check(t, err)
			}
		})
	}
	all.Wait()
	e := &evidence{told: history.tell(), ledger: p.ledger(), grace: grace}
	e.holds(t)
	if n := history.granted(); n != phones*(1+refreshes) {
		t.Errorf("%d grants", n)
	}
}

func reuseAfterRestart(t *testing.T, p *pair) {
	p.towards(t, p.nodes...)
	phone := p.signedIn("robbed", p.way.Client(), bearer)
	stolen := phone.RefreshToken()
	for range 3 {
		_, err := phone.Refresh(t.Context())
		must(t, err)
	}
	for _, n := range p.nodes {
		must(t, n.kill())
	}
	must(t, p.cluster.Kill())
	must(t, p.restartDatabase())
	for _, n := range p.nodes {
		must(t, n.start())
	}
	for _, token := range []string{stolen, phone.RefreshToken()} {
		a, err := phone.Present(t.Context(), token)
		must(t, err)
		if a.Status != http.StatusBadRequest || a.Error != "invalid_grant" {
			t.Errorf("answered %d %s", a.Status, a.Body)
		}
	}
	if r := p.row(t, stolen); r.reason != domain.EndedByReuse {
		t.Errorf("the session is %+v", r)
	}
}

// answer is what a program without a phone gets.
type answer struct {
	status     int
	retryAfter string
	body       struct {
		Error        string `json:"error"`
		Nonce        string `json:"nonce"`
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		Active       bool   `json:"active"`
	}
}

// post sends a form to a node, with HTTP basic authentication if there is an id.
func (n *node) post(ctx context.Context, path string, form url.Values, id, secret string) (answer, error) {
	var a answer
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+n.public+path, strings.NewReader(form.Encode()))
	if err != nil {
		return a, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if id != "" {
		r.SetBasicAuth(id, secret)
	}
	res, err := direct.Do(r)
	if err != nil {
		return a, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return a, err
	}
	a.status, a.retryAfter = res.StatusCode, res.Header.Get("Retry-After")
	_ = json.Unmarshal(body, &a.body) // an empty one says nothing
	return a, nil
}

// active asks a node what it thinks of an access token.
func (n *node) active(t *testing.T, accessToken string) bool {
	t.Helper()
	a, err := n.post(t.Context(), "/introspect", url.Values{"token": {accessToken}}, resourceID, resourceSecret)
	must(t, err)
	if a.status != http.StatusOK {
		t.Errorf("introspection was answered %d", a.status)
	}
	return a.body.Active
}
