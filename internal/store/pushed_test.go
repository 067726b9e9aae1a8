package store

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
)

// mustPush leaves a request as /par does.
func mustPush(t testing.TB, db *DB) domain.Flow {
	t.Helper()
	f := newFlow(db)
	f.Kind, f.CodeHash, f.Visitor, f.Version, f.Progress = domain.FlowPushed, sum(), [32]byte{}, 0, nil
	return mustStart(t, db, f)
}

// grantedFrom is the trip of a pushed request as it has its code.
func grantedFrom(db *DB, pushed domain.Flow, s domain.Session, b domain.BrowserID) domain.Flow {
	f := pushed
	f.Kind, f.State, f.CodeHash, f.ExpiresAt = domain.FlowAuthorize, domain.FlowGranted, sum(), db.Now().Add(time.Minute)
	f.AccountID, f.IdentityID, f.BrowserID, f.AuthTime, f.AMR = s.AccountID, s.IdentityID, b, db.Now(), []string{domain.AMRCode}
	f.Scope, f.Request.Pushed, f.Request.Agent = []string{"openid"}, pushed.ID, "Firefox on Linux"
	return f
}

// rfc9126-4-02, I2
func TestAPushedRequestBecomesACodeOnce(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s, b := mustSignIn(t, db, newSignIn(db)), domain.BrowserID(newID())
		pushed := mustPush(t, db)
		tries := make([]domain.Flow, 8)
		var winner atomic.Int32
		var won atomic.Int32
		for i := range tries {
			tries[i] = grantedFrom(db, pushed, s, b)
		}
		atOnce(len(tries), func(i int) {
			switch err := db.GrantPushed(t.Context(), tries[i]); {
			case err == nil:
				won.Add(1)
				winner.Store(int32(i))
			case !errors.Is(err, ErrSpent):
				t.Error(err)
			}
		})
		if won.Load() != 1 {
			t.Fatalf("%d of %d", won.Load(), len(tries))
		}
		want := tries[winner.Load()]
		want.Version = 1
		got, err := db.FlowByCode(t.Context(), want.CodeHash)
		if err != nil {
			t.Fatal(err)
		}
		got.Progress = nil // empty on either engine
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Error(diff)
		}
		if _, err := db.FlowByCode(t.Context(), pushed.CodeHash); !errors.Is(err, ErrNotFound) {
			t.Errorf("its request_uri is still known: %v", err)
		}
	})
}

// rfc9126-4-02: of two trips on our pages the first that has its code spends the request, and of the other nothing is kept.
func TestOfTwoTripsFromOnePushedRequestOneIsGranted(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s, b := mustSignIn(t, db, newSignIn(db)), domain.BrowserID(newID())
		pushed := mustPush(t, db)
		var trips [4]domain.Flow
		for i := range trips {
			f := newFlow(db)
			f.Request.Pushed = pushed.ID
			mustStart(t, db, f)
			f.State, f.CodeHash, f.AccountID, f.IdentityID, f.BrowserID = domain.FlowGranted, sum(), s.AccountID, s.IdentityID, b
			f.Scope = f.Request.Scope
			trips[i] = f
		}
		var won atomic.Int32
		agreed := &domain.Consent{AccountID: s.AccountID, ClientID: "app", Scope: []string{"openid"}, GrantedAt: db.Now()}
		atOnce(len(trips), func(i int) {
			took, err := db.GrantFlow(t.Context(), trips[i], agreed, domain.Event{Actor: "system"})
			switch {
			case err == nil && took:
				won.Add(1)
			case !errors.Is(err, ErrSpent):
				t.Errorf("%v %v", took, err)
			}
		})
		open := 0
		for _, f := range trips {
			if mustFlow(t, db, f.ID).State == domain.FlowOpen {
				open++
			}
		}
		if won.Load() != 1 || open != len(trips)-1 || mustFlow(t, db, pushed.ID).State != domain.FlowRedeemed {
			t.Errorf("%d granted, %d open", won.Load(), open)
		}
		if err := db.GrantPushed(t.Context(), grantedFrom(db, pushed, s, b)); !errors.Is(err, ErrSpent) {
			t.Errorf("and a browser that needs no page: %v", err)
		}
	})
}

// A trip that is refused or goes on has not spent what it began from.
func TestOnlyACodeSpendsAPushedRequest(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		pushed := mustPush(t, db)
		f := newFlow(db)
		f.Request.Pushed = pushed.ID
		mustStart(t, db, f)
		f.State = domain.FlowRefused
		if took, err := db.StepFlow(t.Context(), f); err != nil || !took {
			t.Fatal(took, err)
		}
		if got := mustFlow(t, db, pushed.ID); got.State != domain.FlowOpen || got.Version != 0 {
			t.Errorf("%+v", got)
		}
		// Nor is it a code, or a device's.
		if _, _, err := db.PollFlow(t.Context(), db.Now(), pushed.CodeHash); !errors.Is(err, ErrNotFound) {
			t.Errorf("polled as a device: %v", err)
		}
		r := Redemption{Now: db.Now(), FlowID: pushed.ID, Session: newSignIn(db).Session}
		if got, err := db.RedeemFlow(t.Context(), r); err != nil || got.Verdict != NotGranted {
			t.Errorf("redeemed as a code: %+v %v", got, err)
		}
	})
}
