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

// failures counts refused evidence, by the address it came from and, once a token was verified, by the person in it: a
// forged token locks nobody out.
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

// limited refuses a caller who failed too often.
func limited(l *httpd.Limiter, key string, now time.Time) error {
	if key == "" {
		return nil
	}
	wait := l.Wait(key, now)
	if wait == 0 {
		return nil
	}
	e := oauth.E(oauth.TooManyRequests, "Too many refused sign-ins. Wait for the time in Retry-After before the next one.")
	e.RetryAfter = wait
	return e
}

// count notes a failure. Without an address (a request from a socket file) there is nobody to count it against.
func count(l *httpd.Limiter, key string, now time.Time) {
	if key != "" {
		l.Take(key, now)
	}
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
