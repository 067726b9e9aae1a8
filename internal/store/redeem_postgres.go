package store

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

// redeemStatement is redeemSteps for a code with which all is well and that becomes a session of its own, in one
// statement. Where anything is not so, or another transaction holds one of the rows, it returns no row and changes
// nothing: redeemSteps finds out what it is. A batch waits for nobody.
//
//	f        the flow, locked, if its code may be spent
//	b, i, c  the browser and the identity that stand behind it, and the consent, held against being ended meanwhile
//	fit      the flow, if client, account, browser, identity and consent are as they were
//	spent, device, started, trail     what redeemSteps writes in the same order
const redeemStatement = `WITH f AS (
		SELECT id, kind, account_id, identity_id, browser_id FROM flows
		WHERE id = $1 AND state = 3 AND expires_at > $2 AND client_id = $3 FOR UPDATE SKIP LOCKED
	), b AS (
		SELECT browsers.id FROM browsers JOIN f ON browsers.id = f.browser_id
		WHERE browsers.ended_at = 0 FOR SHARE OF browsers SKIP LOCKED
	), i AS (
		SELECT identities.id FROM identities JOIN f ON identities.id = f.identity_id AND identities.account_id = f.account_id
		FOR KEY SHARE OF identities SKIP LOCKED
	), c AS (
		SELECT consents.client_id FROM consents JOIN f ON consents.account_id = f.account_id
		WHERE $4 AND consents.client_id = $3 AND string_to_array(consents.scope, ' ') @> string_to_array($5, ' ')
		AND string_to_array(consents.resources, ' ') @> string_to_array($6, ' ') FOR SHARE OF consents SKIP LOCKED
	), fit AS (
		SELECT f.* FROM f JOIN accounts a ON a.id = f.account_id JOIN clients c ON c.id = $3
		WHERE a.state = 1 AND ` + clientState + ` = 1
		AND EXISTS (SELECT 1 FROM b) AND EXISTS (SELECT 1 FROM i) AND (NOT $4 OR EXISTS (SELECT 1 FROM c))
	), spent AS (
		UPDATE flows SET state = 4, session_id = $7, redeemed_at = $2, version = version + 1
		FROM fit WHERE flows.id = fit.id AND flows.state = 3
		RETURNING fit.kind, fit.account_id, fit.identity_id, fit.browser_id
	), device AS (
		INSERT INTO devices (id, client_id, jkt, name, created_at)
		SELECT $8::bytea, $3, $9, $10, $2 FROM spent WHERE $8::bytea IS NOT NULL
		ON CONFLICT (client_id, jkt)
		DO UPDATE SET name = CASE WHEN excluded.name = '' THEN devices.name ELSE excluded.name END RETURNING id
	), started AS (
		INSERT INTO sessions (id, account_id, identity_id, device_id, client_id, device_name, tier, jkt, scope, resources,
			secret_hash, created_at, auth_time, absolute_expires_at, idle_for, idle_expires_at, rotated_at, prev_rotated_at,
			counter, key_id, format, state, late_streak, late_counter, ended_at, end_reason, browser_id, amr, claims, notify,
			details)
		SELECT $7, spent.account_id, spent.identity_id, (SELECT id FROM device), $3, $11, $12::smallint, $13, $5, $6, $14,
			$2, $15::bigint, $16::bigint, $17::bigint, $18::bigint, $19::bigint, 0, 0, $20::bigint, $21::smallint, 1, 0, 0, 0,
			'', CASE WHEN spent.kind = 1 AND NOT $28 THEN spent.browser_id END, $22, $23, $24::boolean, $29 FROM spent
	), trail AS (
		INSERT INTO events (at, action, actor, account_id, session_id, client_id, reason, request_id, ip)
		SELECT $2, 'session.start', 'account acc_' || translate(rtrim(encode(spent.account_id, 'base64'), '='), '+/', '-_'),
			spent.account_id, $7, $3, $25, $26, $27
		FROM spent
	)
	SELECT spent.kind, spent.account_id, spent.identity_id, spent.browser_id, (SELECT id FROM device) FROM spent`

// redeemTogether tries the one statement, in company. ok is false where it did not take.
func (db *DB) redeemTogether(ctx context.Context, r *Redemption) (result RedeemResult, ok bool, err error) {
	if !db.postgres() || !r.ofItsOwn() {
		return result, false, nil
	}
	row, err := db.redemptions.call(ctx, r.FlowID, r)
	if err != nil || row == nil {
		return result, false, err
	}
	s := r.Session
	s.AccountID, s.IdentityID, s.DeviceID = row.account, row.identity, row.device
	if row.kind == domain.FlowAuthorize && !r.Apart {
		s.BrowserID = row.browser
	}
	return RedeemResult{Redeemed, s}, true, nil
}

// ofItsOwn tells whether the session is a new one whatever this browser has already (see sameSession): it has a refresh token of
// its own, or somebody agreed to these very details.
func (r *Redemption) ofItsOwn() bool {
	return slices.Contains(r.Session.Scope, oauth.ScopeOfflineAccess) || r.Session.Details != ""
}

// redeemed is the row redeemStatement returns.
type redeemed struct {
	kind     domain.FlowKind
	account  domain.AccountID
	identity domain.IdentityID
	browser  domain.BrowserID
	device   domain.DeviceID
}

// redeemBatch sends the statements of many redemptions in one journey; nil stands for one that is to be tried alone.
func (db *DB) redeemBatch(ctx context.Context, batch []*Redemption) ([]*redeemed, error) {
	return redeemJourney.travel(ctx, db, batch)
}

var redeemJourney = journey[*Redemption, redeemed]{statement: redeemStatement, values: redeemValues, scan: scanRedeemed}

func scanRedeemed(row pgx.Row) (r redeemed, err error) {
	err = row.Scan(&r.kind, fixed{r.account[:]}, fixed{r.identity[:]}, fixed{r.browser[:]}, fixed{r.device[:]})
	return r, err
}

func redeemValues(r *Redemption) []any {
	s, d, e, f := &r.Session, &r.NewDevice, &r.Event, &r.Session.Refresh
	return []any{
		r.FlowID[:], micros(r.Now), s.ClientID, r.NeedsConsent, joined(s.Scope), joined(s.Resources), // $1
		s.ID[:], orNull(d.ID), d.JKT, d.Name, // $7
		s.DeviceName, s.Tier, s.JKT, f.SecretHash[:], // $11
		micros(s.AuthTime), micros(s.AbsoluteExpiresAt), s.IdleFor.Microseconds(), micros(s.IdleExpiresAt), // $15
		micros(f.RotatedAt), f.KeyID, f.Format, joined(s.AMR), joined(s.Claims), s.Notify, // $19
		e.Reason, e.RequestID, e.IP, r.Apart, s.Details, // $25
	}
}
