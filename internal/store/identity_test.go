package store

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
)

// newLink links an unknown identity to the account of a session.
func newLink(db *DB, s domain.Session) Link {
	fresh := newSignIn(db)
	fresh.NewIdentity.AccountID = s.AccountID
	return Link{
		Now: db.Now(), Nonces: []Nonce{{Hash: sum(), ExpiresAt: db.Now().Add(time.Minute)}}, SessionID: s.ID,
		Identity: fresh.NewIdentity, Event: domain.Event{Actor: "account " + s.AccountID.String(), ClientID: "app"},
	}
}

func mustLink(t testing.TB, db *DB, l Link, want LinkVerdict) domain.IdentityID {
	t.Helper()
	verdict, id, err := db.LinkIdentity(t.Context(), l)
	if err != nil || verdict != want {
		t.Fatalf("verdict %d, want %d (%v)", verdict, want, err)
	}
	return id
}

func TestALinkedIdentitySignsInToTheAccount(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := mustSignIn(t, db, newSignIn(db))
		l := newLink(db, s)
		l.Outbox = []OutboxItem{{Kind: "apple.redeem", AAD: "a", Payload: []byte("1"), ExpiresAt: l.Now.Add(time.Minute)}}
		if id := mustLink(t, db, l, Linked); id != l.Identity.ID {
			t.Errorf("id %s", id)
		}
		in := newSignIn(db)
		in.NewIdentity.Subject = l.Identity.Subject
		got, err := db.SignIn(t.Context(), in)
		if err != nil || got.NewAccount || got.Session.AccountID != s.AccountID || got.Session.IdentityID != l.Identity.ID {
			t.Errorf("%+v (%v)", got, err)
		}
		want := []string{"account.create", "identity.link", "session.start", "identity.link", "session.start"}
		if diff := cmp.Diff(want, actions(t, db, s.AccountID)); diff != "" {
			t.Error(diff)
		}
		if items, err := db.ClaimOutbox(t.Context(), db.Now(), time.Minute, 5); err != nil || len(items) != 1 || items[0].IdentityID != l.Identity.ID {
			t.Errorf("outbox %+v (%v)", items, err)
		}
	})
}

func TestALinkIsRefused(t *testing.T) { // ID17
	onEachEngine(t, func(t *testing.T, db *DB) {
		mine, foreign := newSignIn(db), newSignIn(db)
		s, other := mustSignIn(t, db, mine), mustSignIn(t, db, foreign)
		ended := mustSignIn(t, db, again(db, mine))
		if _, err := db.EndSession(t.Context(), ended.ID, domain.EndedByUser, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		spent := newLink(db, s)
		mustLink(t, db, spent, Linked)

		for _, c := range []struct {
			name   string
			alter  func(l *Link)
			want   LinkVerdict
			nonces int64 // consumed all the same
		}{
			{"the account has it already", func(l *Link) { l.Identity.Subject = mine.NewIdentity.Subject }, AlreadyLinked, 1},
			{"another account has it", func(l *Link) { l.Identity.Subject = foreign.NewIdentity.Subject }, LinkedToOther, 1},
			{"the session ended", func(l *Link) { l.SessionID = ended.ID }, LinkAccountNotLive, 1},
			{"the session is another account's", func(l *Link) { l.SessionID = other.ID }, LinkAccountNotLive, 1},
			{"no such session", func(l *Link) { l.SessionID = domain.SessionID(newID()) }, LinkAccountNotLive, 1},
			{"one of two nonces was spent", func(l *Link) { l.Nonces = append(l.Nonces, spent.Nonces...) }, LinkNonceSpent, 0},
		} {
			before := mustRows(t, db)
			l := newLink(db, s)
			c.alter(&l)
			verdict, id, err := db.LinkIdentity(t.Context(), l)
			if err != nil || verdict != c.want || (verdict == AlreadyLinked) != (id == s.IdentityID) {
				t.Errorf("%s: verdict %d, id %s (%v)", c.name, verdict, id, err)
			}
			before["nonces"] += c.nonces
			if diff := cmp.Diff(before, mustRows(t, db)); diff != "" {
				t.Error(c.name, diff)
			}
		}
		if _, err := db.SetAccountState(t.Context(), s.AccountID, domain.AccountDisabled, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		mustLink(t, db, newLink(db, s), LinkAccountNotLive)
	})
}

func TestParallelLinksOfOneIdentityLinkItOnce(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		var links []Link
		for range 8 {
			links = append(links, newLink(db, mustSignIn(t, db, newSignIn(db))))
			links[len(links)-1].Identity.Subject = links[0].Identity.Subject
		}
		var made atomic.Int32
		atOnce(len(links), func(i int) {
			verdict, _, err := db.LinkIdentity(t.Context(), links[i])
			switch {
			case err != nil:
				t.Error(err)
			case verdict == Linked:
				made.Add(1)
			case verdict != LinkedToOther:
				t.Errorf("verdict %d", verdict)
			}
		})
		if n := made.Load(); n != 1 {
			t.Errorf("linked %d times", n)
		}
	})
}

