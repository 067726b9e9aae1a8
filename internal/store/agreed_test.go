package store

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
)

// agreed is somebody with two identities and two browsers, and what they signed in for and agreed to.
type agreed struct {
	session, stranger domain.Session
	by                domain.Browser // by the session's identity
	other             domain.Browser // by the other identity
	flows             map[string]domain.Flow
}

func newAgreed(t *testing.T, db *DB) agreed {
	t.Helper()
	a := agreed{session: mustSignIn(t, db, newSignIn(db)), stranger: mustSignIn(t, db, newSignIn(db))}
	l := newLink(db, a.session)
	mustLink(t, db, l, Linked)
	agree(t, db, *consentOf(db, a.session))
	a.by = mustBrowser(t, db, a.session)
	second := a.session
	second.IdentityID = l.Identity.ID
	a.other = mustBrowser(t, db, second)
	theirs := mustBrowser(t, db, a.stranger)
	elsewhere := newFlow(db)
	elsewhere.Request.ClientID = "other"
	started := newFlow(db) // nobody has arrived
	waiting := newFlow(db)
	waiting.State, waiting.AccountID, waiting.IdentityID, waiting.BrowserID = domain.FlowSignedIn, a.session.AccountID, a.session.IdentityID, a.by.ID
	a.flows = map[string]domain.Flow{
		"code":             granted(t, db, newFlow(db), a.session, a.by.ID),
		"device":           granted(t, db, newDeviceFlow(db), a.session, a.by.ID),
		"signed in":        mustStart(t, db, waiting),
		"another client's": granted(t, db, elsewhere, a.session, a.by.ID),
		"other browser's":  granted(t, db, newDeviceFlow(db), second, a.other.ID),
		"open":             mustStart(t, db, started),
		"a stranger's":     granted(t, db, newDeviceFlow(db), a.stranger, theirs.ID),
	}
	spent := redemption(db, granted(t, db, newFlow(db), a.session, a.by.ID))
	mustRedeem(t, db, spent, Redeemed)
	a.flows["redeemed"] = mustFlow(t, db, spent.FlowID)
	return a
}

// endings are what throws people out, and what they are to refuse besides the code, the device and the trip of the first
// browser.
func endings(t *testing.T, db *DB) map[string]struct {
	end  func(a agreed) error
	more []string
} {
	return map[string]struct {
		end  func(a agreed) error
		more []string
	}{
		"signed out everywhere": {func(a agreed) error {
			_, err := db.EndAccountSessions(t.Context(), a.session.AccountID, domain.SessionID{}, domain.EndedByAdmin, domain.Event{})
			return err
		}, []string{"another client's", "other browser's"}},
		"signed out everywhere else": {func(a agreed) error {
			_, err := db.EndAccountSessions(t.Context(), a.session.AccountID, a.session.ID, domain.EndedByUser, domain.Event{})
			return err
		}, []string{"another client's", "other browser's"}},
		"unlinked": {func(a agreed) error {
			mustUnlink(t, db, unlink(db, a.session, a.session.IdentityID), Unlinked)
			return nil
		}, []string{"another client's"}},
		"consent withdrawn": {func(a agreed) error {
			_, err := db.WithdrawConsent(t.Context(), a.session.AccountID, "app", domain.Event{})
			return err
		}, []string{"other browser's"}},
		"signed out of the browser": {func(a agreed) error {
			_, err := db.EndBrowser(t.Context(), BrowserEnding{ID: a.by.ID, Now: db.Now(), Reason: domain.EndedByLogout})
			return err
		}, []string{"another client's"}},
	}
}

// A code, or a device that waits for its next poll, is a session to be: whoever ends the sessions ends it too.
func TestAnEndingRefusesWhatIsNoSessionYet(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		for name, e := range endings(t, db) {
			a := newAgreed(t, db)
			if err := e.end(a); err != nil {
				t.Fatal(name, err)
			}
			want := map[string]domain.Flow{}
			for which, f := range a.flows {
				want[which] = f
			}
			for _, which := range append([]string{"code", "device", "signed in"}, e.more...) {
				f := a.flows[which]
				f.State, f.Version = domain.FlowRefused, f.Version+1
				want[which] = f
			}
			for which, f := range want {
				if diff := cmp.Diff(f, mustFlow(t, db, f.ID)); diff != "" {
					t.Errorf("%s: %s: %s", name, which, diff)
				}
			}
			for _, which := range []string{"code", "device"} {
				mustRedeem(t, db, redemption(db, a.flows[which]), NotGranted)
			}
			if f := a.flows["signed in"]; !f.Expired(db.Now()) {
				f.State = domain.FlowGranted
				if took, err := db.GrantFlow(t.Context(), f, nil, domain.Event{}); took || err != nil {
					t.Errorf("%s: the trip goes on: %t (%v)", name, took, err)
				}
			}
		}
	})
}

// What is refused in vain refuses nothing: a re-authentication used twice, an account that never agreed.
func TestAnEndingThatDoesNotHappenRefusesNothing(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		a := newAgreed(t, db)
		n := Nonce{Hash: sum(), ExpiresAt: db.Now().Add(day)}
		spend(t, db, n, true)
		if _, err := db.EndAccountSessions(t.Context(), a.session.AccountID, domain.SessionID{}, domain.EndedByUser, domain.Event{At: db.Now()}, n); err == nil {
			t.Error("a nonce was spent twice")
		}
		if found, err := db.WithdrawConsent(t.Context(), a.stranger.AccountID, "app", domain.Event{}); found || err != nil {
			t.Error(found, err)
		}
		for which, f := range a.flows {
			if diff := cmp.Diff(f, mustFlow(t, db, f.ID)); diff != "" {
				t.Error(which, diff)
			}
		}
	})
}

// An ending that crosses the last step of a trip may not find it: then the redemption sees that nobody stands behind it.
func TestWhatNobodyStandsBehindIsNotRedeemed(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		for name, c := range map[string]struct {
			spoil func(s domain.Session, b domain.Browser)
			want  RedeemVerdict
		}{
			"the browser was signed out": {func(_ domain.Session, b domain.Browser) {
				run(t, db, "UPDATE browsers SET ended_at = 1 WHERE id = $1", b.ID[:])
			}, RedeemSignedOut},
			"the browser is not there": {func(_ domain.Session, b domain.Browser) {
				run(t, db, "DELETE FROM browsers WHERE id = $1", b.ID[:])
			}, RedeemSignedOut},
			"the identity was unlinked": {func(s domain.Session, _ domain.Browser) {
				run(t, db, "DELETE FROM identities WHERE id = $1", s.IdentityID[:])
			}, RedeemSignedOut},
			"the browser's time is over": {func(_ domain.Session, b domain.Browser) {
				run(t, db, "UPDATE browsers SET expires_at = 1 WHERE id = $1", b.ID[:])
			}, Redeemed},
		} {
			for _, kind := range []func(*DB) domain.Flow{newFlow, newDeviceFlow} {
				s := mustSignIn(t, db, newSignIn(db))
				b := mustBrowser(t, db, s)
				f := granted(t, db, kind(db), s, b.ID)
				c.spoil(s, b)
				got, err := db.RedeemFlow(t.Context(), redemption(db, f))
				if err != nil || got.Verdict != c.want {
					t.Errorf("%s: verdict %d, want %d (%v)", name, got.Verdict, c.want, err)
				}
				if after := mustFlow(t, db, f.ID); c.want != Redeemed && after.State != domain.FlowRefused {
					t.Errorf("%s: %+v", name, after)
				}
			}
		}
	})
}
