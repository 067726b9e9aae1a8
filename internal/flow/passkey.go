package flow

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/passkey"
	"github.com/countersign/countersign/internal/signin"
	"github.com/countersign/countersign/internal/store"
)

// challenge is a passkey's question under way.
type challenge struct {
	Options json.RawMessage `json:"options"` // for the page
	State   json.RawMessage `json:"state"`   // for us
	MadeAt  time.Time       `json:"made_at"`
	Account string          `json:"account,omitempty"` // whose passkey it is to be, if it is to be made
}

func (s *Service) offersPasskeys(t *trip) bool { return t.client.Passkeys && s.Passkeys != nil }

func (s *Service) freshChallenge(t *trip) error {
	options, state, err := s.Passkeys.BeginLogin(t.now)
	if err != nil {
		return oauth.Unavailable(err)
	}
	t.p.Passkey = &challenge{Options: options, State: state, MadeAt: t.now}
	return nil
}

// CheckPasskey takes the assertion of a passkey. Its challenge is good for one sign-in: the step that signs in is taken
// from the version of the flow that has the challenge, and leaves it behind (ATTACKS WA01).
func (s *Service) CheckPasskey(ctx context.Context, id domain.FlowID, v Visitor, response []byte) (*Outcome, error) {
	t, elsewhere, err := s.load(ctx, id, v)
	if err != nil || elsewhere != nil {
		return elsewhere, err
	}
	if !s.offersPasskeys(t) || t.p.Passkey == nil {
		return t.again(), nil
	}
	used, err := s.Passkeys.FinishLogin(t.now, t.p.Passkey.State, response, s.finder(ctx))
	switch {
	case errors.Is(err, passkey.ErrInvalid), errors.Is(err, store.ErrNotFound):
		event.Add(ctx, "cause", err.Error())
		return s.passkeyFailed(ctx, t)
	case err != nil:
		return nil, oauth.Unavailable(err)
	}
	amr := []string{domain.AMRPasskey}
	if used.UserVerified {
		amr = append(amr, domain.AMRVerified)
	}
	return s.arrive(ctx, t, signin.Arrival{Passkey: used, AMR: amr, AuthTime: t.now})
}

// passkeyFailed puts another challenge in the place of one that was answered wrongly.
func (s *Service) passkeyFailed(ctx context.Context, t *trip) (*Outcome, error) {
	t.notice = NoticePasskey
	if err := s.freshChallenge(t); err != nil {
		return nil, err
	}
	if took, err := s.step(ctx, t); err != nil || !took {
		return t.again(), err
	}
	return s.login(ctx, t)
}

// finder looks a credential up for the passkey room. The user handle is the account's id.
func (s *Service) finder(ctx context.Context) func(credentialID, userHandle []byte) (json.RawMessage, []byte, error) {
	return func(credentialID, _ []byte) (json.RawMessage, []byte, error) {
		k, err := s.DB.PasskeyByCredential(ctx, credentialID)
		if err != nil {
			return nil, nil, err
		}
		return k.Record, k.AccountID[:], nil
	}
}

// offerPasskey shows, once, the offer to make a passkey to whoever has just signed in in another way and has none. nil:
// there is nothing to offer.
func (s *Service) offerPasskey(ctx context.Context, t *trip) (*Outcome, error) {
	if !s.offersPasskeys(t) || !t.lately() || t.p.Offered || slices.Contains(t.browser.AMR, domain.AMRPasskey) {
		return nil, nil
	}
	has, err := s.DB.Passkeys(ctx, t.browser.AccountID)
	if err != nil {
		return nil, oauth.Unavailable(err)
	}
	asked, err := s.DB.Tallied(ctx, offerKey(t), t.now)
	if err != nil {
		return nil, oauth.Unavailable(err)
	}
	if len(has) > 0 || (asked > 0 && t.next() != wantsStronger) {
		return nil, nil
	}
	if q := t.p.NewPasskey; q == nil || t.now.Sub(q.MadeAt) > challengeAge || !t.stillAs(q.Account) {
		name := s.called(ctx, t)
		options, state, err := s.Passkeys.BeginRegistration(t.now, passkey.User{Handle: t.browser.AccountID[:], Name: name, DisplayName: name}, nil)
		if err != nil {
			return nil, oauth.Unavailable(err)
		}
		t.p.NewPasskey, t.unsaved = &challenge{Options: options, State: state, MadeAt: t.now, Account: t.browser.AccountID.String()}, true
	}
	if t.unsaved {
		if took, err := s.step(ctx, t); err != nil || !took {
			return t.again(), err
		}
	}
	out := t.out
	out.Offer = &PasskeyOffer{Shown: t.shown(), Options: t.p.NewPasskey.Options}
	return &out, nil
}

