package harness

import (
	"sync"
	"time"
)

// Clock is the world's time: real time and an offset that only tests move, or time that stands still between steps.
type Clock struct {
	mu     sync.Mutex
	offset time.Duration
	frozen time.Time
}

// Now is the world's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.real().Add(c.offset)
}

func (c *Clock) real() time.Time {
	if c.frozen.IsZero() {
		return time.Now()
	}
	return c.frozen
}

// Step moves the time.
func (c *Clock) Step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

// Freeze lets time stand still between steps, so that no slow machine comes too late.
func (c *Clock) Freeze() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen = time.Now()
}
