package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// Redemption is a code, or an agreed device, to become a session.
type Redemption struct {
	Now          time.Time
	FlowID       domain.FlowID
	Session      domain.Session // its client must be the flow's; account, identity, browser and device are filled in by the store
	NewDevice    domain.Device  // zero ID: none
	NeedsConsent bool           // the person must still agree to the session's scope and resources
	Apart        bool           // the session does not hang on the browser: signing out there does not end it
	Event        domain.Event
}

// RedeemVerdict says what became of a redemption.
type RedeemVerdict int

// The verdicts.
const (
	Redeemed            RedeemVerdict = iota + 1
	NotGranted                        // spent before, refused, expired, another client's, or not there; nothing changed
	RedeemClientUnknown               // nobody declares the client; nothing changed
	// Of these the flow is refused for good, and there is no session.
	RedeemAccountNotLive
	RedeemClientNotLive // the client is disabled
	RedeemSignedOut     // the browser was signed out, or the identity unlinked, meanwhile
	RedeemNoConsent     // what the person agreed to was withdrawn, or is less than the session wants
)

// RedeemResult is the outcome.
type RedeemResult struct {
	Verdict RedeemVerdict
	Session domain.Session
}

// RedeemFlow spends a code and starts its session in one transaction: of any number of calls one succeeds, and a code
// that is spent has its session (I2).
func (db *DB) RedeemFlow(ctx context.Context, r Redemption) (RedeemResult, error) {
	result, done, err := db.redeemTogether(ctx, &r)
	if err == nil && !done {
		result, err = write(ctx, db, shared, func(ctx context.Context, q queryer) (RedeemResult, error) {
			return db.redeemSteps(ctx, q, r)
		})
	}
	if err != nil {
		return RedeemResult{}, fmt.Errorf("redeem flow: %w", err)
	}
	return result, nil
}

func (db *DB) redeemSteps(ctx context.Context, q queryer, r Redemption) (RedeemResult, error) {
	// 1. May the client be used?
	client, err := readClientState(ctx, q, r.Session.ClientID)
	if err != nil {
		return RedeemResult{}, err
	}
	if client == domain.ClientUndeclared {
		return RedeemResult{Verdict: RedeemClientUnknown}, nil
	}
	// 2. The code is spent: from here on its row is ours.
	f, err := spendFlow(ctx, q, &r)
	if errors.Is(err, ErrNotFound) {
		return RedeemResult{Verdict: NotGranted}, nil
	}
	if err != nil {
		return RedeemResult{}, err
	}
	r.Session.AccountID, r.Session.IdentityID = f.AccountID, f.IdentityID
	if f.Kind == domain.FlowAuthorize { // a device's session is nobody's tab: it outlives the browser its owner agreed in
		r.Session.BrowserID = f.BrowserID
	}
	// 3. Does all it hangs on still hold?
	verdict, err := db.judgeRedemption(ctx, q, &r, f, client)
	if err != nil {
		return RedeemResult{}, err
	}
	if verdict != Redeemed {
		_, err := change(ctx, q, "UPDATE flows SET state = 5, session_id = NULL WHERE id = $1", r.FlowID[:])
		return RedeemResult{Verdict: verdict}, err
	}
	// 4. Its session.
	same, err := db.sameSession(ctx, q, &r)
	if err != nil {
		return RedeemResult{}, err
	}
	if same != nil {
		return RedeemResult{Redeemed, *same}, nil
	}
	if r.Apart {
		r.Session.BrowserID = domain.BrowserID{}
	}
	started, err := db.startSession(ctx, q, SignIn{Now: r.Now, NewDevice: r.NewDevice, Session: r.Session, Event: r.Event}, false)
	return RedeemResult{Redeemed, started.Session}, err
}

// spendFlow is the one statement that decides who redeems. ErrNotFound if it was not this call.
func spendFlow(ctx context.Context, q queryer, r *Redemption) (f domain.Flow, err error) {
	err = one(ctx, q, `UPDATE flows SET state = 4, session_id = $2, redeemed_at = $3, version = version + 1
		WHERE id = $1 AND state = 3 AND expires_at > $3 AND client_id = $4
		RETURNING kind, account_id, identity_id, browser_id`,
		[]any{r.FlowID[:], r.Session.ID[:], micros(r.Now), r.Session.ClientID},
		&f.Kind, fixed{f.AccountID[:]}, fixed{f.IdentityID[:]}, fixed{f.BrowserID[:]})
	return f, err
}

