//go:build unix

package main

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/countersign/countersign/test/pgcluster"
)

func TestTheExitCodeIsTheCommands(t *testing.T) {
	t.Setenv(pgcluster.Env, "postgres://somewhere/else")
	for script, want := range map[string]int{
		"exit 0": 0, "exit 7": 7, "kill -9 $$": 137,
		`test "$COUNTERSIGN_TEST_POSTGRES" = postgres://somewhere/else`: 0,
	} {
		if code, err := run([]string{"sh", "-c", script}, nil); code != want || err != nil {
			t.Errorf("%s: %d, want %d (%v)", script, code, want, err)
		}
	}
	if code, err := run([]string{"/no/such/command"}, nil); code != broken || err == nil {
		t.Errorf("no such command: %d (%v)", code, err)
	}
}

func TestSignalsArePassedOn(t *testing.T) {
	t.Setenv(pgcluster.Env, "postgres://somewhere/else")
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	signals, over := make(chan os.Signal), make(chan struct{})
	var sender sync.WaitGroup
	sender.Go(func() {
		held, err := os.OpenFile(fifo, os.O_WRONLY, 0) // opens when the command reads, with its trap set
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = held.Close() }() // some shells finish reading before they look at their traps
		for range 2 {                       // the second is taken when the first was passed on
			select {
			case signals <- syscall.SIGTERM:
			case <-over:
			}
		}
	})
	code, err := run([]string{"sh", "-c", `trap "exit 9" TERM; read line <"$0"; exit 1`, fifo}, signals)
	close(over)
	sender.Wait()
	if code != 9 || err != nil {
		t.Errorf("%d (%v)", code, err)
	}
}

func TestTheClusterIsThereForTheCommandAndGoneAfterIt(t *testing.T) {
	t.Setenv(pgcluster.Env, "")
	answer := filepath.Join(t.TempDir(), "answer")
	if code, err := run([]string{"sh", "-c", `echo "$COUNTERSIGN_TEST_POSTGRES" >"$0"`, answer}, nil); code != 0 || err != nil {
		t.Fatal(code, err)
	}
	text, err := os.ReadFile(answer)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	socket := u.Query().Get("host")
	if !strings.HasPrefix(socket, "/") {
		t.Fatalf("the cluster is at %q", text)
	}
	if _, err := os.Stat(socket); !os.IsNotExist(err) {
		t.Errorf("%s is still there (%v)", socket, err)
	}
}
