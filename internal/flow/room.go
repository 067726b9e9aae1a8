package flow

import "sync/atomic"

// A request that waits for somebody else's server holds one of the node's places in flight, and a server that falls
// silent would take them all, those of refreshes too. So there are fewer places for such requests, and nobody waits for
// one: who finds none is told at once and tries again.
const (
	mailRoom     = 16
	providerRoom = 64
)

// room counts who is in. The zero room is empty.
type room struct{ taken atomic.Int64 }

// enter takes one of so many places; whoever got one leaves.
func (r *room) enter(places int64) bool {
	if r.taken.Add(1) <= places {
		return true
	}
	r.leave()
	return false
}

func (r *room) leave() { r.taken.Add(-1) }
