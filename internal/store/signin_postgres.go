package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/countersign/countersign/internal/domain"
)

// signInStatement is signInSteps for a known identity, in one statement. For an unknown one it returns no row and
// changes nothing, and so for one whose row another transaction holds: a batch waits for nobody.
//
//	who      the identity, locked against being unlinked meanwhile, and its account
//	app      the client
//	spent    the nonce, if it was fresh          opening what makes a session, if all is live
//	device, started, used, later, trail          what signInSteps writes in the same order
const signInStatement = `WITH who AS (
		SELECT i.id, i.account_id, a.state = 1 AS live FROM identities i JOIN accounts a ON a.id = i.account_id
		WHERE i.issuer = $1 AND i.subject = $2 FOR NO KEY UPDATE OF i SKIP LOCKED
	), app AS (
		SELECT COALESCE((SELECT ` + clientState + ` FROM clients c WHERE c.id = $3), 0) AS state
	), spent AS (
		INSERT INTO nonces (hash, expires_at, consumed_at, fingerprint, key_id, session_id)
		SELECT $4, $5, $6, $7, $8, CASE WHEN who.live AND app.state = 1 THEN $9::bytea END FROM who, app
		WHERE app.state <> 0
		ON CONFLICT DO NOTHING RETURNING hash
	), opening AS (
		SELECT who.id, who.account_id FROM who, app, spent WHERE who.live AND app.state = 1
	), device AS (
		INSERT INTO devices (id, client_id, jkt, name, created_at)
		SELECT $10::bytea, $3, $11, $12, $6 FROM opening WHERE $10::bytea IS NOT NULL
		ON CONFLICT (client_id, jkt)
		DO UPDATE SET name = CASE WHEN excluded.name = '' THEN devices.name ELSE excluded.name END RETURNING id
	), started AS (
		INSERT INTO sessions (id, account_id, identity_id, device_id, client_id, device_name, tier, jkt, scope, resources,
			secret_hash, created_at, auth_time, absolute_expires_at, idle_for, idle_expires_at, rotated_at, prev_rotated_at,
			counter, key_id, format, state, late_streak, late_counter, ended_at, end_reason, amr, claims, notify)
		SELECT $9, opening.account_id, opening.id, (SELECT id FROM device), $3, $13, $14::smallint, $15, $16, $17, $18,
			$19::bigint, $20::bigint, $21::bigint, $22::bigint, $23::bigint, $24::bigint, $25::bigint, $26::bigint,
			$27::bigint, $28::smallint, $29::smallint, 0, 0, 0, '', $41, $42, $43::boolean FROM opening
	), used AS (
		UPDATE identities SET last_used_at = $6, provider = $30,
			email_verified = CASE WHEN email = '' THEN $32 ELSE email_verified END,
			email = CASE WHEN email = '' THEN $31 ELSE email END,
			name = CASE WHEN name = '' THEN $33 ELSE name END
		FROM opening WHERE identities.id = opening.id
	), later AS (
		INSERT INTO outbox (kind, identity_id, aad, payload, attempts, created_at, due_at, expires_at)
		SELECT item.kind, opening.id, item.aad, item.payload, 0, $6, $6, item.expires_at
		FROM opening, unnest($34::text[], $35::text[], $36::bytea[], $37::bigint[]) AS item (kind, aad, payload, expires_at)
	), trail AS (
		INSERT INTO events (at, action, actor, account_id, session_id, client_id, reason, request_id, ip)
		SELECT $6, 'session.start', 'account acc_' || translate(rtrim(encode(opening.account_id, 'base64'), '='), '+/', '-_'),
			opening.account_id, $9, $3, $38, $39, $40
		FROM opening
	)
	SELECT who.id, who.account_id, who.live, app.state, EXISTS (SELECT 1 FROM spent), (SELECT id FROM device) FROM who, app`

// signInKnown signs in an identity that has an account, sharing its journey and its commit with others. known is false
// if it has none, or if it is better tried alone: nothing was changed then.
func (db *DB) signInKnown(ctx context.Context, s SignIn) (result SignInResult, known bool, err error) {
	row, err := db.signIns.call(ctx, s.Nonce.Hash, &s)
	switch {
	case err != nil:
		return result, false, err
	case row == nil:
		return result, false, nil
	case row.client == domain.ClientUndeclared:
		return SignInResult{Verdict: ClientUnknown}, true, nil
	case !row.fresh:
		result, err = repeat(ctx, db.pool, s)
		return result, true, err
	case row.client != domain.ClientLive:
		return SignInResult{Verdict: ClientNotLive}, true, nil
	case !row.accountLive:
		return SignInResult{Verdict: AccountNotLive}, true, nil
	}
	started := s.Session
	started.IdentityID, started.AccountID, started.DeviceID = row.identity, row.account, row.device
	return SignInResult{Verdict: SignedIn, Session: started}, true, nil
}

// signedIn is the row signInStatement returns.
type signedIn struct {
	identity           domain.IdentityID
	account            domain.AccountID
	device             domain.DeviceID
	client             domain.ClientState
	accountLive, fresh bool
}

// signInTogether sends the statements of many sign-ins in one journey. nil stands for an identity that is to be tried
// alone.
func (db *DB) signInTogether(ctx context.Context, batch []*SignIn) ([]*signedIn, error) {
	return signInJourney.travel(ctx, db, batch)
}

var signInJourney = journey[*SignIn, signedIn]{statement: signInStatement, values: signInValues, scan: scanSignedIn}

func scanSignedIn(row pgx.Row) (r signedIn, err error) {
	err = row.Scan(fixed{r.identity[:]}, fixed{r.account[:]}, &r.accountLive, &r.client, &r.fresh, fixed{r.device[:]})
	return r, err
}

func signInValues(s *SignIn) []any {
	n, i, d, ses, r, e := &s.Nonce, &s.NewIdentity, &s.NewDevice, &s.Session, &s.Session.Refresh, &s.Event
	var kinds, aads []string
	var payloads [][]byte
	var expiries []int64
	for _, item := range s.Outbox {
		kinds, aads = append(kinds, item.Kind), append(aads, item.AAD)
		payloads, expiries = append(payloads, item.Payload), append(expiries, micros(item.ExpiresAt))
	}
	return []any{
		i.Issuer, i.Subject, ses.ClientID, // $1
		n.Hash[:], micros(n.ExpiresAt), micros(s.Now), n.Fingerprint[:], n.KeyID, ses.ID[:], // $4
		orNull(d.ID), d.JKT, d.Name, // $10
		ses.DeviceName, ses.Tier, ses.JKT, joined(ses.Scope), joined(ses.Resources), r.SecretHash[:], // $13
		micros(ses.CreatedAt), micros(ses.AuthTime), micros(ses.AbsoluteExpiresAt), ses.IdleFor.Microseconds(), // $19
		micros(ses.IdleExpiresAt), micros(r.RotatedAt), micros(r.PrevRotatedAt), // $23
		r.Counter, r.KeyID, r.Format, ses.State, // $26
		i.Provider, i.Email, i.EmailVerified, i.Name, // $30
		kinds, aads, payloads, expiries, // $34
		e.Reason, e.RequestID, e.IP, // $38
		joined(ses.AMR), joined(ses.Claims), ses.Notify, // $41
	}
}
