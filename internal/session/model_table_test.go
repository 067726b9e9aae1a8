package session

import (
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

// outcome is what the holder of a token sees of an answer.
type outcome string

const (
	advances   outcome = "200, the next token"
	repeats    outcome = "200, the same token again"
	busy       outcome = "503"
	refused    outcome = "invalid_grant"
	wantsProof outcome = "invalid_dpop_proof"
)

// modelSession is what the model knows of a session: nothing of the row, only what was answered, and when.
type modelSession struct {
	tier     domain.Tier
	tokens   []string    // by counter, as they were answered
	born     []time.Time // by counter, when they were first answered
	idle     time.Duration
	grace    time.Duration
	idleEnd  time.Time
	end      time.Time // zero: none
	disabled bool
	over     domain.EndReason // why it must have ended; "" while it lives
	streak   int              // late generations in a row
	lateGen  int              // the generation last counted
}

func (m *modelSession) counter() int { return len(m.tokens) - 1 }

func (m *modelSession) live(now time.Time) bool {
	return m.over == "" && !m.disabled && now.Before(m.idleEnd) && (m.end.IsZero() || now.Before(m.end))
}

// by is who presents a token.
type by struct {
	client bool // the right client
	proof  bool // with a proof
	key    bool // by the right key
}

var theApp = by{client: true, proof: true, key: true}

// expect is the state table of DESIGN section 3, told once more and independently: it says what the use of token n
// must be answered and notes what it must leave behind. A use that advances is noted when its answer is seen.
func (m *modelSession) expect(n int, who by, now time.Time) outcome {
	c := m.counter()
	switch {
	case !who.client:
		return refused
	case m.tier == domain.TierBound && !who.proof:
		return wantsProof
	case m.tier == domain.TierBound && !who.key:
		return refused
	case !m.live(now):
		return refused
	case n == c:
		return advances
	case n == c-1 && m.tier == domain.TierBound:
		return repeats
	case n == c-1:
		return m.expectBearerRetry(now.Sub(m.born[c]))
	case m.tier == domain.TierBound && now.Sub(m.born[c]) < 10*time.Second:
		return busy
	case m.tier == domain.TierBearer && n == c-2 && now.Sub(m.born[c-1]) < 10*time.Second:
		return busy
	}
	m.over = domain.EndedByReuse
	return refused
}

func (m *modelSession) expectBearerRetry(age time.Duration) outcome {
	c := m.counter()
	switch {
	case age > m.grace:
		m.over = domain.EndedByReuse
		return refused
	case age <= 10*time.Second:
		return repeats
	case m.lateGen == c: // counted already
	case m.lateGen == c-1:
		m.lateGen, m.streak = c, m.streak+1
	default:
		m.lateGen, m.streak = c, 1
	}
	if m.streak >= 3 {
		m.over = domain.EndedByReuse
		return refused
	}
	return repeats
}

// answered compares an answer with what was expected, and learns the successor from it.
func (m *modelSession) answered(n int, want outcome, r *Rotated, err error, now time.Time) error {
	got := outcomeOf(r, err)
	if want == advances && got == repeats || want == repeats && got == advances {
		got = want // which of several at once was first is told by nobody; the bytes below must be right
	}
	if got != want {
		return fmt.Errorf("I5: token %d of counter %d was answered %q, want %q; error: %w", n, m.counter(), got, want, err)
	}
	if r == nil {
		return nil
	}
	if n+1 > m.counter() {
		m.tokens, m.born = append(m.tokens, string(r.Token)), append(m.born, now)
		m.idleEnd = now.Add(m.idle)
	}
	if string(r.Token) != m.tokens[n+1] {
		return fmt.Errorf("I1: token %d has two successors", n)
	}
	return nil
}

func outcomeOf(r *Rotated, err error) outcome {
	switch {
	case err == nil && r.Retry:
		return repeats
	case err == nil:
		return advances
	}
	var e *oauth.Error
	if !errors.As(err, &e) {
		return outcome("an error of no kind: " + err.Error())
	}
	if e.Code == oauth.TemporarilyUnavailable {
		return busy
	}
	return outcome(e.Code)
}
