package store

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/test/pgcluster"
)

func TestSweepRemovesWhatIsOverAndNothingElse(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		now := db.Now()
		kept := []domain.Session{mustSignIn(t, db, newSignIn(db)), mustSignIn(t, db, bearer(newSignIn(db)))}
		var gone []domain.Session
		for range 4 {
			gone = append(gone, mustSignIn(t, db, newSignIn(db)))
		}
		ages := func(s domain.Session, ended, idle, absolute time.Duration) {
			run(t, db, "UPDATE sessions SET state = $2, ended_at = $3, idle_expires_at = $4, absolute_expires_at = $5 WHERE id = $1",
				s.ID[:], stateOf(ended), ago(now, ended), ago(now, idle), ago(now, absolute))
		}
		ages(kept[0], 89*day, -day, 0)
		ages(kept[1], 0, 89*day, 89*day)
		ages(gone[0], 91*day, -day, 0)
		ages(gone[1], 0, 91*day, 0)
		ages(gone[2], 0, -day, 91*day)
		ages(gone[3], 91*day, 91*day, 91*day)
		run(t, db, "UPDATE devices SET created_at = $1", micros(now.Add(-91*day)))
		for i, age := range []time.Duration{401 * day, 402 * day} {
			run(t, db, "UPDATE events SET at = $1 WHERE id = $2", micros(now.Add(-age)), i+1)
		}
		for i := range 3 {
			n := Nonce{Hash: sum(), ExpiresAt: now.Add(time.Duration(-30*(i+1)) * time.Minute)}
			spend(t, db, n, true)
		}
		for i, age := range []time.Duration{0, 29 * day, 31 * day} {
			k := newKey(db, uint32(100+i), "ES256")
			if i > 0 {
				k.ExpiresAt = now.Add(-age)
			}
			mustAddKey(t, db, k, k.CreatedAt, nil, true)
		}
		run(t, db, `INSERT INTO outbox (kind, identity_id, aad, payload, attempts, created_at, due_at, expires_at)
			SELECT 'apple.redeem', id, '', $1, 0, 0, 0, $2 FROM identities`, []byte{1}, micros(now.Add(-time.Second)))
		putPageRows(t, db, kept[0], now)

		before := mustRows(t, db)
		got, err := db.Sweep(t.Context(), now)
		if err != nil {
			t.Fatal(err)
		}
		want := Swept{Nonces: 1, Sessions: 4, Devices: 4, Events: 2, Keys: 1, Outbox: 6, Flows: 1, Browsers: 3, Tallies: 1, Notices: 1}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		before["nonces"] -= 1
		before["sessions"] -= 4
		before["devices"] -= 4
		before["events"] -= 2
		before["keys"] -= 1
		before["outbox"] -= 6
		before["flows"]--
		before["browsers"] -= 3
		before["tallies"]--
		before["notices"]--
		if diff := cmp.Diff(before, mustRows(t, db)); diff != "" {
			t.Error(diff)
		}
		for _, s := range kept {
			mustSession(t, db, s.ID)
		}
		if again, err := db.Sweep(t.Context(), now); err != nil || again != (Swept{}) {
			t.Errorf("a second sweep: %+v (%v)", again, err)
		}
	})
}

// putPageRows leaves one of each row of the pages that is over, save browsers, of which there are three, and at least
// as many that are not yet.
func putPageRows(t *testing.T, db *DB, s domain.Session, now time.Time) {
	t.Helper()
	for _, age := range []time.Duration{0, 59 * time.Minute, 61 * time.Minute} {
		f := newFlow(db)
		f.ExpiresAt = now.Add(-age)
		mustStart(t, db, f)
	}
	for _, age := range []struct{ ended, idle, ends time.Duration }{
		{0, -day, -day}, {89 * day, -day, -day}, {0, 89 * day, 89 * day},
		{91 * day, -day, -day}, {0, 91 * day, -day}, {0, -day, 91 * day},
	} {
		run(t, db, `INSERT INTO browsers (id, secret_hash, account_id, identity_id, auth_time, amr, created_at, seen_at, expires_at,
			ends_at, ended_at) SELECT $1, $2, id, $2, 0, '', 0, 0, $3, $4, $5 FROM accounts WHERE id = $6`,
			raw(newID()), []byte{1}, ago(now, age.idle), ago(now, age.ends), ago(now, age.ended), s.AccountID[:])
	}
	for _, window := range []time.Duration{time.Minute, time.Hour} {
		if _, err := db.Tally(t.Context(), sum(), now.Add(-2*time.Minute), window); err != nil {
			t.Fatal(err)
		}
	}
	for _, age := range []time.Duration{23 * time.Hour, 25 * time.Hour} {
		run(t, db, `INSERT INTO notices (client_id, account_id, session_id, attempts, created_at, due_at, expires_at)
			VALUES ('app', $1, $1, 0, 0, 0, $2)`, s.AccountID[:], micros(now.Add(noticeLife-age)))
	}
}

