package store

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
)

// mustBrowser signs a browser in to the account of a session.
func mustBrowser(t testing.TB, db *DB, s domain.Session) domain.Browser {
	t.Helper()
	in := newBrowserSignIn(t, db)
	var issuer, subject string
	err := one(t.Context(), db.reader, "SELECT issuer, subject FROM identities WHERE id = $1", []any{s.IdentityID[:]}, &issuer, &subject)
	if err != nil {
		t.Fatal(err)
	}
	in.NewIdentity.Issuer, in.NewIdentity.Subject = issuer, subject
	return mustSignInBrowser(t, db, in, BrowserSignedIn).Browser
}

func mustEndBrowser(t testing.TB, db *DB, id domain.BrowserID, want int) {
	t.Helper()
	n, err := db.EndBrowser(t.Context(), BrowserEnding{ID: id, Now: db.Now(), Reason: domain.EndedByLogout, Event: domain.Event{ClientID: "app"}})
	if err != nil || n != want {
		t.Fatalf("%d sessions ended, want %d (%v)", n, want, err)
	}
}

func mustReadBrowser(t testing.TB, db *DB, id domain.BrowserID) *domain.BrowserView {
	t.Helper()
	v, err := db.Browser(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestABrowserIsReadWithItsLiveness(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		b := mustBrowser(t, db, mustSignIn(t, db, newSignIn(db)))
		want := &domain.BrowserView{Browser: b, AccountState: domain.AccountActive, Issuer: "https://accounts.google.com", Provider: "google"}
		if diff := cmp.Diff(want, mustReadBrowser(t, db, b.ID)); diff != "" {
			t.Error(diff)
		}
		if _, err := db.SetAccountState(t.Context(), b.AccountID, domain.AccountDisabled, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		if v := mustReadBrowser(t, db, b.ID); v.Live(db.Now()) {
			t.Errorf("%+v", v)
		}
		if _, err := db.Browser(t.Context(), domain.BrowserID(newID())); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	})
}

func TestAVisitExtendsABrowserThatIsSignedIn(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		b := mustBrowser(t, db, mustSignIn(t, db, newSignIn(db)))
		later := b.SeenAt.Add(time.Hour)
		for _, at := range []time.Time{later, b.SeenAt.Add(time.Minute)} { // the second is late
			if err := db.TouchBrowser(t.Context(), b.ID, at, at.Add(7*day)); err != nil {
				t.Fatal(err)
			}
		}
		b.SeenAt, b.ExpiresAt = later, later.Add(7*day)
		if diff := cmp.Diff(b, mustReadBrowser(t, db, b.ID).Browser); diff != "" {
			t.Error(diff)
		}
		mustEndBrowser(t, db, b.ID, 0)
		if err := db.TouchBrowser(t.Context(), b.ID, later.Add(time.Hour), later.Add(9*day)); err != nil {
			t.Fatal(err)
		}
		if got := mustReadBrowser(t, db, b.ID); !got.ExpiresAt.Equal(b.ExpiresAt) || got.Live(db.Now()) {
			t.Errorf("%+v", got)
		}
	})
}

func TestSigningOutEverywhereSignsBrowsersOut(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s, stranger := mustSignIn(t, db, newSignIn(db)), mustSignIn(t, db, newSignIn(db))
		mine, stolen, bystander := mustBrowser(t, db, s), mustBrowser(t, db, s), mustBrowser(t, db, stranger)
		asking := mustRedeem(t, db, redemption(db, granted(t, db, newFlow(db), s, mine.ID)), Redeemed)
		code := redemption(db, granted(t, db, newFlow(db), s, stolen.ID))
		if n, err := db.EndAccountSessions(t.Context(), s.AccountID, asking.ID, domain.EndedByUser, domain.Event{}); err != nil || n != 1 {
			t.Errorf("%d ended (%v)", n, err)
		}
		mustLive(t, db, map[domain.BrowserID]bool{mine.ID: true, stolen.ID: false, bystander.ID: true})
		mustRedeem(t, db, code, NotGranted)
		if n, err := db.EndAccountSessions(t.Context(), s.AccountID, domain.SessionID{}, domain.EndedByAdmin, domain.Event{}); err != nil || n != 1 {
			t.Errorf("%d ended (%v)", n, err)
		}
		mustLive(t, db, map[domain.BrowserID]bool{mine.ID: false, bystander.ID: true})
		trail := actions(t, db, s.AccountID)
		if diff := cmp.Diff([]string{"browser.sign_out", "session.end", "browser.sign_out", "session.end"}, trail[len(trail)-4:]); diff != "" {
			t.Error(diff)
		}
	})
}

