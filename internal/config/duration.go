package config

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

var errDuration = errors.New("not a length of time")

// maxDays keeps days from overflowing a time.Duration.
const maxDays = 36500

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
