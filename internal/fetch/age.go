package fetch

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const maxMaxAge = 365 * 24 * time.Hour

// maxAge reads how long an answer may be kept (RFC 9111 §5.2.2.1), less the time it already spent in caches (§5.1).
func maxAge(h http.Header) time.Duration {
	var age time.Duration
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			age = seconds(strings.Trim(value, `"`))
		}
	}
	return max(0, age-seconds(h.Get("Age")))
}

func seconds(s string) time.Duration {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0
	}
	return min(time.Duration(n)*time.Second, maxMaxAge)
}
