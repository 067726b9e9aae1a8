package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
)

// Presented is one use of a refresh token.
type Presented struct {
	Client *domain.Client // authenticated
	Token  string
	JKT    string // of the verified proof; "" without one
	// Audiences are those the answer may be for. A session whose default audience is another is refused with
	// invalid_target and its token is not spent. Empty: the caller has looked before (Judge).
	Audiences []string
}

// Rotated is what the session is after a 200, as far as an answer needs it (store.RotationResult).
type Rotated struct {
	Session domain.Session
	Token   RefreshToken // the successor; the same bytes on a retry
	Retry   bool
}

// attempts bounds how often a live, current token is put to the database that did not take it: the row was locked,
// or changed and changed back.
const attempts = 3

// Rotate applies the table of DESIGN section 3.
//
//  1. Read the token; a forged one costs no query.
//  2. One conditional UPDATE advances the session. That it took is the whole verdict.
//  3. Where it did not, the row that was found says which row of the table applies.
func (s *Service) Rotate(ctx context.Context, p Presented) (*Rotated, error) {
	h, ok, err := s.read(ctx, p.Token)
	switch {
	case err != nil:
		return nil, oauth.Unavailable(err)
	case !ok:
		event.Add(ctx, "rotation", s.notOurs(p.Token))
		return nil, errNotValid
	}
	event.Add(ctx, "session", h.session)
	u := use{Presented: p, handle: h, now: s.DB.Now(), mintWith: s.Keys.Current()}
	if _, ok := s.Keys.Key(u.mintWith, keyring.RefreshMAC); !ok {
		// A row that names a key nobody has could never be answered again.
		return nil, oauth.Unavailable(errors.New("rotate session: this node has no data key to mint with"))
	}
	if wait := s.bounds().advances.wait(h.session, u.now); wait > 0 {
		return nil, tooMany(ctx, "refreshes", wait)
	}
	for range attempts {
		found, err := s.advance(ctx, u)
		switch {
		case err != nil:
			return nil, oauth.Unavailable(fmt.Errorf("rotate session: %w", err))
		case found.Advanced:
			return s.advanced(ctx, u, found.View)
		case !found.Found:
			event.Add(ctx, "rotation", "unknown_session")
			return nil, errNotValid
		}
		v := u.judge(&found.View)
		if s.recovering(u, found.View.Tier, v) {
			if err := s.forward(ctx, u); err != nil {
				return nil, err
			}
			continue
		}
		if v.answered() && !u.answerable(&found.View) {
			event.Add(ctx, "rotation", "no_audience")
			return nil, errNoAudience
		}
		if v != current {
			event.Add(ctx, "rotation", v.String())
			return s.answer(ctx, u, found.View, v)
		}
	}
	return nil, oauth.Unavailable(errors.New("rotate session: the token is current, but the session did not advance"))
}

// use is one call of Rotate.
type use struct {
	Presented
	handle   handle
	now      time.Time
	mintWith uint32 // the data key of the successor
}

func (u use) presented() presented {
	return presented{counter: u.handle.counter, secretHash: u.handle.secretHash(), clientID: u.Client.ID, jkt: u.JKT}
}

// judge says which row of the state table the use falls under.
func (u use) judge(v *domain.SessionView) verdict {
	return judge(v, u.presented(), u.now, u.Client.Lifetimes(v.Tier).Grace)
}

// answerable is the twin of the condition in the UPDATE.
func (u use) answerable(v *domain.SessionView) bool {
	return len(u.Audiences) == 0 || len(v.Resources) > 0 && slices.Contains(u.Audiences, v.Resources[0])
}

// Judge reads the session of a token that Rotate would answer with 200, as of now, and changes nothing. ok is false for
// every other token: its verdict, and what follows from it, is Rotate's.
func (s *Service) Judge(ctx context.Context, p Presented) (v *domain.SessionView, ok bool, err error) {
	h, v, ok, err := s.find(ctx, p.Token)
	if err != nil || !ok {
		return nil, false, err
	}
	u := use{Presented: p, handle: h, now: s.DB.Now()}
	return v, u.judge(v).answered(), nil
}

func (s *Service) advance(ctx context.Context, u use) (store.RotationResult, error) {
	return s.DB.RotateRefresh(ctx, store.Rotation{
		Now:        u.now,
		SessionID:  u.handle.session,
		ClientID:   u.Client.ID,
		Counter:    u.handle.counter,
		SecretHash: u.handle.secretHash(),
		JKT:        u.JKT,
		KeyID:      u.mintWith,
		Format:     format1,
		Audiences:  u.Audiences,
	})
}