func raw(id [16]byte) []byte { return id[:] }

func stateOf(ended time.Duration) domain.SessionState {
	if ended > 0 {
		return domain.SessionEnded
	}
	return domain.SessionLive
}

// ago is zero for zero.
func ago(now time.Time, d time.Duration) int64 {
	if d == 0 {
		return 0
	}
	return micros(now.Add(-d))
}

func TestSweepTakesManyBites(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := mustSignIn(t, db, newSignIn(db))
		const many = 2*bite + 7
		numbers := "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) "
		id := "unhex(printf('%032x', i))"
		if db.postgres() {
			id = "decode(lpad(to_hex(i), 32, '0'), 'hex')"
		}
		run(t, db, numbers+`INSERT INTO nonces (hash, expires_at, consumed_at, fingerprint, key_id) SELECT `+id+`, 1, 1, $2, 0 FROM n`,
			many, []byte{})
		run(t, db, numbers+`INSERT INTO sessions (id, account_id, identity_id, client_id, device_name, tier, jkt, scope, resources,
			secret_hash, created_at, auth_time, absolute_expires_at, idle_for, idle_expires_at, rotated_at, prev_rotated_at,
			counter, key_id, format, state, late_streak, late_counter, ended_at, end_reason)
			SELECT `+id+`, $2, $2, 'app', '', 2, '', '', '', $3, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, '' FROM n`,
			many, s.AccountID[:], []byte{})
		got, err := db.Sweep(t.Context(), db.Now())
		if err != nil || got.Nonces != many || got.Sessions != many {
			t.Errorf("%+v (%v)", got, err)
		}
	})
}

func TestNothingIsSweptByAClockGoneWrong(t *testing.T) {
	var ahead atomic.Int64
	db := migrated(t, Options{URL: pgcluster.Shared(t), Clock: func() time.Time { return time.Now().Add(time.Duration(-ahead.Load())) }})
	s := mustSignIn(t, db, newSignIn(db))
	ahead.Store(int64(200 * day)) // as if the database's clock had jumped
	if _, err := db.MeasureClock(t.Context()); err != nil {
		t.Fatal(err)
	}
	if swept, err := db.Sweep(t.Context(), db.Now().Add(200*day)); err == nil || swept != (Swept{}) {
		t.Errorf("swept %+v, error %v", swept, err)
	}
	mustSession(t, db, s.ID)
}

// A sweep that waited for a sign-in judges the device as it was before; the foreign key knows better.
func TestADeviceThatIsUsedWhileItIsSweptStays(t *testing.T) {
	db := migrated(t, Options{URL: pgcluster.Shared(t)})
	first := newSignIn(db)
	s := mustSignIn(t, db, first)
	idle := newSignIn(db)
	id := idle.NewDevice.ID
	run(t, db, "INSERT INTO devices (id, client_id, jkt, name, created_at) VALUES ($1, 'app', $2, '', 1)", id[:], idle.NewDevice.JKT)

	tx, err := db.pool.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := putDevice(t.Context(), tx, idle.NewDevice); err != nil {
		t.Fatal(err)
	}
	s.ID, s.DeviceID = domain.SessionID(newID()), id
	if _, err := change(t.Context(), tx, insertSession, sessionValues(&s)...); err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() {
		_, err := db.Sweep(context.Background(), db.Now())
		result <- err
	}()
	until(t, func() error { // it waits for us
		var n int
		err := one(t.Context(), db.pool, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'", nil, &n)
		if err == nil && n == 0 {
			err = errors.New("the sweep does not wait")
		}
		return err
	})
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
	if devices := mustRows(t, db)["devices"]; devices != 2 {
		t.Errorf("%d devices", devices)
	}
}