// lately tells whether somebody proved themselves in this trip not too long ago for a change to their account: whoever
// finds the page open later is perhaps somebody else (DESIGN section 4, ATTACKS WA04).
func (t *trip) lately() bool { return t.p.Own && t.now.Sub(t.p.OwnAt) <= signin.StepUpWindow }

// A person who would rather not is not asked again for this long.
const offerAgain = 30 * 24 * time.Hour

func offerKey(t *trip) [32]byte { return tallyKey("passkey_offer", t.browser.AccountID.String()) }

// AddPasskey keeps a passkey the person has just made; an empty response means that they would rather not.
func (s *Service) AddPasskey(ctx context.Context, id domain.FlowID, v Visitor, response []byte) (*Outcome, error) {
	t, elsewhere, err := s.load(ctx, id, v)
	if err != nil || elsewhere != nil {
		return elsewhere, err
	}
	question := t.p.NewPasskey
	if t.browser == nil || question == nil || !t.p.Own || !t.stillAs(question.Account) {
		return t.again(), nil
	}
	t.p.NewPasskey, t.p.Offered = nil, true
	if took, err := s.step(ctx, t); err != nil || !took { // the challenge is spent, whatever comes of it
		return t.again(), err
	}
	if len(response) == 0 {
		if _, err := s.DB.Tally(ctx, offerKey(t), t.now, offerAgain); err != nil {
			return nil, oauth.Unavailable(err)
		}
	} else if t.lately() { // if not, the trip goes on without it
		made, err := s.keepPasskey(ctx, t, question, response)
		if err != nil {
			return nil, err
		}
		if made != nil && t.next() == wantsStronger { // to make one is to prove as much as by using it
			return s.arrive(ctx, t, signin.Arrival{Made: made, AMR: []string{domain.AMRPasskey, domain.AMRVerified}, AuthTime: t.now})
		}
	}
	return s.proceed(ctx, t)
}

// keepPasskey adds it to the account and returns its credential id. One that does not hold is not worth the sign-in: then
// there is none, and the trip goes on without it.
func (s *Service) keepPasskey(ctx context.Context, t *trip, question *challenge, response []byte) (id []byte, err error) {
	made, err := s.Passkeys.FinishRegistration(t.now, question.State, response)
	if errors.Is(err, passkey.ErrInvalid) {
		event.Add(ctx, "cause", err.Error())
		return nil, nil
	}
	if err != nil {
		return nil, oauth.Unavailable(err)
	}
	who := domain.Identity{
		ID: domain.NewID[domain.IdentityID](), AccountID: t.browser.AccountID, Provider: "passkey", Issuer: domain.PasskeyIssuer,
		Subject: base64.RawURLEncoding.EncodeToString(made.ID), CreatedAt: t.now, LastUsedAt: t.now,
	}
	e := audit(ctx, t.now, t.client.ID)
	e.Actor = "account " + t.browser.AccountID.String()
	verdict, err := s.DB.AddPasskey(ctx, store.PasskeyAddition{
		Now: t.now, BrowserID: t.browser.ID, Identity: who, Event: e,
		Passkey: domain.Passkey{
			IdentityID: who.ID, AccountID: t.browser.AccountID, CredentialID: made.ID, Record: made.Record,
			SignCount: made.SignCount, CreatedAt: t.now, LastUsedAt: t.now,
		},
	})
	switch {
	case err != nil:
		return nil, oauth.Unavailable(err)
	case verdict != store.Linked:
		return nil, nil
	}
	return made.ID, nil
}
