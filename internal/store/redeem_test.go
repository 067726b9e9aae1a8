package store

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
)

// redemption presents the code of a flow.
func redemption(db *DB, f domain.Flow) Redemption {
	in := newSignIn(db)
	in.Session.ClientID, in.NewDevice.ClientID = f.Request.ClientID, f.Request.ClientID
	in.Session.AMR, in.Session.Claims, in.Session.Notify = f.AMR, []string{"email", "name"}, true
	in.Session.AuthTime = f.AuthTime
	return Redemption{Now: in.Now, FlowID: f.ID, Session: in.Session, NewDevice: in.NewDevice, Event: in.Event}
}

func mustRedeem(t testing.TB, db *DB, r Redemption, want RedeemVerdict) domain.Session {
	t.Helper()
	got, err := db.RedeemFlow(t.Context(), r)
	if err != nil || got.Verdict != want {
		t.Fatalf("verdict %d, want %d (%v)", got.Verdict, want, err)
	}
	return got.Session
}

func TestARedeemedCodeIsASession(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := mustSignIn(t, db, newSignIn(db))
		b := mustBrowser(t, db, s)
		f := granted(t, db, newFlow(db), s, b.ID)
		r := redemption(db, f)
		got := mustRedeem(t, db, r, Redeemed)
		want := r.Session
		want.AccountID, want.IdentityID, want.BrowserID, want.DeviceID = s.AccountID, s.IdentityID, b.ID, r.NewDevice.ID
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want, mustSession(t, db, want.ID).Session); diff != "" {
			t.Error("the row", diff)
		}
		spent := mustFlow(t, db, f.ID)
		if spent.State != domain.FlowRedeemed || spent.SessionID != want.ID || !spent.RedeemedAt.Equal(r.Now) || spent.Version != f.Version+1 {
			t.Errorf("%+v", spent)
		}
		events, err := db.Events(t.Context(), s.AccountID, want.ID, 10)
		if err != nil || len(events) != 1 || events[0].Action != "session.start" || events[0].ClientID != "app" {
			t.Errorf("%+v (%v)", events, err)
		}
		before := mustRows(t, db)
		mustRedeem(t, db, redemption(db, f), NotGranted)
		if diff := cmp.Diff(before, mustRows(t, db)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOfParallelRedemptionsOneSucceeds(t *testing.T) { // DV04
	for _, kind := range []func(*DB) domain.Flow{newFlow, newDeviceFlow} {
		onEachEngine(t, func(t *testing.T, db *DB) {
			s := mustSignIn(t, db, newSignIn(db))
			f := granted(t, db, kind(db), s, domain.BrowserID{})
			var mu sync.Mutex
			verdicts := map[RedeemVerdict]int{}
			atOnce(50, func(int) {
				got, err := db.RedeemFlow(t.Context(), redemption(db, f))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				verdicts[got.Verdict]++
			})
			if verdicts[Redeemed] != 1 || verdicts[NotGranted] != 49 || mustRows(t, db)["sessions"] != 2 {
				t.Errorf("%v, %v", verdicts, mustRows(t, db))
			}
			mustSession(t, db, mustFlow(t, db, f.ID).SessionID) // I2
		})
	}
}

// A television is nobody's tab: whoever signs out of the browser it was agreed to in keeps watching, once it is on.
func TestADeviceDoesNotHangOnTheBrowserItWasAgreedToIn(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := mustSignIn(t, db, newSignIn(db))
		b := mustBrowser(t, db, s)
		r := redemption(db, granted(t, db, newDeviceFlow(db), s, b.ID))
		late := redemption(db, granted(t, db, newDeviceFlow(db), s, b.ID))
		got := mustRedeem(t, db, r, Redeemed)
		if !got.BrowserID.IsZero() {
			t.Error(got.BrowserID)
		}
		mustEndBrowser(t, db, b.ID, 0)
		if v := mustSession(t, db, got.ID); !v.Live(db.Now()) {
			t.Errorf("%+v", v)
		}
		mustRedeem(t, db, late, NotGranted)
	})
}

func TestWhatIsNotGrantedIsNotRedeemed(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := mustSignIn(t, db, newSignIn(db))
		for name, alter := range map[string]func(*domain.Flow, *Redemption){
			"open":             func(f *domain.Flow, _ *Redemption) { f.State = domain.FlowOpen },
			"signed in":        func(f *domain.Flow, _ *Redemption) { f.State = domain.FlowSignedIn },
			"refused":          func(f *domain.Flow, _ *Redemption) { f.State = domain.FlowRefused },
			"expired":          func(f *domain.Flow, r *Redemption) { f.ExpiresAt = r.Now },
			"another client's": func(_ *domain.Flow, r *Redemption) { r.Session.ClientID = "other" },
			"none":             func(_ *domain.Flow, r *Redemption) { r.FlowID = domain.FlowID(newID()) },
		} {
			f := newFlow(db)
			f.State, f.AccountID, f.IdentityID, f.CodeHash = domain.FlowGranted, s.AccountID, s.IdentityID, sum()
			r := redemption(db, f)
			alter(&f, &r)
			mustStart(t, db, f)
			before := mustRows(t, db)
			mustRedeem(t, db, r, NotGranted)
			if diff := cmp.Diff(before, mustRows(t, db)); diff != "" {
				t.Error(name, diff)
			}
			if diff := cmp.Diff(f, mustFlow(t, db, f.ID)); diff != "" {
				t.Error(name, diff)
			}
		}
	})
}

