package store

import (
	"context"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

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
	Audiences  []string // the session's default audience must be one of them; empty: any will do
}

// RotationResult is what the statement saw. If Advanced is false, nothing was written and View is what a read just
// after it found (Found false: no such session); the caller classifies.
type RotationResult struct {
	Advanced bool
	Found    bool
	View     domain.SessionView // after the advance, if Advanced: then only what was presented and grantedColumns
}

// RotateRefresh advances in one conditional UPDATE, sharing its commit with concurrent ones. The condition: state,
// secret hash, client, key of a bound session, both expiries, account and client liveness, counter = presented, and a
// default audience that can be answered for.
// A stable session keeps its counter and only its idle expiry moves. Any error means: not known whether it
// happened; the same call again is safe.
func (db *DB) RotateRefresh(ctx context.Context, r Rotation) (RotationResult, error) {
	rotate := db.rotateLite
	if db.postgres() {
		rotate = db.rotatePostgres
	}
	result, err := rotate(ctx, r)
	if err != nil {
		return RotationResult{}, fmt.Errorf("rotate refresh: %w", err)
	}
	return result, nil
}

// rotationFits is the condition of every advance: s is the row, i what is presented.
const rotationFits = `s.id = i.id AND s.state = 1 AND s.counter = i.counter AND s.secret_hash = i.secret_hash
	AND s.client_id = i.client_id AND (s.tier <> 1 OR s.jkt = i.jkt)
	AND s.idle_expires_at > i.now AND (s.absolute_expires_at = 0 OR s.absolute_expires_at > i.now)
	AND EXISTS (SELECT 1 FROM accounts a WHERE a.id = s.account_id AND a.state = 1)
	AND EXISTS (SELECT 1 FROM clients c WHERE c.id = s.client_id AND c.declared AND NOT c.disabled)`

// rotationMoves is what an advance changes. Of a stable session (tier 3) it is the idle expiry alone.
const rotationMoves = `
	idle_expires_at = i.now + s.idle_for,
	counter = CASE WHEN s.tier = 3 THEN s.counter ELSE s.counter + 1 END,
	rotated_at = CASE WHEN s.tier = 3 THEN s.rotated_at ELSE i.now END,
	prev_rotated_at = CASE WHEN s.tier = 3 THEN s.prev_rotated_at ELSE s.rotated_at END,
	key_id = CASE WHEN s.tier = 3 THEN s.key_id ELSE i.key_id END,
	format = CASE WHEN s.tier = 3 THEN s.format ELSE i.format END`

// grantedColumns are what the answer to an advance needs of its row, and no more: on SQLite each column of a RETURNING
// is copied twice on the one thread that writes (docs/decisions/0005).
const grantedColumns = `s.account_id, s.tier, s.jkt, s.scope, s.resources, s.auth_time, s.amr, s.counter, s.key_id, s.format,
	s.details`

// advancedBy is the result of an advance: what its condition held to be true, beside the columns that were read.
func advancedBy(r *Rotation, s domain.Session) RotationResult {
	s.ID, s.ClientID, s.State, s.Refresh.SecretHash = r.SessionID, r.ClientID, domain.SessionLive, r.SecretHash
	return RotationResult{Advanced: true, Found: true, View: domain.SessionView{
		Session: s, AccountState: domain.AccountActive, ClientState: domain.ClientLive,
	}}
}

func grantedFields(s *domain.Session) []any {
	return []any{fixed{s.AccountID[:]}, &s.Tier, &s.JKT, words{&s.Scope}, words{&s.Resources}, when{&s.AuthTime},
		words{&s.AMR}, &s.Refresh.Counter, &s.Refresh.KeyID, &s.Refresh.Format, &s.Details}
}
