package faults_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/standin"
)

// evidence is all that judges go by.
type evidence struct {
	*told
	looks  []look // in order
	ledger ledger
	phones []string      // that must make progress
	healed time.Time     // when the last fault was over; zero: there is nothing to recover from
	grace  time.Duration // of bearer sessions
}

// breach is an invariant found broken.
type breach struct{ rule, what string }

// linearizable is the rule of the model check, beside the numbered ones.
const linearizable = "linearizable"

// judges hold evidence against the invariants of DESIGN section 3. Each returns what it found wrong.
var judges = []struct {
	rule  string
	judge func(*evidence) []string
}{
	{"I1", oneSuccessor},
	{"I2", singleUse},
	{"I3", nothingAcknowledgedIsLost},
	{"I4", nobodyIsSignedOut},
	{"I5", thievesAreFound},
	{"I6", endedIsEnded},
	{"I7", onlyPassingRefusals},
	{"I8", progress},
	{"I9", audited},
	{"I10", countersNeverFall},
	{linearizable, rotationIsLinearizable},
}

func (e *evidence) judge() (found []breach) {
	for _, j := range judges {
		for _, what := range j.judge(e) {
			found = append(found, breach{j.rule, what})
		}
	}
	return found
}

// holds fails the test for every breach, up to a few of each rule.
func (e *evidence) holds(t testing.TB) {
	t.Helper()
	const few = 5
	seen := map[string]int{}
	for _, b := range e.judge() {
		if seen[b.rule]++; seen[b.rule] <= few {
			t.Errorf("%s: %s", b.rule, b.what)
		}
	}
	for rule, n := range seen {
		if n > few {
			t.Errorf("%s: %d in all", rule, n)
		}
	}
}

// oneSuccessor is I1: at most one distinct successor per parent.
func oneSuccessor(e *evidence) (found []string) {
	successors := map[string]string{}
	for _, c := range e.calls {
		if !c.rotation() || !c.granted() {
			continue
		}
		parent, _ := parse(c.presented)
		got, ok := parse(c.received)
		first, again := successors[c.presented]
		switch {
		case !ok || got.session != parent.session || got.counter != parent.counter+1:
			found = append(found, fmt.Sprintf("%s token %d was answered with %d of %s", parent.session, parent.counter, got.counter, got.session))
		case again && first != c.received:
			found = append(found, fmt.Sprintf("%s token %d has two successors", parent.session, parent.counter))
		}
		if !again {
			successors[c.presented] = c.received
		}
	}
	return found
}

// singleUse is I2: a nonce opens at most one session, and no session was opened without one. That every sign-in that
// was acknowledged has its session is part of I3.
func singleUse(e *evidence) (found []string) {
	for id := range e.ledger.rows {
		if n := e.ledger.nonces[id]; n != 1 {
			found = append(found, fmt.Sprintf("%d nonces opened %s", n, id))
		}
	}
	for id := range e.ledger.nonces {
		if _, ok := e.ledger.rows[id]; !ok {
			found = append(found, fmt.Sprintf("a nonce opened %s, which is not there", id))
		}
	}
	for id, n := range e.ledger.identities {
		if n != 1 {
			found = append(found, fmt.Sprintf("%s has %d identities, and one signed in", id, n))
		}
	}
	return found
}

// nothingAcknowledgedIsLost is I3: the row's counter is at least every acknowledged one. The first token of a session
// counts as zero.
func nothingAcknowledgedIsLost(e *evidence) (found []string) {
	for id, calls := range e.sessions {
		highest := -1
		for _, c := range calls {
			if t, ok := parse(c.received); ok && c.granted() {
				highest = max(highest, t.counter)
			}
		}
		r, ok := e.ledger.rows[id]
		switch {
		case highest >= 0 && !ok:
			found = append(found, fmt.Sprintf("%s is lost", id))
		case highest > r.counter:
			found = append(found, fmt.Sprintf("%s is at %d, but %d was acknowledged", id, r.counter, highest))
		}
	}
	return found
}

// nobodyIsSignedOut is I4: no session ends that its app drives by the contract. It holds for bearer sessions too, as
// long as no network holds copies of their requests back and nobody robs them.
func nobodyIsSignedOut(e *evidence) (found []string) {
	for id, r := range e.ledger.rows {
		if r.state == domain.SessionLive || e.wanted(id) || r.tier == domain.TierBearer && e.robbed(id) {
			continue
		}
		found = append(found, fmt.Sprintf("%s, %s, ended for %s:\n%s", id, r.tier, r.reason, recount(e.operations(id, r.tier))))
	}
	return found
}

// thievesAreFound is I5: a session that was robbed ends for reuse, nobody gets anything for it after that, and no
// bearer token is good for longer than the grace once its successor is known.
func thievesAreFound(e *evidence) (found []string) {
	for _, th := range e.thefts {
		if th.refused.IsZero() {
			continue
		}
		r, ok := e.ledger.rows[th.session]
		if ok && !e.wanted(th.session) && r.reason != domain.EndedByReuse {
			found = append(found, fmt.Sprintf("%s was robbed and is not over for it (%q)", th.session, r.reason))
		}
		for _, c := range e.sessions[th.session] {
			if c.granted() && c.sent.After(th.refused) {
				found = append(found, fmt.Sprintf("%s was good %v after a thief was found out", th.session, c.sent.Sub(th.refused)))
			}
		}
	}
	for id, calls := range e.sessions {
		if e.ledger.rows[id].tier == domain.TierBearer {
			found = append(found, acceptedTooLong(id, calls, e.grace)...)
		}
	}
	return found
}