// judgeRedemption reads what may have changed since the person agreed. The rows of browser, identity and consent are held,
// so that whoever ends them either is seen here or finds the session.
func (db *DB) judgeRedemption(ctx context.Context, q queryer, r *Redemption, f domain.Flow, client domain.ClientState) (RedeemVerdict, error) {
	s := &r.Session
	if client != domain.ClientLive {
		return RedeemClientNotLive, nil
	}
	live, err := exists(ctx, q, "SELECT 1 FROM accounts WHERE id = $1 AND state = 1", s.AccountID[:])
	if err != nil || !live {
		return RedeemAccountNotLive, err
	}
	if stands, err := db.standsBehind(ctx, q, f); err != nil || !stands {
		return RedeemSignedOut, err
	}
	if !r.NeedsConsent {
		return Redeemed, nil
	}
	agreed, err := readConsent(ctx, q, s.AccountID, s.ClientID, db.locking(" FOR SHARE"))
	switch {
	case errors.Is(err, ErrNotFound):
		return RedeemNoConsent, nil
	case err != nil:
		return 0, err
	case !agreed.Covers(s.Scope, s.Resources):
		return RedeemNoConsent, nil
	}
	return Redeemed, nil
}

// standsBehind tells whether whoever agreed is still signed in: the browser was not signed out, and the identity it was
// signed in by is the account's. A device's code needs both as well, though its session will hang on neither browser nor
// page: whoever signs out of where they agreed a minute ago takes back what nobody has fetched yet.
func (db *DB) standsBehind(ctx context.Context, q queryer, f domain.Flow) (bool, error) {
	if !f.BrowserID.IsZero() {
		signedIn, err := exists(ctx, q, "SELECT 1 FROM browsers WHERE id = $1 AND ended_at = 0"+db.locking(" FOR SHARE"), f.BrowserID[:])
		if err != nil || !signedIn {
			return false, err
		}
	}
	return exists(ctx, q, "SELECT 1 FROM identities WHERE id = $1 AND account_id = $2"+db.locking(" FOR KEY SHARE"),
		f.IdentityID[:], f.AccountID[:])
}

// sameSession finds the session this browser already has for the very same thing, and takes it on instead of a new one. An
// app that asks silently every few minutes whether its person is still signed in would otherwise leave a row each time.
// It is only for sessions nobody has a refresh token of: those are one per sign-in, or one app's token would be another's.
// A bound one is the same only for the same key, whose device it keeps.
func (db *DB) sameSession(ctx context.Context, q queryer, r *Redemption) (*domain.Session, error) {
	s := &r.Session
	if s.BrowserID.IsZero() || r.ofItsOwn() {
		return nil, nil
	}
	var id domain.SessionID
	err := one(ctx, q, `UPDATE sessions SET idle_expires_at = $10 WHERE id = (
			SELECT id FROM sessions WHERE account_id = $1 AND browser_id = $2 AND client_id = $3 AND identity_id = $4
			AND tier = $5 AND scope = $6 AND resources = $7 AND claims = $8 AND auth_time = $9 AND amr = $12
			AND jkt = $13 AND details = ''
			AND state = 1 AND idle_expires_at > $11 AND (absolute_expires_at = 0 OR absolute_expires_at > $11)
			ORDER BY id LIMIT 1) AND state = 1 RETURNING id`,
		[]any{s.AccountID[:], s.BrowserID[:], s.ClientID, s.IdentityID[:], s.Tier, joined(s.Scope), joined(s.Resources),
			joined(s.Claims), micros(s.AuthTime), micros(s.IdleExpiresAt), micros(r.Now), joined(s.AMR), s.JKT}, fixed{id[:]})
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	view, _, err := readSession(ctx, q, id)
	if err != nil {
		return nil, err
	}
	_, err = change(ctx, q, "UPDATE flows SET session_id = $2 WHERE id = $1", r.FlowID[:], id[:])
	return &view.Session, err
}
