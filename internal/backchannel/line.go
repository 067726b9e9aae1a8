package backchannel

import (
	"sync"
	"time"
)

const (
	perClient = 4 // tries under way to one client that answers, of a node's atOnce: a slow one holds up no other
	// maxSilence is how long a client that does not answer is left alone. With one try of five seconds at a time, even
	// hundreds of such clients leave hands for the others; and one that is back hears within a minute.
	maxSilence  = time.Minute
	silentAfter = 6 // rounds without an answer, two to three minutes
)

// line is how this node stands with one client.
type line struct {
	underWay int
	failed   int       // rounds without an answer, since the last one
	until    time.Time // nothing is tried before
}

// lines keeps those that are in use or do not answer, in memory: another node finds out for itself. Its zero value is
// ready.
type lines struct {
	mu   sync.Mutex
	open map[string]*line
}

// places is how many tries a client may have now beside those under way: one at a time while it does not answer.
func (l *lines) places(client string, now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if own := l.open[client]; own != nil {
		return own.places(now)
	}
	return perClient
}

func (own *line) places(now time.Time) int {
	switch {
	case now.Before(own.until):
		return 0
	case own.failed > 0:
		return max(0, 1-own.underWay)
	}
	return max(0, perClient-own.underWay)
}

// closed are the clients without a place.
func (l *lines) closed(now time.Time) (clients []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for client, own := range l.open {
		switch {
		case own.places(now) == 0:
			clients = append(clients, client)
		case own.underWay == 0 && own.failed == 0: // it has rested
			delete(l.open, client)
		}
	}
	return clients
}

// enter counts a try.
func (l *lines) enter(client string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of(client).underWay++
}

// leave counts it off again.
func (l *lines) leave(client string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of(client).underWay--
	l.forget(client)
}

// answered opens the line again.
func (l *lines) answered(client string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.of(client)
	own.failed, own.until = 0, time.Time{}
	l.forget(client)
}

// failed closes the line for a while, longer every time, and returns how many rounds have failed. Tries that were under
// way together are one round.
func (l *lines) failed(client string, now time.Time) (rounds int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.of(client)
	if now.Before(own.until) {
		return 0
	}
	own.failed++
	own.until = now.Add(min(maxSilence, backoff(own.failed)))
	return own.failed
}

// rest closes the line until then; nothing failed.
func (l *lines) rest(client string, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of(client).until = until
}

// of finds a client's line, or opens it. The caller holds mu.
func (l *lines) of(client string) *line {
	own := l.open[client]
	if own == nil {
		if l.open == nil {
			l.open = map[string]*line{}
		}
		own = &line{}
		l.open[client] = own
	}
	return own
}

// forget drops a line there is nothing to say of. The caller holds mu.
func (l *lines) forget(client string) {
	if own := l.open[client]; own.underWay == 0 && own.failed == 0 && own.until.IsZero() {
		delete(l.open, client)
	}
}
