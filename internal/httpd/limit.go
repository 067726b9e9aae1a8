package httpd

import (
	"hash/maphash"
	"sync"
	"time"
)

// Limiter is a token bucket per key in this node's memory: perMinute tokens, refilled evenly. A bucket is one number,
// the time at which it is full again. Memory is bounded: when there is no room, the fullest of
// a few buckets goes, so that a flood of fresh keys hardly ever frees an exhausted one. The nil Limiter allows all.
type Limiter struct {
	interval time.Duration // between two tokens
	burst    time.Duration // from empty to full
	room     int           // buckets in one shard
	seed     maphash.Seed
	shards   [16]shard
}

type shard struct {
	mu   sync.Mutex
	full map[uint64]int64 // hash of key -> when the bucket is full again, Unix nanoseconds
}

// NewLimiter makes a limiter with at most so many buckets. perMinute must be positive; a negative one lifts the limit
// (a nil Limiter).
func NewLimiter(perMinute, buckets int) *Limiter {
	if perMinute < 0 {
		return nil
	}
	interval := time.Minute / time.Duration(perMinute)
	l := &Limiter{
		interval: interval, burst: interval * time.Duration(perMinute),
		room: buckets/16 + 1, seed: maphash.MakeSeed(),
	}
	for i := range l.shards {
		l.shards[i].full = map[uint64]int64{}
	}
	return l
}

// Take takes a token. It returns zero, or, if there is none, how long until there is: then nothing is taken.
func (l *Limiter) Take(key string, now time.Time) time.Duration { return l.take(key, now, true) }

// Wait returns what Take would, and takes nothing. Limits on failures ask it before the attempt and Take after a
// failed one.
func (l *Limiter) Wait(key string, now time.Time) time.Duration { return l.take(key, now, false) }

func (l *Limiter) take(key string, now time.Time, keep bool) time.Duration {
	if l == nil {
		return 0
	}
	hash := maphash.String(l.seed, key)
	s := &l.shards[hash%uint64(len(l.shards))]
	at := now.UnixNano()

	s.mu.Lock()
	defer s.mu.Unlock()
	full, known := s.full[hash]
	after := max(full, at) + int64(l.interval)
	if wait := after - at - int64(l.burst); wait > 0 {
		return time.Duration(wait)
	}
	if keep {
		if !known && len(s.full) >= l.room {
			s.makeRoom()
		}
		s.full[hash] = after
	}
	return 0
}

// makeRoom drops the fullest of a few buckets; map order makes them a random sample.
func (s *shard) makeRoom() {
	var victim uint64
	var soonest int64
	sampled := 0
	for hash, full := range s.full {
		if sampled == 0 || full < soonest {
			victim, soonest = hash, full
		}
		if sampled++; sampled == 8 {
			break
		}
	}
	delete(s.full, victim)
}
