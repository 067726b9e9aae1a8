package main

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// result is what closed-loop load measured.
type result struct {
	took    []time.Duration // of every request that was answered as it should be, sorted
	elapsed time.Duration
	cpu     time.Duration // the serving process spent
}

func (r *result) requests() int      { return len(r.took) }
func (r *result) perSecond() float64 { return float64(len(r.took)) / r.elapsed.Seconds() }
func (r *result) cpuEach() float64   { return float64(r.cpu.Microseconds()) / float64(len(r.took)) }
func (r *result) join(another result) {
	r.took = append(r.took, another.took...)
	slices.Sort(r.took)
	r.elapsed += another.elapsed
	r.cpu += another.cpu
}

func (r *result) quantile(q float64) time.Duration {
	return r.took[min(len(r.took)-1, int(q*float64(len(r.took))))]
}

func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

// step makes the i-th request of a worker; errUsedUp ends the worker early.
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
	r := result{took: slices.Concat(latencies...), elapsed: time.Since(start)}
	if err := errors.Join(errs...); err != nil {
		return r, err
	}
	if r.requests() == 0 {
		return r, fmt.Errorf("no request was answered in %s", d)
	}
	slices.Sort(r.took)
	return r, nil
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
			if errors.Is(err, errUsedUp) {
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
