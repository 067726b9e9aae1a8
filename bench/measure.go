package main

import (
	"context"
	"fmt"
	"time"
)

// rounds is into how many slices a run is cut. Server and ceiling take turns, so that whatever else the machine does
// meanwhile falls on both.
const rounds = 3

// measurement is one load by so many connections, on the server and on its ceiling.
type measurement struct {
	load            scenario
	conns           int
	server, ceiling result
	ratio           float64 // of the middle round, in percent
	changed         *change // nil where the load changes no rows of its own
}

func (s *site) measure(ctx context.Context, t *target, load scenario, conns int) (*measurement, error) {
	before, err := readFigures(ctx, s.database)
	if err != nil {
		return nil, err
	}
	m := &measurement{load: load, conns: conns}
	var ratios []float64
	for range rounds {
		if err := load.prepare(conns, s.duration/rounds); err != nil {
			return nil, err
		}
		bare, err := s.slice(&s.ceiling.process, s.ceiling.addr, conns, load.ceiling)
		if err != nil {
			return nil, fmt.Errorf("ceiling: %w", err)
		}
		ours, err := s.slice(&t.process, t.addr, conns, load.server)
		if err != nil {
			return nil, err
		}
		m.ceiling.join(bare)
		m.server.join(ours)
		ratios = append(ratios, 100*ours.perSecond()/bare.perSecond())
	}
	m.ratio = median(ratios)
	if !load.rotates {
		return m, nil
	}
	after, err := readFigures(ctx, s.database)
	if err != nil {
		return nil, err
	}
	m.changed, err = after.since(ctx, before, m.server.requests())
	return m, err
}

func (s *site) slice(p *process, addr string, conns int, worker func(conns, n int) step) (result, error) {
	spent := p.cpu()
	r, err := run(addr, conns, s.duration/rounds, func(n int) step { return worker(conns, n) })
	r.cpu = p.cpu() - spent
	return r, err
}

// line is what is printed of a measurement.
func (m *measurement) line() string {
	r := m.server
	s := fmt.Sprintf("%-19s %3d conns %6.0f/s  p50 %6.2f  p95 %6.2f  p99 %6.2f ms  cpu %4.0f µs   ceiling %6.0f/s  cpu %4.0f µs   ratio %3.0f%%",
		m.load.name, m.conns, r.perSecond(), ms(r.quantile(.5)), ms(r.quantile(.95)), ms(r.quantile(.99)), r.cpuEach(),
		m.ceiling.perSecond(), m.ceiling.cpuEach(), m.ratio)
	if m.changed != nil {
		s += "   " + m.changed.String()
	}
	return s
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
