package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/countersign/countersign/internal/domain"
)

const flowColumns = `id, kind, state, version, visitor, request, progress, attempts, created_at, expires_at, account_id,
	identity_id, browser_id, auth_time, amr, scope, code_hash, session_id, redeemed_at, user_code, poll_every, polled_at`

func flowFields(f *domain.Flow) []any {
	return []any{fixed{f.ID[:]}, &f.Kind, &f.State, &f.Version, fixed{f.Visitor[:]}, document{&f.Request}, &f.Progress,
		&f.Attempts, when{&f.CreatedAt}, when{&f.ExpiresAt}, fixed{f.AccountID[:]}, fixed{f.IdentityID[:]},
		fixed{f.BrowserID[:]}, when{&f.AuthTime}, words{&f.AMR}, words{&f.Scope}, fixed{f.CodeHash[:]},
		fixed{f.SessionID[:]}, when{&f.RedeemedAt}, &f.UserCode, span{&f.Interval}, when{&f.PolledAt}}
}

// StartFlow inserts a flow. ErrTaken if another one has its user code. The trail tells of accounts and sessions; what a
// flow leads to is there, the flow is not.
func (db *DB) StartFlow(ctx context.Context, f domain.Flow) error {
	made, err := db.insertFlow(ctx, &f)
	if err == nil && !made {
		err = ErrTaken
	}
	if err != nil {
		return fmt.Errorf("start flow: %w", err)
	}
	return nil
}

const insertFlow = `INSERT INTO flows (` + flowColumns + `, client_id, too_soon) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9,
	$10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, FALSE) ON CONFLICT DO NOTHING`

// flowRow is a flow to be inserted, with its request as the row has it.
type flowRow struct {
	*domain.Flow
	request string
}

// insertFlow shares its commit with others on either engine. false: its user code is taken.
func (db *DB) insertFlow(ctx context.Context, f *domain.Flow) (bool, error) {
	request, err := json.Marshal(f.Request)
	if err != nil {
		return false, err
	}
	row := flowRow{f, string(request)}
	if db.postgres() {
		made, err := db.newFlows.call(ctx, f.ID, row)
		if err != nil || made != nil {
			return made != nil, err
		}
	}
	return write(ctx, db, single, func(ctx context.Context, q queryer) (bool, error) {
		n, err := change(ctx, q, insertFlow, flowValues(row)...)
		return n == 1, err
	})
}

// insertFlows sends many in one journey; nil stands for one that is to be tried alone.
func (db *DB) insertFlows(ctx context.Context, batch []flowRow) ([]*domain.FlowID, error) {
	return flowJourney.travel(ctx, db, batch)
}

var flowJourney = journey[flowRow, domain.FlowID]{
	statement: insertFlow + " RETURNING id", values: flowValues,
	scan: func(row pgx.Row) (id domain.FlowID, err error) {
		err = row.Scan(fixed{id[:]})
		return id, err
	},
}

func flowValues(f flowRow) []any {
	return []any{f.ID[:], f.Kind, f.State, f.Version, f.Visitor[:], f.request, orEmpty(f.Progress), f.Attempts,
		micros(f.CreatedAt), micros(f.ExpiresAt), orNull(f.AccountID), orNull(f.IdentityID), orNull(f.BrowserID),
		micros(f.AuthTime), joined(f.AMR), joined(f.Scope), hashOrNull(f.CodeHash), orNull(f.SessionID),
		micros(f.RedeemedAt), f.UserCode, f.Interval.Microseconds(), micros(f.PolledAt), f.Request.ClientID}
}

// Flow reads a flow. ErrNotFound.
func (db *DB) Flow(ctx context.Context, id domain.FlowID) (*domain.Flow, error) {
	return db.readFlow(ctx, "id = $1", id[:])
}

// FlowByCode finds the flow of a code or a device code by its SHA-256. Concurrent calls share a query. ErrNotFound.
func (db *DB) FlowByCode(ctx context.Context, hash [32]byte) (*domain.Flow, error) {
	f, err := db.codes.call(ctx, hash, hash)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read flow: %w", err)
	case f == nil:
		return nil, fmt.Errorf("read flow: %w", ErrNotFound)
	}
	own := *f // others may hold the same answer; nobody changes what it points to
	return &own, nil
}

// readByCode answers for many at once, in order; nil for one that is not there.
func (db *DB) readByCode(ctx context.Context, hashes [][32]byte) ([]*domain.Flow, error) {
	const flows = "SELECT " + flowColumns + " FROM flows WHERE code_hash = "
	return readMany(ctx, db, hashes, manyRows[[32]byte, domain.Flow]{
		one: flows + "$1", many: flows + "ANY($1)",
		scan: func(row scanner) (f domain.Flow, err error) {
			err = row.Scan(flowFields(&f)...)
			return f, err
		},
		key: func(f *domain.Flow) [32]byte { return f.CodeHash },
		raw: func(hash [32]byte) []byte { return hash[:] },
	})
}

// FlowByUserCode finds the flow of a device by what the person typed, without its dash. ErrNotFound; no code finds none.
func (db *DB) FlowByUserCode(ctx context.Context, code string) (*domain.Flow, error) {
	return db.readFlow(ctx, "user_code = $1 AND user_code <> ''", code)
}

func (db *DB) readFlow(ctx context.Context, where string, arg any) (*domain.Flow, error) {
	var f domain.Flow
	if err := one(ctx, db.reader, "SELECT "+flowColumns+" FROM flows WHERE "+where, []any{arg}, flowFields(&f)...); err != nil {
		return nil, fmt.Errorf("read flow: %w", err)
	}
	return &f, nil
}

