package refresh_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/session"
)

// figures are the series of countersign_refresh_total.
func (w *world) figures(t *testing.T) (lines []string) {
	t.Helper()
	resp, err := http.Get(w.Nodes[0].Admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, "countersign_refresh_total") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// What an operator is alerted by: every verdict has a figure from the start, and none is added by what strangers send.
func TestVerdictsOnRefreshTokensAreCounted(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		atRest := w.figures(t)
		if n := len(session.Verdicts()) + 1; len(atRest) != n { // and "other"
			t.Errorf("%d series at the start, want %d: %v", len(atRest), n, atRest)
		}
		d := w.signedIn(t, bearer)
		newest := d.next(t, d.next(t, d.first))
		d.refused(t, "cs_rt_nonsense", "invalid_grant")
		d.refused(t, newest[:len(newest)-1], "invalid_grant")
		w.Clock.Step(11 * time.Second)
		wantRefused(t, d.present(t, d.first), "invalid_grant")
		d.refused(t, newest, "invalid_grant")

		now := w.figures(t)
		for verdict, n := range map[string]int{"advanced": 2, "forged": 2, "reused": 1, "not_live": 1, "retry": 0, "other": 0} {
			if want := fmt.Sprintf("countersign_refresh_total{verdict=%q} %d", verdict, n); !slices.Contains(now, want) {
				t.Errorf("no %s in %v", want, now)
			}
		}
		if len(now) != len(atRest) {
			t.Errorf("series were added: %v", now)
		}
	})
}
