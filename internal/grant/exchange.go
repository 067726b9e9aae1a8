package grant

import (
	"context"
	"slices"

	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/offer"
	"github.com/countersign/countersign/internal/signin"
	"github.com/countersign/countersign/internal/token"
)

// exchange is native sign-in: a provider's id_token for our own tokens (RFC 8693, DESIGN section 4).
func (s *Service) exchange(ctx context.Context, c *call) (*Response, error) {
	if err := checkExchange(c.Request); err != nil {
		return nil, err
	}
	granted, err := s.offer(c.client).SignIn(c.Scope, c.Resource)
	if err != nil {
		return nil, err
	}
	in, err := s.SignIn.Native(ctx, signin.Request{
		Client: c.client, JKT: c.jkt(), IP: c.Credentials.IP,
		Evidence: signin.Evidence{
			SubjectToken: c.SubjectToken, Nonce: c.Nonce, ProviderCode: c.ProviderCode, User: c.User,
		},
		Scope: granted.Scope, Resources: granted.Resources, DeviceName: c.DeviceName,
	})
	if err != nil {
		return nil, err
	}
	event.Add(ctx, "session", in.Session.ID)
	return s.welcome(c, in)
}

// welcome writes the answer to a sign-in.
func (s *Service) welcome(c *call, in *signin.Result) (*Response, error) {
	ses := &in.Session
	audience := ses.Resources[0]
	answer, err := s.issue(c, ses, offer.Carried{Audience: audience, Scope: s.offer(c.client).Within(ses.Scope, audience)})
	if err != nil {
		return nil, err
	}
	answer.IssuedTokenType = oauth.TypeAccessToken
	if offline(ses) {
		answer.RefreshToken = string(in.Refresh)
	}
	if slices.Contains(ses.Scope, oauth.ScopeOpenID) {
		answer.IDToken, err = s.Tokens.MintID(c.now, token.ID{
			Client: c.client, AccountID: ses.AccountID, SessionID: ses.ID, Nonce: c.Nonce, AuthTime: ses.AuthTime,
			AccessToken: answer.AccessToken,
		})
	}
	return answer, err
}

// checkExchange refuses what RFC 8693 §2.1 allows and native sign-in has no use for.
func checkExchange(r Request) error {
	switch {
	case r.SubjectToken == "":
		return oauth.E(oauth.InvalidRequest, "subject_token is missing: send the id_token the provider's SDK returned.")
	case r.SubjectTokenType != oauth.TypeIDToken:
		return oauth.E(oauth.InvalidRequest, "subject_token_type must be "+oauth.TypeIDToken+".")
	case r.ActorToken != "" || r.ActorTokenType != "":
		return oauth.E(oauth.InvalidRequest, "There is no actor in a native sign-in: leave out actor_token and actor_token_type.")
	case r.RequestedTokenType != "" && r.RequestedTokenType != oauth.TypeAccessToken:
		return oauth.E(oauth.InvalidRequest, "requested_token_type can only be "+oauth.TypeAccessToken+".")
	case r.Details != "": // nobody would be shown them
		return oauth.E(oauth.InvalidDetails, "A native sign-in shows no page to agree on: ask for authorization_details at /authorize.")
	case len(r.Audience) > 0:
		return oauth.E(oauth.InvalidTarget, "Name the app server with resource, not with audience.")
	}
	return nil
}
