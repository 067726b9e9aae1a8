package story_test

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/test/harness"
	"github.com/countersign/countersign/test/pgcluster"
)

// The demo is run as a visitor runs it: the command, as a process, with a server it really kills.
func TestTheDemo(t *testing.T) {
	t.Parallel()
	binary := harness.Binary(t)
	t.Run("holds on SQLite and leaves nothing behind", func(t *testing.T) {
		t.Parallel()
		cmd, out, folder := demo(t, binary, "--once")
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		wantPlayed(t, out.String())
		if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
	t.Run("holds on PostgreSQL", func(t *testing.T) {
		t.Parallel()
		cmd, out, _ := demo(t, binary, "--once", "--database", pgcluster.Shared(t))
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		wantPlayed(t, out.String())
	})
	t.Run("ends with an error at the step that does not hold", func(t *testing.T) {
		t.Parallel()
		cmd, out, _ := demo(t, binary, "--once", "--database", unending(t))
		if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 1 {
			t.Fatalf("%v\n%s", err, out)
		}
		if !strings.Contains(out.String(), "is signed out from the other\", did not hold: introspection still says active") {
			t.Errorf("it did not say which step:\n%s", out)
		}
	})
	t.Run("ends with an error where the server cannot start", func(t *testing.T) {
		t.Parallel()
		cmd, out, _ := demo(t, binary, "--once", "--database", "sqlite:"+filepath.Join(t.TempDir(), "no such folder", "x.db"))
		if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 1 {
			t.Fatalf("%v\n%s", err, out)
		}
	})
	t.Run("goes on serving what it says can be tried", func(t *testing.T) {
		t.Parallel()
		tryWhatItPrints(t, binary)
	})
}

// demo prepares a run with a temporary folder of its own.
func demo(t *testing.T, binary string, args ...string) (cmd *exec.Cmd, out *strings.Builder, folder string) {
	t.Helper()
	folder, out = t.TempDir(), &strings.Builder{}
	cmd = harness.Command(t, binary, append([]string{"demo"}, args...)...)
	cmd.Env = append(cmd.Env, "TMPDIR="+folder)
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, out, folder
}

func wantPlayed(t *testing.T, out string) {
	t.Helper()
	if steps := strings.Count(out, "\n    => "); steps != 10 || !strings.Contains(out, "Everything held.") {
		t.Errorf("%d steps were played:\n%s", steps, out)
	}
	if whole := regexp.MustCompile(`cs_rt_[\w-]{40}`).FindString(out); whole != "" {
		t.Error("a whole refresh token was printed")
	}
}

// unending is a database on which no session ever ends.
func unending(t *testing.T) string {
	t.Helper()
	url := "sqlite:" + filepath.Join(t.TempDir(), "unending.db")
	db, err := store.Open(t.Context(), store.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	w := &harness.World{T: t, Database: url}
	w.Exec("CREATE TRIGGER unending AFTER UPDATE OF state ON sessions WHEN NEW.state = 2 " +
		"BEGIN UPDATE sessions SET state = 1 WHERE id = NEW.id; END")
	return url
}

// tryWhatItPrints runs the demo without --once, does what the printed lines say and stops it as ^C does.
func tryWhatItPrints(t *testing.T, binary string) {
	cmd, _, _ := demo(t, binary)
	cmd.Stdout, cmd.Stderr = nil, nil
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	lines := bufio.NewScanner(pipe)
	for lines.Scan() && !strings.Contains(lines.Text(), "Stop with Ctrl-C") {
		text.WriteString(lines.Text() + "\n")
	}
	printed := text.String()
	find := func(pattern string) string {
		m := regexp.MustCompile(pattern).FindStringSubmatch(printed)
		if m == nil {
			t.Fatalf("%s is not in:\n%s", pattern, printed)
		}
		return m[1]
	}
	get(t, find(`open  (\S+/\.well-known/openid-configuration)`), "")
	get(t, find(`open  (\S+/jwks)`), "")
	token := get(t, find(`curl -s (\S+/demo/token)`), "")
	get(t, find(`demo/token\)" (\S+/todos)`), token)
	get(t, find(`(\S+/admin/v1/accounts)`), find(`export COUNTERSIGN_API_KEY=(\S+)`))
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, pipe)
	if err := cmd.Wait(); err != nil {
		t.Errorf("after ^C: %v", err)
	}
}

func get(t *testing.T, url, bearer string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s, %v", url, res.StatusCode, body, err)
	}
	return string(body)
}
