package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// BrowserSignIn is everything one sign-in on our pages may write. AccountID and IdentityID of NewAccount and NewIdentity
// are used only if the identity is not known yet.
type BrowserSignIn struct {
	Now         time.Time
	Flow        domain.Flow // the step it makes, with the version that was seen; account, identity, browser are filled in by the store
	NewAccount  domain.Account
	NewProfile  domain.Profile  // of a new account
	NewIdentity domain.Identity // Issuer and Subject find the known one; e-mail and name fill what is empty
	Join        EmailJoin
	Expected    func(domain.AccountID) bool // who alone may sign in; nil: anybody may. It asks nobody: it is called in the transaction
	Browser     domain.Browser
	Replaces    domain.BrowserID // what the browser was signed in as; the caller has checked its secret
	Passkey     *PasskeyUse
	Grant       *UpstreamGrant // the provider's; IdentityID is filled in by the store
	Event       domain.Event   // request id, IP; the store writes account.create, identity.link, identity.grant, browser.sign_in rows
}

// BrowserVerdict says what became of a sign-in on our pages.
type BrowserVerdict int

// The verdicts. On all but the first nothing is written, save the alarm of a cloned passkey.
const (
	BrowserSignedIn       BrowserVerdict = iota + 1
	FlowMovedOn                          // the flow is no longer at the version that was seen
	OtherAccount                         // not the only one that may
	BrowserAccountNotLive                // the identity's, or the one that proved the address
	UnknownIdentity                      // nobody has the passkey
	PasskeyCloned                        // its counter is not ahead of the last one seen
)

// BrowserSignInResult is the outcome.
type BrowserSignInResult struct {
	Verdict    BrowserVerdict
	Flow       domain.Flow // after the step
	Browser    domain.Browser
	NewAccount bool
	Joined     bool // a new identity on an account that was there
}

// SignInBrowser finds, joins or creates the account, signs the browser in and steps the flow, in one transaction.
func (db *DB) SignInBrowser(ctx context.Context, s BrowserSignIn) (result BrowserSignInResult, err error) {
	const tries = 5 // each failure means that somebody else got on
	for range tries {
		result, err = write(ctx, db, alone, func(ctx context.Context, q queryer) (BrowserSignInResult, error) {
			return db.browserSteps(ctx, q, s)
		})
		if !errors.Is(err, errOvertaken) && !refusedWith(err, foreignKeyViolation) {
			break
		}
	}
	if err != nil {
		return BrowserSignInResult{}, fmt.Errorf("sign in browser: %w", err)
	}
	return result, nil
}

func (db *DB) browserSteps(ctx context.Context, q queryer, s BrowserSignIn) (BrowserSignInResult, error) {
	var refused BrowserSignInResult
	// 1. Nobody else takes this step: of the same form sent twice, one signs in.
	fits, err := exists(ctx, q, "SELECT 1 FROM flows WHERE id = $1 AND version = $2 AND state < 4"+db.locking(" FOR UPDATE"),
		s.Flow.ID[:], s.Flow.Version)
	if err != nil || !fits {
		return BrowserSignInResult{Verdict: FlowMovedOn}, err
	}
	// 2. Who is it, and may they?
	who, err := db.findOrJoin(ctx, q, *s.account())
	if err != nil {
		return refused, err
	}
	if refused.Verdict, err = db.judgeBrowserOwner(ctx, q, &s, who); err != nil || refused.Verdict != BrowserSignedIn {
		return refused, err
	}
	// 3. What is new of them.
	if err := db.putOwner(ctx, q, &s, who); err != nil {
		return refused, err
	}
	// 4. The browser, and the step.
	b, err := db.putBrowser(ctx, q, &s, who)
	if err != nil {
		return refused, err
	}
	next := s.Flow
	next.AccountID, next.IdentityID, next.BrowserID = who.account, who.identity, b.ID
	took, err := takeStep(ctx, q, next)
	if err == nil && !took {
		err = errOvertaken
	}
	if err != nil {
		return refused, err
	}
	next.Version++
	e := s.account().by(who.account)
	e.Reason = b.ID.String()
	return BrowserSignInResult{Verdict: BrowserSignedIn, Flow: next, Browser: b, NewAccount: !who.known && !who.joins, Joined: who.joins},
		audit(ctx, q, db.of(e, "browser.sign_in"))
}

