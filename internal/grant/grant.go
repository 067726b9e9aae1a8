// Package grant is the token endpoint without HTTP: a numbered pipeline and one file per grant type. It decides who may
// use which grant, and which scope and audience a token gets; it knows no provider and writes no row itself.
package grant

import (
	"context"
	"time"

	"github.com/countersign/countersign/internal/clientauth"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/signin"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/token"
)

// Request is a token request, strictly decoded: no duplicates, empty is absent, unknown parameters ignored.
type Request struct {
	Credentials clientauth.Credentials
	Proofs      []string // DPoP headers
	GrantType   string
	Scope       string
	Resource    []string // may repeat

	RefreshToken string // refresh_token

	Code, CodeVerifier, RedirectURI string // authorization_code
	DeviceCode                      string // device_code

	// token exchange
	SubjectToken, SubjectTokenType string
	ActorToken, ActorTokenType     string
	RequestedTokenType             string
	Audience                       []string
	Nonce, DeviceName              string
	ProviderCode, User             string
}

// Response is RFC 6749 §5.1 with RFC 8693 §2.2.1.
type Response struct {
	AccessToken     string `json:"access_token"`
	TokenType       string `json:"token_type"`
	ExpiresIn       int64  `json:"expires_in"`
	RefreshToken    string `json:"refresh_token,omitempty"`
	Scope           string `json:"scope,omitempty"`
	IDToken         string `json:"id_token,omitempty"`
	IssuedTokenType string `json:"issued_token_type,omitempty"`
}

// Service does it. Its fields are set by app.
type Service struct {
	TokenURL string // issuer + /token: the htu of every proof
	Issuer   string
	DB       *store.DB
	Catalog  func() *domain.Catalog
	Clients  *clientauth.Service
	DPoP     *dpop.Verifier
	Replay   *dpop.Replay // for client_credentials; the other grants spend something that exists only once
	Sessions *session.Service
	SignIn   *signin.Service
	Tokens   *token.Service
}

// call is a request on its way through the pipeline.
type call struct {
	Request
	now    time.Time
	client *domain.Client
	proof  *dpop.Proof // nil without one
}

// audit starts a row of the trail with what the request is known by.
func (c *call) audit(ctx context.Context) domain.Event {
	e := event.From(ctx)
	return domain.Event{At: c.now, ClientID: c.client.ID, RequestID: e.ID, IP: e.IP}
}

// jkt is the thumbprint of the verified proof's key, or "".
func (c *call) jkt() string {
	if c.proof == nil {
		return ""
	}
	return c.proof.JKT
}

// Token answers a token request: (a) authenticate the client, (b) verify a DPoP proof if one came, (c) may this
// client use this grant, (d) switch.
func (s *Service) Token(ctx context.Context, r Request) (*Response, error) {
	// (a)
	client, err := s.Clients.Client(ctx, r.Credentials)
	if err != nil {
		return nil, err
	}
	// (b)
	c := &call{Request: r, now: s.DB.Now(), client: client}
	c.proof, err = s.prove(ctx, c)
	if err != nil {
		return nil, err
	}
	// (c)
	if err := mayUse(client, r.GrantType); err != nil {
		return nil, err
	}
	// (d)
	event.Add(ctx, "grant", r.GrantType)
	switch r.GrantType {
	case oauth.GrantRefreshToken:
		return s.refresh(ctx, c)
	case oauth.GrantTokenExchange:
		return s.exchange(ctx, c)
	case oauth.GrantCode:
		return s.code(ctx, c)
	case oauth.GrantDeviceCode:
		return s.device(ctx, c)
	default: // mayUse lets nothing else through
		return s.credentials(ctx, c)
	}
}
