package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/oauth"
)

// The loads of clients with high stakes: they sign an assertion for every request and bind every token to a key. Their
// ceilings check and make the very same signatures, in as many requests.

const assuredJWKS = "bank.jwks"

// assured is such a client: a web app under FAPI 2.0 and a service of the same keys.
type assured struct {
	signer *jose.Signer
	proof  *dpop.Prover
	issuer string
}

func newAssured(issuer string, signer *jose.Signer) (*assured, error) {
	proof, err := dpop.NewProver()
	return &assured{signer, proof, issuer}, err
}

func newAssuredKey() (*jose.Signer, string, error) {
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		return nil, "", err
	}
	signer, err := jose.NewSigner(jose.ES256, "one", key)
	if err != nil {
		return nil, "", err
	}
	set, err := jose.MarshalSet([]jose.PublicKey{signer.Public()})
	return signer, string(set), err
}

const assertionForm = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion="

// assertion authenticates a client in a form.
func (a *assured) assertion(client string) (string, error) {
	now := time.Now()
	text, err := a.signer.Sign("client-authentication+jwt", struct {
		Iss string `json:"iss"`
		Sub string `json:"sub"`
		Aud string `json:"aud"`
		JTI string `json:"jti"`
		Iat int64  `json:"iat"`
		Exp int64  `json:"exp"`
	}{client, client, a.issuer, rand.Text(), now.Unix(), now.Add(time.Minute).Unix()})
	return "client_id=" + client + "&" + assertionForm + text, err
}

func (a *assured) proven(path string) (header, error) {
	proof, err := a.proof.Proof("POST", a.issuer+path, "", "", time.Now())
	return header{"DPoP", proof}, err
}

// post sends a form with an assertion and, where it is for tokens, a proof.
func (a *assured) post(c *conn, host, path, client, form string, want int) ([]byte, error) {
	assertion, err := a.assertion(client)
	if err != nil {
		return nil, err
	}
	var headers []header
	if path != parPath {
		proof, err := a.proven("/token")
		if err != nil {
			return nil, err
		}
		headers = append(headers, proof)
	}
	status, body, err := c.post(host, path, assertion+"&"+form, headers...)
	if err != nil || status != want {
		return nil, fmt.Errorf("%s: %d %s %w", path, status, body, err)
	}
	return body, nil
}

const parPath = "/par"

// assertionAndProof is a service that asks for a token: an assertion and a proof are checked, a token is signed.
func (ph *phones) assertionAndProof() step {
	return func(c *conn, _ int) error {
		_, err := ph.assured.post(c, hostOf(ph.t.issuer), "/token", "bank-nightly", "grant_type=client_credentials&scope=todos.read", 200)
		return err
	}
}

func (ph *phones) bareAssertionAndProof() step {
	return func(c *conn, _ int) error {
		_, err := ph.assured.post(c, ph.ceiling, "/assert-proof-sign", "bank-nightly", "grant_type=client_credentials&scope=todos.read", 200)
		return err
	}
}

var bankCallback = url.QueryEscape("https://bank.example/cb")

var pushForm = url.Values{
	"response_type": {"code"}, "redirect_uri": {"https://bank.example/cb"}, "scope": {"openid offline_access todos.read"},
	"state": {"0123456789abcdef"}, "nonce": {"fedcba9876543210"},
	"code_challenge": {oauth.Challenge(verifier)}, "code_challenge_method": {"S256"},
}.Encode()

// pushToTokens is a whole trip of a person who is signed in: /par, /authorize, /token.
func (ph *phones) pushToTokens(n int) step {
	host, cookie := hostOf(ph.t.issuer), header{"Cookie", ph.web.cookies[n%len(ph.web.cookies)]}
	return func(c *conn, _ int) error {
		body, err := ph.assured.post(c, host, parPath, "bank", pushForm, http.StatusCreated)
		if err != nil {
			return err
		}
		uri, _ := member(body, "request_uri")
		status, body, err := c.get(host, "/authorize?client_id=bank&request_uri="+url.QueryEscape(uri), cookie)
		if err != nil || status != http.StatusSeeOther {
			return fmt.Errorf("authorize: %d %s %w", status, body, err)
		}
		_, rest, _ := strings.Cut(string(c.to), "code=")
		code, _, ok := strings.Cut(rest, "&")
		if !ok {
			return errors.New("authorize: no code in " + string(c.to))
		}
		_, err = ph.assured.post(c, host, "/token", "bank", "grant_type=authorization_code&code_verifier="+verifier+
			"&redirect_uri="+bankCallback+"&code="+code, 200)
		return err
	}
}

func (ph *phones) barePushToTokens(int, int) step {
	return func(c *conn, _ int) error {
		if _, err := ph.assured.post(c, ph.ceiling, parPath, "bank", pushForm, http.StatusCreated); err != nil {
			return err
		}
		status, body, err := c.get(ph.ceiling, "/redirect?client_id=bank&request_uri=urn")
		if err != nil || status != http.StatusSeeOther {
			return fmt.Errorf("%d %s %w", status, body, err)
		}
		_, err = ph.assured.post(c, ph.ceiling, "/assert-proof-sign-two", "bank", "grant_type=authorization_code&code_verifier="+verifier+
			"&redirect_uri="+bankCallback+"&code=x", 200)
		return err
	}
}
