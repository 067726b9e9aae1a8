package store

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/countersign/countersign/internal/domain"
)

func onEachEmptyEngine(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) { test(t, e.url(t)) })
	}
}

func mustSteps(t testing.TB, db *DB) []step {
	t.Helper()
	ours, err := steps(migrationFiles, db.engine())
	if err != nil {
		t.Fatal(err)
	}
	return ours
}

func TestMigratingTwiceRunsEveryStepOnce(t *testing.T) {
	onEachEmptyEngine(t, func(t *testing.T, url string) {
		db := opened(t, Options{URL: url})
		if err := db.Ready(t.Context()); !errors.Is(err, ErrNotMigrated) || !strings.Contains(err.Error(), "countersign migrate") {
			t.Error("ready before it is migrated:", err)
		}
		for _, want := range []int{len(mustSteps(t, db)), 0} {
			if ran, err := db.Migrate(t.Context()); err != nil || ran != want {
				t.Errorf("%d steps ran, want %d (%v)", ran, want, err)
			}
		}
		if err := db.Ready(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestNodesThatMigrateTogetherRunEveryStepOnce(t *testing.T) {
	onEachEmptyEngine(t, func(t *testing.T, url string) {
		var nodes []*DB
		for range 4 {
			nodes = append(nodes, opened(t, Options{URL: url}))
		}
		var ran atomic.Int32
		atOnce(len(nodes), func(i int) {
			n, err := nodes[i].Migrate(t.Context())
			if err != nil {
				t.Error(err)
			}
			ran.Add(int32(n))
		})
		if want := len(mustSteps(t, nodes[0])); int(ran.Load()) != want {
			t.Errorf("%d steps ran, want %d", ran.Load(), want)
		}
	})
}

func TestMigrationGoesForwardOnly(t *testing.T) {
	onEachEmptyEngine(t, func(t *testing.T, url string) {
		db := opened(t, Options{URL: url})
		ours := mustSteps(t, db)
		next := append(slices.Clone(ours), step{len(ours) + 1, "next.sql", "c1", "CREATE TABLE next_release (id INTEGER PRIMARY KEY);\n"})
		broken := append(slices.Clone(next), step{len(next) + 1, "broken.sql", "c2", "CREATE TABLE half_way (id INTEGER PRIMARY KEY);\nNONSENSE;\n"})
		if ran, err := db.migrate(t.Context(), next); err != nil || ran != len(next) {
			t.Fatal(ran, err)
		}
		if _, err := db.migrate(t.Context(), broken); err == nil || !strings.Contains(err.Error(), "broken.sql") {
			t.Error("a broken step:", err)
		}
		run(t, db, "CREATE TABLE half_way (id INTEGER PRIMARY KEY)") // what the broken step made was undone
		if _, err := db.Migrate(t.Context()); !errors.Is(err, ErrNewerSchema) || !strings.Contains(err.Error(), "next.sql") {
			t.Error("an older binary:", err)
		}
		if err := db.CheckSchema(t.Context()); !errors.Is(err, ErrNewerSchema) {
			t.Error("an older binary that leaves the schema alone:", err)
		}
		if err := db.Ready(t.Context()); err != nil {
			t.Error("a node that runs already goes on with a newer schema:", err)
		}
		edited := slices.Clone(next)
		edited[0].checksum = "other"
		if _, err := db.migrate(t.Context(), edited); !errors.Is(err, ErrEditedMigration) || !strings.Contains(err.Error(), edited[0].name) {
			t.Error("an edited step:", err)
		}
	})
}

// A database of the first release, with what a file of then declared.
func TestADatabaseOfTheFirstReleaseGetsTheCatalogsRevision(t *testing.T) {
	onEachEmptyEngine(t, func(t *testing.T, url string) {
		db := opened(t, Options{URL: url})
		ours := mustSteps(t, db)
		if _, err := db.migrate(t.Context(), ours[:1]); err != nil {
			t.Fatal(err)
		}
		run(t, db, `INSERT INTO clients (id, declared, disabled, definition) VALUES ('app', TRUE, FALSE, '{"id":"app"}')`)
		run(t, db, "UPDATE catalog SET version = 5")
		if ran, err := db.Migrate(t.Context()); err != nil || ran != len(ours)-1 {
			t.Fatalf("%d steps ran (%v)", ran, err)
		}
		got, err := db.Catalog(t.Context())
		if err != nil || got.Version != 5 || got.Revision != 0 || len(got.Clients) != 1 {
			t.Fatalf("%+v (%v)", got, err)
		}
		run(t, db, "UPDATE catalog SET version = version + 1") // a node of the first release goes on
		mustPut(t, db, domain.Catalog{Revision: 1})
		if err := db.PutCatalog(t.Context(), smallCatalog()); !errors.Is(err, ErrOlderRevision) {
			t.Error(err)
		}
	})
}

func TestMigrationFilesAreNumberedWithoutGaps(t *testing.T) {
	file := &fstest.MapFile{Data: []byte("SELECT 1;\n")}
	for name, files := range map[string]fstest.MapFS{
		"a gap":       {"migrations/x/0001_a.sql": file, "migrations/x/0003_c.sql": file},
		"a twin":      {"migrations/x/0001_a.sql": file, "migrations/x/0001_b.sql": file},
		"no number":   {"migrations/x/first.sql": file},
		"no such dir": {"migrations/y/0001_a.sql": file},
	} {
		if list, err := steps(files, "x"); err == nil {
			t.Errorf("%s: %v", name, list)
		}
	}
	for _, engine := range []string{"sqlite", "postgres"} {
		list, err := steps(migrationFiles, engine)
		if err != nil || len(list) == 0 || len(list[0].checksum) != 64 {
			t.Errorf("%s: %v (%v)", engine, list, err)
		}
	}
}
