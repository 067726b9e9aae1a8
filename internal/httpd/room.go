package httpd

import "sync"

// Room bounds how many requests wait for somebody else's server. Each holds one of the node's places in flight, and a
// server that falls silent would take them all, those of refreshes too (ATTACKS RG08). So there are fewer places for such
// requests, of which nobody has more than a share, and nobody waits for one: who finds none is told at once and tries
// again. The zero Room is empty.
type Room struct {
	mu    sync.Mutex
	taken int
	by    map[string]int
}

// Enter takes one of so many places, and one of the share that each of the keys has of them. Whoever got in calls leave,
// once.
func (r *Room) Enter(places, share int, keys ...string) (leave func(), ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken >= places {
		return nil, false
	}
	for _, k := range keys {
		if r.by[k] >= share {
			return nil, false
		}
	}
	if r.by == nil {
		r.by = map[string]int{}
	}
	r.taken++
	for _, k := range keys {
		r.by[k]++
	}
	return func() { r.leave(keys) }, true
}

func (r *Room) leave(keys []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken--
	for _, k := range keys {
		if r.by[k]--; r.by[k] == 0 {
			delete(r.by, k)
		}
	}
}
