package store

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// station is the far end of a convoy under test: each batch waits there until the test lets it go.
type station struct {
	arrived chan []string
	leave   chan error
}

func newStation() *station { return &station{make(chan []string), make(chan error)} }

func (s *station) carry(_ context.Context, batch []string) ([]string, error) {
	s.arrived <- slices.Clone(batch)
	if err := <-s.leave; err != nil {
		return nil, err
	}
	answers := make([]string, len(batch))
	for i, ask := range batch {
		answers[i] = ask + "!"
	}
	return answers, nil
}

// passenger is a call whose outcome the test reads later.
type passenger struct {
	answer string
	err    error
	done   chan struct{}
}

// board starts a call and waits until it is in the queue, or under way if it could leave at once.
func board(ctx context.Context, c *convoy[string, string, string], key, ask string) *passenger {
	before := c.callers()
	p := &passenger{done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.answer, p.err = c.call(ctx, key, ask)
	}()
	for c.callers() == before {
		select {
		case <-p.done:
			return p
		default:
			runtime.Gosched()
		}
	}
	return p
}

// callers counts those that wait and the flights.
func (c *convoy[K, Q, A]) callers() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.waiting {
		n += e.callers
	}
	return n + 1000*c.flights
}

func (p *passenger) expect(t *testing.T, answer string, err error) {
	t.Helper()
	<-p.done
	if p.answer != answer || !errors.Is(p.err, err) {
		t.Errorf("got %q, %v, want %q, %v", p.answer, p.err, answer, err)
	}
}

func TestAnIdleConvoyLeavesAtOnceAndTheNextGathersMeanwhile(t *testing.T) {
	s := newStation()
	c := newConvoy[string](s.carry)
	first := board(t.Context(), c, "a", "1")
	expectBatch(t, s, "1")
	second, third := board(t.Context(), c, "b", "2"), board(t.Context(), c, "c", "3")
	s.leave <- nil
	first.expect(t, "1!", nil)
	expectBatch(t, s, "2", "3")
	s.leave <- nil
	second.expect(t, "2!", nil)
	third.expect(t, "3!", nil)
}

func expectBatch(t *testing.T, s *station, want ...string) {
	t.Helper()
	if got := <-s.arrived; !slices.Equal(got, want) {
		t.Errorf("batch %v, want %v", got, want)
	}
}

func TestAReaderNeverJoinsAReadThatHasBegun(t *testing.T) {
	s := newStation()
	c := newConvoy[string](s.carry)
	early := board(t.Context(), c, "a", "early")
	expectBatch(t, s, "early")
	late, same := board(t.Context(), c, "a", "late"), board(t.Context(), c, "a", "unasked")
	s.leave <- nil
	early.expect(t, "early!", nil)
	expectBatch(t, s, "late")
	s.leave <- nil
	late.expect(t, "late!", nil)
	same.expect(t, "late!", nil)
}

func TestAnExclusiveKeyIsUnderWayOnce(t *testing.T) {
	s := newStation()
	c := newConvoy[string](s.carry)
	c.exclusive, c.lanes = true, 2
	first := board(t.Context(), c, "a", "a1")
	expectBatch(t, s, "a1")
	second := board(t.Context(), c, "a", "a2")
	third := board(t.Context(), c, "a", "a3")
	other := board(t.Context(), c, "b", "b1") // the second lane is free, and only for another key
	expectBatch(t, s, "b1")
	s.leave <- nil // whichever comes home first, one of the two keys is still taken or the next one leaves
	s.leave <- nil
	first.expect(t, "a1!", nil)
	other.expect(t, "b1!", nil)
	expectBatch(t, s, "a2")
	s.leave <- nil
	second.expect(t, "a2!", nil)
	expectBatch(t, s, "a3")
	s.leave <- nil
	third.expect(t, "a3!", nil)
}

func TestACallerGoneBeforeTheFlightIsDropped(t *testing.T) {
	for _, exclusive := range []bool{false, true} {
		s := newStation()
		c := newConvoy[string](s.carry)
		c.exclusive = exclusive
		ctx, cancel := context.WithCancel(t.Context())
		first := board(t.Context(), c, "a", "1")
		expectBatch(t, s, "1")
		gone := board(ctx, c, "b", "2")
		stays := board(t.Context(), c, "c", "3")
		cancel()
		gone.expect(t, "", context.Canceled)
		s.leave <- nil
		first.expect(t, "1!", nil)
		expectBatch(t, s, "3")
		s.leave <- nil
		stays.expect(t, "3!", nil)
		if _, err := c.call(ctx, "d", "4"); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

func TestAnErrorIsEverybodysAndTheNextBatchGoesOn(t *testing.T) {
	s := newStation()
	c := newConvoy[string](s.carry)
	lost := errors.New("connection lost while committing")
	first := board(t.Context(), c, "a", "1")
	expectBatch(t, s, "1")
	second := board(t.Context(), c, "b", "2")
	third := board(t.Context(), c, "c", "3")
	s.leave <- nil
	first.expect(t, "1!", nil)
	expectBatch(t, s, "2", "3")
	fourth := board(t.Context(), c, "d", "4")
	s.leave <- lost
	second.expect(t, "", lost)
	third.expect(t, "", lost)
	expectBatch(t, s, "4")
	s.leave <- nil
	fourth.expect(t, "4!", nil)
}

func TestAPanicIsAnErrorForItsBatchAndTheLaneGoesOn(t *testing.T) {
	c := newConvoy[string](func(_ context.Context, batch []string) ([]string, error) {
		switch batch[0] {
		case "panic":
			panic("a defect")
		case "short":
			return nil, nil
		}
		return batch, nil
	})
	for _, defect := range []string{"panic", "short"} {
		if _, err := c.call(t.Context(), "a", defect); err == nil {
			t.Errorf("%s is no error", defect)
		}
		if got, err := c.call(t.Context(), "a", "good"); got != "good" || err != nil {
			t.Errorf("after %s: %q, %v", defect, got, err)
		}
	}
	c.close() // every lane came home
}

func TestAFullBatchLeavesTheRestBehind(t *testing.T) {
	s := newStation()
	c := newConvoy[string](s.carry)
	c.seats = 2
	board(t.Context(), c, "x", "0")
	expectBatch(t, s, "0")
	for _, ask := range []string{"1", "2", "3"} {
		board(t.Context(), c, ask, ask)
	}
	s.leave <- nil
	expectBatch(t, s, "1", "2")
	s.leave <- nil
	expectBatch(t, s, "3")
	s.leave <- nil
}

func TestClosingWaitsForThoseWhoWait(t *testing.T) {
	s := newStation()
	c := newConvoy[string](s.carry)
	first := board(t.Context(), c, "a", "1")
	expectBatch(t, s, "1")
	second := board(t.Context(), c, "b", "2")
	var closing sync.WaitGroup
	closing.Go(c.close)
	s.leave <- nil
	expectBatch(t, s, "2")
	s.leave <- nil
	closing.Wait()
	first.expect(t, "1!", nil)
	second.expect(t, "2!", nil)
	if _, err := c.call(t.Context(), "c", "3"); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}
