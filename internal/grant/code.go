package grant

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/offer"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/signin"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/token"
)

// networkDuplicate is how soon the second of two redemptions by one key is taken for a copy the network made.
const networkDuplicate = 10 * time.Second

var errCode = oauth.E(oauth.InvalidGrant,
	"The code is not valid: it was used before, has expired after 60 seconds, or was issued to another client or redirect URI. Send the person to /authorize again.")

// code redeems an authorization code (RFC 6749 §4.1.3). It is checked against everything it is bound to before it is
// spent, and then spent in the transaction that starts the session.
func (s *Service) code(ctx context.Context, c *call) (*Response, error) {
	if c.Code == "" {
		return nil, oauth.E(oauth.InvalidRequest, "code is missing.")
	}
	flow, err := s.DB.FlowByCode(ctx, sha256.Sum256([]byte(c.Code)))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, errCode
	case err != nil:
		return nil, oauth.Unavailable(err)
	case flow.Kind != domain.FlowAuthorize || flow.Request.ClientID != c.client.ID:
		event.Add(ctx, "alarm", "code.other_client")
		return nil, errCode
	}
	if err := s.bound(ctx, c, flow); err != nil {
		return nil, err
	}
	return s.redeem(ctx, c, flow)
}

// bound holds the request against what the code is bound to. A wrong verifier burns a code that is still good: whoever
// has the code may be guessing (ATTACKS TK08). One that was spent is not affected by it, and neither is what it gave: the
// honest app has that (DESIGN promise 1).
func (s *Service) bound(ctx context.Context, c *call, f *domain.Flow) error {
	switch {
	case c.RedirectURI == "":
		return oauth.E(oauth.InvalidRequest, "redirect_uri is missing: send the one of the authorization request.")
	case c.RedirectURI != f.Request.RedirectURI:
		return errCode
	case !oauth.VerifierFits(c.CodeVerifier, f.Request.Challenge):
		if err := s.DB.BurnFlow(ctx, f.ID, c.now); err != nil {
			return oauth.Unavailable(err)
		}
		event.Add(ctx, "alarm", "code.wrong_verifier")
		return oauth.E(oauth.InvalidGrant, "code_verifier does not fit the code_challenge of the authorization request. The code is used up: send the person to /authorize again.")
	case f.Request.DPoPJKT != "" && f.Request.DPoPJKT != c.jkt(): // RFC 9449 §10
		return oauth.E(oauth.InvalidGrant, "The code is bound to a DPoP key, by the proof at /par or by dpop_jkt. Send a proof by that key.")
	}
	return nil
}

// redeem makes the session of a granted flow, a code's or a device's.
func (s *Service) redeem(ctx context.Context, c *call, f *domain.Flow) (*Response, error) {
	if err := signin.CheckDeviceName(c.DeviceName); err != nil {
		return nil, err
	}
	ceiling := offer.Granted{Scope: f.Scope, Resources: f.Request.Resources, Details: f.Request.Details}
	carried, err := s.offer(c.client).Carry(ceiling, offer.Wish{Resources: c.Resource, Details: c.Details}) // before anything is spent
	if err != nil {
		return nil, err
	}
	claims, err := s.idClaims(ctx, f)
	if err != nil {
		return nil, err
	}
	row, refresh, err := s.Sessions.Prepare(c.now, session.Start{
		Client: c.client, JKT: c.jkt(), Scope: f.Scope, Resources: f.Request.Resources, DeviceName: called(c, f),
		AuthTime: f.AuthTime, AMR: f.AMR, Claims: f.Request.Claims.UserInfo, Details: string(f.Request.Details),
	})
	if err != nil {
		return nil, oauth.Unavailable(err)
	}
	done, err := s.DB.RedeemFlow(ctx, store.Redemption{
		Now: c.now, FlowID: f.ID, Session: row, NewDevice: newDevice(c, row),
		Apart:        apart(c.client, f.Scope),
		NeedsConsent: f.Kind == domain.FlowAuthorize && (!c.client.FirstParty || len(f.Request.Details) > 0), Event: c.audit(ctx),
	})
	if err != nil {
		return nil, oauth.Unavailable(err)
	}
	switch done.Verdict {
	case store.Redeemed:
		event.Add(ctx, "session", done.Session.ID)
		return s.received(c, f, &done.Session, granted{carried, refresh, claims})
	case store.NotGranted:
		return nil, s.replayed(ctx, c, f.CodeHash)
	}
	return nil, redeemRefusal(done.Verdict)
}

