package faults_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/countersign/countersign/internal/domain"
)

// The model of one session's rotation is a counter and whether the session is over. To present token n is to move the
// counter from n to n+1, or to be told n+1 again; whoever comes with an older token ends a bearer session. A history is
// good if every request can be given one moment between its beginning and its answer at which it did what the model
// does. A request without a verdict may have done it or not, at any time from its beginning on.

// spot is a state of the model.
type spot struct {
	counter int
	over    bool
}

// use is what somebody does to a session: presents token n, wants it to end, or reads its row.
type use struct {
	act  useAct
	n    int
	tier domain.Tier
	late bool // so long after its successor was out that a parent may count as a thief's
}

// foreign tells whether this use of a live session may end it.
func (u use) foreign(counter int) bool {
	return u.tier == domain.TierBearer && (u.n < counter-1 || u.late && u.n == counter-1)
}

type useAct string

const (
	present useAct = "present"
	end     useAct = "end"
	read    useAct = "read"
)

// outcome is what came of it.
type outcome struct {
	verdict verdict
	row     spot // of read
}

type verdict string

const (
	granted verdict = "granted" // or acknowledged
	refused verdict = "refused"
	unknown verdict = "unknown"
)

var model = porcupine.NondeterministicModel{
	Init: func() []any { return []any{spot{}} },
	Step: func(state, input, output any) []any {
		return step(state.(spot), input.(use), output.(outcome))
	},
}

// step returns the states the session may be in afterwards; none: it cannot have happened here.
func step(s spot, u use, o outcome) []any {
	switch u.act {
	case read:
		return only(s == o.row, s)
	case end:
		if o.verdict == unknown {
			return []any{s, spot{s.counter, true}}
		}
		return []any{spot{s.counter, true}}
	}
	switch o.verdict {
	case granted:
		return only(!s.over && (u.n == s.counter || u.n == s.counter-1), spot{u.n + 1, false})
	case refused:
		return only(s.over || u.foreign(s.counter), spot{s.counter, true})
	}
	next := []any{s}
	switch {
	case s.over:
	case u.n == s.counter:
		next = append(next, spot{u.n + 1, false})
	case u.foreign(s.counter):
		next = append(next, spot{s.counter, true})
	}
	return next
}

func only(may bool, next spot) []any {
	if !may {
		return nil
	}
	return []any{next}
}

// lateAfter is when a retry counts as late.
const lateAfter = 10 * time.Second

// judgeWithin bounds the search for one session. The problem is NP-hard; the histories here take milliseconds.
const judgeWithin = 20 * time.Second

// rotationIsLinearizable asks porcupine about every session.
func rotationIsLinearizable(e *evidence) (found []string) {
	check := model.ToModel()
	for id := range e.sessions {
		r, ok := e.ledger.rows[id]
		if !ok {
			continue // I3 says so
		}
		operations := e.operations(id, r.tier)
		switch porcupine.CheckOperationsTimeout(check, operations, judgeWithin) {
		case porcupine.Illegal:
			found = append(found, fmt.Sprintf("%s, %s: there is no order in which this can have happened:\n%s", id, r.tier, recount(operations)))
		case porcupine.Unknown:
			found = append(found, fmt.Sprintf("%s, %s: no verdict on %d operations within %v", id, r.tier, len(operations), judgeWithin))
		case porcupine.Ok:
		}
	}
	return found
}

// operations is the history of one session for porcupine, with the row as the last thing read.
func (e *evidence) operations(id domain.SessionID, tier domain.Tier) []porcupine.Operation {
	calls := e.sessions[id]
	settled := settledAt(calls)
	at := func(t time.Time) int64 { return int64(t.Sub(e.calls[0].sent)) }
	var list []porcupine.Operation
	last := int64(0)
	add := func(u use, o outcome, from, to int64) {
		last = max(last, from)
		if to != math.MaxInt64 {
			last = max(last, to)
		}
		u.tier = tier
		list = append(list, porcupine.Operation{Input: u, Output: o, Call: from, Return: to})
	}
	for _, c := range calls {
		if !c.rotation() || c.code == "use_dpop_nonce" || c.status == 429 {
			continue // a sign-in, or nothing was touched
		}
		t, _ := parse(c.presented)
		done, isSettled := settled[t.counter]
		o := outcome{verdict: verdictOn(c)}
		to := int64(math.MaxInt64)
		if o.verdict != unknown {
			to = at(c.heard)
		} else if isSettled && tier == domain.TierBound {
			// Once the successor is out, the use of its parent changes nothing: whatever this did, it did before.
			to = max(at(done), at(c.sent))
		}
		add(use{act: present, n: t.counter, late: isSettled && c.sent.Sub(done) > lateAfter}, o, at(c.sent), to)
	}
	for _, wish := range e.endings {
		switch {
		case wish.session != id:
		case wish.done.IsZero():
			add(use{act: end}, outcome{verdict: unknown}, at(wish.asked), math.MaxInt64)
		default:
			add(use{act: end}, outcome{verdict: granted}, at(wish.asked), at(wish.done))
		}
	}
	for _, l := range e.looks {
		if r, ok := l.rows[id]; ok {
			add(use{act: read}, outcome{row: r.spot()}, at(l.from), at(l.to))
		}
	}
	add(use{act: read}, outcome{row: e.ledger.rows[id].spot()}, last+1, last+2)
	slices.SortStableFunc(list, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	return list
}

func (r row) spot() spot { return spot{r.counter, r.state == domain.SessionEnded} }

func verdictOn(c call) verdict {
	switch {
	case c.granted():
		return granted
	case c.answered() && c.status == 400 && c.code == "invalid_grant":
		return refused
	}
	return unknown
}

// settledAt tells of each token when its successor was first acknowledged.
func settledAt(calls []call) map[int]time.Time {
	at := map[int]time.Time{}
	for _, c := range calls {
		if !c.rotation() || !c.granted() {
			continue
		}
		t, _ := parse(c.presented)
		if first, ok := at[t.counter]; !ok || c.heard.Before(first) {
			at[t.counter] = c.heard
		}
	}
	return at
}

// recount tells the end of a history, for whoever must find out what went wrong.
func recount(operations []porcupine.Operation) string {
	const recent = 40
	var b strings.Builder
	for _, o := range operations[max(0, len(operations)-recent):] {
		u, out := o.Input.(use), o.Output.(outcome)
		until := "…"
		if o.Return != math.MaxInt64 {
			until = time.Duration(o.Return).Round(time.Microsecond).String()
		}
		fmt.Fprintf(&b, "  %v to %s: %s", time.Duration(o.Call).Round(time.Microsecond), until, u.act)
		switch u.act {
		case read:
			fmt.Fprintf(&b, " counter %d, over %t\n", out.row.counter, out.row.over)
		case present:
			fmt.Fprintf(&b, " %d, %s\n", u.n, out.verdict)
		default:
			fmt.Fprintf(&b, ", %s\n", out.verdict)
		}
	}
	return b.String()
}
