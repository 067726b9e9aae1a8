// Package bearer decides who presents an access token at our own APIs (/userinfo, /account/v1): the token itself, the
// DPoP key and the certificate it is bound to, and whether its session lives in the database. It refuses tokens anywhere but in the
// Authorization header and, where the API takes it there, in a form body. What the caller may then do, by scope and
// freshness, is the API's business.
package bearer

import (
	"context"
	"crypto/x509"
	"errors"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/accesstoken"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/token"
)

// ErrNoCredentials says that no access token came at all: the door answers with httpd.BearerError(w, r, nil), a
// challenge without an error code (RFC 6750 §3.1).
var ErrNoCredentials = errors.New("no access token in the Authorization header")

// Service does it. Its fields are set by app.
type Service struct {
	Tokens *token.Service
	DPoP   *dpop.Verifier
	Replay *dpop.Replay // proofs at resources are accepted once (RFC 9449 §11.1)
}

// Request is what came, and what it must be for.
type Request struct {
	Authorization []string // every Authorization header
	Proofs        []string // every DPoP header
	Method        string
	URL           string   // our own address + path, never from request headers: the htu of the proof
	HasQueryToken bool     // access_token came in the query, or in a form body where that is not taken (RFC 6750 §2)
	FormToken     *string  // access_token of a form body, where the API takes it there (RFC 6750 §2.2); nil: none came
	Audience      []string // accepted audiences; nil: any

	Certificates []*x509.Certificate // that the client showed in the TLS handshake, its own first
}

// Authenticate returns the checked token and its live session (nil for client credentials). Errors:
// ErrNoCredentials, or an *oauth.Error for httpd.BearerError: invalid_request, invalid_token, invalid_dpop_proof,
// use_dpop_nonce, temporarily_unavailable.
func (s *Service) Authenticate(ctx context.Context, r Request) (*accesstoken.Token, *domain.SessionView, error) {
	// 1. one token, in the Authorization header (RFC 6750 §2)
	presented, err := read(r)
	if err != nil {
		return nil, nil, err
	}
	// 2. is it a token of ours, for this audience
	now := s.Tokens.DB.Now()
	tok, err := s.Tokens.Checker(r.Audience).Check(ctx, presented.token, now)
	if errors.Is(err, accesstoken.ErrInvalid) {
		return nil, nil, errInvalidToken.Because(err)
	}
	if err != nil {
		return nil, nil, oauth.Unavailable(err)
	}
	// 3. is it presented by whoever holds its keys (RFC 8705 §3, RFC 9449 §7)
	if err := s.checkBinding(ctx, r, presented, tok, now); err != nil {
		return nil, nil, err
	}
	// 4. does what it stands for still live, by the database
	view, live, err := s.Tokens.Live(ctx, tok)
	if err != nil {
		return nil, nil, err
	}
	if !live {
		return nil, nil, errInvalidToken.Because(errNotLive)
	}
	event.Add(ctx, "client", tok.ClientID)
	event.Add(ctx, "session", tok.SessionID)
	return tok, view, nil
}

var (
	errInvalidToken = oauth.E(oauth.InvalidToken,
		"The access token is not valid here: it is expired, was revoked, or is meant for another audience. Refresh it and try again.")
	errNotLive = errors.New("its session, account or client is not live")
)

// presented is a token and the scheme it came with.
type presented struct {
	token string
	dpop  bool
}

func read(r Request) (presented, error) {
	if r.HasQueryToken {
		return presented{}, oauth.E(oauth.InvalidRequest, "Send the access token in the Authorization header only: elsewhere it ends up in logs.")
	}
	if r.FormToken != nil {
		return readForm(r)
	}
	switch len(r.Authorization) {
	case 0:
		return presented{}, ErrNoCredentials
	case 1:
	default:
		return presented{}, oauth.E(oauth.InvalidRequest, "The request has more than one Authorization header.")
	}
	scheme, token, _ := strings.Cut(r.Authorization[0], " ")
	dpop := strings.EqualFold(scheme, "DPoP")
	if !dpop && !strings.EqualFold(scheme, "Bearer") {
		return presented{}, ErrNoCredentials
	}
	if token == "" {
		return presented{}, oauth.E(oauth.InvalidRequest, "The Authorization header names a scheme but carries no access token.")
	}
	return presented{token, dpop}, nil
}

// readForm takes a token from the body, where it cannot be bound to a key: RFC 9449 §7.1 knows the header only. A client
// uses one method at a time (ATTACKS RS09).
func readForm(r Request) (presented, error) {
	switch {
	case len(r.Authorization) > 0:
		return presented{}, oauth.E(oauth.InvalidRequest, "The request carries an access token in its body and an Authorization header too. Send the header alone.")
	case *r.FormToken == "":
		return presented{}, oauth.E(oauth.InvalidRequest, "The body's access_token is empty.")
	}
	return presented{token: *r.FormToken}, nil
}

// checkBinding refuses a bound token without its certificate or its key, and one without a key that claims to have one.
func (s *Service) checkBinding(ctx context.Context, r Request, p presented, tok *accesstoken.Token, now time.Time) error {
	switch {
	case !tok.FitsCertificate(r.Certificates):
		return errCertificate
	case tok.JKT == "" && p.dpop:
		return oauth.E(oauth.InvalidToken, "This access token is not bound to a key. Send it with the Bearer scheme.")
	case tok.JKT == "":
		return nil
	case !p.dpop:
		return oauth.E(oauth.InvalidToken, "This access token is bound to a key. Send it with the DPoP scheme and a proof in the DPoP header.")
	}
	proof, err := s.DPoP.Verify(ctx, dpop.Request{
		Proofs: r.Proofs, Method: r.Method, URL: r.URL, AccessToken: p.token, TokenUntil: tok.ExpiresAt.Add(leeway), Now: now,
	})
	if err != nil {
		return dpop.Refusal(err)
	}
	if proof.JKT != tok.JKT {
		return oauth.E(oauth.InvalidToken, "The DPoP proof is by another key than the one this access token is bound to.")
	}
	if err := s.Replay.First(proof.JKT, proof.JTI, proof.ExpiresAt, now); err != nil {
		return dpop.Refusal(err)
	}
	return nil
}

var errCertificate = oauth.E(oauth.InvalidToken,
	"This access token is bound to a client certificate. Send it over a connection that shows this certificate, to an address of mtls_endpoint_aliases.")

// leeway is more than any Checker's.
const leeway = time.Minute
