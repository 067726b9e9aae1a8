package store

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
)

func TestEndingASessionIsDoneOnceAndAudited(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := mustSignIn(t, db, newSignIn(db))
		at := db.Now()
		for _, want := range []bool{true, false} {
			e := domain.Event{At: at, Actor: "api-key key_1", RequestID: "req-2", IP: "198.51.100.0", Reason: "ignored"}
			if got, err := db.EndSession(t.Context(), s.ID, domain.EndedByAdmin, e); err != nil || got != want {
				t.Errorf("got %t, want %t (%v)", got, want, err)
			}
		}
		want := s
		want.State, want.EndReason, want.EndedAt = domain.SessionEnded, domain.EndedByAdmin, at
		if diff := cmp.Diff(want, mustSession(t, db, s.ID).Session); diff != "" {
			t.Error(diff)
		}
		events, err := db.Events(t.Context(), domain.AccountID{}, s.ID, 1)
		if err != nil {
			t.Fatal(err)
		}
		wantEvent := domain.Event{
			At: at, Action: "session.end", Actor: "api-key key_1", AccountID: s.AccountID, SessionID: s.ID, ClientID: "app",
			Reason: "admin", RequestID: "req-2", IP: "198.51.100.0",
		}
		if diff := cmp.Diff([]domain.Event{wantEvent}, events); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"account.create", "identity.link", "session.start", "session.end"}, actions(t, db, s.AccountID)); diff != "" {
			t.Error(diff)
		}
		if got, err := db.EndSession(t.Context(), domain.SessionID(newID()), domain.EndedByAdmin, domain.Event{}); got || err != nil {
			t.Errorf("no such session: %t (%v)", got, err)
		}
	})
}

func TestParallelEndingsEndASessionOnce(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := mustSignIn(t, db, newSignIn(db))
		var ended atomic.Int32
		atOnce(20, func(int) {
			ok, err := db.EndSession(t.Context(), s.ID, domain.EndedByReuse, domain.Event{})
			if err != nil {
				t.Error(err)
			}
			if ok {
				ended.Add(1)
			}
		})
		if n := ended.Load(); n != 1 || len(actions(t, db, s.AccountID)) != 4 {
			t.Errorf("%d endings, trail %v", n, actions(t, db, s.AccountID))
		}
	})
}

func TestOnlyTheAccountsOwnSessionIsEnded(t *testing.T) { // SE14
	onEachEngine(t, func(t *testing.T, db *DB) {
		mine, foreign := mustSignIn(t, db, newSignIn(db)), mustSignIn(t, db, newSignIn(db))
		if _, err := db.EndAccountSession(t.Context(), mine.AccountID, foreign.ID, domain.EndedByUser, domain.Event{}); !errors.Is(err, ErrNotFound) {
			t.Error("another account's session:", err)
		}
		if v := mustSession(t, db, foreign.ID); v.State != domain.SessionLive {
			t.Error("another account's session was ended")
		}
		for _, want := range []bool{true, false} {
			if got, err := db.EndAccountSession(t.Context(), mine.AccountID, mine.ID, domain.EndedByUser, domain.Event{}); err != nil || got != want {
				t.Errorf("got %t, want %t (%v)", got, want, err)
			}
		}
	})
}

func TestEndingAllSessionsSparesOne(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		first := newSignIn(db)
		sessions := []domain.Session{mustSignIn(t, db, first)}
		for range 4 {
			sessions = append(sessions, mustSignIn(t, db, again(db, first)))
		}
		bystander := mustSignIn(t, db, newSignIn(db))
		acc := sessions[0].AccountID
		n, err := db.EndAccountSessions(t.Context(), acc, sessions[2].ID, domain.EndedByUser, domain.Event{})
		if err != nil || n != 4 {
			t.Errorf("ended %d (%v)", n, err)
		}
		live, err := db.AccountSessions(t.Context(), acc, true)
		if err != nil || len(live) != 1 || live[0].ID != sessions[2].ID {
			t.Errorf("live: %v (%v)", live, err)
		}
		if v := mustSession(t, db, bystander.ID); v.State != domain.SessionLive {
			t.Error("another account's session was ended")
		}
		if n, err := db.EndAccountSessions(t.Context(), acc, domain.SessionID{}, domain.EndedByAdmin, domain.Event{}); err != nil || n != 1 {
			t.Errorf("nothing spared: ended %d (%v)", n, err)
		}
		trail := actions(t, db, acc)
		if n := len(slices.DeleteFunc(trail, func(a string) bool { return a != "session.end" })); n != 5 {
			t.Errorf("%d rows tell of 5 endings", n)
		}
	})
}

func TestSessionsAreListedNewestFirst(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		first := newSignIn(db)
		var want []domain.SessionID
		for i := range 4 {
			in := again(db, first)
			in.Session.CreatedAt = in.Session.CreatedAt.Add(time.Duration(i-4) * time.Hour)
			want = append([]domain.SessionID{mustSignIn(t, db, in).ID}, want...)
		}
		acc := mustSession(t, db, want[0]).AccountID
		setExpiry(t, db, want[1], db.Now().Add(-1), db.Now().Add(day))
		setExpiry(t, db, want[2], db.Now().Add(day), db.Now().Add(-1))
		if _, err := db.EndSession(t.Context(), want[3], domain.EndedByUser, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			liveOnly bool
			want     []domain.SessionID
		}{{false, want}, {true, want[:1]}} {
			list, err := db.AccountSessions(t.Context(), acc, c.liveOnly)
			if err != nil {
				t.Fatal(err)
			}
			var got []domain.SessionID
			for _, v := range list {
				got = append(got, v.ID)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("live only %t: %s", c.liveOnly, diff)
			}
		}
	})
}
