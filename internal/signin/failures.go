package signin

import (
	"context"
	"time"

	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/upstream"
)

// Only failures are counted: carriers put thousands of phones behind one address, and all of them may sign in.
const (
	addressFailuresPerMinute = 30
	subjectFailuresPerMinute = 10
	rememberedCallers        = 1 << 16
)

// failures counts refused evidence, by the address it came from and, once a token was verified, by the person in it. It
// is asked after the verdict, and only about a refusal: whoever fails often learns no more than when to come back, and
// keeps nobody out who shares the address or whose old token they hold (ATTACKS, Parameters). That verifies everything,
// which is cheap: shape, issuer and the MAC of the nonce come before any signature, fetches of keys and of rows have
// bounds of their own, and evidence that holds, which costs the most, is not limited here anyway.
type failures struct{ byAddress, bySubject *httpd.Limiter }

// newFailures takes the setting: zero is the default, negative lifts both limits.
func newFailures(perMinute int) failures {
	address, subject := perMinute, subjectFailuresPerMinute
	switch {
	case perMinute == 0:
		address = addressFailuresPerMinute
	case perMinute < 0:
		subject = perMinute
	}
	return failures{httpd.NewLimiter(address, rememberedCallers), httpd.NewLimiter(subject, rememberedCallers)}
}

// refused counts a refusal for the address and, where the token was verified (who is not nil), for the person in it. It
// returns what to answer: the refusal, or after too many of them 429. A fault of ours or of the provider is no refusal
// and does not belong here.
func (s *Service) refused(ctx context.Context, now time.Time, by caller, who *proven, refusal error) error {
	s.prepare()
	wait := count(s.failures.byAddress, by.address(ctx), now)
	if who != nil {
		wait = max(wait, count(s.failures.bySubject, subjectKey(who.subject), now))
	}
	if wait == 0 {
		return refusal
	}
	e := oauth.E(oauth.TooManyRequests, "Too many refused sign-ins. Wait for the time in Retry-After before the next one.")
	e.RetryAfter = wait
	return e.Because(refusal)
}

// disproved is refused for what prove returned: only its verdicts count.
func (s *Service) disproved(ctx context.Context, now time.Time, by caller, err error) error {
	if oauth.AsError(err).Code != oauth.InvalidRequest {
		return err
	}
	return s.refused(ctx, now, by, nil, err)
}

// count notes a failure and returns how long there must be no further one; zero: one more may be. Without an address (a
// request from a socket file) there is nobody to count it against.
func count(l *httpd.Limiter, key string, now time.Time) time.Duration {
	if key == "" {
		return 0
	}
	return l.Take(key, now)
}

// address is where the evidence comes from.
func (c *caller) address(ctx context.Context) string {
	if c.IP != "" {
		return c.IP
	}
	return event.From(ctx).IP
}

// subjectKey names a person at a provider.
func subjectKey(s *upstream.Subject) string { return s.Issuer + " " + s.Subject }
