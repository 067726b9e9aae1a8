// Package store holds the only SQL and the clock. A method is one whole fact, atomic inside, with its condition in
// the WHERE and the row count as the verdict; a refusal whose effect must last commits that effect. It judges
// nothing: rules read what it returns. SQLite for one machine, PostgreSQL for many nodes, one conformance suite.
//
// What is frequent shares its way to the database: see convoy and liteWriter.
package store

import (
	"database/sql"
	"errors"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// ErrNotFound is returned by reads of one row that is not there.
var ErrNotFound = errors.New("not found")

// ErrTaken is returned where a new row needs a name that another one has.
var ErrTaken = errors.New("taken")

// ErrNewerSchema is returned when the database was migrated by a newer release.
var ErrNewerSchema = errors.New("the database schema is newer than this binary")

// ErrEditedMigration is returned when a migration the database has seen is not the one in this binary.
var ErrEditedMigration = errors.New("a migration was edited after it ran on this database")

// ErrSpent is the refusal of a code for a trip whose pushed request has led to one already.
var ErrSpent = errors.New("the pushed request was spent before")

// ErrOlderRevision is returned when a newer configuration file declared its clients and resources before this one.
var ErrOlderRevision = errors.New("a newer revision of clients and resources was declared before")

// ErrClosed is returned by calls after Close.
var ErrClosed = errors.New("the database is closed")

// Options of Open.
type Options struct {
	URL      string // sqlite:PATH, sqlite::memory: is refused, postgres://…
	MaxConns int    // PostgreSQL; zero: 16
	// Clock replaces the local clock, in tests. Open then leaves the offset at zero; MeasureClock measures and adds
	// it all the same.
	Clock func() time.Time
}

// DB is the database. Safe for concurrent use.
type DB struct {
	clock clock

	pool   *sql.DB     // PostgreSQL's, or the one that reads SQLite
	reader queryer     // pool, with prepared statements where the driver does not keep them itself
	lite   *liteWriter // the one writer of SQLite; nil on PostgreSQL

	// nil on SQLite, where the writer shares commits
	rotations *convoy[domain.SessionID, Rotation, RotationResult]
	signIns   *convoy[[32]byte, *SignIn, *signedIn]

	assertions  *convoy[[32]byte, assertion, bool]
	redemptions *convoy[domain.FlowID, *Redemption, *redeemed]
	newFlows    *convoy[domain.FlowID, flowRow, *domain.FlowID]
	pushedFlows *convoy[domain.FlowID, flowRow, *domain.FlowID] // pushed requests that become codes

	sessions *convoy[domain.SessionID, domain.SessionID, *domain.SessionView]
	clients  *convoy[string, string, domain.ClientState]
	browsers *convoy[domain.BrowserID, domain.BrowserID, *domain.BrowserView]
	codes    *convoy[[32]byte, [32]byte, *domain.Flow]
}

// postgres tells which of the two engines this is.
func (db *DB) postgres() bool { return db.lite == nil }
