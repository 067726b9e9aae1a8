// Package store holds the only SQL and the clock. A method is one whole fact, atomic inside, with its condition in
// the WHERE and the row count as the verdict; a refusal whose effect must last commits that effect. It judges
// nothing: rules read what it returns. SQLite for one machine, PostgreSQL for many nodes, one conformance suite.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// ErrNotFound is returned by reads of one row that is not there.
var ErrNotFound = errors.New("not found")

// ErrNewerSchema is returned when the database was migrated by a newer release.
var ErrNewerSchema = errors.New("the database schema is newer than this binary")

// Options of Open.
type Options struct {
	URL      string // sqlite:PATH, sqlite::memory: is refused, postgres://…
	MaxConns int    // PostgreSQL; zero: 16
	// Clock replaces the local clock, in tests. The measured offset to the database is added to it.
	Clock func() time.Time
}

// DB is the database. Safe for concurrent use.
type DB struct{}

// Open connects. It does not migrate.
func Open(ctx context.Context, o Options) (*DB, error) { panic("unbuilt") }

// Close lets running batches finish and closes.
func (db *DB) Close() error { panic("unbuilt") }

// Migrate brings the schema to this release; several nodes may do so at once. It returns how many steps ran.
func (db *DB) Migrate(ctx context.Context) (int, error) { panic("unbuilt") }

// Ready tells whether the database answers, its schema fits and its clock is within 5 s of ours.
func (db *DB) Ready(ctx context.Context) error { panic("unbuilt") }

// Now is the time by the database's clock, from a measured offset; never a query.
func (db *DB) Now() time.Time { panic("unbuilt") }

// MeasureClock measures the offset again; app calls it every 30 s.
func (db *DB) MeasureClock(ctx context.Context) (offset time.Duration, err error) { panic("unbuilt") }

// ---- catalog

// PutCatalog upserts what the configuration file declares and takes the declaration from clients and resources it
// no longer names (their rows stay). An operator's disabling survives. It raises the version if anything changed.
func (db *DB) PutCatalog(ctx context.Context, c domain.Catalog) error { panic("unbuilt") }

// Catalog reads the declared clients and resources, and the version.
func (db *DB) Catalog(ctx context.Context) (*domain.Catalog, error) { panic("unbuilt") }

// CatalogVersion reads the version alone.
func (db *DB) CatalogVersion(ctx context.Context) (int64, error) { panic("unbuilt") }

// SetClientDisabled disables or enables a client, with its audit row. ErrNotFound if there is none.
func (db *DB) SetClientDisabled(ctx context.Context, clientID string, disabled bool, e domain.Event) error {
	panic("unbuilt")
}

// ClientLive tells whether a client is declared and not disabled. Concurrent calls share a query.
func (db *DB) ClientLive(ctx context.Context, clientID string) (bool, error) { panic("unbuilt") }

// ---- sign-in and sessions

// Nonce is a single-use thing to be consumed by INSERT.
type Nonce struct {
	Hash        [32]byte // of the nonce (or, without one, of the token's signing input)
	ExpiresAt   time.Time
	Fingerprint [32]byte // keyed, of the request; zero where no repeat is allowed
	KeyID       uint32   // data key of fingerprint and session secret
}

// SignIn is everything one sign-in may write. AccountID and IdentityID of NewAccount and NewIdentity are used only
// if the identity is not known yet.
type SignIn struct {
	Now         time.Time
	Nonce       Nonce
	NewAccount  domain.Account
	NewIdentity domain.Identity // Issuer and Subject find the known one; e-mail and name fill what is empty
	NewDevice   domain.Device   // zero ID: none
	Session     domain.Session  // AccountID, IdentityID, DeviceID are filled in by the store
	Outbox      []OutboxItem    // e.g. the sealed Apple code, see OutboxItem; session id is in its AAD
	Event       domain.Event    // request id, IP; the store writes account.create, identity.link, session.start rows
}

// SignInVerdict says what became of a sign-in.
type SignInVerdict int

// The verdicts.
const (
	SignedIn       SignInVerdict = iota + 1
	SignInRepeated               // same nonce and fingerprint within 60 s, counter still 0: Session is the first one's
	NonceSpent                   // the nonce was consumed before; nothing else changed
	AccountNotLive               // the nonce is consumed, nothing else changed
	ClientNotLive                // the same, the client is disabled
)

// SignInResult is the outcome. On SignInRepeated, KeyID is the data key of the first answer.
type SignInResult struct {
	Verdict    SignInVerdict
	Session    domain.Session
	KeyID      uint32
	NewAccount bool
}

// SignIn consumes the nonce, finds or creates account and identity, upserts the device and inserts the session, in
// one transaction: one round trip on PostgreSQL, a shared commit on SQLite.
func (db *DB) SignIn(ctx context.Context, s SignIn) (SignInResult, error) { panic("unbuilt") }

