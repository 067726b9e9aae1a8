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
			if got, err := db.UnlinkIdentity(t.Context(), s.AccountID, c.id, domain.Event{}); err != nil || got != c.want {
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
				verdict, err := db.UnlinkIdentity(t.Context(), s.AccountID, ids[i], domain.Event{})
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
