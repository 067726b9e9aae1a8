package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

var errDuration = errors.New("not a length of time")

// maxDays keeps days from overflowing a time.Duration.
const maxDays = 36500

// Lifetime is a length of time on the command line, written as in the configuration.
type Lifetime time.Duration

// UnmarshalText reads what parseDuration reads.
func (l *Lifetime) UnmarshalText(text []byte) error {
	d, err := parseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a length of time: write it like 30m, 24h or 90d", text)
	}
	*l = Lifetime(d)
	return nil
}

// parseDuration reads Go's durations ("10m", "24h") and whole days ("90d").
func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > maxDays {
			return 0, errDuration
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, errDuration
	}
	return d, nil
}