// Rotation is one attempt to advance a session from Counter to Counter+1 (or, for a stable one, to extend it).
type Rotation struct {
	Now        time.Time
	SessionID  domain.SessionID
	ClientID   string
	Counter    uint32 // presented
	SecretHash [32]byte
	JKT        string // of the verified proof; "" without one. A bound row needs its own, other rows ignore it
	KeyID      uint32 // that minted the successor
	Format     uint8
}

// RotationResult is what the statement saw. If Advanced is false, nothing was written and View is what a read just
// after it found (Found false: no such session); the caller classifies.
type RotationResult struct {
	Advanced bool
	Found    bool
	View     domain.SessionView // after the advance, if Advanced
}

// RotateRefresh advances in one conditional UPDATE, sharing its commit with concurrent ones. The condition: state,
// secret hash, client, key of a bound session, both expiries, account and client liveness, counter = presented.
// A stable session keeps its counter and only its idle expiry moves. Any error means: not known whether it
// happened; the same call again is safe.
func (db *DB) RotateRefresh(ctx context.Context, r Rotation) (RotationResult, error) {
	panic("unbuilt")
}

// MarkLateRetry counts a late retry of generation Counter (the row's current one), once per generation, and
// returns the streak. A generation without a late retry in between resets it to 1.
func (db *DB) MarkLateRetry(ctx context.Context, id domain.SessionID, counter uint32) (streak int, err error) {
	panic("unbuilt")
}

// EndSession ends one live session with its audit row. It reports whether this call ended it.
func (db *DB) EndSession(ctx context.Context, id domain.SessionID, reason domain.EndReason, e domain.Event) (bool, error) {
	panic("unbuilt")
}

// EndAccountSession is EndSession if the session belongs to the account; ErrNotFound otherwise.
func (db *DB) EndAccountSession(ctx context.Context, acc domain.AccountID, id domain.SessionID, reason domain.EndReason, e domain.Event) (bool, error) {
	panic("unbuilt")
}

// EndAccountSessions ends all live sessions of an account but except (zero: none is spared), one audit row each.
func (db *DB) EndAccountSessions(ctx context.Context, acc domain.AccountID, except domain.SessionID, reason domain.EndReason, e domain.Event) (int, error) {
	panic("unbuilt")
}

// Session reads one session with its liveness. Concurrent calls share a query. ErrNotFound.
func (db *DB) Session(ctx context.Context, id domain.SessionID) (*domain.SessionView, error) {
	panic("unbuilt")
}

// AccountSessions lists sessions of an account, newest first; liveOnly leaves out ended and expired ones.
func (db *DB) AccountSessions(ctx context.Context, acc domain.AccountID, liveOnly bool) ([]domain.SessionView, error) {
	panic("unbuilt")
}

// ---- accounts and identities

// Account reads one account. ErrNotFound.
func (db *DB) Account(ctx context.Context, id domain.AccountID) (*domain.Account, error) {
	panic("unbuilt")
}

// AccountByIdentity finds the account of (issuer, subject). ErrNotFound.
func (db *DB) AccountByIdentity(ctx context.Context, issuer, subject string) (*domain.Account, error) {
	panic("unbuilt")
}

// Accounts lists accounts by id, after the given one, at most limit (1 to 200).
func (db *DB) Accounts(ctx context.Context, after domain.AccountID, limit int) ([]domain.Account, error) {
	panic("unbuilt")
}

// SetAccountState disables or enables, with its audit row if it changed. ErrNotFound.
func (db *DB) SetAccountState(ctx context.Context, id domain.AccountID, s domain.AccountState, e domain.Event) (bool, error) {
	panic("unbuilt")
}

// Identities lists the identities of an account, oldest first.
func (db *DB) Identities(ctx context.Context, acc domain.AccountID) ([]domain.Identity, error) {
	panic("unbuilt")
}

// LinkVerdict says what became of a link.
type LinkVerdict int

// The verdicts.
const (
	Linked        LinkVerdict = iota + 1
	AlreadyLinked             // to this very account; nothing changed but the nonces
	LinkedToOther             // the identity has another account
	LinkNonceSpent
	LinkAccountNotLive
)

// Link adds an identity to a live account.
type Link struct {
	Now       time.Time
	Nonces    []Nonce          // the link's, and that of a re-authentication in the same request
	SessionID domain.SessionID // must be live
	Identity  domain.Identity  // AccountID is the account
	Outbox    []OutboxItem
	Event     domain.Event
}

// LinkIdentity consumes the nonces and inserts the identity in one transaction. If a nonce was spent nothing
// changes; on the other refusals the nonces stay consumed.
func (db *DB) LinkIdentity(ctx context.Context, l Link) (LinkVerdict, domain.IdentityID, error) {
	panic("unbuilt")
}

// UnlinkVerdict says what became of an unlinking.
type UnlinkVerdict int

// The verdicts.
const (
	Unlinked UnlinkVerdict = iota + 1
	UnlinkNotFound
	UnlinkLast // it is the last way to sign in
)

