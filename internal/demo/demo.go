// Package demo plays the story of Countersign over real HTTP: a server that is really killed, stand-in Google and
// Apple, an app server that checks tokens locally, phones that keep the client contract and a thief. It is the only
// room beside tests that knows standin. It fails at the first step that does not hold.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// Options of Run.
type Options struct {
	Once     bool      // play and return; otherwise keep serving until ctx ends
	Out      io.Writer // what a person reads; nil: standard output
	Binary   string    // the countersign binary to run as server; empty: this one
	Database string    // empty: SQLite in a temporary folder, which is removed afterwards
}

// Run plays the story. The error says which step did not hold and why.
func Run(ctx context.Context, o Options) (err error) {
	if o.Out == nil {
		o.Out = os.Stdout
	}
	if o.Binary == "" {
		if o.Binary, err = os.Executable(); err != nil {
			return fmt.Errorf("find this binary: %w", err)
		}
	}
	tell := &teller{out: o.Out}
	tell.title("Countersign: one authorization server for mobile apps, from sign-in to theft")
	s, err := setUp(ctx, o, tell)
	if err != nil {
		return fmt.Errorf("set the stage: %w", err)
	}
	defer func() { err = errors.Join(err, s.tearDown()) }()
	if err := play(ctx, s); err != nil {
		return err
	}
	tell.title("Everything held.")
	if o.Once {
		return nil
	}
	if err := s.invite(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// play goes through the story and stops at the first step that does not hold.
func play(ctx context.Context, s *stage) error {
	for i, step := range story {
		s.tell.step(i+1, step.title)
		if err := step.play(ctx, s); err != nil {
			return fmt.Errorf("step %d, %q, did not hold: %w", i+1, step.title, err)
		}
		s.tell.proves(step.proves)
	}
	return nil
}
