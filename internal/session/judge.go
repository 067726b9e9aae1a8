package session

import (
	"crypto/subtle"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// The bounds of the state table (DESIGN section 3).
const (
	lateAfter        = 10 * time.Second // after the rotation, a retry is late
	delayedDuplicate = 10 * time.Second // this soon a request that was overtaken may still be under way
	lateGenerations  = 3                // in a row end a bearer session
)

// presented is one use of a token that carries our MAC.
type presented struct {
	counter    uint32
	secretHash [32]byte
	clientID   string
	jkt        string // of the verified proof; "" without one
}

// verdict is a row of the state table.
type verdict int

// The verdicts, in the order in which they are looked for.
const (
	wrongSecret  verdict = iota + 1 // none of our tokens for this session
	otherClient                     // it was not issued to this client
	proofMissing                    // a bound session wants a proof
	otherKey                        // a bound session wants its own key
	undeclared                      // nobody declares its client any more
	notLive                         // ended, expired, or what it hangs on is not live
	counterAhead                    // n > c
	current                         // n = c
	retry                           // n = c-1, answered with token c
	lateRetry                       // the same, and counted: two parties may be at it
	retryTooLate                    // n = c-1 of a bearer session after its grace
	overtaken                       // n <= c-2, just after: a delayed duplicate
	reused                          // n <= c-2
)

var verdictNames = map[verdict]string{
	wrongSecret: "wrong_secret", otherClient: "other_client", proofMissing: "proof_missing", otherKey: "other_key",
	undeclared: "client_undeclared", notLive: "not_live", counterAhead: "counter_ahead", current: "current", retry: "retry", lateRetry: "late_retry",
	retryTooLate: "retry_too_late", overtaken: "overtaken", reused: "reused",
}

func (v verdict) String() string { return verdictNames[v] }

// answered tells whether the table answers with a token.
func (v verdict) answered() bool { return v == current || v == retry || v == lateRetry }

// judge says which row of the state table the use of a token falls under, given the session as one read found it.
// grace is how long the client's bearer parents are answered. It changes nothing and asks nobody.
func judge(v *domain.SessionView, p presented, now time.Time, grace time.Duration) verdict {
	switch {
	case subtle.ConstantTimeCompare(v.Refresh.SecretHash[:], p.secretHash[:]) != 1:
		return wrongSecret
	case v.ClientID != p.clientID:
		return otherClient
	case v.Tier == domain.TierBound && p.jkt == "":
		return proofMissing
	case v.Tier == domain.TierBound && p.jkt != v.JKT:
		return otherKey
	case v.ClientState == domain.ClientUndeclared:
		return undeclared
	case !v.Live(now):
		return notLive
	}
	return judgeCounter(v, p.counter, now, grace)
}

func judgeCounter(v *domain.SessionView, n uint32, now time.Time, grace time.Duration) verdict {
	r := v.Refresh
	switch {
	case n > r.Counter:
		return counterAhead
	case n == r.Counter:
		return current
	case n+1 == r.Counter:
		return judgeRetry(v.Tier, now.Sub(r.RotatedAt), grace)
	case delayed(v, n, now):
		return overtaken
	}
	return reused
}

// delayed tells whether an ancestor of the current token's parent is taken for a copy the network held back. On a
// bearer session that is the grandparent alone, and only so soon after its first use: whoever comes later is another
// party. On a bound session the key has shown that this is the same phone, which may have retried an hour-old token or
// refreshed several times in a breath: there it is any ancestor, so soon after the newest rotation (invariant I4).
func delayed(v *domain.SessionView, n uint32, now time.Time) bool {
	if v.Tier == domain.TierBound {
		return now.Sub(v.Refresh.RotatedAt) < delayedDuplicate
	}
	return n+2 == v.Refresh.Counter && now.Sub(v.Refresh.PrevRotatedAt) < delayedDuplicate
}

// judgeRetry judges the parent of the current token, age after it was first used.
func judgeRetry(t domain.Tier, age, grace time.Duration) verdict {
	switch {
	case t == domain.TierBound:
		return retry
	case age > grace:
		return retryTooLate
	case age > lateAfter:
		return lateRetry
	}
	return retry
}