func TestUnlinkingSignsOutTheBrowsersOfTheIdentity(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := mustSignIn(t, db, newSignIn(db))
		l := newLink(db, s)
		mustLink(t, db, l, Linked)
		stolen := mustBrowser(t, db, s)
		in := newBrowserSignIn(t, db)
		in.NewIdentity.Issuer, in.NewIdentity.Subject = l.Identity.Issuer, l.Identity.Subject
		mine := mustSignInBrowser(t, db, in, BrowserSignedIn).Browser
		mustUnlink(t, db, unlink(db, s, s.IdentityID), Unlinked)
		mustLive(t, db, map[domain.BrowserID]bool{mine.ID: true, stolen.ID: false})
	})
}

func mustLive(t testing.TB, db *DB, want map[domain.BrowserID]bool) {
	t.Helper()
	for id, live := range want {
		if v := mustReadBrowser(t, db, id); v.Live(db.Now()) != live {
			t.Errorf("%s: live %t, want %t", id, !live, live)
		}
	}
}

func TestSigningOutOfABrowserEndsItsSessions(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := mustSignIn(t, db, newSignIn(db))
		b, other := mustBrowser(t, db, s), mustBrowser(t, db, s)
		one := mustRedeem(t, db, redemption(db, granted(t, db, newFlow(db), s, b.ID)), Redeemed)
		two := mustRedeem(t, db, redemption(db, granted(t, db, newFlow(db), s, b.ID)), Redeemed)
		elsewhere := mustRedeem(t, db, redemption(db, granted(t, db, newFlow(db), s, other.ID)), Redeemed)
		if _, err := db.EndSession(t.Context(), two.ID, domain.EndedBySignOut, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		before := len(actions(t, db, s.AccountID))
		mustEndBrowser(t, db, b.ID, 1)
		mustEndBrowser(t, db, b.ID, 0)
		mustEndBrowser(t, db, domain.BrowserID(newID()), 0)
		for _, c := range []struct {
			name string
			id   domain.SessionID
			want domain.EndReason
		}{
			{"one of it", one.ID, domain.EndedByLogout},
			{"one that was over", two.ID, domain.EndedBySignOut},
			{"another browser's", elsewhere.ID, ""},
			{"the phone's", s.ID, ""},
		} {
			if v := mustSession(t, db, c.id); v.EndReason != c.want {
				t.Errorf("%s: %q", c.name, v.EndReason)
			}
		}
		if diff := cmp.Diff([]string{"browser.sign_out", "session.end"}, actions(t, db, s.AccountID)[before:]); diff != "" {
			t.Error(diff)
		}
		if n := mustRows(t, db)["notices"]; n != 2 {
			t.Errorf("%d notices", n)
		}
		if v := mustReadBrowser(t, db, other.ID); !v.Live(db.Now()) {
			t.Errorf("%+v", v)
		}
	})
}

// The session a client names at logout ends with the browser it is named in, though it hangs on none, or on another; one of
// another account does not.
func TestALogoutEndsTheSessionThatIsNamedToo(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s, stranger := mustSignIn(t, db, newSignIn(db)), mustSignIn(t, db, newSignIn(db))
		b := mustBrowser(t, db, s)
		hanging := mustRedeem(t, db, redemption(db, granted(t, db, newFlow(db), s, b.ID)), Redeemed)
		other := mustBrowser(t, db, s)
		for _, c := range []struct {
			in   domain.BrowserID
			also domain.SessionID
			want int
		}{{other.ID, stranger.ID, 0}, {b.ID, s.ID, 2}} {
			n, err := db.EndBrowser(t.Context(), BrowserEnding{ID: c.in, Also: c.also, Now: db.Now(), Reason: domain.EndedByLogout})
			if err != nil || n != c.want {
				t.Errorf("%d ended, want %d (%v)", n, c.want, err)
			}
		}
		for id, want := range map[domain.SessionID]domain.SessionState{
			s.ID: domain.SessionEnded, hanging.ID: domain.SessionEnded, stranger.ID: domain.SessionLive,
		} {
			if v := mustSession(t, db, id); v.State != want {
				t.Errorf("%s: %d", id, v.State)
			}
		}
	})
}
