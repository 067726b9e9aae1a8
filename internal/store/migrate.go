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

// migrationTime bounds a migration, the wait for another node's included.
const migrationTime = 10 * time.Minute

// Migrate brings the schema to this release; several nodes may do so at once. It returns how many steps ran.
func (db *DB) Migrate(ctx context.Context) (int, error) {
	ours, err := steps(migrationFiles, db.engine())
	if err != nil {
		return 0, fmt.Errorf("migrate: %w", err)
	}
	return db.migrate(ctx, ours)
}

// migrate runs what is missing in one transaction: all of it, or nothing.
func (db *DB) migrate(ctx context.Context, ours []step) (int, error) {
	ran, err := writeWithin(ctx, db, migrationTime, alone, func(ctx context.Context, q queryer) (int, error) {
		if err := db.lock(ctx, q, lockMigrations); err != nil {
			return 0, err
		}
		const table = `CREATE TABLE IF NOT EXISTS migrations (
			number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)`
		if _, err := change(ctx, q, table); err != nil {
			return 0, err
		}
		missing, err := missingSteps(ctx, q, ours)
		if err != nil {
			return 0, err
		}
		for _, s := range missing {
			if err := db.apply(ctx, q, s); err != nil {
				return 0, fmt.Errorf("%s: %w", s.name, err)
			}
		}
		return len(missing), nil
	})
	if err != nil {
		return 0, fmt.Errorf("migrate: %w", err)
	}
	return ran, nil
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
