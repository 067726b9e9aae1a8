package clientauth

import (
	"time"

	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
)

// defaultFailures is how many failures a minute one client may have from one address.
const defaultFailures = 20

// Limiter bounds failures per client and address: 20 a minute. Successes are never counted, so that a busy server
// behind one address is not held up, and the right secret is refused only while the limit is exceeded.
type Limiter struct{ failures *httpd.Limiter }

// NewLimiter makes a limiter; zero is the default, negative lifts the limit.
func NewLimiter(perMinute int) *Limiter {
	if perMinute == 0 {
		perMinute = defaultFailures
	}
	return &Limiter{httpd.NewLimiter(perMinute, 1<<16)}
}

func (l *Limiter) check(id, ip string, now time.Time) error {
	if l == nil {
		return nil
	}
	wait := l.failures.Wait(limitKey(id, ip), now)
	if wait == 0 {
		return nil
	}
	e := oauth.E(oauth.TooManyRequests, "Too many failed client authentications from this address. Wait for the time in Retry-After.")
	e.RetryAfter = wait
	return e
}

func (l *Limiter) count(id, ip string, now time.Time) {
	if l != nil {
		l.failures.Take(limitKey(id, ip), now)
	}
}

func limitKey(id, ip string) string { return ip + " " + id }
