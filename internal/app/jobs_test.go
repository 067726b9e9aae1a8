package app

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestAJobThatPanicsFailsAndRunsAgain(t *testing.T) {
	var log strings.Builder
	a := &App{log: slog.New(slog.NewTextHandler(&log, nil))}
	ctx, stop := context.WithCancel(t.Context())
	rounds := 0
	a.every(ctx, time.Millisecond, "panic once", func(context.Context) error {
		rounds++
		switch rounds {
		case 1:
			panic("a defect")
		case 2:
			return nil
		}
		stop()
		return errors.New("ended")
	})
	for _, want := range []string{"background job fails", "panic: a defect", "works again"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log.String())
		}
	}
}
