package main

import (
	"fmt"
	"os"
	"text/tabwriter"
)

// verdict is a figure held against its bar.
type verdict struct {
	bar     string
	figure  float64
	reached bool
}

func atLeast(bar, figure float64) verdict {
	return verdict{fmt.Sprintf("≥ %.0f", bar), figure, figure >= bar}
}
func atMost(bar, figure float64) verdict {
	return verdict{fmt.Sprintf("≤ %.0f", bar), figure, figure <= bar}
}
func below(bar, figure float64) verdict {
	return verdict{fmt.Sprintf("< %.0f", bar), figure, figure < bar}
}

// report gathers the bars of a run. They are set for an idle machine of two cores with the generator and PostgreSQL
// on it, and 64 connections.
type report struct{ lines []judged }

type judged struct {
	engine, name string
	verdict
}

func (r *report) add(engine, name string, v verdict) {
	r.lines = append(r.lines, judged{engine, name, v})
}

// judge holds one measurement against every bar that is set for its load.
func (r *report) judge(engine string, m *measurement) {
	name := m.load.name
	if name == loginPage && m.conns == 1 { // the server's own time: with more, requests wait for each other
		r.add(engine, name+", p99 ms", below(5, ms(m.server.quantile(.99))))
	}
	if m.conns < 64 {
		return
	}
	if m.load.bar > 0 {
		r.add(engine, name+", % of its ceiling", atLeast(m.load.bar, m.ratio))
	}
	if !m.load.rotates {
		return
	}
	r.add(engine, name+", p99 ms", below(60, ms(m.server.quantile(.99))))
	r.add(engine, name+", rows added", atMost(0, float64(m.changed.rows)))
	if m.changed.counted {
		r.add(engine, name+", bytes of WAL each", atMost(300, m.changed.wal))
	}
}

func (r *report) print() {
	if len(r.lines) == 0 {
		return
	}
	fmt.Println("\n== bars")
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, l := range r.lines {
		verdict := "reached"
		if !l.reached {
			verdict = "MISSED"
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%.0f\t%s\t%s\n", l.engine, l.name, l.figure, l.bar, verdict)
	}
	_ = w.Flush()
}
