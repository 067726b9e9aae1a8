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
	dir := t.TempDir()
	for _, name := range []string{"countersign.yaml", "setup.sh"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "branding"), os.DirFS("branding")); err != nil {
		t.Fatal(err)
	}
	if _, err := pages.NewLook("branding"); err != nil {
		t.Error(err)
	}
	binary := harness.Binary(t)
	for range 2 { // the second time everything is there
		setup := exec.CommandContext(t.Context(), "sh", filepath.Join(dir, "setup.sh"))
		setup.Env = append(os.Environ(), "COUNTERSIGN="+binary)
		if out, err := setup.CombinedOutput(); err != nil {
			t.Fatalf("setup.sh: %v\n%s", err, out)
		}
	}
	if _, err := config.Load(filepath.Join(dir, "countersign.yaml")); err != nil {
		t.Error(err)
	}
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(  - id: .*?)```")

func TestTheGuidesShowWhatTheConfigurationHas(t *testing.T) {
	whole, err := os.ReadFile("countersign.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for guide, clients := range map[string]int{"web-app": 1, "spa": 2, "native-app": 1, "tv": 1, "service": 1} {
		text, err := os.ReadFile("../docs/" + guide + ".md")
		if err != nil {
			t.Fatal(err)
		}
		blocks := yamlBlock.FindAllStringSubmatch(string(text), -1)
		if len(blocks) != clients {
			t.Errorf("%s shows %d clients, not %d", guide, len(blocks), clients)
		}
		for _, b := range blocks {
			if !strings.Contains(string(whole), b[1]) {
				t.Errorf("%s shows what examples/countersign.yaml does not have:\n%s", guide, b[1])
			}
		}
	}
}
