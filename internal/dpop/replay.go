package dpop

import (
	"crypto/sha256"
	"errors"
	"hash/maphash"
	"sync"
	"time"
)

var (
	// ErrUsed is the refusal of a proof that was seen before.
	ErrUsed = errors.New("the DPoP proof was used before")
	// ErrMemoryFull is no verdict on a proof: there is no room to remember it, or none for another of its key.
	ErrMemoryFull = errors.New("the memory of DPoP proofs is full")
)

const (
	replayShards = 64
	// Below this size one shard holds all: the entries would not spread evenly over many.
	minSharded = 4096
	sweepEvery = time.Second
	// oneKeysShare of the room is all that the proofs of one key get, so that no single phone or service, however busy or
	// hostile, fills it for the others.
	oneKeysShare = 16
)

// Replay remembers jtis as long as their proofs are acceptable. Memory is bounded, in all and for each key: where it is
// full of live entries it refuses new ones rather than forgetting. It is the memory of one process. Safe for concurrent
// use.
type Replay struct {
	shards []replayShard
	each   int // entries a shard holds at most
	share  int // of them, those of one key
	seed   maphash.Seed
}

type replayShard struct {
	mu    sync.Mutex
	until map[proofName]remembered
	held  map[keyName]int // entries of each key
	swept time.Time
}

// proofName is a hash, so that an entry has one size whatever its jti.
type proofName [16]byte

// keyName is a hash nobody outside can make two keys meet in.
type keyName uint64

type remembered struct {
	until int64 // Unix nanoseconds
	key   keyName
}

// NewReplay makes a memory of at most limit entries, a sixteenth of them for one key.
func NewReplay(limit int) *Replay {
	shards := replayShards
	if limit < minSharded {
		shards = 1
	}
	r := &Replay{shards: make([]replayShard, shards), each: limit / shards, seed: maphash.MakeSeed()}
	r.share = max(r.each/oneKeysShare, 1)
	for i := range r.shards {
		r.shards[i].until, r.shards[i].held = make(map[proofName]remembered), make(map[keyName]int)
	}
	return r
}

// First remembers (jkt, jti) until the given time, if it is seen for the first time. Otherwise it returns ErrUsed, or
// ErrMemoryFull if there is no telling.
func (r *Replay) First(jkt, jti string, until, now time.Time) error {
	sum := sha256.Sum256([]byte(jkt + "\x00" + jti)) // a jkt is base64url: it holds no NUL
	name, key := proofName(sum[:16]), keyName(maphash.String(r.seed, jkt))
	shard := &r.shards[int(sum[16])%len(r.shards)]

	shard.mu.Lock()
	defer shard.mu.Unlock()
	shard.sweep(now)
	known, ok := shard.until[name]
	switch {
	case ok && now.UnixNano() <= known.until:
		return ErrUsed
	case ok:
		shard.forget(name, known.key)
	}
	if len(shard.until) >= r.each || shard.held[key] >= r.share {
		return ErrMemoryFull
	}
	shard.until[name] = remembered{until.UnixNano(), key}
	shard.held[key]++
	return nil
}

// FirstBeside is First for a request that holds something else which nobody can send twice: the caller's assertion, or its
// certificate's part in the handshake. A proof is refused if it was seen before; that there is no room to remember it is no
// reason to refuse then, or a busy service could use its share up by being busy.
func (r *Replay) FirstBeside(jkt, jti string, until, now time.Time) error {
	err := r.First(jkt, jti, until, now)
	if errors.Is(err, ErrMemoryFull) {
		return nil
	}
	return err
}

// sweep forgets what is over, at most once a second: a full memory costs a flood of proofs no more than that.
func (s *replayShard) sweep(now time.Time) {
	if since := now.Sub(s.swept); since >= 0 && since < sweepEvery {
		return
	}
	s.swept = now
	at := now.UnixNano()
	for name, entry := range s.until {
		if at > entry.until {
			s.forget(name, entry.key)
		}
	}
}

func (s *replayShard) forget(name proofName, key keyName) {
	delete(s.until, name)
	if s.held[key]--; s.held[key] <= 0 {
		delete(s.held, key)
	}
}
