package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/countersign/countersign/internal/domain"
)

// sessionColumns are read by scanSession in this order; s is the row.
const sessionColumns = `s.id, s.account_id, s.identity_id, s.device_id, s.client_id, s.device_name, s.tier, s.jkt, s.scope,
	s.resources, s.secret_hash, s.created_at, s.auth_time, s.absolute_expires_at, s.idle_for, s.idle_expires_at,
	s.rotated_at, s.prev_rotated_at, s.counter, s.key_id, s.format, s.state, s.late_streak, s.late_counter, s.ended_at,
	s.end_reason, s.browser_id, s.amr, s.claims, s.notify, s.details`

// sessionView reads rows with the liveness of all they hang on.
const sessionView = `SELECT ` + sessionColumns + `, a.state, ` + clientState + `
	FROM sessions s JOIN accounts a ON a.id = s.account_id LEFT JOIN clients c ON c.id = s.client_id `

func sessionFields(s *domain.Session) []any {
	r := &s.Refresh
	return []any{fixed{s.ID[:]}, fixed{s.AccountID[:]}, fixed{s.IdentityID[:]}, fixed{s.DeviceID[:]}, &s.ClientID,
		&s.DeviceName, &s.Tier, &s.JKT, words{&s.Scope}, words{&s.Resources}, fixed{r.SecretHash[:]}, when{&s.CreatedAt},
		when{&s.AuthTime}, when{&s.AbsoluteExpiresAt}, span{&s.IdleFor}, when{&s.IdleExpiresAt}, when{&r.RotatedAt},
		when{&r.PrevRotatedAt}, &r.Counter, &r.KeyID, &r.Format, &s.State, &r.LateStreak, &r.LateCounter,
		when{&s.EndedAt}, &s.EndReason, fixed{s.BrowserID[:]}, words{&s.AMR}, words{&s.Claims}, &s.Notify, &s.Details}
}

func viewFields(v *domain.SessionView) []any {
	return append(sessionFields(&v.Session), &v.AccountState, &v.ClientState)
}

func scanView(row scanner) (domain.SessionView, error) {
	var v domain.SessionView
	err := row.Scan(viewFields(&v)...)
	return v, err
}

// Session reads one session with its liveness. Concurrent calls share a query. ErrNotFound.
func (db *DB) Session(ctx context.Context, id domain.SessionID) (*domain.SessionView, error) {
	v, err := db.sessions.call(ctx, id, id)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read session: %w", err)
	case v == nil:
		return nil, fmt.Errorf("read session: %w", ErrNotFound)
	}
	own := *v // others may hold the same answer
	own.Scope, own.Resources = slices.Clone(v.Scope), slices.Clone(v.Resources)
	own.AMR, own.Claims = slices.Clone(v.AMR), slices.Clone(v.Claims)
	return &own, nil
}

// readSessions answers for many at once, in order; nil for one that is not there.
func (db *DB) readSessions(ctx context.Context, ids []domain.SessionID) ([]*domain.SessionView, error) {
	if !db.postgres() {
		return readEach(ctx, db.reader, ids)
	}
	raw := make([][]byte, len(ids))
	for i := range ids {
		raw[i] = ids[i][:]
	}
	views, err := all(ctx, db.reader, scanView, sessionView+"WHERE s.id = ANY($1)", raw)
	if err != nil {
		return nil, err
	}
	found := make(map[domain.SessionID]*domain.SessionView, len(views))
	for i := range views {
		found[views[i].ID] = &views[i]
	}
	answers := make([]*domain.SessionView, len(ids))
	for i, id := range ids {
		answers[i] = found[id]
	}
	return answers, nil
}

// readEach does the same where a query is no journey.
func readEach(ctx context.Context, q queryer, ids []domain.SessionID) ([]*domain.SessionView, error) {
	answers := make([]*domain.SessionView, len(ids))
	for i, id := range ids {
		v, found, err := readSession(ctx, q, id)
		if err != nil {
			return nil, err
		}
		if found {
			answers[i] = &v
		}
	}
	return answers, nil
}

func readSession(ctx context.Context, q queryer, id domain.SessionID) (v domain.SessionView, found bool, err error) {
	err = one(ctx, q, sessionView+"WHERE s.id = $1", []any{id[:]}, viewFields(&v)...)
	if errors.Is(err, ErrNotFound) {
		return v, false, nil
	}
	return v, err == nil, err
}

// maxListed bounds a list for a person. Nobody has a thousand phones.
const maxListed = 1000

// AccountSessions lists sessions of an account, newest first, at most 1000; liveOnly leaves out ended and expired ones.
func (db *DB) AccountSessions(ctx context.Context, acc domain.AccountID, liveOnly bool) ([]domain.SessionView, error) {
	query, args := sessionView+"WHERE s.account_id = $1", []any{acc[:], maxListed}
	if liveOnly {
		query += ` AND s.state = 1 AND s.idle_expires_at > $3 AND (s.absolute_expires_at = 0 OR s.absolute_expires_at > $3)`
		args = append(args, micros(db.Now()))
	}
	list, err := all(ctx, db.reader, scanView, query+" ORDER BY s.created_at DESC, s.id LIMIT $2", args...)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	return list, nil
}

// startConvoys gives each kind one lane on PostgreSQL: with two, batches are half as large and cost more than they gain
// (docs/decisions/0005). A reader of SQLite works in this very process, so there two lanes use two cores.
func (db *DB) startConvoys() {
	db.sessions = newConvoy[domain.SessionID](db.readSessions)
	db.clients = newConvoy[string](db.clientStates)
	db.browsers = newConvoy[domain.BrowserID](db.readBrowsers)
	db.codes = newConvoy[[32]byte](db.readByCode)
	if !db.postgres() {
		db.sessions.lanes, db.clients.lanes, db.browsers.lanes, db.codes.lanes = 2, 2, 2, 2
		return
	}
	db.assertions = newConvoy[[32]byte](db.spendAssertions)
	db.assertions.exclusive = true
	db.redemptions = newConvoy[domain.FlowID](db.redeemBatch)
	db.newFlows = newConvoy[domain.FlowID](db.insertFlows)
	db.pushedFlows = newConvoy[domain.FlowID](db.grantPushedFlows)
	db.redemptions.exclusive, db.newFlows.exclusive, db.pushedFlows.exclusive = true, true, true
	db.rotations = newConvoy[domain.SessionID](db.rotateTogether)
	db.signIns = newConvoy[[32]byte](db.signInTogether)
	db.rotations.exclusive, db.signIns.exclusive = true, true
}
