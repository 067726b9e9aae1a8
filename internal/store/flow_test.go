package store

import (
	"crypto/rand"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
)

// newFlow is a trip that has just begun at /authorize.
func newFlow(db *DB) domain.Flow {
	now, hour := db.Now(), int64(3600)
	return domain.Flow{
		ID: domain.FlowID(newID()), Kind: domain.FlowAuthorize, State: domain.FlowOpen, Version: 1, Visitor: sum(),
		Request: domain.AuthRequest{
			ClientID: "app", RedirectURI: "https://app.example.com/cb", State: "s \"'<>", Nonce: "n", Challenge: "c",
			Scope: []string{"openid", "offline_access"}, Resources: []string{"https://api.example.com"}, MaxAge: &hour,
			Claims: domain.Claims{UserInfo: []string{"email"}},
		},
		Progress: []byte("sealed"), CreatedAt: now, ExpiresAt: now.Add(10 * time.Minute),
	}
}

// newDeviceFlow is a television that waits.
func newDeviceFlow(db *DB) domain.Flow {
	f := newFlow(db)
	f.Kind, f.CodeHash, f.UserCode, f.Interval = domain.FlowDevice, sum(), rand.Text()[:8], 5*time.Second
	return f
}

func mustStart(t testing.TB, db *DB, f domain.Flow) domain.Flow {
	t.Helper()
	if err := db.StartFlow(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	return f
}

func mustFlow(t testing.TB, db *DB, id domain.FlowID) domain.Flow {
	t.Helper()
	f, err := db.Flow(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return *f
}

// granted starts a flow that has its code, for the account of a session.
func granted(t testing.TB, db *DB, f domain.Flow, s domain.Session, b domain.BrowserID) domain.Flow {
	t.Helper()
	f.State, f.AccountID, f.IdentityID, f.BrowserID = domain.FlowGranted, s.AccountID, s.IdentityID, b
	f.Scope, f.AMR, f.AuthTime = f.Request.Scope, []string{domain.AMRCode}, db.Now()
	if f.CodeHash == [32]byte{} {
		f.CodeHash = sum()
	}
	return mustStart(t, db, f)
}

func TestAFlowIsFoundByItsNames(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		want := granted(t, db, newDeviceFlow(db), mustSignIn(t, db, newSignIn(db)), domain.BrowserID(newID()))
		plain := mustStart(t, db, newFlow(db)) // whose user code and hash are empty
		for name, find := range map[string]func() (*domain.Flow, error){
			"id":        func() (*domain.Flow, error) { return db.Flow(t.Context(), want.ID) },
			"code":      func() (*domain.Flow, error) { return db.FlowByCode(t.Context(), want.CodeHash) },
			"user code": func() (*domain.Flow, error) { return db.FlowByUserCode(t.Context(), want.UserCode) },
		} {
			got, err := find()
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if diff := cmp.Diff(want, *got); diff != "" {
				t.Error(name, diff)
			}
		}
		if diff := cmp.Diff(plain, mustFlow(t, db, plain.ID)); diff != "" {
			t.Error(diff)
		}
		_, err1 := db.Flow(t.Context(), domain.FlowID(newID()))
		_, err2 := db.FlowByCode(t.Context(), [32]byte{})
		_, err3 := db.FlowByUserCode(t.Context(), "")
		_, _, err4 := db.PollFlow(t.Context(), db.Now(), sum())
		_, _, err5 := db.AttemptFlow(t.Context(), domain.FlowID(newID()), 5)
		for i, err := range []error{err1, err2, err3, err4, err5} {
			if !errors.Is(err, ErrNotFound) {
				t.Error(i, err)
			}
		}
	})
}

func TestAUserCodeIsGivenOutOnce(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		first := mustStart(t, db, newDeviceFlow(db))
		second := newDeviceFlow(db)
		second.UserCode = first.UserCode
		if err := db.StartFlow(t.Context(), second); !errors.Is(err, ErrTaken) {
			t.Error(err)
		}
		first.UserCode = ""
		if took, err := db.StepFlow(t.Context(), first); !took || err != nil {
			t.Fatal(took, err)
		}
		mustStart(t, db, second)
		mustStart(t, db, newFlow(db)) // none is no code
		mustStart(t, db, newFlow(db))
	})
}

func TestAFlowIsSteppedFromTheVersionThatWasSeen(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		seen := mustStart(t, db, newFlow(db))
		next := seen
		next.State, next.Progress, next.Visitor, next.ExpiresAt = domain.FlowGranted, []byte("more"), sum(), seen.ExpiresAt.Add(time.Minute)
		next.AccountID, next.IdentityID, next.BrowserID = domain.AccountID(newID()), domain.IdentityID(newID()), domain.BrowserID(newID())
		next.AuthTime, next.AMR, next.Scope = db.Now(), []string{"swk", "user"}, []string{"openid"}
		next.CodeHash, next.UserCode = sum(), "BCDFGHJK"
		wanted := next
		next.Kind, next.Request, next.CreatedAt = domain.FlowDevice, domain.AuthRequest{ClientID: "other"}, db.Now().Add(day) // immutable: AZ14
		for _, want := range []bool{true, false} {
			if took, err := db.StepFlow(t.Context(), next); took != want || err != nil {
				t.Errorf("took %t, want %t (%v)", took, want, err)
			}
		}
		wanted.Version++
		if diff := cmp.Diff(wanted, mustFlow(t, db, seen.ID)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOfParallelStepsOneIsTaken(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		f := mustStart(t, db, newFlow(db))
		var taken atomic.Int32
		atOnce(20, func(int) {
			took, err := db.StepFlow(t.Context(), f)
			if err != nil {
				t.Error(err)
			}
			if took {
				taken.Add(1)
			}
		})
		if taken.Load() != 1 || mustFlow(t, db, f.ID).Version != f.Version+1 {
			t.Errorf("%d taken", taken.Load())
		}
	})
}

