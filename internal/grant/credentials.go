package grant

import (
	"context"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/token"
)

// credentials answers a service that asks for itself (RFC 6749 §4.4). There is no session, so no refresh token and
// nothing single-use: proofs are remembered, and the database says whether the client still lives.
func (s *Service) credentials(ctx context.Context, c *call) (*Response, error) {
	carried, err := s.offer(c.client).Service(c.wish())
	if err != nil {
		return nil, err
	}
	if c.proof != nil {
		first := s.Replay.First
		if c.client.AuthMethod.Unrepeatable() {
			first = s.Replay.FirstBeside
		}
		if err := first(c.proof.JKT, c.proof.JTI, c.proof.ExpiresAt, c.now); err != nil {
			return nil, dpop.Refusal(err)
		}
	}
	minted, err := s.Tokens.MintAccess(c.now, token.Access{Client: c.client, Audience: carried.Audience, Scope: carried.Scope, Details: carried.Details, JKT: c.jkt(), X5T: c.x5t()})
	if err != nil {
		return nil, err
	}
	state, err := s.DB.ClientState(ctx, c.client.ID)
	if err != nil {
		return nil, oauth.Unavailable(err)
	}
	switch state {
	case domain.ClientLive:
	case domain.ClientDisabled:
		return nil, oauth.DisabledClient()
	default: // this node has yet to hear of it
		return nil, oauth.UnknownClient(domain.ErrUndeclared)
	}
	return respond(minted, carried), nil
}
