package session

import (
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// a situation is a session's row and the use of a token, as a table row changes it.
type situation struct {
	row   domain.SessionView
	use   presented
	now   time.Time
	grace time.Duration
}

const (
	ourKey   = "key-of-the-phone"
	otherJKT = "key-of-a-thief"
)

// atCounter7 is a live session whose current token 7 came to be a minute ago, its parent an hour ago.
func atCounter7(tier domain.Tier) *situation {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := &situation{now: now, grace: 24 * time.Hour}
	s.row = domain.SessionView{
		Session: domain.Session{
			ClientID: "app", Tier: tier, State: domain.SessionLive,
			IdleExpiresAt: now.Add(time.Hour),
			Refresh: domain.Refresh{
				Counter: 7, SecretHash: [32]byte{1}, RotatedAt: now.Add(-time.Minute), PrevRotatedAt: now.Add(-time.Hour),
			},
		},
		AccountState: domain.AccountActive,
		ClientState:  domain.ClientLive,
	}
	s.use = presented{counter: 7, secretHash: [32]byte{1}, clientID: "app"}
	if tier == domain.TierBound {
		s.row.JKT, s.use.jkt = ourKey, ourKey
	}
	return s
}

func (s *situation) present(n uint32) { s.use.counter = n }

// rotated sets how long ago the current token came to be.
func (s *situation) rotated(ago time.Duration) { s.row.Refresh.RotatedAt = s.now.Add(-ago) }

// parent sets how long ago the current token's parent came to be.
func (s *situation) parent(ago time.Duration) { s.row.Refresh.PrevRotatedAt = s.now.Add(-ago) }

// TestEveryRowOfTheStateTable walks DESIGN section 3's table from top to bottom.
func TestEveryRowOfTheStateTable(t *testing.T) {
	const bound, bearer, stable = domain.TierBound, domain.TierBearer, domain.TierStable
	for _, c := range []struct {
		name string
		tier domain.Tier
		is   func(*situation)
		want verdict
	}{
		{"wrong secret", bearer, func(s *situation) { s.use.secretHash[31] = 9 }, wrongSecret},
		{"wrong secret of an ended session", bearer, func(s *situation) { s.use.secretHash[0] = 9; s.row.State = domain.SessionEnded }, wrongSecret},
		{"RT10: another client", bearer, func(s *situation) { s.use.clientID = "other" }, otherClient},
		{"RT10: another client, session ended: not told", bearer, func(s *situation) { s.use.clientID = "other"; s.row.State = domain.SessionEnded }, otherClient},
		{"RT10: another client of a bound session, before its key", bound, func(s *situation) { s.use.clientID = "other"; s.use.jkt = "" }, otherClient},
		{"RT11: bound, no proof", bound, func(s *situation) { s.use.jkt = "" }, proofMissing},
		{"RT11: bound, no proof, old token", bound, func(s *situation) { s.use.jkt = ""; s.present(2) }, proofMissing},
		{"RT11: bound, other key", bound, func(s *situation) { s.use.jkt = otherJKT }, otherKey},
		{"RT11: bound, other key, old token: no end", bound, func(s *situation) { s.use.jkt = otherJKT; s.present(1) }, otherKey},
		{"RT12: bearer with a proof", bearer, func(s *situation) { s.use.jkt = otherJKT }, current},
		{"stable with a proof", stable, func(s *situation) { s.use.jkt = otherJKT }, current},

		{"RT15: ended", bound, func(s *situation) { s.row.State = domain.SessionEnded }, notLive},
		{"RT15: account disabled", bound, func(s *situation) { s.row.AccountState = domain.AccountDisabled }, notLive},
		{"RT15: account in no known state", bound, func(s *situation) { s.row.AccountState = 0 }, notLive},
		{"RT15: client disabled", bound, func(s *situation) { s.row.ClientState = domain.ClientDisabled }, notLive},
		{"RT15: client in no known state", bound, func(s *situation) { s.row.ClientState = 9 }, notLive},
		{"RT15: client no longer declared", bound, func(s *situation) { s.row.ClientState = domain.ClientUndeclared }, undeclared},
		{"RT15: client no longer declared, a retry", bound, func(s *situation) { s.row.ClientState = domain.ClientUndeclared; s.present(6) }, undeclared},
		{"RT15: client no longer declared, an old token ends nothing", bearer, func(s *situation) { s.row.ClientState = domain.ClientUndeclared; s.present(2) }, undeclared},
		{"RT15: client no longer declared, session ended: as a node that knows it says", bearer, func(s *situation) { s.row.ClientState = domain.ClientUndeclared; s.row.State = domain.SessionEnded }, undeclared},
		{"RT10: client undeclared, presented by another", bearer, func(s *situation) { s.row.ClientState = domain.ClientUndeclared; s.use.clientID = "other" }, otherClient},
		{"RT14: idle", bound, func(s *situation) { s.row.IdleExpiresAt = s.now }, notLive},
		{"RT14: absolute", bearer, func(s *situation) { s.row.AbsoluteExpiresAt = s.now }, notLive},
		{"an old token of an ended session ends nothing again", bearer, func(s *situation) { s.row.State = domain.SessionEnded; s.present(2) }, notLive},
		{"a retry of an expired session", bound, func(s *situation) { s.row.IdleExpiresAt = s.now; s.present(6) }, notLive},

		{"n = c, bound", bound, func(*situation) {}, current},
		{"n = c, bearer", bearer, func(*situation) {}, current},
		{"n = c, stable", stable, func(*situation) {}, current},

		{"RT03: n = c-1, bound, at once", bound, func(s *situation) { s.present(6); s.rotated(0) }, retry},
		{"RT03: n = c-1, bound, 30 days", bound, func(s *situation) { s.present(6); s.rotated(30 * 24 * time.Hour) }, retry},
		{"RT03: n = c-1, bearer, 1 s", bearer, func(s *situation) { s.present(6); s.rotated(time.Second) }, retry},
		{"RT03: n = c-1, bearer, 10 s is not late", bearer, func(s *situation) { s.present(6); s.rotated(10 * time.Second) }, retry},
		{"n = c-1, bearer, more than 10 s is late", bearer, func(s *situation) { s.present(6); s.rotated(10*time.Second + 1) }, lateRetry},
		{"RT03: n = c-1, bearer, 55 s of 60", bearer, func(s *situation) { s.present(6); s.rotated(55 * time.Second); s.grace = time.Minute }, lateRetry},
		{"RT03: n = c-1, bearer, 8 h of 24", bearer, func(s *situation) { s.present(6); s.rotated(8 * time.Hour) }, lateRetry},
		{"RT04: n = c-1, bearer, after the grace", bearer, func(s *situation) { s.present(6); s.rotated(24*time.Hour + 1) }, retryTooLate},
		{"RT04: n = c-1, bearer, grace under 10 s", bearer, func(s *situation) { s.present(6); s.rotated(6 * time.Second); s.grace = 5 * time.Second }, retryTooLate},
		{"n = c-1, clock of the other node ahead", bearer, func(s *situation) { s.present(6); s.rotated(-3 * time.Second) }, retry},

		{"RT06: n = c-2, bound, overtaken under 10 s ago", bound, func(s *situation) { s.present(5); s.rotated(9 * time.Second); s.parent(9 * time.Second) }, overtaken},
		{"RT06: n = c-2, bound, copy of a retry long after the first use", bound, func(s *situation) { s.present(5); s.rotated(9 * time.Second) }, overtaken},
		{"RT06: n = c-2, bearer, first used under 10 s ago", bearer, func(s *situation) { s.present(5); s.parent(9 * time.Second) }, overtaken},
		{"RT01: n = c-2, bound, overtaken 10 s ago", bound, func(s *situation) { s.present(5); s.rotated(10 * time.Second) }, reused},
		{"RT01: n = c-2, bearer, first used 10 s ago", bearer, func(s *situation) { s.present(5); s.parent(10 * time.Second); s.rotated(0) }, reused},
		{"RT01: n = c-3, overtaken just now", bearer, func(s *situation) { s.present(4); s.parent(time.Second); s.rotated(time.Second) }, reused},
		{"RT06: n = c-3, bound, three refreshes in a breath and a copy of the first", bound, func(s *situation) { s.present(4); s.rotated(9 * time.Second) }, overtaken},
		{"RT01: n = c-3, bound, overtaken 10 s ago", bound, func(s *situation) { s.present(4); s.rotated(10 * time.Second) }, reused},
		{"RT01: n = 0", bound, func(s *situation) { s.present(0) }, reused},

		{"RT08: n = c+1", bound, func(s *situation) { s.present(8) }, counterAhead},
		{"RT08: n = c+2^31", bearer, func(s *situation) { s.present(1 << 31) }, counterAhead},
		{"RT08: the highest n there is", bearer, func(s *situation) { s.present(1<<32 - 1); s.row.Refresh.Counter = 0 }, counterAhead},
		{"RT08: stable, n > 0", stable, func(s *situation) { s.present(1); s.row.Refresh.Counter = 0 }, counterAhead},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := atCounter7(c.tier)
			c.is(s)
			if got := judge(&s.row, s.use, s.now, s.grace); got != c.want {
				t.Errorf("judged %s, want %s", got, c.want)
			}
		})
	}
}
