package session

import (
	"context"
	"fmt"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
)

// recovering tells whether the operator has declared, and not for ever, that rows may be behind their tokens: after a
// restore from a backup, or a failover that lost commits (ATTACKS RT08). A stable token never counts, so none of ours is
// ahead.
func (s *Service) recovering(u use, tier domain.Tier, v verdict) bool {
	return v == counterAhead && tier != domain.TierStable && u.now.Before(s.RecoverUntil)
}

// forward makes the row catch up with the token, which is then judged again, as the current one. Its MAC says that we
// minted it, its secret that it is of this session, and of a bound session the proof that this is the phone: what stays
// open is whether a leaked MAC key made it, and that is what the operator has answered.
func (s *Service) forward(ctx context.Context, u use) error {
	of := event.From(ctx)
	event.Add(ctx, "forwarded_to", u.handle.counter)
	err := s.DB.ForwardRefresh(ctx, store.Forwarding{
		SessionID: u.handle.session, Counter: u.handle.counter, SecretHash: u.handle.secretHash(),
		KeyID: u.handle.keyID, Format: u.handle.format,
	}, domain.Event{At: u.now, Actor: "system", Reason: "refresh.counter_ahead", RequestID: of.ID, IP: of.IP})
	if err != nil {
		return oauth.Unavailable(fmt.Errorf("rotate session: %w", err))
	}
	return nil
}
