package registration

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

// What anybody may leave behind is bounded as a whole, whatever number of addresses they have: so many clients that nobody
// answers for and nobody used yet, of each kind. Those are gone a day after they came (ATTACKS RG10).
const (
	maxUnused  = 10_000
	countEvery = 5 * time.Second
)

// unused remembers how many there were a moment ago, so that not every registration counts them.
type unused struct {
	mu sync.Mutex
	of map[domain.RegisteredBy]counted
}

type counted struct {
	n  int
	at time.Time
}

// roomFor refuses one more client where there are too many that nobody uses.
func (s *Service) roomFor(ctx context.Context, by domain.RegisteredBy, now time.Time) error {
	n, known := s.unused.oneMore(by, now)
	if !known {
		var err error
		if n, err = s.DB.UnusedRegistrations(ctx, by, now, maxUnused); err != nil {
			return oauth.Unavailable(err)
		}
		s.unused.set(by, counted{n, now})
	}
	if n < maxUnused {
		return nil
	}
	e := oauth.E(oauth.TemporarilyUnavailable, fmt.Sprintf("%d apps were registered here within a day that nobody has used. Try again later, or ask the operator for an initial access token.", maxUnused))
	e.RetryAfter = time.Minute
	return e
}

// oneMore returns how many there were, and counts one; not known: it was too long ago.
func (u *unused) oneMore(by domain.RegisteredBy, now time.Time) (n int, known bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	last, known := u.of[by]
	if passed := now.Sub(last.at); !known || passed < 0 || passed >= countEvery {
		return 0, false
	}
	u.of[by] = counted{last.n + 1, last.at}
	return last.n, true
}

func (u *unused) set(by domain.RegisteredBy, c counted) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.of == nil {
		u.of = map[domain.RegisteredBy]counted{}
	}
	u.of[by] = c
}
