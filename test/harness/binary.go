package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Binary builds the countersign command for a test. Where the race detector is on it is built with it too, from what
// the test run has compiled already.
func Binary(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "countersign")
	args := []string{"build", "-o", path}
	if race {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "github.com/countersign/countersign/cmd/countersign")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the binary: %v\n%s", err, out)
	}
	return path
}

// Command is a run of the binary; with the race detector it does not wait a second at its end.
func Command(t testing.TB, binary string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	return cmd
}
