package httpd

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

var errOverload = errors.New("more requests in flight than this node takes")

// maxWait is how long a request waits for a place among those in flight.
const maxWait = 100 * time.Millisecond

// gate bounds the requests in flight. The newest waiting request goes first: under overload the oldest has most
// likely been given up by its client.
type gate struct {
	mu      sync.Mutex
	free    int
	room    int             // for waiting requests; beyond it they are refused at once
	waiting []chan struct{} // oldest first
}

// newGate makes a gate; a negative size lifts the bound (a nil gate).
func newGate(size int) *gate {
	if size < 0 {
		return nil
	}
	return &gate{free: size, room: 4 * size}
}

// enter reports whether the request may go on; then leave must be called.
func (g *gate) enter(ctx context.Context) bool {
	if g == nil {
		return true
	}
	g.mu.Lock()
	if g.free > 0 {
		g.free--
		g.mu.Unlock()
		return true
	}
	if len(g.waiting) >= g.room {
		g.mu.Unlock()
		return false
	}
	turn := make(chan struct{})
	g.waiting = append(g.waiting, turn)
	g.mu.Unlock()
	return g.wait(ctx, turn)
}

func (g *gate) wait(ctx context.Context, turn chan struct{}) bool {
	patience := time.NewTimer(maxWait)
	defer patience.Stop()
	select {
	case <-turn:
		return true
	case <-patience.C:
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, turn)
	if i < 0 {
		return true // the turn came while giving up: it is ours to give back
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	return false
}

func (g *gate) leave() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	newest := len(g.waiting) - 1
	if newest < 0 {
		g.free++
		return
	}
	close(g.waiting[newest])
	g.waiting = g.waiting[:newest]
}
