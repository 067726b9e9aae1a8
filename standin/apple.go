package standin

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/jose"
)

const (
	appleCodeTTL      = 5 * time.Minute
	appleSecretMaxTTL = 15777000 * time.Second // six months
)

// AppleKey is what a developer gets from Apple to authenticate with: the .p8 key and its names.
type AppleKey struct {
	TeamID        string
	KeyID         string
	PrivateKeyPEM []byte // PKCS #8, as in the .p8 file
}

// AppleKey returns the team key that /auth/token and /auth/revoke expect client secrets from. It is empty unless the
// provider is Apple.
func (p *Provider) AppleKey() AppleKey {
	if p.apple == nil {
		return AppleKey{}
	}
	return p.apple.key
}

// appleTeam is Apple's memory of one developer team.
type appleTeam struct {
	key    AppleKey
	public crypto.PublicKey

	mu      sync.Mutex
	codes   map[string]*appleCode
	refresh map[string]string // refresh token -> client id
	revoked []string
}

type appleCode struct {
	request TokenRequest
	expires time.Time
}

func newAppleTeam() (*appleTeam, error) {
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		return nil, fmt.Errorf("stand-in Apple: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("stand-in Apple: %w", err)
	}
	return &appleTeam{
		key: AppleKey{
			TeamID: "STANDIN001", KeyID: "STANDINKEY",
			PrivateKeyPEM: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		},
		public: key.Public(), codes: map[string]*appleCode{}, refresh: map[string]string{},
	}, nil
}

func appleClaims(claims map[string]any, t TokenRequest, issued time.Time) {
	boolean := func(b bool) any {
		if t.StringBooleans {
			return fmt.Sprint(b)
		}
		return b
	}
	if t.AuthTime.IsZero() {
		claims["auth_time"] = issued.Unix()
	}
	if t.Nonce != "" {
		claims["nonce_supported"] = boolean(true)
	}
	if t.Email != "" {
		claims["email_verified"] = boolean(!t.UnverifiedEmail)
	}
	if t.PrivateEmail {
		claims["is_private_email"] = boolean(true)
	}
	if t.RealUserStatus != 0 {
		claims["real_user_status"] = t.RealUserStatus
	}
}

func (a *appleTeam) remember(code string, t TokenRequest, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.codes[code] = &appleCode{request: t, expires: now.Add(appleCodeTTL)}
}

// take gives a code out once. A code presented by another app than it was made for stays.
func (a *appleTeam) take(code, clientID string, now time.Time) (TokenRequest, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, ok := a.codes[code]
	if !ok || c.request.Audience != clientID {
		return TokenRequest{}, false
	}
	delete(a.codes, code)
	return c.request, now.Before(c.expires)
}

// AppleRevoked returns the tokens that /auth/revoke was asked to revoke with a good client secret, in order.
func (p *Provider) AppleRevoked() []string {
	if p.apple == nil {
		return nil
	}
	p.apple.mu.Lock()
	defer p.apple.mu.Unlock()
	return slices.Clone(p.apple.revoked)
}

// AppleRefreshTokens returns the refresh tokens given out and not revoked, sorted.
func (p *Provider) AppleRefreshTokens() []string {
	if p.apple == nil {
		return nil
	}
	p.apple.mu.Lock()
	defer p.apple.mu.Unlock()
	tokens := make([]string, 0, len(p.apple.refresh))
	for token := range p.apple.refresh {
		tokens = append(tokens, token)
	}
	slices.Sort(tokens)
	return tokens
}

// serveAppleToken redeems an authorization code.
func (p *Provider) serveAppleToken(w http.ResponseWriter, r *http.Request) {
	client := r.PostFormValue("client_id")
	if err := p.checkClientSecret(r.Context(), client, r.PostFormValue("client_secret")); err != nil {
		appleError(w, "invalid_client", err.Error())
		return
	}
	if r.PostFormValue("grant_type") != "authorization_code" {
		appleError(w, "unsupported_grant_type", "")
		return
	}
	if g, ok := p.takeGrant(r.PostFormValue("code")); ok { // of the page, not of an app
		p.redeemAppleGrant(w, r, client, g)
		return
	}
	t, ok := p.apple.take(r.PostFormValue("code"), client, p.now())
	if !ok {
		appleError(w, "invalid_grant", "The code has expired or has been revoked.")
		return
	}
	answer, err := p.redeem(t)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func (p *Provider) redeem(t TokenRequest) (map[string]any, error) {
	if t.CodeSubject != "" {
		t.Subject = t.CodeSubject
	}
	// The token of the redemption is a plain one, whatever the test did to the app's.
	c, err := p.Issue(TokenRequest{
		Audience: t.Audience, Subject: t.Subject, Nonce: t.Nonce, NonceForm: t.NonceForm,
		Email: t.Email, UnverifiedEmail: t.UnverifiedEmail, PrivateEmail: t.PrivateEmail,
		StringBooleans: t.StringBooleans, AccessToken: true,
	})
	if err != nil {
		return nil, err
	}
	refresh := "r" + randomHex(16) + ".0." + randomText(16)
	p.apple.mu.Lock()
	p.apple.refresh[refresh] = t.Audience
	p.apple.mu.Unlock()
	return map[string]any{
		"access_token": c.AccessToken, "token_type": "Bearer", "expires_in": 3600,
		"refresh_token": refresh, "id_token": c.IDToken,
	}, nil
}

// serveAppleRevoke answers 200 whatever it is asked, as Apple does.
func (p *Provider) serveAppleRevoke(w http.ResponseWriter, r *http.Request) {
	token := r.PostFormValue("token")
	if p.checkClientSecret(r.Context(), r.PostFormValue("client_id"), r.PostFormValue("client_secret")) == nil {
		p.apple.mu.Lock()
		p.apple.revoked = append(p.apple.revoked, token)
		delete(p.apple.refresh, token)
		p.apple.mu.Unlock()
	}
	w.WriteHeader(http.StatusOK)
}

// checkClientSecret is what Apple asks of a client secret: ES256 by the team's key, iss the team, sub the client,
// aud Apple, at most six months to live.
func (p *Provider) checkClientSecret(ctx context.Context, client, secret string) error {
	policy := jose.Policy{Algs: []jose.Alg{jose.ES256}}
	claims, _, err := jose.Verify(ctx, secret, policy, func(_ context.Context, h jose.Header) (crypto.PublicKey, error) {
		if h.Kid != p.apple.key.KeyID {
			return nil, fmt.Errorf("kid is not %s", p.apple.key.KeyID)
		}
		return p.apple.public, nil
	})
	if err != nil {
		return fmt.Errorf("client_secret: %w", err)
	}
	for name, want := range map[string]string{"iss": p.apple.key.TeamID, "sub": client, "aud": AppleIssuer} {
		if got, _, err := claims.String(name); err != nil || got != want || got == "" {
			return fmt.Errorf("client_secret: %s is not %q", name, want)
		}
	}
	issued, hasIssued, _ := claims.Time("iat")
	expires, hasExpires, _ := claims.Time("exp")
	if !hasIssued || !hasExpires {
		return errors.New("client_secret: iat or exp is missing")
	}
	if now := p.now(); !now.Before(expires) || expires.Sub(now) > appleSecretMaxTTL || issued.After(now.Add(time.Minute)) {
		return errors.New("client_secret: it has expired, is not yet good, or lives longer than six months")
	}
	return nil
}

func appleError(w http.ResponseWriter, code, description string) {
	body := map[string]string{"error": code}
	if description != "" {
		body["error_description"] = description
	}
	writeJSON(w, http.StatusBadRequest, body)
}