// unlink is asked for by the session.
func unlink(db *DB, by domain.Session, id domain.IdentityID) Unlink {
	return Unlink{
		Now: db.Now(), Nonces: []Nonce{{Hash: sum(), ExpiresAt: db.Now().Add(time.Minute)}},
		AccountID: by.AccountID, IdentityID: id, SessionID: by.ID,
		Revoke: OutboxItem{Kind: "apple.revoke", ExpiresAt: db.Now().Add(time.Hour)},
		Event:  domain.Event{At: db.Now(), SessionID: by.ID, ClientID: "app"},
	}
}

func mustUnlink(t testing.TB, db *DB, u Unlink, want UnlinkVerdict) {
	t.Helper()
	if got, err := db.UnlinkIdentity(t.Context(), u); err != nil || got != want {
		t.Fatalf("verdict %d, want %d (%v)", got, want, err)
	}
}

func TestUnlinkingEndsTheSessionsOfTheIdentityButTheOneThatAsks(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		stolen := newSignIn(db)
		asking := mustSignIn(t, db, stolen)
		thief := mustSignIn(t, db, again(db, stolen))
		own := newLink(db, asking)
		mustLink(t, db, own, Linked)
		mine := newSignIn(db)
		mine.NewIdentity.Subject = own.Identity.Subject
		other, bystander := mustSignIn(t, db, mine), mustSignIn(t, db, newSignIn(db))
		mustUnlink(t, db, unlink(db, asking, asking.IdentityID), Unlinked)
		for _, c := range []struct {
			name string
			id   domain.SessionID
			want domain.EndReason
		}{
			{"the one that asks", asking.ID, ""},
			{"another of the identity", thief.ID, domain.EndedByUnlink},
			{"one of another identity", other.ID, ""},
			{"another account's", bystander.ID, ""},
		} {
			if v := mustSession(t, db, c.id); v.EndReason != c.want || (v.State == domain.SessionEnded) != (c.want != "") {
				t.Errorf("%s: state %d, %q", c.name, v.State, v.EndReason)
			}
		}
		events, err := db.Events(t.Context(), domain.AccountID{}, thief.ID, 10)
		if err != nil || len(events) != 2 || events[0].Action != "session.end" || events[0].Reason != "unlink" || events[0].AccountID != asking.AccountID {
			t.Errorf("trail %+v (%v)", events, err)
		}
	})
}

