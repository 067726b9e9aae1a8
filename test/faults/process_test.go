// Package faults_test kills servers and databases under phones that are signing in and refreshing, and judges what the
// phones were told against what the database has: the invariants of DESIGN section 3, and linearizability. Servers are
// processes of their own, built with the race detector; phones and networks are those of package standin.
//
// A run is drawn from a seed, which it prints. COUNTERSIGN_FAULTS_SEED plays one again, as far as processes and
// networks can be played again; COUNTERSIGN_TEST_LONG makes the runs many and long.
package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if buildDir != "" {
		_ = os.RemoveAll(buildDir)
	}
	os.Exit(code)
}

var buildDir string

// serverBinary is Countersign with the race detector, built once.
var serverBinary = sync.OnceValues(func() (string, error) {
	var err error
	if buildDir, err = os.MkdirTemp("", "countersign-faults-"); err != nil {
		return "", err
	}
	out := filepath.Join(buildDir, "countersign")
	build := exec.Command("go", "build", "-race", "-buildvcs=false", "-o", out, "github.com/countersign/countersign/cmd/countersign")
	if text, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the server: %w\n%s", err, text)
	}
	return out, nil
})

// process is a running server. It lives on a leash: a shell that kills it when the leash is let go, by us or by our
// death, however that comes.
type process struct {
	shell *exec.Cmd
	leash io.Closer
}

// onALeash runs a command and kills it with SIGKILL when standard input ends. Its status is the command's.
const onALeash = `log=$1; shift; "$@" >>"$log" 2>&1 & server=$!; cat >/dev/null; kill -9 $server; wait $server`

// killed is the status of a command that SIGKILL ended.
const killed = 128 + int(syscall.SIGKILL)

// startProcess runs the server with a configuration file, logs to a file, and waits until it is ready.
func startProcess(config, log, ready string) (*process, error) {
	server, err := serverBinary()
	if err != nil {
		return nil, err
	}
	p := &process{shell: exec.Command("/bin/sh", "-c", onALeash, "sh", log, server, "serve", "--config", config)}
	p.shell.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir()}
	p.shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // out of reach of the terminal's ^C
	if p.leash, err = p.shell.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.shell.Start(); err != nil {
		return nil, err
	}
	if err := waitFor(ready); err != nil {
		text, _ := os.ReadFile(log)
		return nil, fmt.Errorf("the server did not become ready: %w\n%s", errors.Join(err, p.kill()), text)
	}
	return p, nil
}

// kill ends the process without a chance to tidy up. It is an error if it had ended before, by itself.
func (p *process) kill() error {
	if err := p.leash.Close(); err != nil {
		return err
	}
	err := p.shell.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == killed {
		return nil
	}
	return fmt.Errorf("the server had ended by itself: %w", err)
}

// readyWithin is generous, for the machine may be busy.
const readyWithin = 30 * time.Second

// waitFor asks an address until it answers 200.
func waitFor(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
	defer cancel()
	var last error
	for {
		got, err := ask(ctx, url)
		if err == nil && got == http.StatusOK {
			return nil
		}
		if ctx.Err() == nil {
			last = errors.Join(err, fmt.Errorf("%s answers %d", url, got))
		}
		if rest(ctx, 20*time.Millisecond) != nil {
			return last
		}
	}
}

var direct = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}

func ask(ctx context.Context, url string) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	res, err := direct.Do(req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

// rest waits, as people and apps do between two things.
func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// jwt finds what begins like a JWT; an id of ours may hold the same letters further on.
var jwt = regexp.MustCompile(`(^|[^A-Za-z0-9_-])eyJ`)

// checkLog looks for what no server may write: races, panics, secrets (ATTACKS.md, the assertions of every row).
func checkLog(t testing.TB, log string) {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Error(err)
		return
	}
	for line := range strings.Lines(string(text)) {
		for _, never := range []string{"DATA RACE", "panic", "fatal error", "cs_rt_", "cs_sk_", webSecret, serviceSecret, resourceSecret} {
			if strings.Contains(line, never) {
				t.Errorf("%s holds %q: %s", filepath.Base(log), never, line)
			}
		}
		if jwt.MatchString(line) {
			t.Errorf("%s holds a JWT: %s", filepath.Base(log), line)
		}
	}
}
