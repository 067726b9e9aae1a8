package signin

import (
	"context"
	"errors"
	"time"

	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
)

// StepUpWindow is how old a proof of who is there may be for a change to the account (DESIGN section 4).
const StepUpWindow = 5 * time.Minute

// stepUp makes sure that the person proved themselves lately: by the provider's auth_time in the access token, or by a
// fresh id_token of an identity already on the account. The returned nonces (one or none) are for the caller to consume
// in the transaction of what it does, so that a change that fails can be asked for again with the same proof. Everything
// else is 401 insufficient_user_authentication (RFC 9470 §3).
func (s *Service) stepUp(ctx context.Context, now time.Time, m Manage) ([]store.Nonce, error) {
	if recent(now, m.AuthTime) {
		return nil, nil
	}
	if m.Reauth == nil {
		return nil, staleProof("This needs a sign-in of the last 5 minutes. Sign in again, or send reauth_token and reauth_nonce: " +
			"an id_token of an identity on this account, with a nonce that was asked for with purpose=reauth.")
	}
	who, err := s.prove(ctx, now, m.caller(), *m.Reauth, PurposeReauth)
	if err != nil {
		err = s.disproved(ctx, now, m.caller(), err)
		if refused := oauth.AsError(err); refused.Code == oauth.InvalidRequest {
			return nil, staleProof("The re-authentication was refused. " + refused.Description).Because(err)
		}
		return nil, err
	}
	if !recent(now, who.subject.IssuedAt) {
		return nil, staleProof("reauth_token was issued more than 5 minutes ago. Sign in with the provider again and send the new one.")
	}
	owner, err := s.DB.AccountByIdentity(ctx, who.subject.Issuer, who.subject.Subject)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, oauth.Unavailable(err)
	}
	if err != nil || owner.ID != m.Session.AccountID {
		return nil, staleProof("reauth_token belongs to an identity that is not on this account. Use one that GET /account/v1/identities lists.")
	}
	return []store.Nonce{who.nonce}, nil
}

// proofSpent refuses a re-authentication that went into another change. A change that failed spends none: the nonce is
// consumed in its transaction.
func proofSpent() error {
	return staleProof("reauth_nonce was used before. Ask POST /challenge for a new one with purpose=reauth.")
}

func recent(now, proven time.Time) bool {
	return !proven.IsZero() && now.Sub(proven) <= StepUpWindow && proven.Sub(now) <= clockSlack
}

func staleProof(description string) *oauth.Error {
	e := oauth.E(oauth.InsufficientUserAuth, description)
	e.MaxAge = StepUpWindow
	return e
}

func (m *Manage) caller() caller { return caller{Client: m.Client, JKT: m.JKT, IP: m.IP} }
