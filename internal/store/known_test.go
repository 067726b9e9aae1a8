package store

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
)

// The sessions that hang on a browser stay with it, also where its time was over when its person came back.
func TestABrowserThatComesBackLateTakesItsSessionsOver(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		for _, column := range []string{"expires_at", "ends_at"} {
			first := newSignIn(db)
			s := mustSignIn(t, db, first)
			b := mustBrowser(t, db, s)
			hanging := mustRedeem(t, db, redemption(db, granted(t, db, newFlow(db), s, b.ID)), Redeemed)
			run(t, db, "UPDATE browsers SET "+column+" = 1 WHERE id = $1", b.ID[:])
			back := newBrowserSignIn(t, db)
			back.NewIdentity.Issuer, back.NewIdentity.Subject, back.Replaces = first.NewIdentity.Issuer, first.NewIdentity.Subject, b.ID
			if got := mustSignInBrowser(t, db, back, BrowserSignedIn).Browser; got.ID != b.ID || got.PreviousHash != b.SecretHash {
				t.Errorf("%s: %+v", column, got)
			}
			v := mustReadBrowser(t, db, b.ID)
			if !v.Live(db.Now()) || v.SecretHash != back.Browser.SecretHash || v.PreviousHash != b.SecretHash {
				t.Errorf("%s: %+v", column, v)
			}
			mustEndBrowser(t, db, b.ID, 1)
			if v := mustSession(t, db, hanging.ID); v.State != domain.SessionEnded {
				t.Errorf("%s: %+v", column, v)
			}
		}
	})
}

// A node of the release before knows no browsers. What it unlinks signs nobody in any more, wherever that browser asks.
func TestABrowserWhoseIdentityIsGoneIsNotSignedIn(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := mustSignIn(t, db, newSignIn(db))
		stays := mustBrowser(t, db, mustSignIn(t, db, newSignIn(db)))
		b := mustBrowser(t, db, s)
		run(t, db, "DELETE FROM identities WHERE id = $1", s.IdentityID[:])
		v := mustReadBrowser(t, db, b.ID)
		if !v.IdentityGone || v.Live(db.Now()) || v.Issuer != "" || v.Provider != "" {
			t.Errorf("%+v", v)
		}
		if diff := cmp.Diff(b, v.Browser); diff != "" {
			t.Error(diff)
		}
		a := newPasskey(db, s)
		a.SessionID, a.BrowserID = domain.SessionID{}, b.ID
		mustAddPasskey(t, db, a, LinkAccountNotLive)
		mustLive(t, db, map[domain.BrowserID]bool{stays.ID: true})
	})
}

// An app with a key of its own that asks silently leaves no row each time either; another key is another session.
func TestASilentRenewalKeepsTheSessionOfItsKey(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := mustSignIn(t, db, newSignIn(db))
		b := mustBrowser(t, db, s)
		first := redemption(db, granted(t, db, newFlow(db), s, b.ID))
		silently := func(jkt string) domain.Session {
			r := redemption(db, granted(t, db, newFlow(db), s, b.ID))
			r.Session.Scope, r.Session.AuthTime = []string{"openid"}, first.Session.AuthTime
			r.Session.JKT, r.NewDevice.JKT = jkt, jkt
			if jkt == "" {
				r.NewDevice, r.Session.Tier = domain.Device{}, domain.TierBearer
			}
			return mustRedeem(t, db, r, Redeemed)
		}
		mine, others, bare := silently("a"), silently("b"), silently("")
		if mine.ID == others.ID || mine.ID == bare.ID || others.ID == bare.ID {
			t.Error("one session has two keys")
		}
		before := mustRows(t, db)
		for range 3 {
			if got := silently("a"); got.ID != mine.ID || got.DeviceID != mine.DeviceID || got.DeviceID.IsZero() {
				t.Errorf("%+v", got)
			}
			if got := silently("b"); got.ID != others.ID || got.JKT != "b" {
				t.Errorf("%+v", got)
			}
			if got := silently(""); got.ID != bare.ID || got.JKT != "" {
				t.Errorf("%+v", got)
			}
		}
		after := mustRows(t, db)
		before["flows"] += 9
		if diff := cmp.Diff(before, after); diff != "" {
			t.Error(diff)
		}
	})
}

// What every page asks, and what an ending looks for, is found by an index.
func TestBrowsersAndFlowsAreFoundByTheirIndexes(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		explain := "EXPLAIN QUERY PLAN "
		if db.postgres() {
			explain = "EXPLAIN "
		}
		for query, want := range map[string][]string{
			browserView + "WHERE b.id = $1":                                             {"browsers", "accounts", "identities"},
			"SELECT id FROM flows WHERE account_id = $1 AND state IN (2, 3)":            {"flows_account"},
			"SELECT id FROM sessions WHERE account_id = $1 AND browser_id = $1 LIMIT 1": {"sessions_account"},
		} {
			id := newID()
			plan := strings.Join(mustPlan(t, db, explain+query, id[:]), "\n")
			if strings.Contains(plan, "SCAN") || strings.Contains(plan, "Seq Scan") {
				t.Errorf("%s\n%s", query, plan)
			}
			for _, name := range want {
				if db.postgres() && !strings.Contains(plan, name) {
					t.Errorf("%s: not by %s\n%s", query, name, plan)
				}
			}
		}
	})
}

// mustPlan is what the engine says of how it answers.
func mustPlan(t *testing.T, db *DB, query string, args ...any) []string {
	t.Helper()
	lines, err := all(t.Context(), db.pool, func(row scanner) (line string, err error) {
		if db.postgres() {
			err = row.Scan(&line)
		} else {
			err = row.Scan(new(int), new(int), new(int), &line)
		}
		return line, err
	}, query, args...)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}
