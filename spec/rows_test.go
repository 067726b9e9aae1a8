// Package spec holds what the specifications and the attacks we know demand of Countersign, one requirement a line in
// our own words, and the check that a test stands behind every line that claims to be met. It refuses to judge whether
// the test is a good one: the row's id leads a reader there.
package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// header is the first line of every file; the columns of all lines follow it.
const header = "id\tsection\tlevel\tstatus\trequirement\treason"

// attacks is the one file whose rows are attacks and not sentences of a specification.
const attacks = "attacks"

var (
	levels   = []string{"MUST", "SHOULD", "MAY"}
	statuses = []string{"covered", "later", "not-applicable", "deviates"}

	rowID    = regexp.MustCompile(`^(?:rfc[0-9]{4}|webauthn|oidc-[a-z]+|fapi2-[a-z-]+|jarm|cimd)-[0-9]+(\.[0-9]+)*-[0-9]{2}$`)
	attackID = regexp.MustCompile(`^[A-Z]{2}[0-9]{2}$`)
)

// row is one requirement. MUST NOT counts as MUST. Reason says why, unless it is covered.
type row struct {
	id, section, level, status, requirement, reason string

	where string // file:line
}

// owesTest tells whether some test has to name the row.
func (r row) owesTest() bool { return r.level == "MUST" && r.status == "covered" }

// rows reads every file and fails the test on the first thing wrong in each line.
func rows(t *testing.T) []row {
	t.Helper()
	files, err := filepath.Glob("*.tsv")
	if err != nil || len(files) == 0 {
		t.Fatalf("no specifications found: %v", err)
	}
	var all []row
	first := map[string]string{}
	for _, file := range files {
		for _, r := range readFile(t, file) {
			if before, seen := first[r.id]; seen {
				t.Errorf("%s: %s stands at %s already", r.where, r.id, before)
			}
			first[r.id] = r.where
			all = append(all, r)
		}
	}
	return all
}

func readFile(t *testing.T, file string) (found []row) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if lines[0] != header {
		t.Fatalf("%s:1: want the columns %q", file, header)
	}
	for i, line := range lines[1:] {
		where := fmt.Sprintf("%s:%d", file, i+2)
		r, err := parse(line, strings.TrimSuffix(file, ".tsv"))
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		r.where = where
		found = append(found, r)
	}
	return found
}

func parse(line, document string) (row, error) {
	columns := strings.Split(line, "\t")
	if len(columns) != 6 {
		return row{}, fmt.Errorf("%d columns, want 6", len(columns))
	}
	for _, c := range columns {
		if c != strings.TrimSpace(c) {
			return row{}, fmt.Errorf("space around %q", c)
		}
	}
	r := row{id: columns[0], section: columns[1], level: columns[2], status: columns[3], requirement: columns[4],
		reason: columns[5]}
	switch {
	case !r.hasGoodID(document):
		return row{}, fmt.Errorf("id %q does not fit %s and section %q", r.id, document, r.section)
	case !slices.Contains(levels, r.level):
		return row{}, fmt.Errorf("level %q is none of %v", r.level, levels)
	case !slices.Contains(statuses, r.status):
		return row{}, fmt.Errorf("status %q is none of %v", r.status, statuses)
	case r.requirement == "":
		return row{}, fmt.Errorf("%s says nothing", r.id)
	case r.status != "covered" && r.reason == "":
		return row{}, fmt.Errorf("%s is %s without a reason", r.id, r.status)
	}
	return r, nil
}

// hasGoodID: rfc9449-4.3-08 is row 8 of section 4.3; an attack has the id it is known by.
func (r row) hasGoodID(document string) bool {
	if document == attacks {
		return attackID.MatchString(r.id) && r.section != ""
	}
	return rowID.MatchString(r.id) && strings.HasPrefix(r.id, document+"-"+r.section+"-")
}

func TestALineThatIsNotARowIsRefused(t *testing.T) {
	tests := []struct{ name, document, line string }{
		{"a column too few", "rfc7009", "rfc7009-2-01\t2\tMUST\tcovered\tIt holds"},
		{"another document's id", "rfc7009", "rfc7662-2-01\t2\tMUST\tcovered\tIt holds\t"},
		{"another section", "rfc7009", "rfc7009-2-01\t3\tMUST\tcovered\tIt holds\t"},
		{"a number without its zero", "rfc7009", "rfc7009-2-1\t2\tMUST\tcovered\tIt holds\t"},
		{"a level that does not exist", "rfc7009", "rfc7009-2-01\t2\tMUST NOT\tcovered\tIt holds\t"},
		{"a status that does not exist", "rfc7009", "rfc7009-2-01\t2\tMUST\tdone\tIt holds\t"},
		{"no requirement", "rfc7009", "rfc7009-2-01\t2\tMUST\tcovered\t\t"},
		{"later without a reason", "rfc7009", "rfc7009-2-01\t2\tMUST\tlater\tIt holds\t"},
		{"a space at the end", "rfc7009", "rfc7009-2-01\t2\tMUST\tcovered\tIt holds \t"},
		{"an attack without a group", attacks, "RT01\t\tMUST\tcovered\tIt holds\t"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if r, err := parse(tt.line, tt.document); err == nil {
				t.Errorf("%q was read as %+v", tt.line, r)
			}
		})
	}
}
