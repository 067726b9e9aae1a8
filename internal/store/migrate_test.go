package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

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

// A database of the second release, with people signed in. Nobody is signed out, a node of that release that still runs
// goes on, and what is new works for the rows of old.
func TestADatabaseOfTheSecondReleaseGetsTheBrowserFlows(t *testing.T) {
	onEachEmptyEngine(t, func(t *testing.T, url string) {
		db := opened(t, Options{URL: url})
		ours := mustSteps(t, db)
		if _, err := db.migrate(t.Context(), ours[:2]); err != nil {
			t.Fatal(err)
		}
		in := newSignIn(db)
		s := in.Session
		s.AccountID, s.IdentityID = in.NewAccount.ID, in.NewIdentity.ID
		oldSession := func(id domain.SessionID) {
			run(t, db, `INSERT INTO sessions (id, account_id, identity_id, client_id, device_name, tier, jkt, scope, resources,
				secret_hash, created_at, auth_time, absolute_expires_at, idle_for, idle_expires_at, rotated_at, prev_rotated_at,
				counter, key_id, format, state, late_streak, late_counter, ended_at, end_reason)
				VALUES ($1, $2, $3, 'app', $4, 1, $5, 'openid', 'https://api.example.com', $6, $7, 0, 0, $8, $9, $7, 0, 0, 7, 1, 1, 0, 0, 0, '')`,
				id[:], s.AccountID[:], s.IdentityID[:], s.DeviceName, s.JKT, s.Refresh.SecretHash[:], micros(s.CreatedAt),
				s.IdleFor.Microseconds(), micros(s.IdleExpiresAt))
		}
		run(t, db, `INSERT INTO clients (id, declared, disabled, definition) VALUES ('app', TRUE, FALSE, '{"id":"app"}')`)
		run(t, db, "INSERT INTO accounts (id, state, created_at) VALUES ($1, 1, 1)", s.AccountID[:])
		run(t, db, `INSERT INTO identities (id, account_id, provider, issuer, subject, email, email_verified, name, created_at,
			last_used_at) VALUES ($1, $2, 'google', $3, $4, '', FALSE, '', 1, 1)`, s.IdentityID[:], s.AccountID[:], in.NewIdentity.Issuer, in.NewIdentity.Subject)
		oldSession(s.ID)

		if ran, err := db.Migrate(t.Context()); err != nil || ran != len(ours)-2 {
			t.Fatalf("%d steps ran (%v)", ran, err)
		}
		if v := mustSession(t, db, s.ID); !v.Live(db.Now()) || v.Notify || v.AMR != nil || !v.BrowserID.IsZero() {
			t.Errorf("%+v", v)
		}
		if got := mustRotate(t, db, rotation(db, s)); !got.Advanced {
			t.Errorf("%+v", got)
		}
		later := domain.SessionID(newID())
		oldSession(later) // by a node of the second release
		if v := mustSession(t, db, later); !v.Live(db.Now()) {
			t.Errorf("%+v", v)
		}
		if started := mustSignIn(t, db, again(db, in)); started.AccountID != s.AccountID {
			t.Errorf("%+v", started)
		}
		b := mustBrowser(t, db, s)
		r := redemption(db, granted(t, db, newFlow(db), s, b.ID))
		mustRedeem(t, db, r, Redeemed)
		mustEndBrowser(t, db, b.ID, 1)
		if n, err := db.EndAccountSessions(t.Context(), s.AccountID, domain.SessionID{}, domain.EndedByUser, domain.Event{}); err != nil || n != 3 {
			t.Errorf("%d ended (%v)", n, err)
		}
		if n := mustRows(t, db)["notices"]; n != 1 {
			t.Errorf("%d notices", n)
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

// Somebody reads for long while a node of the next release migrates: a backup. The nodes that run go on, behind it only for
// moments, and the migration comes through when the reader is gone.
func TestAMigrationThatWaitsForALongReaderHoldsNobodyUp(t *testing.T) {
	url := engines[1].url(t)
	db, node := opened(t, Options{URL: url}), opened(t, Options{URL: url})
	ours := mustSteps(t, db)
	if _, err := db.migrate(t.Context(), ours[:2]); err != nil {
		t.Fatal(err)
	}
	reader, err := node.pool.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.ExecContext(t.Context(), "SET LOCAL idle_in_transaction_session_timeout = 0"); err != nil {
		t.Fatal(err)
	}
	const read = "SELECT count(*) FROM sessions JOIN accounts ON accounts.id = account_id"
	var n int
	if err := one(t.Context(), reader, read, nil, &n); err != nil {
		t.Fatal(err)
	}
	migrated := make(chan error, 1)
	go func() {
		ran, err := db.Migrate(context.Background())
		if err == nil && ran != len(ours)-2 {
			err = fmt.Errorf("%d steps ran", ran)
		}
		migrated <- err
	}()
	for range 2 { // also once it has tried again
		until(t, func() error { return mustWait(t, node, 1) })
		ctx, cancel := context.WithTimeout(t.Context(), lockWait+6*time.Second)
		if err := one(ctx, node.pool, read, nil, &n); err != nil {
			t.Error("a refresh waits for the reader:", err)
		}
		cancel()
	}
	if len(migrated) > 0 {
		t.Error("it did not wait:", <-migrated)
	}
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-migrated; err != nil {
		t.Error(err)
	}
	if err := node.CheckSchema(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAMigrationGivesUpAndSaysWhatToDo(t *testing.T) {
	url := engines[1].url(t)
	db, node := opened(t, Options{URL: url}), opened(t, Options{URL: url})
	ours := mustSteps(t, db)
	if _, err := db.migrate(t.Context(), ours[:2]); err != nil {
		t.Fatal(err)
	}
	reader, err := node.pool.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Rollback() }()
	var n int
	if err := one(t.Context(), reader, "SELECT count(*) FROM sessions", nil, &n); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), lockWait+lockPause/2)
	defer cancel()
	if _, err := db.Migrate(ctx); !errors.Is(err, ErrTablesBusy) || !strings.Contains(err.Error(), "countersign migrate") {
		t.Error(err)
	}
}
