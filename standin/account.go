package standin

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"time"
)

// Account is the account as its owner sees it.
type Account struct {
	ID        string    `json:"id"` // the sub of its tokens
	CreatedAt time.Time `json:"created_at"`
	SessionID string    `json:"session_id"` // of this phone
	ClientID  string    `json:"client_id"`
}

// Identity is one way to sign in to the account.
type Identity struct {
	ID            string    `json:"id"`
	Provider      string    `json:"provider"`
	Email         string    `json:"email"`
	EmailVerified bool      `json:"email_verified"`
	Name          string    `json:"name"`
	CreatedAt     time.Time `json:"created_at"`
	LastUsedAt    time.Time `json:"last_used_at"`
}

// Session is one device the person is signed in on.
type Session struct {
	ID              string    `json:"id"`
	Current         bool      `json:"current"` // this phone's
	ClientID        string    `json:"client_id"`
	ClientName      string    `json:"client_name"`
	DeviceName      string    `json:"device_name"`
	Provider        string    `json:"provider"`
	Tier            string    `json:"tier"` // bound | bearer | stable
	CreatedAt       time.Time `json:"created_at"`
	LastRefreshedAt time.Time `json:"last_refreshed_at"`
}

// Account reads the account (C27, C28). A refusal is *Refused; other errors are those of Refresh. The same holds for
// every method here.
func (p *Phone) Account(ctx context.Context) (*Account, error) {
	var account Account
	return &account, p.manage(ctx, http.MethodGet, "", nil, nil, &account)
}

// Identities lists the ways to sign in.
func (p *Phone) Identities(ctx context.Context) ([]Identity, error) {
	var list struct {
		Identities []Identity `json:"identities"`
	}
	err := p.manage(ctx, http.MethodGet, "/identities", nil, nil, &list)
	return list.Identities, err
}

// Sessions lists the devices the person is signed in on.
func (p *Phone) Sessions(ctx context.Context) ([]Session, error) {
	var list struct {
		Sessions []Session `json:"sessions"`
	}
	err := p.manage(ctx, http.MethodGet, "/sessions", nil, nil, &list)
	return list.Sessions, err
}

// Link adds a way to sign in. reauth is shown if the server wants to know who is there (C29); nil refuses to.
func (p *Phone) Link(ctx context.Context, prompt, reauth Prompt) (*Identity, error) {
	nonce, err := p.Challenge(ctx, forLink)
	if err != nil {
		return nil, err
	}
	credential, err := prompt(ctx, nonce)
	if err != nil {
		return nil, err
	}
	body := map[string]any{"subject_token": credential.IDToken, "nonce": nonce}
	for name, value := range map[string]string{"provider_code": credential.Code, "user": credential.User} {
		if value != "" {
			body[name] = value
		}
	}
	var identity Identity
	if err := p.manage(ctx, http.MethodPost, "/identities", body, reauth, &identity); err != nil {
		return nil, err
	}
	return &identity, nil
}

// Unlink removes a way to sign in.
func (p *Phone) Unlink(ctx context.Context, identityID string, reauth Prompt) error {
	return p.manage(ctx, http.MethodDelete, "/identities/"+url.PathEscape(identityID), nil, reauth, nil)
}

// EndSession ends one session of the account.
func (p *Phone) EndSession(ctx context.Context, sessionID string, reauth Prompt) error {
	return p.manage(ctx, http.MethodDelete, "/sessions/"+url.PathEscape(sessionID), nil, reauth, nil)
}

// EndOtherSessions ends all sessions of the account but this phone's, and tells how many.
func (p *Phone) EndOtherSessions(ctx context.Context, reauth Prompt) (int, error) {
	var answer struct {
		Ended int `json:"ended"`
	}
	err := p.manage(ctx, http.MethodDelete, "/sessions", nil, reauth, &answer)
	return answer.Ended, err
}

// manage calls the account API with a token for the issuer (C27), steps up where it must and may (C29) and decodes
// the answer into v.
func (p *Phone) manage(ctx context.Context, method, path string, body map[string]any, reauth Prompt, v any) error {
	address := p.config.Issuer + "/account/v1" + path
	a, err := p.callAccount(ctx, method, address, body)
	if err == nil && a.Error == codeInsufficientAuth && reauth != nil {
		if body, err = p.proveAgain(ctx, body, reauth); err == nil {
			a, err = p.callAccount(ctx, method, address, body)
		}
	}
	switch {
	case err != nil:
		return err
	case a.Status/100 != 2:
		return &Refused{Answer: a}
	case v == nil:
		return nil
	}
	return a.Decode(v)
}

func (p *Phone) callAccount(ctx context.Context, method, address string, body map[string]any) (*Answer, error) {
	if body == nil {
		return p.CallResource(ctx, p.config.Issuer, method, address, nil)
	}
	return p.CallResource(ctx, p.config.Issuer, method, address, body)
}

// proveAgain adds a fresh proof of presence to a body (C29).
func (p *Phone) proveAgain(ctx context.Context, body map[string]any, reauth Prompt) (map[string]any, error) {
	nonce, err := p.Challenge(ctx, forReauth)
	if err != nil {
		return nil, err
	}
	credential, err := reauth(ctx, nonce)
	if err != nil {
		return nil, err
	}
	proven := maps.Clone(body)
	if proven == nil {
		proven = map[string]any{}
	}
	proven["reauth_token"], proven["reauth_nonce"] = credential.IDToken, nonce
	if credential.Code != "" {
		proven["reauth_provider_code"] = credential.Code // it is in the token's c_hash
	}
	return proven, nil
}
