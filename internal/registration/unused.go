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
// answers for and nobody used yet, of each kind. Those are gone a day after they came (ATTACKS DS08).
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
	s.unused.mu.Lock()
	defer s.unused.mu.Unlock()
	last, known := s.unused.of[by]
	if passed := now.Sub(last.at); !known || passed < 0 || passed >= countEvery {
		n, err := s.DB.UnusedRegistrations(ctx, by, now, maxUnused)
		if err != nil {
			return oauth.Unavailable(err)
		}
		if s.unused.of == nil {
			s.unused.of = map[domain.RegisteredBy]counted{}
		}
		last = counted{n, now}
	}
	if last.n >= maxUnused {
		e := oauth.E(oauth.TemporarilyUnavailable, fmt.Sprintf("More than %d apps were registered here in a day that nobody has used. Try again later, or ask the operator for an initial access token.", maxUnused))
		e.RetryAfter = time.Minute
		s.unused.of[by] = last
		return e
	}
	last.n++
	s.unused.of[by] = last
	return nil
}
