package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/countersign/countersign/internal/dpop"
)

// errUsedUp ends a worker whose prepared requests are spent.
var errUsedUp = errors.New("prepared requests used up")

// scenario is one kind of load on the server and the same shape of load on its ceiling.
type scenario struct {
	name    string
	bar     float64 // the share of its ceiling asked of 64 connections, in percent; zero: none
	rotates bool    // each request is one rotation: rows and WAL are counted
	prepare func(conns int, d time.Duration) error
	server  func(conns, n int) step
	ceiling func(conns, n int) step
}

// loginPage is judged by its time as well: people wait for it.
const loginPage = "login page"

// scenarios are the loads of a run, in order.
func (ph *phones) scenarios() ([]scenario, error) {
	token, err := ph.ceilingToken()
	if err != nil {
		return nil, err
	}
	none := func(int, time.Duration) error { return nil }
	signed := func(conns, n int) step { return ph.bare("/sign", ph.bearer, conns, n) }
	return []scenario{
		{"introspection", 60, false, none, ph.introspecter, func(int, int) step { return ph.bareIntrospecter(token) }},
		{"client credentials", 60, false, none, func(int, int) step { return ph.service() }, signed},
		{"refresh, bearer", 40, true, none, func(conns, n int) step { return ph.refresher(ph.bearer, conns, n) }, signed},
		{"refresh, bound", 0, true, none, func(conns, n int) step { return ph.refresher(ph.bound, conns, n) },
			func(conns, n int) step { return ph.bare("/proof-sign", ph.bound, conns, n) }},
		{loginPage, 0, false, none, func(int, int) step { return ph.visitor() }, func(int, int) step { return ph.bareVisitor() }},
		{"authorize, signed in", 0, false, none, func(_, n int) step { return ph.authorizer(n) }, ph.bareAuthorizer},
		{"code for tokens", 0, false, ph.codesFor, func(int, int) step { return ph.redeemer() }, func(int, int) step {
			return func(c *conn, _ int) error { return ok200(c.post(ph.ceiling, "/sign-two", "code=x")) }
		}},
		{"device poll", 0, false, none, func(_, n int) step { return ph.poller(n) }, func(_, n int) step { return ph.barePoller(n) }},
		{"assertion and proof", 50, false, none, func(int, int) step { return ph.assertionAndProof() }, func(int, int) step { return ph.bareAssertionAndProof() }},
		{"push to tokens", 50, false, none, func(_, n int) step { return ph.pushToTokens(n) }, ph.barePushToTokens},
		{"sign-in, returning", 35, false, ph.signInsFor, func(int, int) step { return ph.signer() }, func(int, int) step { return ph.bareSigner() }},
	}, nil
}

// ceilingToken is a token the ceiling signed itself, for it to introspect.
func (ph *phones) ceilingToken() (string, error) {
	c, err := dial(ph.ceiling)
	if err != nil {
		return "", err
	}
	defer c.close()
	status, body, err := c.post(ph.ceiling, "/sign", "x=y")
	if err := ok200(status, body, err); err != nil {
		return "", err
	}
	token, _ := member(body, "access_token")
	return token, nil
}

// signInsFor prepares about as many sign-ins as a run can use.
func (ph *phones) signInsFor(conns int, d time.Duration) error {
	perSecond := 6000
	if conns == 1 {
		perSecond = 1500
	}
	return ph.prepareSignIns(int(d.Seconds() * float64(perSecond)))
}

const tokenForm = "client_id=com.example.todo&"

// phones are the sessions of the refresh runs and the material of the sign-in run.
type phones struct {
	t        *target
	ceiling  string
	p        *provider
	bearer   []*phone
	bound    []*phone
	signIns  []signInRequest
	nextSign atomic.Int64
	web      web
	assured  *assured
}

type phone struct {
	key     *dpop.Prover
	refresh string
	access  string
}

type signInRequest struct{ form, proof string }

func (ph *phones) tokenURL() string { return ph.t.issuer + "/token" }

// signInForm asks for a challenge and wraps an id_token around it.
func (ph *phones) signInForm(c *conn, subject string, key *dpop.Prover) (signInRequest, error) {
	form := "client_id=com.example.todo"
	if key != nil {
		form += "&dpop_jkt=" + key.JKT()
	}
	status, body, err := c.post(hostOf(ph.t.issuer), "/challenge", form)
	if err != nil || status != 200 {
		return signInRequest{}, fmt.Errorf("challenge: %d %s %w", status, body, err)
	}
	nonce, _ := member(body, "nonce")
	idToken, err := ph.p.idToken(subject, nonce)
	if err != nil {
		return signInRequest{}, err
	}
	r := signInRequest{form: url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "client_id": {"com.example.todo"},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:id_token"}, "subject_token": {idToken}, "nonce": {nonce},
		"scope": {"openid offline_access todos.read"},
	}.Encode()}
	if key != nil {
		r.proof, err = key.Proof("POST", ph.tokenURL(), "", "", time.Now())
	}
	return r, err
}

func hostOf(issuer string) string { return issuer[len("http://"):] }

