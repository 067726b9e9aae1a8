package store

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"
)

//go:embed migrations
var migrationFiles embed.FS

// step is one migration. Steps only go forward: first expand, and contract a release later.
type step struct {
	number   int
	name     string
	checksum string
	sql      string
}

// steps reads the migrations of an engine, in order. Their names begin with their number: 0001_first.sql.
func steps(files fs.FS, engine string) ([]step, error) {
	dir := path.Join("migrations", engine)
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		return nil, err
	}
	var list []step
	for i, entry := range entries {
		text, err := fs.ReadFile(files, path.Join(dir, entry.Name()))
		if err != nil {
			return nil, err
		}
		digits, _, _ := strings.Cut(entry.Name(), "_")
		if number, err := strconv.Atoi(digits); err != nil || number != i+1 {
			return nil, fmt.Errorf("migration %s is not number %d", entry.Name(), i+1)
		}
		sum := sha256.Sum256(text)
		list = append(list, step{i + 1, entry.Name(), hex.EncodeToString(sum[:]), string(text)})
	}
	return list, nil
}

func (db *DB) engine() string {
	if db.postgres() {
		return "postgres"
	}
	return "sqlite"
}

const (
	// migrationTime bounds a migration, the wait for others included.
	migrationTime = 10 * time.Minute
	// lockWait is how long a step waits for a table on PostgreSQL. A long reader, a backup say, keeps it waiting, and behind it
	// wait all the refreshes of nodes that run: so it gives way, and lockPause gives them time to catch up before it tries again.
	lockWait  = 2 * time.Second
	lockPause = 3 * time.Second
)

// ErrTablesBusy says that a migration could not get at its tables.
var ErrTablesBusy = errors.New("the tables are in use: end the long-running transactions of the database " +
	"(a backup, a report; see pg_stat_activity) and run countersign migrate again")

// Migrate brings the schema to this release; several nodes may do so at once. It returns how many steps ran.
func (db *DB) Migrate(ctx context.Context) (int, error) {
	ours, err := steps(migrationFiles, db.engine())
	if err != nil {
		return 0, fmt.Errorf("migrate: %w", err)
	}
	return db.migrate(ctx, ours)
}

// migrate runs what is missing, each step in a transaction: all of it, or nothing.
func (db *DB) migrate(ctx context.Context, ours []step) (ran int, err error) {
	ctx, cancel := context.WithTimeout(ctx, migrationTime)
	defer cancel()
	for {
		n, err := db.migrateOne(ctx, ours)
		switch {
		case refusedWith(err, lockNotAvailable):
			if err := waitOrGiveUp(ctx, lockPause); err != nil {
				return ran, fmt.Errorf("migrate: %w (%w)", ErrTablesBusy, err)
			}
		case err != nil:
			return ran, fmt.Errorf("migrate: %w", err)
		case n == 0:
			return ran, nil
		}
		ran += n
	}
}

func waitOrGiveUp(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// migrateOne runs the first step that is missing, and tells how many it ran: one or none.
func (db *DB) migrateOne(ctx context.Context, ours []step) (int, error) {
	return writeWithin(ctx, db, migrationTime, alone, func(ctx context.Context, q queryer) (int, error) {
		if err := db.lock(ctx, q, lockMigrations); err != nil { // also where another node takes as long as it may
			return 0, err
		}
		if err := db.boundLocks(ctx, q); err != nil {
			return 0, err
		}
		const table = `CREATE TABLE IF NOT EXISTS migrations (
			number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)`
		if _, err := change(ctx, q, table); err != nil {
			return 0, err
		}
		missing, err := missingSteps(ctx, q, ours)
		if err != nil || len(missing) == 0 {
			return 0, err
		}
		if err := db.apply(ctx, q, missing[0]); err != nil {
			return 0, fmt.Errorf("%s: %w", missing[0].name, err)
		}
		return 1, nil
	})
}

// boundLocks bounds every wait for a table until the transaction ends. On SQLite every transaction waits for its turn, and
// no reader keeps it from it.
func (db *DB) boundLocks(ctx context.Context, q queryer) error {
	if !db.postgres() {
		return nil
	}
	_, err := q.ExecContext(ctx, "SELECT set_config('lock_timeout', $1, TRUE)", fmt.Sprintf("%dms", lockWait.Milliseconds()))
	return err
}

func (db *DB) apply(ctx context.Context, q queryer, s step) error {
	for statement := range strings.SplitSeq(s.sql, ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := change(ctx, q, statement); err != nil {
			return err
		}
	}
	_, err := change(ctx, q, "INSERT INTO migrations (number, name, checksum, applied_at) VALUES ($1, $2, $3, $4)",
		s.number, s.name, s.checksum, micros(db.Now()))
	return err
}

// missingSteps compares what ran with what we have.
func missingSteps(ctx context.Context, q queryer, ours []step) ([]step, error) {
	ran, err := all(ctx, q, func(row scanner) (s step, err error) {
		err = row.Scan(&s.number, &s.name, &s.checksum)
		return s, err
	}, "SELECT number, name, checksum FROM migrations ORDER BY number")
	if err != nil {
		return nil, err
	}
	if len(ran) > len(ours) {
		return nil, fmt.Errorf("%w: it has step %s", ErrNewerSchema, ran[len(ran)-1].name)
	}
	for i, theirs := range ran {
		if theirs.number != ours[i].number || theirs.checksum != ours[i].checksum {
			return nil, fmt.Errorf("%w: %s", ErrEditedMigration, theirs.name)
		}
	}
	return ours[len(ran):], nil
}

// CheckSchema tells whether the schema is exactly this release's, without changing it: a start is refused otherwise.
func (db *DB) CheckSchema(ctx context.Context) error {
	ours, ran, err := db.migrated(ctx)
	switch {
	case err != nil:
		return err
	case ran < ours:
		return ErrNotMigrated
	case ran > ours:
		return ErrNewerSchema
	}
	return nil
}

// ErrNotMigrated says that migrations of this release have not run.
var ErrNotMigrated = errors.New("the database is not migrated: run countersign migrate")

// schemaFits tells whether all our migrations ran.
func (db *DB) schemaFits(ctx context.Context) error {
	ours, ran, err := db.migrated(ctx)
	if err == nil && ran < ours {
		return ErrNotMigrated
	}
	return err
}

// migrated counts the migrations of this release and those that ran here.
func (db *DB) migrated(ctx context.Context) (ours, ran int, err error) {
	known, err := steps(migrationFiles, db.engine())
	if err != nil {
		return 0, 0, err
	}
	there := "SELECT count(*) FROM sqlite_schema WHERE name = 'migrations'"
	if db.postgres() {
		there = "SELECT count(*) FROM pg_class WHERE oid = to_regclass('migrations')"
	}
	var tables int
	if err := one(ctx, db.reader, there, nil, &tables); err != nil {
		return 0, 0, fmt.Errorf("ask for the schema: %w", err)
	}
	if tables > 0 {
		if err := one(ctx, db.reader, "SELECT count(*) FROM migrations", nil, &ran); err != nil {
			return 0, 0, fmt.Errorf("ask for the schema: %w", err)
		}
	}
	return len(known), ran, nil
}
