package demo

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign/standin"
)

// teller prints the story the way a person wants to read it. What it prints of a token is its beginning.
type teller struct {
	mu  sync.Mutex
	out io.Writer
}

func (t *teller) printf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _ = fmt.Fprintf(t.out, format+"\n", args...)
}

func (t *teller) title(s string) { t.printf("\n%s\n%s", s, strings.Repeat("=", len([]rune(s)))) }

func (t *teller) step(n int, title string) { t.printf("\n%2d. %s", n, title) }

func (t *teller) proves(s string) { t.printf("    => %s", s) }

// note prints one fact under a step.
func (t *teller) note(format string, args ...any) { t.printf("      "+format, args...) }

// hear prints what a phone says it did; it is the phones' Observe.
func (t *teller) hear(e standin.Event) {
	switch e.What {
	case standin.Answered:
		outcome := fmt.Sprint(e.Status)
		if e.Error != "" {
			outcome += " " + e.Error
		}
		t.printf("    %-12s %-6s %-34s %s", e.Phone, e.Method, path(e.URL), outcome)
	case standin.Unheard:
		t.printf("    %-12s %-6s %-34s no answer", e.Phone, e.Method, path(e.URL))
	case standin.Waiting:
		t.printf("    %-12s waits %s, then tries again with the same token", e.Phone, e.Wait.Round(10*time.Millisecond))
	}
}

func path(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return u.Path
}

// short shows the beginning of a token: enough to compare by eye, not enough to use.
func short(token string) string {
	const head, tail = 14, 6
	if len(token) <= head+tail {
		return token
	}
	return token[:head] + "…" + token[len(token)-tail:]
}
