package adminhttp

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/countersign/countersign/internal/domain"
)

const defaultPerSecond = 50

// pace is how fast each API key may go. It holds verified keys only, so the number of keys bounds its memory.
type pace struct {
	mu   sync.Mutex
	keys map[domain.APIKeyID]*rate.Limiter
}

// take returns zero, or how long the key has to wait.
func (p *pace) take(id domain.APIKeyID, perSecond int, now time.Time) time.Duration {
	if perSecond < 0 {
		return 0
	}
	if perSecond == 0 {
		perSecond = defaultPerSecond
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.keys[id]
	if l == nil {
		if p.keys == nil {
			p.keys = map[domain.APIKeyID]*rate.Limiter{}
		}
		l = rate.NewLimiter(rate.Limit(perSecond), perSecond)
		p.keys[id] = l
	}
	if l.AllowN(now, 1) {
		return 0
	}
	return time.Second // Retry-After has no finer unit
}
