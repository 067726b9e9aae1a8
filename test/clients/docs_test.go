package clients_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var jsBlock = regexp.MustCompile("(?s)```js\n(.*?)```")

// What the guides show of JavaScript under FAPI is what the tests run: the lines of each block, in their order, are lines
// of one script.
func TestTheCodeOfTheGuidesIsTheCodeThatRuns(t *testing.T) {
	scripts, err := filepath.Glob("node/*/*.mjs")
	if err != nil {
		t.Fatal(err)
	}
	clients := read(t, "../../docs/clients.md")
	_, clients, _ = strings.Cut(clients, "\n## FAPI 2.0\n")
	for guide, c := range map[string]struct {
		text    string
		scripts []string
	}{
		"clients.md": {clients, scripts},
		"fapi.md":    {read(t, "../../docs/fapi.md"), []string{"../../examples/bank/bank.mjs"}},
	} {
		blocks := jsBlock.FindAllStringSubmatch(c.text, -1)
		if len(blocks) < 4 {
			t.Errorf("%s has %d blocks", guide, len(blocks))
		}
		for _, b := range blocks {
			if !slices.ContainsFunc(c.scripts, func(name string) bool { return holds(lines(read(t, name)), lines(b[1])) }) {
				t.Errorf("%s shows what no script has:\n%s", guide, b[1])
			}
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// lines are those of a text without their indent.
func lines(text string) []string {
	list := strings.Split(strings.TrimSpace(text), "\n")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

// holds tells whether a list has all of another's, in their order.
func holds(list, part []string) bool {
	for _, line := range list {
		if len(part) > 0 && line == part[0] {
			part = part[1:]
		}
	}
	return len(part) == 0
}