// advanced answers after the UPDATE took.
func (s *Service) advanced(ctx context.Context, u use, v domain.SessionView) (*Rotated, error) {
	s.bounds().advances.count(u.handle.session, u.now)
	event.Add(ctx, "rotation", "advanced")
	if v.Tier == domain.TierStable {
		return &Rotated{Session: v.Session, Token: RefreshToken(u.Token)}, nil
	}
	token, err := s.newest(ctx, v.Session, u.handle.secret)
	if err != nil {
		return nil, err
	}
	return &Rotated{Session: v.Session, Token: token}, nil
}

// answer carries out a verdict on a token that did not advance its session.
func (s *Service) answer(ctx context.Context, u use, v domain.SessionView, as verdict) (*Rotated, error) {
	switch as {
	case retry, lateRetry:
		return s.answerRetry(ctx, u, v, as == lateRetry)
	case retryTooLate, reused:
		return nil, s.endForReuse(ctx, v, u.now)
	case overtaken:
		return nil, errOvertaken()
	case counterAhead:
		event.Add(ctx, "alarm", "refresh.counter_ahead")
		return nil, oauth.Unavailable(fmt.Errorf("the token's counter %d is ahead of the session's %d", u.handle.counter, v.Refresh.Counter))
	case wrongSecret:
		event.Add(ctx, "alarm", "refresh.wrong_secret")
		return nil, errNotValid
	case otherClient:
		return nil, errOtherClient
	case proofMissing:
		return nil, errProofMissing
	case otherKey:
		event.Add(ctx, "security", "refresh.key_mismatch")
		return nil, errOtherKey
	case undeclared:
		// This node has yet to hear of it. From then on clientauth refuses the client with these very words: it is
		// unknown, which may be a slip in a file, and signs nobody out (DESIGN section 1).
		return nil, oauth.UnknownClient(domain.ErrUndeclared)
	}
	return nil, notLiveError(&v, u.now)
}

// promptly is how soon after a rotation its retries are not counted: parallel requests of one app.
const promptly = 2 * time.Second

// answerRetry gives the parent's holder the current token once more. Idle time is not extended.
func (s *Service) answerRetry(ctx context.Context, u use, v domain.SessionView, late bool) (*Rotated, error) {
	if u.now.Sub(v.Refresh.RotatedAt) >= promptly {
		retries := s.bounds().retries
		if wait := retries.wait(v.ID, u.now); wait > 0 {
			return nil, tooMany(ctx, "retries", wait)
		}
		retries.count(v.ID, u.now)
	}
	if late {
		streak, err := s.DB.MarkLateRetry(ctx, v.ID, v.Refresh.Counter)
		if err != nil {
			return nil, oauth.Unavailable(fmt.Errorf("mark late retry: %w", err))
		}
		if streak >= lateGenerations {
			return nil, s.endForReuse(ctx, v, u.now)
		}
	}
	token, err := s.newest(ctx, v.Session, u.handle.secret)
	if err != nil {
		return nil, err
	}
	return &Rotated{Session: v.Session, Token: token, Retry: true}, nil
}

// endForReuse ends the session of two parties, durably, before anybody is told.
func (s *Service) endForReuse(ctx context.Context, v domain.SessionView, now time.Time) error {
	event.Add(ctx, "security", "refresh.reuse")
	if err := s.end(ctx, v.ID, domain.EndedByReuse, now); err != nil {
		return err
	}
	return errReused
}

// newest mints the token of the row's counter as the row says it was minted first.
func (s *Service) newest(ctx context.Context, row domain.Session, secret [secretLen]byte) (RefreshToken, error) {
	r := row.Refresh
	key, ok, err := s.Keys.Find(ctx, r.KeyID, keyring.RefreshMAC)
	if err == nil && (!ok || r.Format != format1) {
		event.Add(ctx, "alarm", "refresh.unknown_key_or_format")
		err = fmt.Errorf("the current token of the session was minted with key %d and format %d, which this node does not know", r.KeyID, r.Format)
	}
	if err != nil {
		return "", oauth.Unavailable(err)
	}
	return handle{format: r.Format, keyID: r.KeyID, session: row.ID, counter: r.Counter, secret: secret}.mint(key), nil
}

// read takes a token apart and checks its MAC. ok is false for anything that is not ours; an error means that this
// node could not find out.
func (s *Service) read(ctx context.Context, text string) (h handle, ok bool, err error) {
	h, mac, ok := parse(text)
	if !ok {
		return handle{}, false, nil
	}
	key, ok, err := s.Keys.Find(ctx, h.keyID, keyring.RefreshMAC)
	if err != nil || !ok {
		return handle{}, false, err
	}
	return h, h.authentic(key, mac), nil
}

// notOurs tells for the log why read refused: a whole token that names a key nobody has may be honest, if the row of
// the key was lost with a restored backup. Anybody can write one, so the answer is the same (DESIGN section 3).
func (s *Service) notOurs(text string) string {
	h, _, whole := parse(text)
	if _, known := s.Keys.Key(h.keyID, keyring.RefreshMAC); whole && !known {
		return "unknown_key"
	}
	return "forged"
}