func TestAChangeWithASpentNonceChangesNothing(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		first := newSignIn(db)
		s, tablet := mustSignIn(t, db, first), mustSignIn(t, db, again(db, first))
		second := mustLink(t, db, newLink(db, s), Linked)
		u := unlink(db, s, s.IdentityID)
		spent, fresh := u.Nonces[0], Nonce{Hash: sum(), ExpiresAt: db.Now().Add(time.Minute)}
		spend(t, db, spent, true)
		before := mustRows(t, db)
		mustUnlink(t, db, u, UnlinkNonceSpent)
		_, err1 := db.EndAccountSession(t.Context(), s.AccountID, tablet.ID, domain.EndedByUser, domain.Event{}, fresh, spent)
		_, err2 := db.EndAccountSessions(t.Context(), s.AccountID, s.ID, domain.EndedByUser, domain.Event{}, fresh, spent)
		if !errors.Is(err1, ErrNonceSpent) || !errors.Is(err2, ErrNonceSpent) {
			t.Error(err1, err2)
		}
		if diff := cmp.Diff(before, mustRows(t, db)); diff != "" || mustSession(t, db, tablet.ID).State != domain.SessionLive {
			t.Error("something happened", diff)
		}
		n, err := db.EndAccountSessions(t.Context(), s.AccountID, s.ID, domain.EndedByUser, domain.Event{}, fresh)
		if err != nil || n != 1 {
			t.Errorf("the fresh one was spent by a refusal: ended %d (%v)", n, err)
		}
		u.IdentityID, u.Nonces = second, []Nonce{fresh}
		mustUnlink(t, db, u, UnlinkNonceSpent)
	})
}

func TestAChangeThatFailsSpendsNoNonce(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		first := newSignIn(db)
		s, tablet := mustSignIn(t, db, first), mustSignIn(t, db, again(db, first))
		mustLink(t, db, newLink(db, s), Linked)
		proof := Nonce{Hash: sum(), ExpiresAt: db.Now().Add(time.Minute)}
		u := unlink(db, s, s.IdentityID)
		u.Nonces = []Nonce{proof}
		run(t, db, "ALTER TABLE events RENAME TO mislaid") // whatever is changed now fails at its last step
		_, err1 := db.UnlinkIdentity(t.Context(), u)
		_, err2 := db.EndAccountSession(t.Context(), s.AccountID, tablet.ID, domain.EndedByUser, domain.Event{}, proof)
		_, err3 := db.EndAccountSessions(t.Context(), s.AccountID, s.ID, domain.EndedByUser, domain.Event{}, proof)
		if err1 == nil || err2 == nil || err3 == nil || errors.Is(errors.Join(err1, err2, err3), ErrNonceSpent) {
			t.Error(err1, err2, err3)
		}
		run(t, db, "ALTER TABLE mislaid RENAME TO events")
		if n, err := db.EndAccountSessions(t.Context(), s.AccountID, s.ID, domain.EndedByUser, domain.Event{}, proof); err != nil || n != 1 {
			t.Errorf("the same once more: ended %d (%v)", n, err)
		}
	})
}

func TestWhatIsToBeRevokedOutlivesItsIdentity(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := signInWithOutbox(t, db, 1)
		grant := &UpstreamGrant{IdentityID: s.IdentityID, ClientID: "com.example.app", AAD: "identities/1", Sealed: []byte("token")}
		if err := db.FinishOutbox(t.Context(), mustClaim(t, db, db.Now(), 5)[0].ID, grant, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		second, third := mustLink(t, db, newLink(db, s), Linked), mustLink(t, db, newLink(db, s), Linked)
		mustUnlink(t, db, unlink(db, s, s.IdentityID), Unlinked)
		list := mustClaim(t, db, db.Now(), 5)
		if len(list) != 1 || list[0].Kind != "apple.revoke" || list[0].AAD != "com.example.app identities/1" || string(list[0].Payload) != "token" {
			t.Fatalf("%+v", list)
		}
		if list[0].IdentityID == third {
			second, third = third, second
		}
		mustUnlink(t, db, unlink(db, s, second), Unlinked) // the one it hangs on, without a grant of its own
		if n := mustRows(t, db)["outbox"]; n != 1 {
			t.Errorf("%d items", n)
		}
		if err := db.FinishOutbox(t.Context(), list[0].ID, nil, domain.Event{}); err != nil || mustRows(t, db)["outbox"] != 0 {
			t.Error("it cannot be finished:", err)
		}
		if left := mustIdentities(t, db, s.AccountID); len(left) != 1 || left[0].ID != third {
			t.Errorf("left %+v", left)
		}
	})
}

