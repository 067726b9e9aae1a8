package session

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
)

// find reads the session a token names. ok is false for anything that is not ours; what the token is worth is not asked.
func (s *Service) find(ctx context.Context, token string) (h handle, v *domain.SessionView, ok bool, err error) {
	if h, ok, err = s.read(ctx, token); err != nil {
		return h, nil, false, oauth.Unavailable(err)
	}
	if !ok {
		return h, nil, false, nil
	}
	v, err = s.DB.Session(ctx, h.session)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return h, nil, false, nil
	case err != nil:
		return h, nil, false, oauth.Unavailable(fmt.Errorf("read session: %w", err))
	}
	return h, v, true, nil
}

// Authentic reads a refresh token without using it: MAC, then secret hash against the row, whatever its counter.
// It is how /revoke finds the session. ok is false for anything that is not ours.
func (s *Service) Authentic(ctx context.Context, token string) (v *domain.SessionView, ok bool, err error) {
	h, v, ok, err := s.find(ctx, token)
	if err != nil || !ok {
		return nil, false, err
	}
	hash := h.secretHash()
	if subtle.ConstantTimeCompare(hash[:], v.Refresh.SecretHash[:]) != 1 {
		event.Add(ctx, "alarm", "refresh.wrong_secret")
		return nil, false, nil
	}
	return v, true, nil
}

// End ends a session; it is no error if it is over already.
func (s *Service) End(ctx context.Context, id domain.SessionID, reason domain.EndReason) error {
	return s.end(ctx, id, reason, s.DB.Now())
}

func (s *Service) end(ctx context.Context, id domain.SessionID, reason domain.EndReason, now time.Time) error {
	of := event.From(ctx)
	audit := domain.Event{
		At: now, Action: "session.end", Actor: "system", SessionID: id, Reason: string(reason),
		RequestID: of.ID, IP: of.IP,
	}
	if _, err := s.DB.EndSession(ctx, id, reason, audit); err != nil {
		return oauth.Unavailable(fmt.Errorf("end session: %w", err))
	}
	return nil
}
