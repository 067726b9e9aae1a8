package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/test/pgcluster"
)

func TestOpenRefusesWhatItCannotServe(t *testing.T) {
	for url, says := range map[string]string{
		"":                          "must begin with",
		"mysql://localhost/db":      "must begin with",
		"sqlite:":                   "sqlite:PATH",
		"sqlite::memory:":           "sqlite:PATH",
		"sqlite:/no/such/folder/db": "no such file",
		"postgres://%zz":            "parse",
		"postgres://u:hush@/db?host=/no/such/folder&connect_timeout=1": "no such file",
	} {
		db, err := Open(t.Context(), Options{URL: url})
		if err == nil {
			_ = db.Close()
			t.Errorf("%s was opened", url)
			continue
		}
		if !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestTheSQLiteFileIsForItsOwnerOnlyAndDurable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "odd name?&%41#.db")
	db := migrated(t, Options{URL: "sqlite:" + path})
	mustSignIn(t, db, newSignIn(db))
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Error(err)
		} else if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %o", name, mode)
		}
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000"} {
		var got string
		if err := one(t.Context(), db.lite.q, "PRAGMA "+pragma, nil, &got); err != nil || got != want {
			t.Errorf("%s = %s, want %s (%v)", pragma, got, want, err)
		}
	}
	if _, err := db.pool.ExecContext(t.Context(), "DELETE FROM sessions"); err == nil {
		t.Error("a reading connection wrote")
	}
}

// Whoever copies the file of a stopped server has everything.
func TestAClosedSQLiteFileIsWholeByItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db, err := Open(t.Context(), Options{URL: "sqlite:" + path})
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Migrate(t.Context())
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	for _, beside := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(path + beside); err == nil {
			t.Errorf("%s%s is left", path, beside)
		}
	}
}

