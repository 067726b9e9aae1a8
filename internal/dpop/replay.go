package dpop

import (
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

var (
	// ErrUsed is the refusal of a proof that was seen before.
	ErrUsed = errors.New("the DPoP proof was used before")
	// ErrMemoryFull is no verdict on a proof: there is no room to remember it.
	ErrMemoryFull = errors.New("the memory of DPoP proofs is full")
)

const (
	replayShards = 64
	// Below this size one shard holds all: the entries would not spread evenly over many.
	minSharded = 4096
	sweepEvery = time.Second
)

// Replay remembers jtis as long as their proofs are acceptable. Memory is bounded: when full of live entries it
// refuses new ones rather than forgetting. Safe for concurrent use.
type Replay struct {
	shards []replayShard
	each   int // entries a shard holds at most
}

type replayShard struct {
	mu    sync.Mutex
	until map[proofName]time.Time
	swept time.Time
}

// proofName is a hash, so that an entry has one size whatever its jti.
type proofName [16]byte

// NewReplay makes a memory of at most limit entries.
func NewReplay(limit int) *Replay {
	shards := replayShards
	if limit < minSharded {
		shards = 1
	}
	r := &Replay{shards: make([]replayShard, shards), each: limit / shards}
	for i := range r.shards {
		r.shards[i].until = make(map[proofName]time.Time)
	}
	return r
}

// First remembers (jkt, jti) until the given time, if it is seen for the first time. Otherwise it returns ErrUsed, or
// ErrMemoryFull if there is no telling.
func (r *Replay) First(jkt, jti string, until, now time.Time) error {
	sum := sha256.Sum256([]byte(jkt + "\x00" + jti)) // a jkt is base64url: it holds no NUL
	name := proofName(sum[:16])
	shard := &r.shards[int(sum[16])%len(r.shards)]

	shard.mu.Lock()
	defer shard.mu.Unlock()
	shard.sweep(now)
	if known, ok := shard.until[name]; ok && !now.After(known) {
		return ErrUsed
	}
	if len(shard.until) >= r.each {
		return ErrMemoryFull
	}
	shard.until[name] = until
	return nil
}

// sweep forgets what is over, at most once a second: a full memory costs a flood of proofs no more than that.
func (s *replayShard) sweep(now time.Time) {
	if since := now.Sub(s.swept); since >= 0 && since < sweepEvery {
		return
	}
	s.swept = now
	for name, until := range s.until {
		if now.After(until) {
			delete(s.until, name)
		}
	}
}
