package signin

import (
	"context"
	"errors"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/upstream"
)

// firstProfile is what a new account says of its person: what its first identity does. From then on it is the person's
// own: no provider changes it.
func firstProfile(s *upstream.Subject, name personName) domain.Profile {
	d := domain.Details{
		Name: name.whole, GivenName: name.given, FamilyName: name.family, Picture: s.Picture, Locale: s.Locale,
	}
	return domain.Profile{Details: d.Sound()}
}

// Edit is a change to a profile.
type Edit struct {
	Details  domain.Details
	Verified *bool // whether the phone number is the person's; nil: as it was, for the same number
	Event    domain.Event
}

const editTries = 5

// EditProfile replaces the profile of an account. The error is an *oauth.Error, or wraps store.ErrNotFound.
func (s *Service) EditProfile(ctx context.Context, acc domain.AccountID, e Edit) (*domain.Profile, error) {
	if err := e.Details.Validate(); err != nil {
		return nil, oauth.E(oauth.InvalidRequest, err.Error())
	}
	if e.Verified != nil && *e.Verified && e.Details.PhoneNumber == "" {
		return nil, oauth.E(oauth.InvalidRequest, "phone_number_verified needs a phone_number.")
	}
	now := s.DB.Now()
	for range editTries { // each failure means that another edit got on
		seen, err := s.DB.Profile(ctx, acc)
		if errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if err != nil {
			return nil, oauth.Unavailable(err)
		}
		p := e.over(seen.Profile, now)
		took, err := s.DB.PutProfile(ctx, acc, seen, p, e.Event)
		switch {
		case err != nil:
			return nil, oauth.Unavailable(err)
		case took:
			return &p, nil
		}
	}
	return nil, oauth.Unavailable(errors.New("the profile is edited by too many at once"))
}

// over is the profile after the edit. A number is as verified as it was; another number is not.
func (e *Edit) over(before domain.Profile, now time.Time) domain.Profile {
	p := domain.Profile{Details: e.Details, UpdatedAt: now.UTC().Truncate(time.Second)}
	switch {
	case e.Verified != nil:
		p.PhoneNumberVerified = *e.Verified
	case e.Details.PhoneNumber != "" && e.Details.PhoneNumber == before.PhoneNumber:
		p.PhoneNumberVerified = before.PhoneNumberVerified
	}
	return p
}

// EditOwnProfile is EditProfile by the person, which needs no fresh proof: nothing in a profile signs anybody in.
func (s *Service) EditOwnProfile(ctx context.Context, m Manage, d domain.Details) (*domain.Profile, error) {
	p, err := s.EditProfile(ctx, m.Session.AccountID, Edit{Details: d, Event: m.audit(ctx, s.DB.Now())})
	if errors.Is(err, store.ErrNotFound) {
		return nil, notLive()
	}
	return p, err
}

// WithdrawConsent takes back what the person agreed that a client may have, and ends all its sessions on the account.
// Like every ending of other sessions it needs a fresh proof.
func (s *Service) WithdrawConsent(ctx context.Context, m Manage, clientID string) error {
	now := s.DB.Now()
	none := &Refusal{NotFound, "Nothing was agreed with such a client on this account."}
	// Nobody is asked to prove themselves for what cannot be done; the database decides again below.
	switch _, err := s.DB.Consent(ctx, m.Session.AccountID, clientID); {
	case errors.Is(err, store.ErrNotFound):
		return none
	case err != nil:
		return oauth.Unavailable(err)
	}
	nonces, err := s.stepUp(ctx, now, m)
	if err != nil {
		return err
	}
	found, err := s.DB.WithdrawConsent(ctx, m.Session.AccountID, clientID, m.audit(ctx, now), nonces...)
	switch {
	case errors.Is(err, store.ErrNonceSpent):
		return proofSpent()
	case err != nil:
		return oauth.Unavailable(err)
	case !found:
		return none
	}
	return nil
}
