package app

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/store"
)

// Whoever reaches the probe reads a word; who reads the log learns the cause, once.
func TestAProbeIsToldAWordAndTheLogTheCause(t *testing.T) {
	db, err := store.Open(t.Context(), store.Options{URL: "sqlite:" + t.TempDir() + "/empty.db"})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	a := &App{db: db, log: slog.New(slog.NewTextHandler(&log, nil))}
	probe := func(want string) {
		t.Helper()
		for range 3 {
			w := httptest.NewRecorder()
			a.readyz(w, httptest.NewRequest("GET", "/readyz", nil))
			if got := w.Body.String(); w.Code != 503 || got != `{"reason":"`+want+`","status":"not ready"}` {
				t.Errorf("%d %s, want %s", w.Code, got, want)
			}
		}
		if n := strings.Count(log.String(), `msg="not ready" reason=`+want+` cause=`); n != 1 {
			t.Errorf("%s was told %d times:\n%s", want, n, log.String())
		}
	}
	probe("schema")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	probe("database")
	a.draining.Store(true)
	probe("stopping")
}

func TestTheWordForWhatIsWrong(t *testing.T) {
	for want, err := range map[string]error{
		"clock": fmt.Errorf("turn: %w", store.ErrClock), "schema": store.ErrNotMigrated, "keys": errors.New("no master key opens it"),
	} {
		if got := unfit(err, "keys"); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}