func (ph *phones) signIn(c *conn, r signInRequest) (refresh, access string, err error) {
	var headers []header
	if r.proof != "" {
		headers = []header{{"DPoP", r.proof}}
	}
	status, body, err := c.post(hostOf(ph.t.issuer), "/token", r.form, headers...)
	if err != nil || status != 200 {
		return "", "", fmt.Errorf("sign-in: %d %s %w", status, body, err)
	}
	refresh, _ = member(body, "refresh_token")
	access, _ = member(body, "access_token")
	return refresh, access, nil
}

// open signs n phones in, half of a thousand accounts each.
func (ph *phones) open(n int, bound bool) ([]*phone, error) {
	out := make([]*phone, n)
	err := each(ph.t.addr, n, func(c *conn, i int) (err error) {
		d := &phone{}
		if bound {
			if d.key, err = dpop.NewProver(); err != nil {
				return err
			}
		}
		r, err := ph.signInForm(c, fmt.Sprintf("person-%d", i), d.key)
		if err != nil {
			return err
		}
		d.refresh, d.access, err = ph.signIn(c, r)
		out[i] = d
		return err
	})
	return out, err
}

// own are the phones that worker n of conns drives; no two workers share one.
func own(all []*phone, conns, n int) []*phone {
	var mine []*phone
	for i := n; i < len(all); i += conns {
		mine = append(mine, all[i])
	}
	return mine
}

func (ph *phones) refresher(all []*phone, conns, n int) step {
	mine := own(all, conns, n)
	host := hostOf(ph.t.issuer)
	return func(c *conn, i int) error {
		d := mine[i%len(mine)]
		headers, err := proofHeader(d, ph.tokenURL())
		if err != nil {
			return err
		}
		status, body, err := c.post(host, "/token", tokenForm+"grant_type=refresh_token&refresh_token="+d.refresh, headers...)
		if err != nil || status != 200 {
			return fmt.Errorf("refresh: %d %s %w", status, body, err)
		}
		next, ok := member(body, "refresh_token")
		if !ok || next == d.refresh {
			return fmt.Errorf("refresh: no successor in %s", body)
		}
		d.refresh = next
		return nil
	}
}

func proofHeader(d *phone, tokenURL string) ([]header, error) {
	if d.key == nil {
		return nil, nil
	}
	proof, err := d.key.Proof("POST", tokenURL, "", "", time.Now())
	return []header{{"DPoP", proof}}, err
}

// bare is the same load on a ceiling: the same form, the same proof.
func (ph *phones) bare(path string, all []*phone, conns, n int) step {
	mine := own(all, conns, n)
	return func(c *conn, i int) error {
		d := mine[i%len(mine)]
		headers, err := proofHeader(d, ph.tokenURL())
		if err != nil {
			return err
		}
		return ok200(c.post(ph.ceiling, path, tokenForm+"grant_type=refresh_token&refresh_token="+d.refresh, headers...))
	}
}

func ok200(status int, body []byte, err error) error {
	if err != nil || status != 200 {
		return fmt.Errorf("%d %s %w", status, body, err)
	}
	return nil
}

// prepareSignIns signs id_tokens for returning accounts ahead of a run.
func (ph *phones) prepareSignIns(n int) error {
	ph.signIns = make([]signInRequest, n)
	ph.nextSign.Store(0)
	return each(ph.t.addr, n, func(c *conn, i int) (err error) {
		ph.signIns[i], err = ph.signInForm(c, fmt.Sprintf("person-%d", i%len(ph.bound)), ph.bound[i%len(ph.bound)].key)
		return err
	})
}

func (ph *phones) signer() step {
	return func(c *conn, _ int) error {
		i := int(ph.nextSign.Add(1)) - 1
		if i >= len(ph.signIns) {
			return errUsedUp
		}
		_, _, err := ph.signIn(c, ph.signIns[i])
		return err
	}
}

func (ph *phones) bareSigner() step {
	return func(c *conn, i int) error {
		r := ph.signIns[i%len(ph.signIns)]
		return ok200(c.post(ph.ceiling, "/sign-in", r.form, header{"DPoP", r.proof}))
	}
}

func basic(id, secret string) header {
	return header{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))}
}

func (ph *phones) introspecter(conns, n int) step {
	mine := own(ph.bearer, conns, n)
	auth := basic("todo-api", resourceSecret)
	return func(c *conn, i int) error {
		status, body, err := c.post(hostOf(ph.t.issuer), "/introspect", "token="+mine[i%len(mine)].access, auth)
		if err == nil && status == 200 && len(body) < 40 {
			return fmt.Errorf("introspect: %s", body)
		}
		return ok200(status, body, err)
	}
}

func (ph *phones) bareIntrospecter(token string) step {
	return func(c *conn, _ int) error {
		return ok200(c.post(ph.ceiling, "/introspect", "token="+token))
	}
}

func (ph *phones) service() step {
	auth := basic("nightly", serviceSecret)
	return func(c *conn, _ int) error {
		return ok200(c.post(hostOf(ph.t.issuer), "/token", "grant_type=client_credentials&scope=todos.read", auth))
	}
}