// stepFlow is every change of a flow but those that happen at any time and so leave its version alone (AttemptFlow,
// PollFlow): their columns are not in it, or a step would take back what was counted since its flow was read. Nor is
// what makes a code spent; a flow that is over stays over.
const stepFlow = `UPDATE flows SET version = version + 1, state = $3, visitor = $4, progress = $5, expires_at = $6,
	account_id = $7, identity_id = $8, browser_id = $9, auth_time = $10, amr = $11, scope = $12, code_hash = $13,
	user_code = $14 WHERE id = $1 AND version = $2 AND state < 4`

func takeStep(ctx context.Context, q queryer, f domain.Flow) (bool, error) {
	n, err := change(ctx, q, stepFlow, f.ID[:], f.Version, f.State, f.Visitor[:], orEmpty(f.Progress), micros(f.ExpiresAt),
		orNull(f.AccountID), orNull(f.IdentityID), orNull(f.BrowserID), micros(f.AuthTime), joined(f.AMR), joined(f.Scope),
		hashOrNull(f.CodeHash), f.UserCode)
	return n == 1, err
}

// StepFlow makes the flow what next says, unless it has moved on from the version next was made of. It never changes
// what was asked for, nor the counts of guesses and polls.
func (db *DB) StepFlow(ctx context.Context, next domain.Flow) (took bool, err error) {
	took, err = write(ctx, db, single, func(ctx context.Context, q queryer) (bool, error) { return takeStep(ctx, q, next) })
	if err != nil {
		return false, fmt.Errorf("step flow: %w", err)
	}
	return took, nil
}

// GrantFlow is StepFlow, with what the person agreed to (nil: nobody was asked): it is added to what they agreed to
// before, in the same transaction, and what they were asked and left out is taken from it. A trip that began from a pushed request spends it: ErrSpent, and nothing changed, if
// another one did before.
func (db *DB) GrantFlow(ctx context.Context, next domain.Flow, consent *domain.Consent, e domain.Event) (took bool, err error) {
	took, err = write(ctx, db, alone, func(ctx context.Context, q queryer) (bool, error) {
		if consent != nil { // before its flow, as whoever takes something away does
			if err := db.lockAccount(ctx, q, consent.AccountID); err != nil {
				return false, err
			}
		}
		took, err := takeStep(ctx, q, next)
		if err != nil || !took {
			return took, err
		}
		if err := spendPushed(ctx, q, &next); err != nil || consent == nil {
			return true, err
		}
		return true, db.addConsent(ctx, q, *consent, next.Request.Asked(), e)
	})
	if err != nil {
		return false, fmt.Errorf("grant flow: %w", err)
	}
	return took, nil
}

// AttemptFlow counts a guess, before it is compared with anything: of parallel ones no more than limit get ok in the
// whole life of the flow. The version stays, so that the step of a right guess still fits. ErrNotFound.
func (db *DB) AttemptFlow(ctx context.Context, id domain.FlowID, limit int16) (attempts int16, ok bool, err error) {
	const count = "UPDATE flows SET attempts = attempts + 1 WHERE id = $1 AND attempts < $2 RETURNING attempts"
	attempts, err = write(ctx, db, single, func(ctx context.Context, q queryer) (n int16, err error) {
		err = one(ctx, q, count, []any{id[:], limit}, &n)
		return n, err
	})
	ok = err == nil
	if errors.Is(err, ErrNotFound) { // no guess is left, or no such flow
		err = one(ctx, db.reader, "SELECT attempts FROM flows WHERE id = $1", []any{id[:]}, &attempts)
	}
	if err != nil {
		return 0, false, fmt.Errorf("count attempt: %w", err)
	}
	return attempts, ok, nil
}

// BurnFlow makes a code worthless that somebody tried to redeem wrongly. One that was spent, or is over by its time,
// stays what it was.
func (db *DB) BurnFlow(ctx context.Context, id domain.FlowID, now time.Time) error {
	_, err := write(ctx, db, single, func(ctx context.Context, q queryer) (int64, error) {
		return change(ctx, q, `UPDATE flows SET state = 5, version = version + 1
			WHERE id = $1 AND state = 3 AND expires_at > $2`, id[:], micros(now))
	})
	if err != nil {
		return fmt.Errorf("burn flow: %w", err)
	}
	return nil
}

// pollSlower is what a device that does not wait has to wait longer, from then on (RFC 8628 §3.5).
const pollSlower = 5 * time.Second

// PollFlow notes that a device asked for its tokens, and tells whether it came too soon after the time before: then it
// has to wait 5 s longer from now on. ErrNotFound.
func (db *DB) PollFlow(ctx context.Context, now time.Time, hash [32]byte) (flow *domain.Flow, tooSoon bool, err error) {
	const soon = "polled_at > 0 AND polled_at + poll_every > $2"
	const poll = `UPDATE flows SET polled_at = $2, too_soon = (` + soon + `),
		poll_every = CASE WHEN ` + soon + ` THEN poll_every + $3 ELSE poll_every END
		WHERE code_hash = $1 AND kind = 2 RETURNING too_soon, ` + flowColumns
	type polled struct {
		flow domain.Flow
		soon bool
	}
	p, err := write(ctx, db, single, func(ctx context.Context, q queryer) (p polled, err error) {
		err = one(ctx, q, poll, []any{hash[:], micros(now), pollSlower.Microseconds()}, append([]any{&p.soon}, flowFields(&p.flow)...)...)
		return p, err
	})
	if err != nil {
		return nil, false, fmt.Errorf("poll flow: %w", err)
	}
	return &p.flow, p.soon, nil
}
