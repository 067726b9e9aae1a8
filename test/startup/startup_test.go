// Package startup_test starts the real binary as an operator does: with configurations that must not start, without
// one, with certificates, and stops it.
package startup_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/app"
	"github.com/countersign/countersign/test/harness"
)

const secret = "nightly-secret-0123456789-abcdefghijklmnop"

// shared is where the binary lies, built once for the run.
var shared struct {
	once   sync.Once
	folder string
	path   string
}

func TestMain(m *testing.M) {
	var err error
	if shared.folder, err = os.MkdirTemp("", "countersign-startup-"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(shared.folder)
	os.Exit(code)
}

func binary(t *testing.T) string {
	t.Helper()
	shared.once.Do(func() {
		built := harness.Binary(t)
		path := filepath.Join(shared.folder, "countersign")
		if err := os.Rename(built, path); err != nil {
			t.Fatal(err)
		}
		shared.path = path
	})
	if shared.path == "" {
		t.Fatal("the binary was not built")
	}
	return shared.path
}

// folder is an operator's: a good configuration names its files.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "master.key", app.MasterKeyLine()+"\n")
	write(t, dir, "nightly.secret", secret+"\n")
	return dir
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// command is a run in the folder, with a clean environment and more.
func command(t *testing.T, dir string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := harness.Command(t, binary(t), args...)
	cmd.Dir, cmd.Env = dir, append(cmd.Env, env...)
	return cmd
}

// process is a server that runs.
type process struct {
	cmd           *exec.Cmd
	out           *output
	public, admin string // where it says its listeners are
	ended         chan error
}

// start starts a server and waits until it serves.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, out: &output{}, ended: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = p.wait()
	})
	serving := regexp.MustCompile(`msg=serving issuer=\S+ public=(\S+) admin=(\S+)`)
	eventually(t, "it serves", p.out, func() bool {
		found := serving.FindStringSubmatch(p.out.String())
		if found != nil {
			p.public, p.admin = found[1], found[2]
		}
		return found != nil
	})
	return p
}

// wait waits for its end; it may be called again.
func (p *process) wait() error {
	select {
	case err := <-p.ended:
		p.ended <- err
		return err
	case <-time.After(30 * time.Second):
		return fmt.Errorf("it did not end: %s", p.out)
	}
}

// output is what a process writes, read while it does.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// eventually waits for what another process is about to do.
func eventually(t *testing.T, what string, said fmt.Stringer, holds func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within 20 s: %s\n%s", what, said)
		}
	}
}

// taken is a port on loopback that somebody else listens on until the test is over.
func taken(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// exitCode is that of a run that ended.
func exitCode(err error) int {
	var failed *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &failed):
		return failed.ExitCode()
	}
	return -1
}
