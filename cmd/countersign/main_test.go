package main

import (
	"strings"
	"testing"
)

func TestArgumentsThatDoNotGoTogetherAreAUsageError(t *testing.T) {
	for _, args := range [][]string{
		{"session", "end"},
		{"session", "end", "ses_x", "--all-of", "acc_x"},
		{"session", "end", "--nonsense"},
	} {
		var out, errs strings.Builder
		if code := run(console{ctx: t.Context(), out: &out, err: &errs}, args); code != exitUsage {
			t.Errorf("%q: exit %d: %s", args, code, errs.String())
		}
	}
}
