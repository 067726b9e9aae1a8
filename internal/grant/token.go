package grant

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/countersign/countersign/internal/clientauth"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/offer"
	"github.com/countersign/countersign/internal/token"
)

// prove verifies the proof of the request, if one came (RFC 9449 §5). Its jti is not remembered here: at sign-in and
// refresh a repeated proof is judged as the retry it is.
func (s *Service) prove(ctx context.Context, c *call) (*dpop.Proof, error) {
	if len(c.Proofs) == 0 {
		if c.client.MustProve() {
			return nil, oauth.E(oauth.InvalidDPoPProof, "This client must send a proof in the DPoP header of every token request.")
		}
		return nil, nil
	}
	proof, err := s.DPoP.Verify(ctx, dpop.Request{Proofs: c.Proofs, Method: http.MethodPost, URL: c.URL, Now: c.now})
	if err != nil {
		return nil, dpop.Refusal(err)
	}
	if err := clientauth.MayProve(c.client, proof, c.now); err != nil {
		return nil, err
	}
	return proof, nil
}

// errNoCertificate: RFC 8705 names no error for a client that authenticated otherwise and shows no certificate. It is no
// invalid_grant, at which clients throw their refresh token away, and no invalid_client, for nothing is wrong with how it
// authenticated: the same request is right over another connection.
var errNoCertificate = oauth.E(oauth.InvalidRequest,
	"Access tokens of this client are bound to its certificate, and this connection shows none. Send the request to the token_endpoint of mtls_endpoint_aliases, with the certificate.")

// mayUse decides by the client's type which grants it has:
//
//	native, browser, web   authorization_code (where it has redirect URIs), refresh_token, device_code (where it is
//	                       allowed), token exchange (where it lists providers with audiences)
//	service                client_credentials
func mayUse(c *domain.Client, grantType string) error {
	var may bool
	switch grantType {
	case "":
		return oauth.E(oauth.InvalidRequest, "grant_type is missing.")
	case oauth.GrantRefreshToken:
		may = c.Type != domain.ClientService
	case oauth.GrantTokenExchange:
		may = c.Type != domain.ClientService && c.NativeSignIn()
	case oauth.GrantCode:
		may = c.Type != domain.ClientService && len(c.RedirectURIs) > 0
	case oauth.GrantDeviceCode:
		may = c.DeviceGrant
	case oauth.GrantClientCredentials:
		may = c.Type == domain.ClientService && c.Confidential()
	default:
		return oauth.E(oauth.UnsupportedGrantType, "This server does not know this grant_type. The metadata document lists those it does.")
	}
	if !may {
		return oauth.E(oauth.UnauthorizedClient, "This client may not use this grant_type: its type and its providers decide.")
	}
	return nil
}

// issue mints the access token of a session.
func (s *Service) issue(c *call, ses *domain.Session, carried offer.Carried) (*Response, error) {
	minted, err := s.Tokens.MintAccess(c.now, token.Access{
		Client: c.client, AccountID: ses.AccountID, SessionID: ses.ID,
		Audience: carried.Audience, Scope: carried.Scope, Details: carried.Details, JKT: boundTo(ses, c), X5T: c.x5t(), AuthTime: ses.AuthTime, AMR: ses.AMR,
	})
	if err != nil {
		return nil, err
	}
	return respond(minted, carried), nil
}

// boundTo is the key an access token of the session gets. A bearer session stays one whatever proof comes: its binding
// never changes. A confidential client may use a new key each time.
func boundTo(ses *domain.Session, c *call) string {
	switch ses.Tier {
	case domain.TierBound:
		return ses.JKT
	case domain.TierStable:
		return c.jkt()
	}
	return ""
}

func respond(m token.Minted, carried offer.Carried) *Response {
	return &Response{
		AccessToken: m.Token, TokenType: m.Type, ExpiresIn: int64(m.ExpiresIn.Seconds()), Scope: oauth.JoinScope(carried.Scope),
		Details: carried.Details,
	}
}

// wish is what the request asks for of what may be had.
func (c *call) wish() offer.Wish {
	return offer.Wish{Scope: c.Scope, Resources: c.Resource, Details: c.Details}
}

// ceiling is what a session was granted.
func ceiling(ses *domain.Session) offer.Granted {
	return offer.Granted{Scope: ses.Scope, Resources: ses.Resources, Details: json.RawMessage(ses.Details)}
}

func offline(ses *domain.Session) bool { return slices.Contains(ses.Scope, oauth.ScopeOfflineAccess) }

func (s *Service) offer(c *domain.Client) offer.Offer { return offer.Of(s.Catalog(), c, s.Issuer) }
