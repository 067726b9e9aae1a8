// Package examples_test holds the guides against what they show: the configuration is good, and every client in a guide
// stands in it as the guide prints it.
package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/config"
	"github.com/countersign/countersign/internal/pages"
	"github.com/countersign/countersign/test/harness"
)

func TestTheConfigurationOfTheGuidesIsGood(t *testing.T) {
	dir := setUp(t)
	if _, err := pages.NewLook("branding"); err != nil {
		t.Error(err)
	}
	if _, err := config.Load(filepath.Join(dir, "countersign.yaml")); err != nil {
		t.Error(err)
	}
}

// setUp is this folder after setup.sh, elsewhere.
func setUp(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range []string{"countersign.yaml", "setup.sh"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(read(t, name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "branding"), os.DirFS("branding")); err != nil {
		t.Fatal(err)
	}
	binary := harness.Binary(t)
	for range 2 { // the second time everything is there
		setup := exec.CommandContext(t.Context(), "sh", filepath.Join(dir, "setup.sh"))
		setup.Env = append(os.Environ(), "COUNTERSIGN="+binary)
		if out, err := setup.CombinedOutput(); err != nil {
			t.Fatalf("setup.sh: %v\n%s", err, out)
		}
	}
	return dir
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(  - id: .*?)```")

func TestTheGuidesShowWhatTheConfigurationHas(t *testing.T) {
	whole := read(t, "countersign.yaml")
	for guide, clients := range map[string]int{"web-app": 1, "spa": 2, "native-app": 1, "tv": 1, "service": 1, "fapi": 1} {
		blocks := yamlBlock.FindAllStringSubmatch(read(t, "../docs/"+guide+".md"), -1)
		if len(blocks) != clients {
			t.Errorf("%s shows %d clients, not %d", guide, len(blocks), clients)
		}
		for _, b := range blocks {
			if !strings.Contains(whole, b[1]) {
				t.Errorf("%s shows what examples/countersign.yaml does not have:\n%s", guide, b[1])
			}
		}
	}
}

// What docs/fapi.md says that `config check` prints is what it prints, for the client as it stands, without its key, signing
// its messages, and with the certificate that the guide makes.
func TestTheGuideOfFAPIShowsWhatConfigCheckSays(t *testing.T) {
	dir := setUp(t)
	whole, guide := read(t, filepath.Join(dir, "countersign.yaml")), read(t, "../docs/fapi.md")
	careless := strings.Replace(strings.Replace(whole, "https://127.0.0.1:3003", "http://127.0.0.1:3003", 1),
		"    auth_method: private_key_jwt\n    jwks_file: ./bank.jwks\n", "    secret_file: ./todo-web.secret\n", 1)
	_, said := check(t, dir, "countersign.yaml", careless)
	if said == "" || !strings.Contains(guide, strings.ReplaceAll(said, dir, "examples")) {
		t.Errorf("of a careless client it says\n%s", said)
	}
	signing := strings.Replace(whole, "    profile: fapi2\n", "    profile: fapi2-message-signing\n", 1)

	_, section, _ := strings.Cut(guide, "\n## Mutual TLS\n")
	certificates := between(t, section, "```sh\n", "```")
	making := exec.CommandContext(t.Context(), "sh", "-ec", certificates)
	making.Dir = dir
	if out, err := making.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, text := range map[string]string{
		"as it is": whole, "message signing": signing, "mutual TLS": between(t, section, "```yaml\n", "```"),
	} {
		c, said := check(t, dir, "other.yaml", text)
		if c == nil {
			t.Fatalf("%s: %s", name, said)
		}
		lines := c.Profiles()
		if name == "message signing" {
			lines = lines[len(lines)-2:] // the guide shows what is new
		}
		if len(lines) < 2 || !strings.Contains(guide, "```\n"+strings.Join(lines, "\n")+"\n") {
			t.Errorf("%s: config check prints\n%s", name, strings.Join(lines, "\n"))
		}
	}
}

// check loads a configuration, or tells what is wrong with it.
func check(t *testing.T, dir, name, text string) (*config.Config, string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path)
	if err != nil {
		return nil, err.Error()
	}
	return c, ""
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func between(t *testing.T, text, from, to string) string {
	t.Helper()
	_, rest, begins := strings.Cut(text, from)
	part, _, ends := strings.Cut(rest, to)
	if !begins || !ends {
		t.Fatalf("the guide has nothing between %q and %q", from, to)
	}
	return part
}