func TestARefusedRedemptionSpendsTheCode(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		for _, c := range []struct {
			name  string
			spoil func(s domain.Session, b domain.BrowserID) error
			want  RedeemVerdict
		}{
			{"the account is disabled", func(s domain.Session, _ domain.BrowserID) error {
				_, err := db.SetAccountState(t.Context(), s.AccountID, domain.AccountDisabled, domain.Event{})
				return err
			}, RedeemAccountNotLive},
			{"nothing was agreed to", func(domain.Session, domain.BrowserID) error { return nil }, RedeemNoConsent},
			{"the client is disabled", func(domain.Session, domain.BrowserID) error {
				return db.SetClientDisabled(t.Context(), "app", true, domain.Event{})
			}, RedeemClientNotLive},
		} {
			s := mustSignIn(t, db, newSignIn(db))
			b := mustBrowser(t, db, s)
			f := granted(t, db, newFlow(db), s, b.ID)
			r := redemption(db, f)
			r.NeedsConsent = true
			if err := c.spoil(s, b.ID); err != nil {
				t.Fatal(c.name, err)
			}
			before := mustRows(t, db)
			mustRedeem(t, db, r, c.want)
			if got := mustFlow(t, db, f.ID); got.State != domain.FlowRefused || !got.SessionID.IsZero() {
				t.Errorf("%s: %+v", c.name, got)
			}
			if diff := cmp.Diff(before, mustRows(t, db)); diff != "" {
				t.Error(c.name, diff)
			}
		}
	})
}

func TestACodeOfAnUndeclaredClientKeepsForAMoment(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		f := granted(t, db, newFlow(db), mustSignIn(t, db, newSignIn(db)), domain.BrowserID{})
		mustPut(t, db, domain.Catalog{})
		before := mustRows(t, db)
		mustRedeem(t, db, redemption(db, f), RedeemClientUnknown)
		if diff := cmp.Diff(before, mustRows(t, db)); diff != "" {
			t.Error(diff)
		}
		restoreClients(t, db)
		mustRedeem(t, db, redemption(db, f), Redeemed)
	})
}

func TestRotationTellsHowThePersonProvedThemselves(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		f := newFlow(db)
		s := mustRedeem(t, db, redemption(db, granted(t, db, f, mustSignIn(t, db, newSignIn(db)), domain.BrowserID{})), Redeemed)
		if got := mustRotate(t, db, rotation(db, s)); !got.Advanced || cmp.Diff([]string{domain.AMRCode}, got.View.AMR) != "" {
			t.Errorf("%+v", got)
		}
		native := mustSignIn(t, db, newSignIn(db))
		if got := mustRotate(t, db, rotation(db, native)); !got.Advanced || got.View.AMR != nil {
			t.Errorf("%+v", got)
		}
	})
}

// Whoever signs out, or withdraws, at the very moment a code is redeemed never leaves a live session behind.
func TestNoSessionOutlivesAnEndingThatCrossesItsRedemption(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		for round := range 40 {
			s := mustSignIn(t, db, newSignIn(db))
			mustLink(t, db, newLink(db, s), Linked)
			b := mustBrowser(t, db, s)
			f := newFlow(db)
			if round%2 == 1 {
				f = newDeviceFlow(db)
			}
			mustStart(t, db, f)
			f.State, f.AccountID, f.IdentityID, f.BrowserID, f.CodeHash = domain.FlowGranted, s.AccountID, s.IdentityID, b.ID, sum()
			if took, err := db.GrantFlow(t.Context(), f, consentOf(db, s), domain.Event{}); !took || err != nil {
				t.Fatal(took, err)
			}
			r := redemption(db, f)
			r.NeedsConsent = round%2 == 0 // of a device nobody asks again
			atOnce(2, func(i int) {
				var err error
				switch {
				case i == 0:
					_, err = db.RedeemFlow(t.Context(), r)
				case round/2%4 == 0:
					_, err = db.EndAccountSessions(t.Context(), s.AccountID, s.ID, domain.EndedByUser, domain.Event{})
				case round/2%4 == 1:
					_, err = db.UnlinkIdentity(t.Context(), unlink(db, s, s.IdentityID))
				case round/2%4 == 2:
					_, err = db.WithdrawConsent(t.Context(), s.AccountID, "app", domain.Event{})
				default:
					_, err = db.EndBrowser(t.Context(), BrowserEnding{ID: b.ID, Now: db.Now(), Reason: domain.EndedByLogout})
				}
				if err != nil {
					t.Error(err)
				}
			})
			live, err := db.AccountSessions(t.Context(), s.AccountID, true)
			if err != nil {
				t.Fatal(err)
			}
			device := f.Kind == domain.FlowDevice && round/2%4 == 3 // which lives on if it came first
			for _, v := range live {
				if v.ID == r.Session.ID && !device {
					t.Errorf("round %d: it lives", round)
				}
			}
		}
	})
}

func consentOf(db *DB, s domain.Session) *domain.Consent {
	return &domain.Consent{AccountID: s.AccountID, ClientID: "app", Scope: []string{"openid", "offline_access"},
		Resources: []string{"https://api.example.com"}, GrantedAt: db.Now().Add(-time.Second)}
}