func TestTheLastIdentityStays(t *testing.T) { // ID18
	onEachEngine(t, func(t *testing.T, db *DB) {
		s, other := mustSignIn(t, db, newSignIn(db)), mustSignIn(t, db, newSignIn(db))
		second := mustLink(t, db, newLink(db, s), Linked)
		for _, c := range []struct {
			name string
			id   domain.IdentityID
			want UnlinkVerdict
		}{
			{"another account's", other.IdentityID, UnlinkNotFound},
			{"one of two", s.IdentityID, Unlinked},
			{"gone already", s.IdentityID, UnlinkNotFound},
			{"the last", second, UnlinkLast},
		} {
			if got, err := db.UnlinkIdentity(t.Context(), unlink(db, s, c.id)); err != nil || got != c.want {
				t.Errorf("%s: verdict %d, want %d (%v)", c.name, got, c.want, err)
			}
		}
		want := []string{"account.create", "identity.link", "session.start", "identity.link", "identity.unlink"}
		if diff := cmp.Diff(want, actions(t, db, s.AccountID)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestParallelUnlinksLeaveOne(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		for range 10 {
			s := mustSignIn(t, db, newSignIn(db))
			ids := []domain.IdentityID{s.IdentityID, mustLink(t, db, newLink(db, s), Linked)}
			var gone atomic.Int32
			atOnce(2, func(i int) {
				verdict, err := db.UnlinkIdentity(t.Context(), unlink(db, s, ids[i]))
				if err != nil {
					t.Error(err)
				}
				if verdict == Unlinked {
					gone.Add(1)
				}
			})
			if left := len(mustIdentities(t, db, s.AccountID)); left != 1 || gone.Load() != 1 {
				t.Errorf("%d left, %d unlinked", left, gone.Load())
			}
		}
	})
}

func TestAccounts(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		for range 5 {
			mustSignIn(t, db, newSignIn(db))
		}
		var seen []domain.Account
		for after := (domain.AccountID{}); ; after = seen[len(seen)-1].ID {
			page, err := db.Accounts(t.Context(), after, 2)
			if err != nil {
				t.Fatal(err)
			}
			if seen = append(seen, page...); len(page) == 0 {
				break
			}
		}
		if len(seen) != 5 {
			t.Fatalf("%d accounts in pages of two", len(seen))
		}
		acc := seen[0]
		got, err := db.Account(t.Context(), acc.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(acc, *got); diff != "" {
			t.Error(diff)
		}
		for _, c := range []struct {
			state   domain.AccountState
			changed bool
		}{{domain.AccountDisabled, true}, {domain.AccountDisabled, false}, {domain.AccountActive, true}} {
			if changed, err := db.SetAccountState(t.Context(), acc.ID, c.state, domain.Event{}); err != nil || changed != c.changed {
				t.Errorf("%s: changed %t (%v)", c.state, changed, err)
			}
		}
		want := []string{"account.create", "identity.link", "session.start", "account.disable", "account.enable"}
		if diff := cmp.Diff(want, actions(t, db, acc.ID)); diff != "" {
			t.Error(diff)
		}
		missing := domain.AccountID(newID())
		_, err1 := db.Account(t.Context(), missing)
		_, err2 := db.AccountByIdentity(t.Context(), "https://accounts.google.com", "nobody")
		_, err3 := db.SetAccountState(t.Context(), missing, domain.AccountDisabled, domain.Event{})
		for _, err := range []error{err1, err2, err3} {
			if !errors.Is(err, ErrNotFound) {
				t.Error(err)
			}
		}
	})
}
