//go:build unix

// Command withpostgres runs a command beside a throw-away PostgreSQL cluster:
//
//	withpostgres go test ./...
//
// The command finds the cluster in COUNTERSIGN_TEST_POSTGRES. Signals are passed on, and so is the exit code. Where
// the variable is set already, no cluster is made.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/countersign/countersign/test/pgcluster"
)

// broken is the exit code for our own failures, as in env(1) and nohup(1).
const broken = 125

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: withpostgres COMMAND [ARGUMENT…]")
		os.Exit(broken)
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	code, err := run(os.Args[1:], signals)
	if err != nil {
		fmt.Fprintln(os.Stderr, "withpostgres:", err)
	}
	os.Exit(code)
}

func run(command []string, signals <-chan os.Signal) (code int, err error) {
	if os.Getenv(pgcluster.Env) == "" {
		cluster, err := pgcluster.Start(context.Background())
		if err != nil {
			return broken, err
		}
		defer func() { err = errors.Join(err, cluster.Stop()) }()
		if err := os.Setenv(pgcluster.Env, cluster.URL("")); err != nil {
			return broken, err
		}
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return broken, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			_ = cmd.Process.Signal(s) // it may just have ended; done tells
		case err := <-done:
			return exitCode(err)
		}
	}
}

// exitCode follows the shell's custom of 128 plus the signal for a command that was killed.
func exitCode(err error) (int, error) {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		if err != nil {
			return broken, err
		}
		return 0, nil
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}
