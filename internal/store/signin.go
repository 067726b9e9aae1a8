package store

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// SignIn is everything one sign-in may write. AccountID and IdentityID of NewAccount and NewIdentity are used only
// if the identity is not known yet.
type SignIn struct {
	Now         time.Time
	Nonce       Nonce
	NewAccount  domain.Account
	NewProfile  domain.Profile  // of a new account
	NewIdentity domain.Identity // Issuer and Subject find the known one; e-mail and name fill what is empty
	Join        EmailJoin       // the account an unknown identity may join
	NewDevice   domain.Device   // zero ID: none
	Session     domain.Session  // AccountID, IdentityID, DeviceID are filled in by the store; it has no browser
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
	ClientUnknown                // nobody declares the client; nothing changed, not even the nonce
)

// SignInResult is the outcome. On SignInRepeated, KeyID is the data key of the first answer.
type SignInResult struct {
	Verdict    SignInVerdict
	Session    domain.Session
	KeyID      uint32
	NewAccount bool
}

// errOvertaken means that another transaction made the identity we were about to make, or took the one we had found. A
// foreign key that points nowhere means the same.
var errOvertaken = errors.New("overtaken by another transaction")

// SignIn consumes the nonce, finds or creates account and identity, upserts the device and inserts the session, in
// one transaction: one round trip on PostgreSQL for an identity that is known, a shared commit on SQLite.
func (db *DB) SignIn(ctx context.Context, s SignIn) (result SignInResult, err error) {
	const tries = 5 // each failure means that somebody else got on
	for range tries {
		result, err = db.trySignIn(ctx, s)
		if !errors.Is(err, errOvertaken) && !refusedWith(err, foreignKeyViolation) {
			break
		}
	}
	if err != nil {
		return SignInResult{}, fmt.Errorf("sign in: %w", err)
	}
	return result, nil
}

func (db *DB) trySignIn(ctx context.Context, s SignIn) (SignInResult, error) {
	if db.postgres() {
		result, known, err := db.signInKnown(ctx, s)
		if known || err != nil {
			return result, err
		}
	}
	return write(ctx, db, shared, func(ctx context.Context, q queryer) (SignInResult, error) {
		return db.signInSteps(ctx, q, s)
	})
}

// EmailJoin lets an unknown identity join the one account that proved an address; zero: it gets an account of its own.
type EmailJoin struct {
	Address string // this sign-in proves it; normalised
	// Vouched takes an account also where nobody ever typed a code, but a provider that gives addresses out vouched for
	// the person. It is wrong where addresses are given to somebody else one day.
	Vouched bool
}

// owner is whom an identity signs in.
type owner struct {
	identity domain.IdentityID
	account  domain.AccountID
	known    bool // it has the account already
	joins    bool // it joins one that is there
	live     bool
}

// signInSteps is a sign-in in a transaction, one statement a step.
func (db *DB) signInSteps(ctx context.Context, q queryer, s SignIn) (SignInResult, error) {
	// 1. Who is it, and may account and client be used?
	who, err := db.findOrJoin(ctx, q, s)
	if err != nil {
		return SignInResult{}, err
	}
	client, err := readClientState(ctx, q, s.Session.ClientID)
	if err != nil {
		return SignInResult{}, err
	}
	if client == domain.ClientUndeclared {
		return SignInResult{Verdict: ClientUnknown}, nil
	}
	// 2. The nonce is spent whatever the answer; it names the session only if there will be one.
	clientLive := client == domain.ClientLive
	var session domain.SessionID
	if who.live && clientLive {
		session = s.Session.ID
	}
	fresh, err := consume(ctx, q, s.Nonce, s.Now, session)
	switch {
	case err != nil:
		return SignInResult{}, err
	case !fresh:
		return repeat(ctx, q, s)
	case !clientLive:
		return SignInResult{Verdict: ClientNotLive}, nil
	case !who.live:
		return SignInResult{Verdict: AccountNotLive}, nil
	}
	// 3. What is new.
	switch {
	case who.known:
		err = useIdentity(ctx, q, who.identity, s)
	case who.joins:
		err = db.attachIdentity(ctx, q, s, who.account)
	default:
		err = db.createAccount(ctx, q, s)
	}
	if err != nil {
		return SignInResult{}, err
	}
	s.Session.AccountID, s.Session.IdentityID = who.account, who.identity
	return db.startSession(ctx, q, s, !who.known && !who.joins)
}

