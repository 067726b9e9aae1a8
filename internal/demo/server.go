package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// server is Countersign as a process of its own, so that it can be killed as processes are.
type server struct {
	binary, dir, ready string // ready is the address that answers when it serves
	cmd                *exec.Cmd
}

// start runs the server and waits until it is ready.
func (s *server) start(ctx context.Context) error {
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	// It ends by kill or stop, not with ctx: on Ctrl-C it shall have time to finish what it began.
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), s.binary, "serve", "--config", filepath.Join(s.dir, configFile)) //nolint:gosec // our own binary
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	if err := waitFor(ctx, s.ready); err != nil {
		text, _ := os.ReadFile(log.Name())
		return fmt.Errorf("the server did not become ready: %w; its log:\n%s", err, text)
	}
	return nil
}

func (s *server) logFile() string { return filepath.Join(s.dir, "server.log") }

// kill ends the process without a chance to tidy up.
func (s *server) kill() error {
	if err := s.cmd.Process.Kill(); err != nil {
		return err
	}
	_ = s.cmd.Wait() // "signal: killed" is what we wanted
	return nil
}

// stop asks the process to end and waits for it.
func (s *server) stop() error {
	if s.cmd == nil || s.cmd.ProcessState != nil {
		return nil
	}
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	var exit *exec.ExitError
	if err := s.cmd.Wait(); err != nil && !errors.As(err, &exit) { // a Ctrl-C reached it twice: from the terminal and from us
		return err
	}
	return nil
}

// waitFor asks an address until it answers 200, for ten seconds at most.
func waitFor(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if status, err := get(ctx, url); err == nil && status == http.StatusOK {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", url, ctx.Err())
		case <-tick.C:
		}
	}
}

// visitor asks as the app server and the curious do: directly, past the lossy network.
var visitor = &http.Client{Timeout: 10 * time.Second}

func get(ctx context.Context, url string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	res, err := visitor.Do(req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}