// account is what a sign-in on our pages has in common with a native one.
func (s *BrowserSignIn) account() *SignIn {
	return &SignIn{Now: s.Now, NewAccount: s.NewAccount, NewProfile: s.NewProfile, NewIdentity: s.NewIdentity, Event: s.Event, Join: s.Join,
		Session: domain.Session{ClientID: s.Flow.Request.ClientID}}
}

// findOrJoin finds the account of the identity, the one it joins, or the one to be made. It joins none that it was taken
// off.
func (db *DB) findOrJoin(ctx context.Context, q queryer, s SignIn) (owner, error) {
	who, err := findOwner(ctx, q, s)
	if err != nil || who.known || s.Join.Address == "" {
		return who, err
	}
	if err := db.lockAddress(ctx, q, s.Join.Address); err != nil {
		return who, err
	}
	found, err := db.findByEmail(ctx, q, s.Join, who)
	if err != nil || !found.joins {
		return found, err
	}
	if unlinked, err := wasUnlinked(ctx, q, found.account, s.NewIdentity); err != nil || unlinked {
		return who, err
	}
	return found, nil
}

// findByEmail finds the one account that proved the address. If several did, nobody can tell which is meant, and none is.
// The rows are held, so that none is unlinked meanwhile.
func (db *DB) findByEmail(ctx context.Context, q queryer, join EmailJoin, fresh owner) (owner, error) {
	list, err := all(ctx, q, func(row scanner) (a domain.Account, err error) {
		err = row.Scan(fixed{a.ID[:]}, &a.State)
		return a, err
	}, `SELECT e.account_id, a.state FROM emails e JOIN accounts a ON a.id = e.account_id JOIN identities i ON i.id = e.identity_id
		WHERE e.address = $1 AND ($2 OR i.issuer = $3)`+db.locking(" FOR SHARE OF e"), join.Address, join.Vouched, domain.EmailIssuer)
	if err != nil || len(list) == 0 {
		return fresh, err
	}
	for _, a := range list {
		if a.ID != list[0].ID {
			return fresh, nil
		}
	}
	return owner{identity: fresh.identity, account: list[0].ID, joins: true, live: list[0].State == domain.AccountActive}, nil
}

// lockAddress makes first sign-ins that prove one address wait for each other, or they would make an account each.
func (db *DB) lockAddress(ctx context.Context, q queryer, address string) error {
	sum := sha256.Sum256([]byte(address))
	return db.lock(ctx, q, int64(binary.BigEndian.Uint64(sum[:])))
}

// judgeBrowserOwner decides on the sign-in before anything is written. A passkey's counter is the exception: it is
// judged by the very statement that advances it, and the alarm of a clone stays.
func (db *DB) judgeBrowserOwner(ctx context.Context, q queryer, s *BrowserSignIn, who owner) (BrowserVerdict, error) {
	found := who.known || who.joins
	switch {
	case s.Passkey != nil && !found:
		return UnknownIdentity, nil
	case s.Expected != nil && (!found || !s.Expected(who.account)):
		return OtherAccount, nil
	case !who.live:
		return BrowserAccountNotLive, nil
	case s.Passkey == nil:
		return BrowserSignedIn, nil
	}
	used, err := usePasskey(ctx, q, who.identity, *s.Passkey)
	if err != nil || used {
		return BrowserSignedIn, err
	}
	there, err := exists(ctx, q, "SELECT 1 FROM passkeys WHERE identity_id = $1 AND credential_id = $2", who.identity[:], s.Passkey.CredentialID)
	if err != nil || !there {
		return UnknownIdentity, err // it was unlinked
	}
	e := s.Event // nobody is known to have done it
	e.AccountID, e.ClientID, e.Reason, e.At = who.account, s.Flow.Request.ClientID, who.identity.String(), s.Now
	return PasskeyCloned, audit(ctx, q, db.of(e, "passkey.clone"))
}

// putOwner writes what is new of account and identity.
func (db *DB) putOwner(ctx context.Context, q queryer, s *BrowserSignIn, who owner) (err error) {
	in := s.account()
	switch {
	case who.known:
		known := s.NewIdentity
		known.ID, known.AccountID = who.identity, who.account
		if err = useIdentity(ctx, q, who.identity, *in); err == nil {
			err = putEmail(ctx, q, known)
		}
	case who.joins:
		err = db.attachIdentity(ctx, q, *in, who.account)
	default:
		err = db.createAccount(ctx, q, *in)
	}
	if err != nil || s.Grant == nil {
		return err
	}
	grant := *s.Grant
	grant.IdentityID = who.identity
	return db.putGrant(ctx, q, grant, in.by(who.account))
}
