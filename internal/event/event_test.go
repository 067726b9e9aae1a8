package event_test

import (
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/event"
)

func TestATextFromOutsideIsCutAndPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "",
		"todo-web":               "todo-web",
		"a\nlevel=INFO \x1b[31m": "a?level=INFO ?[31m",
		"h\u00e9":                "h??",
		strings.Repeat("x", 100): strings.Repeat("x", 64),
	} {
		if got := event.Cut(in, 64); got != want {
			t.Errorf("%q became %q", in, got)
		}
	}
}