func acceptedTooLong(id domain.SessionID, calls []call, grace time.Duration) (found []string) {
	used := map[string]time.Time{} // when a token's successor was acknowledged first
	for _, c := range calls {
		if first, ok := used[c.presented]; c.rotation() && c.granted() && (!ok || c.heard.Before(first)) {
			used[c.presented] = c.heard
		}
	}
	for _, c := range calls {
		if first, ok := used[c.presented]; ok && c.granted() && c.sent.Sub(first) > grace {
			t, _ := parse(c.presented)
			found = append(found, fmt.Sprintf("%s token %d was good %v after its use", id, t.counter, c.sent.Sub(first)))
		}
	}
	return found
}

// endedIsEnded is I6: no 200 for a request begun after the end was acknowledged.
func endedIsEnded(e *evidence) (found []string) {
	for _, end := range e.endings {
		if end.done.IsZero() {
			continue
		}
		for _, c := range e.sessions[end.session] {
			if c.granted() && c.sent.After(end.done) {
				found = append(found, fmt.Sprintf("%s was good %v after its end was acknowledged", end.session, c.sent.Sub(end.done)))
			}
		}
		if r, ok := e.ledger.rows[end.session]; ok && r.state == domain.SessionLive {
			found = append(found, fmt.Sprintf("%s lives after its end was acknowledged", end.session))
		}
	}
	return found
}

// onlyPassingRefusals is I7 (TK14): under faults there are only 200, 429, 503 and use_dpop_nonce, and for those who
// have it coming invalid_grant.
func onlyPassingRefusals(e *evidence) (found []string) {
	unheard := map[string]bool{} // phones with a sign-in that may have been heard
	for i := range e.calls {
		c := &e.calls[i]
		if c.act == standin.SigningIn && !c.granted() {
			unheard[c.phone] = true
		}
		if !c.answered() || e.allowed(c, unheard[c.phone]) {
			continue
		}
		found = append(found, fmt.Sprintf("%s: %s was answered %d %s", c.phone, c.act, c.status, c.code))
	}
	return found
}

func (e *evidence) allowed(c *call, repeatsSignIn bool) bool {
	switch c.status {
	case 200, 429, 503:
		return true
	case 400:
		t, _ := parse(c.presented)
		switch c.code {
		case "use_dpop_nonce":
			return true
		case "invalid_grant":
			return c.rotation() && (e.wanted(t.session) || e.robbed(t.session))
		case "invalid_dpop_proof":
			return c.rotation() && e.keyless[c.phone] && e.ledger.rows[t.session].tier == domain.TierBound // a thief
		case "invalid_request":
			return c.act == standin.SigningIn && repeatsSignIn && e.keyless[c.phone] // C33
		}
	}
	return false
}

// promptly is how soon after the last fault everybody is served again.
const promptly = 10 * time.Second

// progress is I8.
func progress(e *evidence) (found []string) {
	if e.healed.IsZero() {
		return nil
	}
	for _, phone := range e.phones {
		served := slices.ContainsFunc(e.calls, func(c call) bool {
			return c.phone == phone && c.granted() && !c.sent.Before(e.healed) && c.heard.Sub(e.healed) <= promptly
		})
		if !served {
			found = append(found, fmt.Sprintf("%s was not served within %v of the last fault", phone, promptly))
		}
	}
	return found
}

// audited is I9: one row of the trail for every change but routine rotation, and no row without its change.
func audited(e *evidence) (found []string) {
	for id, r := range e.ledger.rows {
		want := []entry{{action: "session.start"}}
		if r.state == domain.SessionEnded {
			want = append(want, entry{"session.end", string(r.reason)})
		}
		if got := e.ledger.audit[id]; !slices.Equal(sorted(got), sorted(want)) {
			found = append(found, fmt.Sprintf("%s has the trail %v, want %v", id, got, want))
		}
	}
	for id, trail := range e.ledger.audit {
		if _, ok := e.ledger.rows[id]; !ok {
			found = append(found, fmt.Sprintf("%s is not there, but has the trail %v", id, trail))
		}
	}
	for id := range e.ledger.identities {
		if got := slices.Sorted(slices.Values(e.ledger.made[id])); !slices.Equal(got, []string{"account.create", "identity.link"}) {
			found = append(found, fmt.Sprintf("%s has the trail %v", id, got))
		}
	}
	for id, trail := range e.ledger.made {
		if _, ok := e.ledger.identities[id]; !ok {
			found = append(found, fmt.Sprintf("%s is not there, but has the trail %v", id, trail))
		}
	}
	if n := e.ledger.others["key.rotate"]; n != e.ledger.keys {
		found = append(found, fmt.Sprintf("%d keys were made, the trail tells of %d", e.ledger.keys, n))
	}
	return found
}

func sorted(list []entry) []entry {
	return slices.SortedFunc(slices.Values(list), func(a, b entry) int { return strings.Compare(a.action+a.reason, b.action+b.reason) })
}

// countersNeverFall is I10, and with it that no session vanishes or comes back to life.
func countersNeverFall(e *evidence) (found []string) {
	last := map[domain.SessionID]row{}
	for _, l := range append(slices.Clone(e.looks), e.ledger.look) {
		for id, before := range last {
			now, ok := l.rows[id]
			switch {
			case !ok:
				found = append(found, fmt.Sprintf("%s has vanished", id))
			case now.counter < before.counter:
				found = append(found, fmt.Sprintf("%s fell from %d to %d", id, before.counter, now.counter))
			case now.state < before.state:
				found = append(found, fmt.Sprintf("%s has come back to life", id))
			}
		}
		last = l.rows
	}
	return found
}