// findOwner finds the account of the identity, or the one to be made.
func findOwner(ctx context.Context, q queryer, s SignIn) (who owner, err error) {
	var state domain.AccountState
	err = one(ctx, q, `SELECT i.id, i.account_id, a.state FROM identities i JOIN accounts a ON a.id = i.account_id
		WHERE i.issuer = $1 AND i.subject = $2`, []any{s.NewIdentity.Issuer, s.NewIdentity.Subject},
		fixed{who.identity[:]}, fixed{who.account[:]}, &state)
	if errors.Is(err, ErrNotFound) {
		return owner{identity: s.NewIdentity.ID, account: s.NewAccount.ID, live: true}, nil
	}
	who.known, who.live = true, state == domain.AccountActive
	return who, err
}

// useIdentity notes the use and fills in what the provider had not told before.
func useIdentity(ctx context.Context, q queryer, id domain.IdentityID, s SignIn) error {
	n, err := change(ctx, q, "UPDATE identities SET "+identityUse+" WHERE id = $1",
		id[:], micros(s.Now), s.NewIdentity.Provider, s.NewIdentity.Email, s.NewIdentity.EmailVerified, s.NewIdentity.Name)
	if err == nil && n == 0 {
		return errOvertaken // it was unlinked
	}
	return err
}

// identityUse wants $2 to $6: the time, provider, e-mail, whether it is verified, name.
const identityUse = `last_used_at = $2, provider = $3,
	email_verified = CASE WHEN email = '' THEN $5 ELSE email_verified END,
	email = CASE WHEN email = '' THEN $4 ELSE email END,
	name = CASE WHEN name = '' THEN $6 ELSE name END`

// createAccount makes account and identity.
func (db *DB) createAccount(ctx context.Context, q queryer, s SignIn) error {
	a := s.NewAccount
	profile, err := profileText(s.NewProfile)
	if err != nil {
		return err
	}
	_, err = change(ctx, q, "INSERT INTO accounts (id, state, created_at, profile) VALUES ($1, $2, $3, $4)",
		a.ID[:], a.State, micros(a.CreatedAt), profile)
	if err != nil {
		return err
	}
	if err := audit(ctx, q, db.of(s.by(a.ID), "account.create")); err != nil {
		return err
	}
	return db.attachIdentity(ctx, q, s, a.ID)
}

// attachIdentity puts the new identity on an account. If it was made meanwhile, everything is undone: there must never
// be two accounts of one.
func (db *DB) attachIdentity(ctx context.Context, q queryer, s SignIn, acc domain.AccountID) error {
	i := s.NewIdentity
	i.AccountID = acc
	made, err := insertIdentity(ctx, q, i)
	if err != nil {
		return err
	}
	if !made {
		return errOvertaken
	}
	e := s.by(acc)
	e.Reason = i.ID.String()
	return audit(ctx, q, db.of(e, "identity.link"))
}

// startSession writes device, session and what follows from them.
func (db *DB) startSession(ctx context.Context, q queryer, s SignIn, newAccount bool) (SignInResult, error) {
	var err error
	if !s.NewDevice.ID.IsZero() {
		if s.Session.DeviceID, err = putDevice(ctx, q, s.NewDevice); err != nil {
			return SignInResult{}, err
		}
	}
	if _, err := change(ctx, q, insertSession, sessionValues(&s.Session)...); err != nil {
		return SignInResult{}, err
	}
	for _, item := range s.Outbox {
		item.IdentityID = s.Session.IdentityID
		if err := putOutbox(ctx, q, item, s.Now); err != nil {
			return SignInResult{}, err
		}
	}
	if err := audit(ctx, q, db.of(s.sessionStart(s.Session.AccountID), "session.start")); err != nil {
		return SignInResult{}, err
	}
	return SignInResult{Verdict: SignedIn, Session: s.Session, NewAccount: newAccount}, nil
}

// sessionStart is the trail's row of a sign-in.
func (s *SignIn) sessionStart(acc domain.AccountID) domain.Event {
	e := s.by(acc)
	e.SessionID = s.Session.ID
	return e
}