// UnlinkIdentity removes an identity of the account unless it is the last; concurrent calls never remove both of
// two.
func (db *DB) UnlinkIdentity(ctx context.Context, acc domain.AccountID, id domain.IdentityID, e domain.Event) (UnlinkVerdict, error) {
	panic("unbuilt")
}

// ConsumeNonce consumes a nonce on its own; false: it was spent.
func (db *DB) ConsumeNonce(ctx context.Context, n Nonce, now time.Time) (bool, error) {
	panic("unbuilt")
}

// ---- outbox

// OutboxItem is work to do outside after a commit. Payload is sealed by the caller. The worker knows the session's
// identity from IdentityID.
type OutboxItem struct {
	ID         int64
	Kind       string            // "apple.redeem"
	IdentityID domain.IdentityID // filled in by the store on SignIn and LinkIdentity
	AAD        string            // what Payload was sealed for
	Payload    []byte
	Attempts   int
	CreatedAt  time.Time
	ExpiresAt  time.Time // given up after this
}

// ClaimOutbox leases up to limit due items; two nodes never hold one at a time.
func (db *DB) ClaimOutbox(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]OutboxItem, error) {
	panic("unbuilt")
}

// FinishOutbox removes an item; with a grant, the sealed refresh token and its client id are put on the identity.
func (db *DB) FinishOutbox(ctx context.Context, id int64, grant *UpstreamGrant, e domain.Event) error {
	panic("unbuilt")
}

// RetryOutbox puts an item back until due.
func (db *DB) RetryOutbox(ctx context.Context, id int64, due time.Time) error { panic("unbuilt") }

// UpstreamGrant is a provider's refresh token, sealed.
type UpstreamGrant struct {
	IdentityID domain.IdentityID
	ClientID   string // at the provider
	AAD        string
	Sealed     []byte
}

// ---- keys

// Keys reads all keys, newest first.
func (db *DB) Keys(ctx context.Context) ([]domain.Key, error) { panic("unbuilt") }

// AddKey inserts k if no key of its use and alg was created at or after notSince (zero: none exists at all); it
// reports whether it did. Its id is raised until it is free. Two nodes: one wins. With retire, older keys of use
// and alg get RetiredAt and ExpiresAt in the same transaction where they have none.
func (db *DB) AddKey(ctx context.Context, k domain.Key, notSince time.Time, retire *RetireKeys, e domain.Event) (bool, error) {
	panic("unbuilt")
}

// RetireKeys says from when older keys no longer mint and are no longer accepted.
type RetireKeys struct{ RetiredAt, ExpiresAt time.Time }

// DropKey marks a key as dropped, with its audit row. ErrNotFound.
func (db *DB) DropKey(ctx context.Context, id uint32, now time.Time, e domain.Event) error {
	panic("unbuilt")
}

// RewrapKey replaces the sealed bytes of a key if they are still old.
func (db *DB) RewrapKey(ctx context.Context, id uint32, old, sealed []byte) error { panic("unbuilt") }

// ---- API keys

// AddAPIKey inserts an API key with its audit row.
func (db *DB) AddAPIKey(ctx context.Context, k domain.APIKey, e domain.Event) error { panic("unbuilt") }

// APIKey reads one. ErrNotFound.
func (db *DB) APIKey(ctx context.Context, id domain.APIKeyID) (*domain.APIKey, error) {
	panic("unbuilt")
}

// APIKeys lists all, newest first.
func (db *DB) APIKeys(ctx context.Context) ([]domain.APIKey, error) { panic("unbuilt") }

// RevokeAPIKey revokes one, with its audit row. ErrNotFound.
func (db *DB) RevokeAPIKey(ctx context.Context, id domain.APIKeyID, e domain.Event) error {
	panic("unbuilt")
}

// TouchAPIKey notes the last use, at most once a minute.
func (db *DB) TouchAPIKey(ctx context.Context, id domain.APIKeyID, now time.Time) error {
	panic("unbuilt")
}

// ---- audit, sweeping, figures

// Events reads the audit trail, newest first, at most limit; zero filters match all.
func (db *DB) Events(ctx context.Context, acc domain.AccountID, ses domain.SessionID, limit int) ([]domain.Event, error) {
	panic("unbuilt")
}

// Swept counts what a sweep removed.
type Swept struct{ Nonces, Sessions, Devices, Events, Keys, Outbox int }

// Sweep removes expired nonces (expiry + 1 h), skeletons of ended or expired sessions (90 d after), devices
// without sessions, audit rows over 400 d and keys long expired, in small bites that never hold up a refresh.
func (db *DB) Sweep(ctx context.Context, now time.Time) (Swept, error) { panic("unbuilt") }

// Rows counts the rows of every table, for tests and the benchmark.
func (db *DB) Rows(ctx context.Context) (map[string]int64, error) { panic("unbuilt") }