func TestWhatWasCommittedIsThereAfterReopening(t *testing.T) {
	onEachEmptyEngine(t, func(t *testing.T, url string) {
		db, err := Open(t.Context(), Options{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := db.PutCatalog(t.Context(), smallCatalog()); err != nil {
			t.Fatal(err)
		}
		s := mustSignIn(t, db, newSignIn(db))
		mustRotate(t, db, rotation(db, s))
		before := mustSession(t, db, s.ID)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if after := mustSession(t, opened(t, Options{URL: url}), s.ID); after.Refresh != before.Refresh || after.Refresh.Counter != 1 {
			t.Errorf("%+v, want %+v", after.Refresh, before.Refresh)
		}
	})
}

func TestAClosedDatabaseRefusesCalls(t *testing.T) {
	onEachEmptyEngine(t, func(t *testing.T, url string) {
		db := migrated(t, Options{URL: url})
		s := mustSignIn(t, db, newSignIn(db))
		second, err := Open(t.Context(), Options{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		if err := second.Close(); err != nil {
			t.Fatal(err)
		}
		_, err1 := second.RotateRefresh(t.Context(), rotation(db, s))
		_, err2 := second.Session(t.Context(), s.ID)
		_, err3 := second.ClientState(t.Context(), "app")
		_, err4 := second.SignIn(t.Context(), newSignIn(db))
		for _, err := range []error{err1, err2, err3} {
			if !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
		}
		if err4 == nil {
			t.Error("signed in on a closed database")
		}
	})
}

func TestTheClockIsTheDatabases(t *testing.T) {
	onEachEmptyEngine(t, func(t *testing.T, url string) {
		here := time.Date(2031, 2, 3, 4, 5, 6, 7_008, time.UTC)
		db := migrated(t, Options{URL: url, Clock: func() time.Time { return here }})
		if got, want := db.Now(), here.Truncate(time.Microsecond); !got.Equal(want) {
			t.Errorf("an injected clock reads %s, want %s", got, want)
		}
		here = here.Add(time.Hour)
		s := mustSignIn(t, db, newSignIn(db))
		if v := mustSession(t, db, s.ID); !v.CreatedAt.Equal(db.Now()) {
			t.Errorf("created at %s, now is %s", v.CreatedAt, db.Now())
		}
		if err := db.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		offset, err := db.MeasureClock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !db.postgres() {
			if offset != 0 {
				t.Errorf("SQLite has a clock %s off ours", offset)
			}
			return
		}
		if drift := time.Since(db.Now()); drift.Abs() > time.Minute || offset.Abs() < day {
			t.Errorf("after measuring %s off the true time, offset %s", drift, offset)
		}
		if err := db.Ready(t.Context()); !errors.Is(err, ErrClock) {
			t.Error("ready in spite of the clock:", err)
		}
	})
}

func TestEventsAreReadNewestFirstByAccountAndSession(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		in := newSignIn(db)
		first, second := mustSignIn(t, db, in), mustSignIn(t, db, again(db, in))
		mustSignIn(t, db, newSignIn(db))
		for _, c := range []struct {
			acc   domain.AccountID
			ses   domain.SessionID
			limit int
			want  int
		}{
			{limit: 100, want: catalogRows + 7}, {limit: 3, want: 3}, {acc: first.AccountID, limit: 100, want: 4},
			{ses: second.ID, limit: 100, want: 1}, {acc: first.AccountID, ses: first.ID, limit: 100, want: 1},
			{acc: domain.AccountID(newID()), limit: 100, want: 0}, {limit: -1, want: 1},
		} {
			events, err := db.Events(t.Context(), c.acc, c.ses, c.limit)
			if err != nil || len(events) != c.want {
				t.Errorf("%+v: %d events (%v)", c, len(events), err)
			}
		}
	})
}

func TestWaitingForAConnectionIsNotTakenForTheClock(t *testing.T) {
	db := migrated(t, Options{URL: pgcluster.Shared(t), MaxConns: 1})
	ctx, stop := context.WithCancel(t.Context())
	var others sync.WaitGroup
	defer others.Wait()
	defer stop()
	begun := make(chan struct{}, 4)
	for range 4 { // want the connection before us and between our samples
		others.Go(func() {
			begun <- struct{}{}
			for ctx.Err() == nil {
				_, _ = db.pool.ExecContext(context.WithoutCancel(ctx), "SELECT pg_sleep(0.4)")
			}
		})
	}
	for range 4 {
		<-begun
	}
	offset, err := db.MeasureClock(t.Context())
	if err != nil || offset.Abs() > 100*time.Millisecond { // one machine, one clock
		t.Errorf("offset %s, error %v", offset, err)
	}
}

// A node that loses its network in the middle of a transaction must not hold its locks for hours.
func TestAVanishedNodeHoldsNoLocksForLong(t *testing.T) {
	db := opened(t, Options{URL: pgcluster.Shared(t)})
	var text string
	if err := one(t.Context(), db.pool, "SHOW idle_in_transaction_session_timeout", nil, &text); err != nil || text != "8s" {
		t.Errorf("idle transactions are bounded by %q, error %v", text, err)
	}
}

func TestAForgetfulDatabaseIsNamed(t *testing.T) {
	forgetful := pgcluster.Shared(t) // by what its administrator set: in the URL it is refused
	const forget = `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$`
	if _, err := opened(t, Options{URL: forgetful}).pool.ExecContext(t.Context(), forget); err != nil {
		t.Fatal(err)
	}
	for setting, url := range map[string]string{"": pgcluster.Shared(t), "synchronous_commit": forgetful} {
		if got, err := opened(t, Options{URL: url}).Forgetful(t.Context()); got != setting || err != nil {
			t.Errorf("%q (%v), want %q", got, err, setting)
		}
	}
	if got, err := opened(t, Options{URL: "sqlite:" + filepath.Join(t.TempDir(), "test.db")}).Forgetful(t.Context()); got != "" || err != nil {
		t.Errorf("SQLite: %q (%v)", got, err)
	}
}
