package store

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// convoy lets calls share their way to the database. While a batch is under way the next one gathers; with none
// under way a call leaves at once, so that idle costs no delay. Every caller gets its own answer.
//
// A convoy that shares lets callers with the same key wait for one entry. A caller never joins a batch that has
// left: what it is told was read after it asked.
//
// An exclusive convoy has an entry for each call and takes no key aboard while another entry of that key is under
// way: it waits for a later batch.
type convoy[K comparable, Q, A any] struct {
	carry     func(ctx context.Context, batch []Q) ([]A, error) // one answer for each, in order; a panic is an error
	seats     int                                               // of a batch
	lanes     int                                               // batches under way at once, a connection each
	exclusive bool

	mu      sync.Mutex
	waiting []*entry[K, Q, A]
	joining map[K]*entry[K, Q, A] // what a caller may share
	aboard  map[K]struct{}        // exclusive keys under way
	flights int
	closed  bool
	landed  sync.WaitGroup
}

type entry[K comparable, Q, A any] struct {
	key     K
	ask     Q
	callers int // still waiting; at zero nobody wants the answer
	done    chan struct{}
	answer  A
	err     error
}

// flightTime bounds a batch. It has a context of its own, for it belongs to no caller.
const flightTime = 5 * time.Second

// call puts a question into the next batch. A caller that leaves before the batch does is dropped; after it, the
// outcome stands, whoever is there to hear it.
func (c *convoy[K, Q, A]) call(ctx context.Context, key K, ask Q) (answer A, err error) {
	if err := ctx.Err(); err != nil {
		return answer, err
	}
	e, err := c.add(key, ask)
	if err != nil {
		return answer, err
	}
	select {
	case <-e.done:
		return e.answer, e.err
	case <-ctx.Done():
		c.mu.Lock()
		e.callers--
		c.mu.Unlock()
		return answer, ctx.Err()
	}
}

func (c *convoy[K, Q, A]) add(key K, ask Q) (*entry[K, Q, A], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	e, ok := c.joining[key]
	if !ok {
		e = &entry[K, Q, A]{key: key, ask: ask, done: make(chan struct{})}
		c.waiting = append(c.waiting, e)
		if !c.exclusive {
			c.joining[key] = e
		}
	}
	e.callers++
	c.depart()
	return e, nil
}

// depart starts as many batches as lanes are free. The lock is held.
func (c *convoy[K, Q, A]) depart() {
	for c.flights < c.lanes {
		batch := c.board()
		if len(batch) == 0 {
			return
		}
		c.flights++
		c.landed.Add(1)
		go c.fly(batch)
	}
}

// board takes the next batch out of those that wait, in the order of their coming.
func (c *convoy[K, Q, A]) board() (batch []*entry[K, Q, A]) {
	stay := c.waiting[:0]
	for _, e := range c.waiting {
		_, taken := c.aboard[e.key]
		switch {
		case e.callers == 0:
			delete(c.joining, e.key)
		case taken || len(batch) == c.seats:
			stay = append(stay, e)
		default:
			delete(c.joining, e.key)
			if c.exclusive {
				c.aboard[e.key] = struct{}{}
			}
			batch = append(batch, e)
		}
	}
	clear(c.waiting[len(stay):])
	c.waiting = stay
	return batch
}

// fly carries one batch after another for as long as any is waiting. One goroutine does, for a new one would have to
// grow its stack again for every batch.
func (c *convoy[K, Q, A]) fly(batch []*entry[K, Q, A]) {
	defer c.landed.Done()
	for len(batch) > 0 {
		c.deliver(batch)
		batch = c.turn(batch)
	}
}

func (c *convoy[K, Q, A]) deliver(batch []*entry[K, Q, A]) {
	ctx, cancel := context.WithTimeout(context.Background(), flightTime)
	defer cancel()
	asks := make([]Q, len(batch))
	for i, e := range batch {
		asks[i] = e.ask
	}
	var answers []A
	err := safely(func() (err error) {
		if answers, err = c.carry(ctx, asks); err == nil && len(answers) != len(batch) {
			err = fmt.Errorf("%d answers to %d questions", len(answers), len(batch))
		}
		return err
	})
	for i, e := range batch {
		if e.err = err; err == nil {
			e.answer = answers[i]
		}
		close(e.done)
	}
}

// turn puts a batch ashore and boards the next; with none waiting the lane is free.
func (c *convoy[K, Q, A]) turn(batch []*entry[K, Q, A]) []*entry[K, Q, A] {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range batch {
		delete(c.aboard, e.key)
	}
	next := c.board()
	if len(next) == 0 {
		c.flights--
	}
	return next
}

// close refuses new calls and waits for those under way, and for those that wait.
func (c *convoy[K, Q, A]) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.landed.Wait()
}

func newConvoy[K comparable, Q, A any](carry func(context.Context, []Q) ([]A, error)) *convoy[K, Q, A] {
	return &convoy[K, Q, A]{
		carry: carry, seats: maxShared, lanes: 1,
		joining: map[K]*entry[K, Q, A]{}, aboard: map[K]struct{}{},
	}
}
