package signin

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
)

// Link adds an identity. It needs a fresh proof; an identity that signs in to another account is a Refusal, and one
// that is on this account already is returned as it is, not added.
func (s *Service) Link(ctx context.Context, m Manage, e Evidence) (identity *domain.Identity, added bool, err error) {
	now := s.DB.Now()
	nonces, err := s.stepUp(ctx, now, m)
	if err != nil {
		return nil, false, err
	}
	who, err := s.prove(ctx, now, m.caller(), e, PurposeLink)
	if err != nil {
		return nil, false, s.disproved(ctx, now, m.caller(), err)
	}
	row := who.identity(now)
	row.AccountID = m.Session.AccountID
	outbox, err := s.redemption(now, who, e.ProviderCode, m.Session.ID)
	if err != nil {
		return nil, false, err
	}
	verdict, id, err := s.DB.LinkIdentity(ctx, store.Link{
		Now: now, Nonces: append(nonces, who.nonce), SessionID: m.Session.ID,
		Identity: row, Outbox: outbox, Event: m.audit(ctx, now),
	})
	if err != nil {
		return nil, false, oauth.Unavailable(err)
	}
	switch verdict {
	case store.Linked:
		s.wakeOutbox()
		row.ID = id
		return &row, true, nil
	case store.AlreadyLinked:
		identity, err = s.identityOf(ctx, m.Session.AccountID, id)
		return identity, false, err
	case store.LinkedToOther:
		return nil, false, &Refusal{LinkedElsewhere, "This identity already signs in to another account. Sign in with it to use that one, or unlink it there first."}
	case store.LinkNonceSpent:
		return nil, false, s.refused(ctx, now, m.caller(), who, oauth.E(oauth.InvalidRequest, "A nonce or id_token of this request was used before. "+
			"Look at GET /account/v1/identities whether an earlier try got through; otherwise start with new nonces."))
	}
	return nil, false, notLive()
}

// Unlink removes an identity, never the last, and ends the sessions it started but this one: whoever takes a stolen
// identity off the account means the thief to be gone. What its provider gave us is revoked there.
func (s *Service) Unlink(ctx context.Context, m Manage, id domain.IdentityID) error {
	now := s.DB.Now()
	// Nobody is asked to prove themselves for what cannot be done; the database decides again below.
	mine, err := s.DB.Identities(ctx, m.Session.AccountID)
	if err != nil {
		return oauth.Unavailable(err)
	}
	if !slices.ContainsFunc(mine, func(i domain.Identity) bool { return i.ID == id }) {
		return noIdentity()
	}
	if len(mine) == 1 {
		return lastIdentity()
	}
	nonces, err := s.stepUp(ctx, now, m)
	if err != nil {
		return err
	}
	verdict, err := s.DB.UnlinkIdentity(ctx, store.Unlink{
		Now: now, Nonces: nonces, AccountID: m.Session.AccountID, IdentityID: id, SessionID: m.Session.ID,
		Revoke: revocation(now), Event: m.audit(ctx, now),
	})
	if err != nil {
		return oauth.Unavailable(err)
	}
	switch verdict {
	case store.Unlinked:
		s.wakeOutbox()
		return nil
	case store.UnlinkLast:
		return lastIdentity()
	case store.UnlinkNonceSpent:
		return proofSpent()
	}
	return noIdentity()
}

// EndSession ends one session of the account; ending one's own needs no fresh proof. A session of somebody else is not
// found (SE14); one that is over already is no error.
func (s *Service) EndSession(ctx context.Context, m Manage, id domain.SessionID) error {
	now := s.DB.Now()
	var nonces []store.Nonce
	if id != m.Session.ID {
		view, err := s.DB.Session(ctx, id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return oauth.Unavailable(err)
		}
		if err != nil || view.AccountID != m.Session.AccountID {
			return noSession()
		}
		if view.State == domain.SessionEnded {
			return nil // perhaps by the first try of this very request, whose proof would be spent
		}
		if nonces, err = s.stepUp(ctx, now, m); err != nil {
			return err
		}
	}
	_, err := s.DB.EndAccountSession(ctx, m.Session.AccountID, id, domain.EndedByUser, m.audit(ctx, now), nonces...)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return noSession()
	case errors.Is(err, store.ErrNonceSpent):
		return proofSpent()
	case err != nil:
		return oauth.Unavailable(err)
	}
	return nil
}

// EndOthers ends all sessions of the account but this one.
func (s *Service) EndOthers(ctx context.Context, m Manage) (int, error) {
	now := s.DB.Now()
	nonces, err := s.stepUp(ctx, now, m)
	if err != nil {
		return 0, err
	}
	n, err := s.DB.EndAccountSessions(ctx, m.Session.AccountID, m.Session.ID, domain.EndedByUser, m.audit(ctx, now), nonces...)
	switch {
	case errors.Is(err, store.ErrNonceSpent):
		return 0, proofSpent()
	case err != nil:
		return 0, oauth.Unavailable(err)
	}
	return n, nil
}

func (s *Service) identityOf(ctx context.Context, acc domain.AccountID, id domain.IdentityID) (*domain.Identity, error) {
	mine, err := s.DB.Identities(ctx, acc)
	if err != nil {
		return nil, oauth.Unavailable(err)
	}
	for i := range mine {
		if mine[i].ID == id {
			return &mine[i], nil
		}
	}
	return nil, noIdentity() // unlinked in the meantime
}

// audit starts the audit row of a change by this person.
func (m *Manage) audit(ctx context.Context, now time.Time) domain.Event {
	e := audit(ctx, now, m.Client.ID)
	e.Actor = "account " + m.Session.AccountID.String()
	e.AccountID, e.SessionID = m.Session.AccountID, m.Session.ID
	return e
}

func noIdentity() error { return &Refusal{NotFound, "There is no such identity on this account."} }
func noSession() error  { return &Refusal{NotFound, "There is no such session on this account."} }
func lastIdentity() error {
	return &Refusal{LastIdentity, "This is the last way to sign in to this account. Link another identity first."}
}

func notLive() error {
	return oauth.E(oauth.InvalidToken, "The session of this access token has ended. Sign in again.")
}
