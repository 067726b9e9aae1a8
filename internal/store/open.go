package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

const (
	defaultConns = 16
	liteReaders  = 4
	// A connection is renewed now and then, so that a failover or a new DNS answer is noticed.
	connLife = 30 * time.Minute
	connIdle = 5 * time.Minute
)

// Open connects. It does not migrate.
func Open(ctx context.Context, o Options) (*DB, error) {
	db := &DB{clock: clock{local: o.Clock}}
	var err error
	scheme, rest, _ := strings.Cut(o.URL, ":")
	switch scheme {
	case "sqlite":
		err = db.openLite(ctx, rest)
	case "postgres", "postgresql":
		err = db.openPostgres(ctx, o)
	default:
		err = errors.New("the database URL must begin with sqlite: or postgres://")
	}
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	db.startConvoys()
	if o.Clock == nil {
		if _, err := db.MeasureClock(ctx); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	return db, nil
}

func (db *DB) openPostgres(ctx context.Context, o Options) error {
	config, err := parsePostgres(o.URL)
	if err != nil {
		return err
	}
	config.RuntimeParams["application_name"] = "countersign"
	conns := o.MaxConns
	if conns <= 0 {
		conns = defaultConns
	}
	db.pool = stdlib.OpenDB(*config, stdlib.OptionAfterConnect(prepareSession))
	db.pool.SetMaxOpenConns(conns)
	db.pool.SetMaxIdleConns(conns)
	db.pool.SetConnMaxLifetime(connLife)
	db.pool.SetConnMaxIdleTime(connIdle)
	db.reader = db.pool
	if err := db.pool.PingContext(ctx); err != nil {
		return errors.Join(err, db.pool.Close())
	}
	return nil
}

// prepareSession keeps statements on their keys. Without statistics, on a fresh installation, the planner would choose
// to read whole tables, which are small then, and keep that plan while they grow. And it bounds how long a transaction
// of a node that vanished (no power, no network) holds its locks; else that is hours, until TCP notices.
func prepareSession(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "SET enable_seqscan = off; SET jit = off; SET idle_in_transaction_session_timeout = '8s'")
	return err
}

// openLite opens the file for one writing and a few reading connections. The file is made here, for SQLite would
// make it readable for everybody; it gives its -wal and -shm companions the same mode.
func (db *DB) openLite(ctx context.Context, path string) error {
	if err := checkLitePath(path); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if db.lite, err = startLiteWriter(ctx, liteDSN(path, "synchronous(FULL)", "foreign_keys(1)", "cache_size(-4000)")); err != nil {
		return err
	}
	if db.pool, err = sql.Open("sqlite", liteDSN(path, "query_only(1)", "cache_size(-1000)")); err != nil {
		return errors.Join(err, db.lite.close())
	}
	db.pool.SetMaxOpenConns(liteReaders)
	db.pool.SetMaxIdleConns(liteReaders)
	db.reader = &preparing{prepare: db.pool.PrepareContext}
	return nil
}

// liteDSN puts every PRAGMA into the DSN, so that each new connection has it. busy_timeout comes first, for the others
// may meet a lock; every transaction takes the write lock when it begins, so that none fails half way.
func liteDSN(path string, pragmas ...string) string {
	query := url.Values{
		"_txlock": {"immediate"},
		"_pragma": append([]string{"busy_timeout(5000)", "journal_mode(WAL)"}, pragmas...),
	}
	return (&url.URL{Scheme: "file", Opaque: url.PathEscape(path), RawQuery: query.Encode()}).String()
}

// Forgetful names the setting of PostgreSQL that lets a killed server lose what it has acknowledged, or nothing. SQLite's
// are in the DSN.
func (db *DB) Forgetful(ctx context.Context) (setting string, err error) {
	if !db.postgres() {
		return "", nil
	}
	var commit, fsync string
	err = one(ctx, db.pool, "SELECT current_setting('synchronous_commit'), current_setting('fsync')", nil, &commit, &fsync)
	switch {
	case err != nil:
		return "", fmt.Errorf("ask for the database's settings: %w", err)
	case commit == "off":
		return "synchronous_commit", nil
	case fsync == "off":
		return "fsync", nil
	}
	return "", nil
}

// Close lets running batches finish and closes.
func (db *DB) Close() error {
	if db.postgres() {
		db.rotations.close()
		db.signIns.close()
		db.assertions.close()
		db.redemptions.close()
		db.newFlows.close()
		db.pushedFlows.close()
	}
	db.sessions.close()
	db.clients.close()
	db.browsers.close()
	db.codes.close()
	var err error
	if db.lite != nil {
		err = db.lite.close()
	}
	return errors.Join(err, db.pool.Close())
}
