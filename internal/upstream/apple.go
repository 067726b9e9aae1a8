package upstream

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/jose"
)

const appleSecretTTL = 5 * time.Minute

// AppleGrant is what Apple gives for an authorization code.
type AppleGrant struct {
	RefreshToken string
	Subject      string
}

// appleClient is our end of Apple's token endpoint.
type appleClient struct {
	teamID    string
	signer    *jose.Signer
	tokenURL  string
	revokeURL string
}

// newAppleClient reads Apple's key; nil without one.
func newAppleClient(s Settings) (*appleClient, error) {
	if s.TeamID == "" && s.KeyID == "" && len(s.PrivateKeyPEM) == 0 {
		return nil, nil
	}
	if s.TeamID == "" || s.KeyID == "" || len(s.PrivateKeyPEM) == 0 {
		return nil, errors.New("team id, key id and private key belong together: one of them is missing")
	}
	block, rest := pem.Decode(s.PrivateKeyPEM)
	if block == nil || len(strings.TrimSpace(string(rest))) > 0 {
		return nil, errors.New("the private key is not one PEM block, as in the .p8 file Apple gives out")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("the private key is not PKCS #8, as in the .p8 file Apple gives out")
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, errors.New("the private key cannot sign")
	}
	signer, err := jose.NewSigner(jose.ES256, s.KeyID, key)
	if err != nil {
		return nil, fmt.Errorf("the private key: %w", err)
	}
	c := &appleClient{teamID: s.TeamID, signer: signer, tokenURL: appleToken, revokeURL: appleRevoke}
	if s.Standin != "" {
		c.tokenURL, c.revokeURL = s.Standin+"/auth/token", s.Standin+"/auth/revoke"
	}
	return c, nil
}

// secret mints a client secret for one request: nothing asks for one that lives six months.
func (c *appleClient) secret(clientID string, now time.Time) (string, error) {
	return c.signer.Sign("", struct {
		Iss string `json:"iss"`
		Sub string `json:"sub"`
		Aud string `json:"aud"`
		Iat int64  `json:"iat"`
		Exp int64  `json:"exp"`
	}{c.teamID, clientID, appleIssuer, now.Unix(), now.Add(appleSecretTTL).Unix()})
}

// RedeemsCodes tells whether the provider is Apple and has the key RedeemAppleCode needs. Without it people sign in all
// the same, but nothing can be revoked at Apple later.
func (p *Provider) RedeemsCodes() bool { return p.apple != nil }

// RedeemAppleCode redeems Apple's authorization code with a client secret minted for clientID: the one the code was
// given to, for Apple answers invalid_grant to any other. ErrToken: Apple refused it for good; ErrUnavailable: try
// again, within the five minutes a code lives. Whether the subject is the one who signed in is for the caller to
// compare.
func (p *Provider) RedeemAppleCode(ctx context.Context, clientID, code string) (*AppleGrant, error) {
	if p.apple == nil {
		return nil, fmt.Errorf("redeem a code: %s has no Apple key", p.name)
	}
	now := p.now()
	secret, err := p.apple.secret(clientID, now)
	if err != nil {
		return nil, fmt.Errorf("redeem a code: %w", err)
	}
	answer, err := p.fetch.PostForm(ctx, p.apple.tokenURL, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "client_id": {clientID}, "client_secret": {secret},
	})
	if err != nil {
		return nil, fmt.Errorf("%w: redeem a code: %w", ErrUnavailable, err)
	}
	body, err := jose.ParseObject(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("%w: redeem a code: status %d: %w", ErrUnavailable, answer.Status, err)
	}
	if answer.Status != http.StatusOK {
		return nil, appleRefusal(answer.Status, body)
	}
	return p.readAppleGrant(ctx, body, clientID, code, now)
}

// RevokeAppleToken revokes a refresh token that Apple gave to clientID. Apple answers 200 also for a token it does not
// know, so whatever else it answers is ErrUnavailable: a fault that passes or that the operator can mend.
func (p *Provider) RevokeAppleToken(ctx context.Context, clientID, token string) error {
	if p.apple == nil {
		return fmt.Errorf("revoke a token: %s has no Apple key", p.name)
	}
	secret, err := p.apple.secret(clientID, p.now())
	if err != nil {
		return fmt.Errorf("revoke a token: %w", err)
	}
	answer, err := p.fetch.PostForm(ctx, p.apple.revokeURL, url.Values{
		"token": {token}, "token_type_hint": {"refresh_token"}, "client_id": {clientID}, "client_secret": {secret},
	})
	if err != nil {
		return fmt.Errorf("%w: revoke a token: %w", ErrUnavailable, err)
	}
	if answer.Status != http.StatusOK {
		return fmt.Errorf("%w: revoke a token: status %d", ErrUnavailable, answer.Status)
	}
	return nil
}

// appleRefusal tells a code that is used up from a fault that passes or that the operator can mend (RFC 6749 §5.2).
func appleRefusal(status int, body jose.Claims) error {
	code, _, err := body.String("error")
	if err == nil && code == "invalid_grant" && status == http.StatusBadRequest {
		return fmt.Errorf("%w: Apple answers invalid_grant: the code is used, expired or another app's", ErrToken)
	}
	if err == nil && code == "invalid_client" {
		return fmt.Errorf("%w: Apple answers invalid_client: check team id, key id and private key", ErrUnavailable)
	}
	return fmt.Errorf("%w: redeem a code: status %d", ErrUnavailable, status)
}

func (p *Provider) readAppleGrant(ctx context.Context, body jose.Claims, clientID, code string, now time.Time) (*AppleGrant, error) {
	refresh, _, err := body.String("refresh_token")
	if err != nil || refresh == "" {
		return nil, fmt.Errorf("%w: redeem a code: the answer has no refresh_token", ErrUnavailable)
	}
	raw, _, err := body.String("id_token")
	if err != nil || raw == "" {
		return nil, fmt.Errorf("%w: redeem a code: the answer has no id_token", ErrUnavailable)
	}
	t, err := p.open(ctx, raw)
	if err != nil {
		return nil, fmt.Errorf("redeem a code: %w", err)
	}
	// It came straight from Apple, for this request: there is no nonce to hold it to.
	s, err := t.judge(Expect{Audiences: []string{clientID}, Now: now})
	if err != nil {
		return nil, fmt.Errorf("redeem a code: %w", err)
	}
	if err := t.checkCodeHash(Expect{ProviderCode: code, CodeMember: "code"}); err != nil {
		return nil, fmt.Errorf("redeem a code: %w", err)
	}
	return &AppleGrant{RefreshToken: refresh, Subject: s.Subject}, nil
}