func TestAFlowThatIsOverStaysOver(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		for _, over := range []domain.FlowState{domain.FlowRedeemed, domain.FlowRefused} {
			f := newFlow(db)
			f.State = over
			mustStart(t, db, f)
			f.State = domain.FlowGranted
			if took, err := db.StepFlow(t.Context(), f); took || err != nil {
				t.Errorf("%s: took %t (%v)", over, took, err)
			}
		}
	})
}

func TestParallelGuessesNeverExceedTheirNumber(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		f := mustStart(t, db, newFlow(db))
		var let atomic.Int32
		atOnce(30, func(int) {
			n, ok, err := db.AttemptFlow(t.Context(), f.ID, 5)
			if err != nil || n < 1 || n > 5 {
				t.Error(n, err)
			}
			if ok {
				let.Add(1)
			}
		})
		if let.Load() != 5 {
			t.Errorf("%d guesses", let.Load())
		}
		if took, err := db.StepFlow(t.Context(), f); !took || err != nil { // from before the guesses
			t.Error("the right guess:", took, err)
		}
		if n, ok, err := db.AttemptFlow(t.Context(), f.ID, 5); ok || n != 5 || err != nil {
			t.Error("a step took the count back:", n, ok, err)
		}
	})
}

func TestADeviceThatPollsTooSoonWaitsLonger(t *testing.T) { // DV02
	onEachEngine(t, func(t *testing.T, db *DB) {
		f := mustStart(t, db, newDeviceFlow(db))
		start := db.Now()
		for _, c := range []struct {
			at       time.Duration
			soon     bool
			interval time.Duration
		}{
			{0, false, 5 * time.Second},
			{5 * time.Second, false, 5 * time.Second},
			{9 * time.Second, true, 10 * time.Second},
			{18 * time.Second, true, 15 * time.Second},
			{33 * time.Second, false, 15 * time.Second},
		} {
			got, soon, err := db.PollFlow(t.Context(), start.Add(c.at), f.CodeHash)
			if err != nil || soon != c.soon || got.Interval != c.interval || !got.PolledAt.Equal(start.Add(c.at)) {
				t.Fatalf("after %s: too soon %t, %+v (%v)", c.at, soon, got, err)
			}
		}
		f.State = domain.FlowRefused // the person's page saw it before the polls
		if took, err := db.StepFlow(t.Context(), f); !took || err != nil {
			t.Error(took, err)
		}
		if got := mustFlow(t, db, f.ID); got.Interval != 15*time.Second || got.State != domain.FlowRefused {
			t.Errorf("%+v", got)
		}
	})
}

func TestOfParallelPollsAllButOneAreTooSoon(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		f := mustStart(t, db, newDeviceFlow(db))
		now := db.Now()
		var inTime atomic.Int32
		atOnce(10, func(int) {
			_, soon, err := db.PollFlow(t.Context(), now, f.CodeHash)
			if err != nil {
				t.Error(err)
			}
			if !soon {
				inTime.Add(1)
			}
		})
		if got := mustFlow(t, db, f.ID); inTime.Load() != 1 || got.Interval != 50*time.Second {
			t.Errorf("%d in time, then every %s", inTime.Load(), got.Interval)
		}
		if _, _, err := db.PollFlow(t.Context(), now, granted(t, db, newFlow(db), mustSignIn(t, db, newSignIn(db)), domain.BrowserID{}).CodeHash); !errors.Is(err, ErrNotFound) {
			t.Error("a code is no device code:", err)
		}
	})
}

func TestABurnedCodeIsWorthNothing(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := mustSignIn(t, db, newSignIn(db))
		f := granted(t, db, newFlow(db), s, domain.BrowserID{})
		if err := db.BurnFlow(t.Context(), f.ID, db.Now()); err != nil {
			t.Fatal(err)
		}
		if got := mustFlow(t, db, f.ID); got.State != domain.FlowRefused || got.Version != f.Version+1 {
			t.Errorf("%+v", got)
		}
		mustRedeem(t, db, redemption(db, f), NotGranted)
		spent := granted(t, db, newFlow(db), s, domain.BrowserID{})
		mustRedeem(t, db, redemption(db, spent), Redeemed)
		if err := db.BurnFlow(t.Context(), spent.ID, db.Now()); err != nil {
			t.Fatal(err)
		}
		if got := mustFlow(t, db, spent.ID); got.State != domain.FlowRedeemed {
			t.Errorf("%+v", got)
		}
	})
}
