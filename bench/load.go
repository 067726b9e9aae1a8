package main

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// result is what one closed-loop run measured.
type result struct {
	requests      int
	elapsed       time.Duration
	p50, p95, p99 time.Duration
}

func (r result) perSecond() float64 { return float64(r.requests) / r.elapsed.Seconds() }

// step makes the i-th request of a worker; io.EOF ends the worker early (its prepared requests are used up).
type step func(c *conn, i int) error

// run drives conns connections in closed loops for d and counts what was answered as it should be. Anything else
// ends the benchmark: a fast wrong answer is no result.
func run(addr string, conns int, d time.Duration, worker func(n int) step) (result, error) {
	var (
		wg        sync.WaitGroup
		latencies = make([][]time.Duration, conns)
		errs      = make([]error, conns)
	)
	start := time.Now()
	for n := range conns {
		wg.Go(func() { latencies[n], errs[n] = loop(addr, start, d, worker(n)) })
	}
	wg.Wait()
	elapsed := time.Since(start)
	for _, err := range errs {
		if err != nil {
			return result{}, err
		}
	}
	all := slices.Concat(latencies...)
	if len(all) == 0 {
		return result{}, fmt.Errorf("no request was answered in %s", d)
	}
	slices.Sort(all)
	at := func(q float64) time.Duration { return all[min(len(all)-1, int(q*float64(len(all))))] }
	return result{requests: len(all), elapsed: elapsed, p50: at(.5), p95: at(.95), p99: at(.99)}, nil
}

func loop(addr string, start time.Time, d time.Duration, do step) ([]time.Duration, error) {
	c, err := dial(addr)
	if err != nil {
		return nil, err
	}
	defer c.close()
	took := make([]time.Duration, 0, 1<<12)
	last := time.Now()
	for i := 0; last.Sub(start) < d; i++ {
		if err := do(c, i); err != nil {
			if err == errUsedUp {
				return took, nil
			}
			return nil, err
		}
		now := time.Now()
		took = append(took, now.Sub(last))
		last = now
	}
	return took, nil
}
