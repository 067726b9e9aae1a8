package spec

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mention finds the ids in a test's text: a comment, a subtest's name, a test's own name (TestRT06ADelayed…). RS256 and
// the like are no ids, nor is what stands inside a longer word.
var mention = regexp.MustCompile(
	`\b(?:Test_?|Fuzz_?)?(?:((?:rfc[0-9]{4}|webauthn|oidc-[a-z]+|fapi2-[a-z-]+|jarm|cimd)-[0-9][0-9.]*-[0-9]+)|((?:AZ|TK|CA|RT|ID|TX|DP|IR|RS|KL|DS|SE|WA|PX|DV|RG)[0-9]{2}))(?:[^0-9a-z]|$)`)

// mentions returns the ids named in a text.
func mentions(text string) []string {
	var ids []string
	for _, m := range mention.FindAllStringSubmatch(text, -1) {
		ids = append(ids, m[1]+m[2])
	}
	return ids
}

// named maps every id to the test files that name it. This package's own tests prove nothing and are left out.
func named(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == "../spec" || path == "../bin" || strings.HasPrefix(d.Name(), ".git")):
			return fs.SkipDir
		case d.IsDir() || !isTest(path):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, id := range mentions(string(text)) {
			if !slices.Contains(found[id], path) {
				found[id] = append(found[id], path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// isTest tells whether a file is a test: Go's, or a script that testscript runs.
func isTest(path string) bool {
	return strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".txtar")
}

func TestEveryRowThatClaimsToBeMetIsNamedByATest(t *testing.T) {
	tests := named(t)
	var owed, missing int
	for _, r := range rows(t) {
		if !r.owesTest() {
			continue
		}
		owed++
		if len(tests[r.id]) == 0 {
			missing++
			t.Errorf("%-16s no test names it: %s (%s)", r.id, r.requirement, r.where)
		}
	}
	t.Logf("%d of %d rows are named by a test", owed-missing, owed)
}

func TestEveryRowATestNamesExists(t *testing.T) {
	known := map[string]bool{}
	for _, r := range rows(t) {
		known[r.id] = true
	}
	tests := named(t)
	for _, id := range slices.Sorted(maps.Keys(tests)) {
		if !known[id] {
			t.Errorf("%-16s no such row; named in %s", id, strings.Join(tests[id], ", "))
		}
	}
}

func TestMentionsAreFoundWhereAnIDStandsByItself(t *testing.T) {
	tests := []struct {
		text string
		want []string
	}{
		{`t.Run("RT06 a delayed duplicate", …)`, []string{"RT06"}},
		{"// RT01, RT04; rfc9449-4.3-08.", []string{"RT01", "RT04", "rfc9449-4.3-08"}},
		{"func TestRT06ADelayedDuplicate(", []string{"RT06"}},
		{"func FuzzRT09(", []string{"RT09"}},
		{"rfc6749-2.3.1-04", []string{"rfc6749-2.3.1-04"}},
		{"rfc9449-4.3-8 has no such spelling, which the next test finds out", []string{"rfc9449-4.3-8"}},
		{"RS256, VALID12, CSRT06x and AIDS01", nil},
	}
	for _, tt := range tests {
		if got := mentions(tt.text); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.text, got, tt.want)
		}
	}
}