// called is what lists of devices call the session: what the app says, or else the browser, or the app that runs on the
// device.
func called(c *call, f *domain.Flow) string {
	switch {
	case c.DeviceName != "":
		return c.DeviceName
	case f.Kind == domain.FlowDevice:
		return c.client.DisplayName()
	}
	return f.Request.Agent
}

// apart tells whether a session lives on beside the browser it was started in: an app on the device that was granted
// offline access is signed out in the app, or by its own logout, and not when somebody signs out of a web page (OIDC
// Back-Channel Logout §2.7).
func apart(c *domain.Client, scope []string) bool {
	return c.Type == domain.ClientNative && slices.Contains(scope, oauth.ScopeOfflineAccess)
}

func newDevice(c *call, row domain.Session) domain.Device {
	if row.JKT == "" {
		return domain.Device{}
	}
	return domain.Device{ID: domain.NewID[domain.DeviceID](), ClientID: c.client.ID, JKT: row.JKT, Name: row.DeviceName, CreatedAt: c.now}
}

func redeemRefusal(v store.RedeemVerdict) error {
	switch v {
	case store.RedeemAccountNotLive:
		return oauth.E(oauth.InvalidGrant, "The account is disabled. Signing in again will not help: the person must ask whoever runs this service.")
	case store.RedeemClientNotLive:
		return oauth.DisabledClient()
	case store.RedeemClientUnknown:
		return oauth.UnknownClient(domain.ErrUndeclared)
	}
	return errCode.Because(fmt.Errorf("redeem verdict %d", v))
}

// replayed answers for a code that is not there to be spent. If it was spent, somebody else may have its tokens: what it
// gave is revoked (RFC 6749 §4.1.2), and that is committed before the answer. Two requests by one key within a few seconds
// are one request, doubled by the network: refused, and nothing is revoked (ATTACKS TK04). The key is known of a session
// that is bound to it and of a code that was (dpop_jkt); a confidential client's session is bound to none, and what it
// proved its key with once is not kept.
func (s *Service) replayed(ctx context.Context, c *call, hash [32]byte) error {
	flow, err := s.DB.FlowByCode(ctx, hash)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return oauth.Unavailable(err)
	}
	if err != nil || flow.State != domain.FlowRedeemed {
		return errCode
	}
	view, err := s.DB.Session(ctx, flow.SessionID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return errCode
	case err != nil:
		return oauth.Unavailable(err)
	case sameKey(c.jkt(), view.JKT, flow.Request.DPoPJKT) && c.now.Sub(flow.RedeemedAt) < networkDuplicate:
		return errCode
	}
	event.Add(ctx, "alarm", "code.replay")
	if err := s.Sessions.End(ctx, flow.SessionID, domain.EndedByReuse); err != nil {
		return err
	}
	return errCode
}

// sameKey tells whether a proof was by the key of one of these.
func sameKey(proved string, keys ...string) bool {
	return proved != "" && slices.Contains(keys, proved)
}

// granted is what the tokens of an answer are for.
type granted struct {
	offer.Carried
	refresh session.RefreshToken
	claims  map[string]any // of the ID token
}

// idClaims are the claims about the person that the client asked to have in the ID token, one by one (OIDC Core §5.5). They
// are read before the code is spent.
func (s *Service) idClaims(ctx context.Context, f *domain.Flow) (map[string]any, error) {
	asked := f.Request.Claims.IDToken
	if len(asked) == 0 || !slices.Contains(f.Scope, oauth.ScopeOpenID) {
		return nil, nil
	}
	return s.Tokens.PersonClaims(ctx, token.Person{AccountID: f.AccountID, IdentityID: f.IdentityID, Asked: asked})
}

// received is the answer to a redemption.
func (s *Service) received(c *call, f *domain.Flow, ses *domain.Session, g granted) (*Response, error) {
	answer, err := s.issue(c, ses, g.Carried)
	if err != nil {
		return nil, err
	}
	if offline(ses) {
		answer.RefreshToken = string(g.refresh)
	}
	if !slices.Contains(ses.Scope, oauth.ScopeOpenID) {
		return answer, nil
	}
	answer.IDToken, err = s.Tokens.MintID(c.now, token.ID{
		Client: c.client, AccountID: ses.AccountID, SessionID: ses.ID, Nonce: f.Request.Nonce, AuthTime: ses.AuthTime, AMR: ses.AMR,
		AccessToken: answer.AccessToken, Claims: g.claims,
	})
	return answer, err
}