// by is what the trail knows of whatever the account does in this sign-in.
func (s *SignIn) by(acc domain.AccountID) domain.Event {
	e := s.Event
	e.AccountID, e.ClientID, e.Actor, e.At = acc, s.Session.ClientID, "account "+acc.String(), s.Now
	return e
}

// putDevice finds the device of the key or makes it. The row is locked, so that no sweep takes it away.
func putDevice(ctx context.Context, q queryer, d domain.Device) (id domain.DeviceID, err error) {
	err = one(ctx, q, `INSERT INTO devices (id, client_id, jkt, name, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (client_id, jkt) DO UPDATE SET name = CASE WHEN excluded.name = '' THEN devices.name ELSE excluded.name END
		RETURNING id`, []any{d.ID[:], d.ClientID, d.JKT, d.Name, micros(d.CreatedAt)}, fixed{id[:]})
	return id, err
}

const insertSession = `INSERT INTO sessions (id, account_id, identity_id, device_id, client_id, device_name, tier, jkt, scope,
	resources, secret_hash, created_at, auth_time, absolute_expires_at, idle_for, idle_expires_at, rotated_at,
	prev_rotated_at, counter, key_id, format, state, late_streak, late_counter, ended_at, end_reason, browser_id,
	amr, claims, notify, details)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
	$25, $26, $27, $28, $29, $30, $31)`

func sessionValues(s *domain.Session) []any {
	r := &s.Refresh
	return []any{s.ID[:], s.AccountID[:], s.IdentityID[:], orNull(s.DeviceID), s.ClientID, s.DeviceName, s.Tier, s.JKT,
		joined(s.Scope), joined(s.Resources), r.SecretHash[:], micros(s.CreatedAt), micros(s.AuthTime),
		micros(s.AbsoluteExpiresAt), s.IdleFor.Microseconds(), micros(s.IdleExpiresAt), micros(r.RotatedAt),
		micros(r.PrevRotatedAt), r.Counter, r.KeyID, r.Format, s.State, r.LateStreak, r.LateCounter, micros(s.EndedAt),
		string(s.EndReason), orNull(s.BrowserID), joined(s.AMR), joined(s.Claims), s.Notify, s.Details}
}

// repeatWithin is how long the very same request gets the very same session.
const repeatWithin = time.Minute

// RepeatedSignIn answers SignInRepeated for the nonce and fingerprint of a sign-in within the last 60 s, and NonceSpent
// for everything else, also for a nonce nobody spent. It writes nothing. Spent nonces are kept an hour past their expiry,
// so that the minute ends before they do.
func (db *DB) RepeatedSignIn(ctx context.Context, now time.Time, n Nonce) (SignInResult, error) {
	result, err := repeat(ctx, db.reader, SignIn{Now: now, Nonce: n})
	if err != nil {
		return SignInResult{}, fmt.Errorf("repeat sign-in: %w", err)
	}
	return result, nil
}

// repeat tells a sign-in whose nonce was spent by its own first try from all others.
func repeat(ctx context.Context, q queryer, s SignIn) (SignInResult, error) {
	spent := SignInResult{Verdict: NonceSpent}
	if s.Nonce.Fingerprint == [32]byte{} {
		return spent, nil
	}
	var (
		first    Nonce
		consumed time.Time
		session  domain.SessionID
	)
	err := one(ctx, q, "SELECT fingerprint, key_id, consumed_at, session_id FROM nonces WHERE hash = $1",
		[]any{s.Nonce.Hash[:]}, fixed{first.Fingerprint[:]}, &first.KeyID, when{&consumed}, fixed{session[:]})
	if errors.Is(err, ErrNotFound) {
		return spent, nil // and swept since
	}
	if err != nil {
		return SignInResult{}, err
	}
	same := subtle.ConstantTimeCompare(first.Fingerprint[:], s.Nonce.Fingerprint[:]) == 1
	if !same || session.IsZero() || s.Now.Sub(consumed) >= repeatWithin {
		return spent, nil
	}
	view, found, err := readSession(ctx, q, session)
	if err != nil {
		return SignInResult{}, err
	}
	if !found || view.Refresh.Counter != 0 || !view.Live(s.Now) {
		return spent, nil
	}
	return SignInResult{Verdict: SignInRepeated, Session: view.Session, KeyID: first.KeyID}, nil
}
