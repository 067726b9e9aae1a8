// Package grant is the token endpoint without HTTP: a numbered pipeline and one file per grant type. It decides who may
// use which grant, and which scope and audience a token gets; it knows no provider and writes no row itself.
package grant

import (
	"context"
	"encoding/json"
	"time"

	"github.com/countersign/countersign/internal/accesstoken"
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
	URL         string   // of the token endpoint as the client reaches it, from configuration: the htu of the proof
	GrantType   string
	Scope       string
	Resource    []string // may repeat
	Details     string   // authorization_details (RFC 9396)

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

	Details json.RawMessage `json:"authorization_details,omitempty"` // RFC 9396 §7
}

// Service does it. Its fields are set by app.
type Service struct {
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

// x5t is the thumbprint of the certificate that access tokens of the client are bound to, or "". A client that is not
// registered for that may show one and gets tokens without it (RFC 8705 §3.4).
func (c *call) x5t() string {
	if !c.client.CertificateBound || c.Credentials.Certificate == nil {
		return ""
	}
	return accesstoken.CertificateThumbprint(c.Credentials.Certificate)
}

// Token answers a token request: (a) authenticate the client, (b) verify a DPoP proof if one came, and that a certificate
// did where tokens are bound to it, (c) may this client use this grant, (d) switch.
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
	if client.CertificateBound && r.Credentials.Certificate == nil {
		return nil, errNoCertificate
	}
	// (c)
	if err := mayUse(client, r.GrantType); err != nil {
		return nil, err
	}
	// (d)
	event.Add(ctx, "grant", r.GrantType)
	answer, err := s.answer(ctx, c)
	if err == nil {
		s.touch(ctx, c)
	}
	return answer, err
}

// touch notes that a client which registered itself is in use. A failure is told and forgiven: the tokens are given.
func (s *Service) touch(ctx context.Context, c *call) {
	if err := s.DB.TouchRegistration(ctx, c.client, c.now); err != nil {
		event.Add(ctx, "registration_touch", err.Error())
	}
}

func (s *Service) answer(ctx context.Context, c *call) (*Response, error) {
	switch c.GrantType {
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
