package session

import (
	"sync"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// limits bound what one session may ask of one node. They are kept in memory: a loop in an app is to be slowed
// down, no security hangs on them.
type limits struct{ retries, advances *limiter }

func (s *Service) bounds() *limits {
	s.limitsAt.Do(func() {
		s.limits = limits{
			retries:  newLimiter(perMinute(s.RetriesPerMinute, 10)),
			advances: newLimiter(perMinute(s.AdvancesPerMinute, 60)),
		}
	})
	return &s.limits
}

func perMinute(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

const (
	limitWindow  = time.Minute
	shards       = 16
	shardEntries = 2048 // sessions a shard remembers per window; beyond, it forgets and lets through
)

// limiter is a token bucket per session: a burst of n, refilled at n a minute. It holds one time per session: that
// at which the bucket will be full again, in Unix nanoseconds.
type limiter struct {
	every  time.Duration // zero: no limit
	shards [shards]limitShard
}

// limitShard keeps the sessions of this window and the one before; older ones have full buckets.
type limitShard struct {
	mu           sync.Mutex
	since        time.Time
	here, before map[domain.SessionID]int64
}

func newLimiter(n int) *limiter {
	if n < 0 {
		return &limiter{}
	}
	return &limiter{every: limitWindow / time.Duration(n)}
}

// wait tells how long the session must wait for its next use; zero: it may go ahead.
func (l *limiter) wait(id domain.SessionID, now time.Time) time.Duration {
	if l.every == 0 {
		return 0
	}
	sh := l.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return max(0, sh.untilFull(id, now)+l.every-limitWindow)
}

// count takes one use out of the session's bucket.
func (l *limiter) count(id domain.SessionID, now time.Time) {
	if l.every == 0 {
		return
	}
	sh := l.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	fullIn := sh.untilFull(id, now) + l.every
	sh.here[id] = now.Add(fullIn).UnixNano()
}

func (l *limiter) shard(id domain.SessionID) *limitShard { return &l.shards[id[0]%shards] }

// untilFull returns how long the session's bucket takes to be full. It opens a new window when it is time, or when
// this one holds as many sessions as it may.
func (sh *limitShard) untilFull(id domain.SessionID, now time.Time) time.Duration {
	if age := now.Sub(sh.since); age >= limitWindow || age < 0 || len(sh.here) >= shardEntries {
		sh.before, sh.here, sh.since = sh.here, map[domain.SessionID]int64{}, now
	}
	at, ok := sh.here[id]
	if !ok {
		at = sh.before[id]
	}
	// A clock that was set back must not hold a session up for longer than an empty bucket would.
	return min(limitWindow, max(0, time.Duration(at-now.UnixNano())))
}
