package store

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
)

func TestRotationAdvancesTheRow(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := mustSignIn(t, db, newSignIn(db))
		r := rotation(db, s)
		r.Now = r.Now.Add(time.Minute)
		got := mustRotate(t, db, r)
		want := s
		want.IdleExpiresAt = r.Now.Add(s.IdleFor)
		want.Refresh.Counter, want.Refresh.KeyID, want.Refresh.Format = 1, 8, 2
		want.Refresh.PrevRotatedAt, want.Refresh.RotatedAt = s.Refresh.RotatedAt, r.Now
		wantView := domain.SessionView{Session: want, AccountState: domain.AccountActive, ClientState: domain.ClientLive}
		if diff := cmp.Diff(RotationResult{Advanced: true, Found: true, View: answerable(wantView)}, got); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(wantView, mustSession(t, db, s.ID)); diff != "" {
			t.Error("the row differs from the answer", diff)
		}
		retry := mustRotate(t, db, r)
		if diff := cmp.Diff(RotationResult{Found: true, View: wantView}, retry); diff != "" {
			t.Error("a retry of the parent", diff)
		}
	})
}

// answerable is what an advance returns of a row.
func answerable(v domain.SessionView) domain.SessionView {
	v.Session = domain.Session{
		ID: v.ID, AccountID: v.AccountID, ClientID: v.ClientID, Tier: v.Tier, JKT: v.JKT, Scope: v.Scope, Resources: v.Resources,
		AuthTime: v.AuthTime, State: v.State, Refresh: domain.Refresh{
			Counter: v.Refresh.Counter, SecretHash: v.Refresh.SecretHash, KeyID: v.Refresh.KeyID, Format: v.Refresh.Format,
		},
	}
	return v
}

func TestRotationIsRefusedUnlessEverythingFits(t *testing.T) {
	past := func(_ *testing.T, db *DB, s domain.Session) {
		setExpiry(t, db, s.ID, db.Now().Add(-time.Second), time.Time{})
	}
	cases := []struct {
		name   string
		before func(t *testing.T, db *DB, s domain.Session)
		alter  func(r *Rotation)
	}{
		{name: "a counter ahead (RT08)", alter: func(r *Rotation) { r.Counter++ }},
		{name: "another secret", alter: func(r *Rotation) { r.SecretHash = sum() }},
		{name: "another client (RT10)", alter: func(r *Rotation) { r.ClientID = "other" }},
		{name: "another key (RT11)", alter: func(r *Rotation) { r.JKT = "thief" }},
		{name: "no key (RT11)", alter: func(r *Rotation) { r.JKT = "" }},
		{name: "a default audience the client may not have", alter: func(r *Rotation) {
			r.Audiences = []string{"https://api.example.co", "https://api.example.com.evil", "https://id.example.com"}
		}},
		{name: "another granted audience does not stand in for it", before: func(t *testing.T, db *DB, s domain.Session) {
			run(t, db, "UPDATE sessions SET resources = 'https://api.example.com https://mail.example.com' WHERE id = $1", s.ID[:])
		}, alter: func(r *Rotation) { r.Audiences = []string{"https://mail.example.com"} }},
		{name: "idle too long (RT14)", before: past},
		{name: "past its absolute end (RT14)", before: func(t *testing.T, db *DB, s domain.Session) {
			setExpiry(t, db, s.ID, db.Now().Add(day), db.Now())
		}},
		{name: "the session ended", before: func(t *testing.T, db *DB, s domain.Session) {
			if ended, err := db.EndSession(t.Context(), s.ID, domain.EndedBySignOut, domain.Event{}); !ended || err != nil {
				t.Fatal(ended, err)
			}
		}},
		{name: "the account is disabled (RT15)", before: func(t *testing.T, db *DB, s domain.Session) {
			if _, err := db.SetAccountState(t.Context(), s.AccountID, domain.AccountDisabled, domain.Event{}); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "the client is disabled (RT15)", before: func(t *testing.T, db *DB, _ domain.Session) {
			if err := db.SetClientDisabled(t.Context(), "app", true, domain.Event{}); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "the client is no longer declared (RT15)", before: func(t *testing.T, db *DB, _ domain.Session) {
			if err := db.PutCatalog(t.Context(), domain.Catalog{}); err != nil {
				t.Fatal(err)
			}
		}},
	}
	onEachEngine(t, func(t *testing.T, db *DB) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Cleanup(func() { restoreClients(t, db) })
				s := mustSignIn(t, db, newSignIn(db))
				if c.before != nil {
					c.before(t, db, s)
				}
				r := rotation(db, s)
				if c.alter != nil {
					c.alter(&r)
				}
				got := mustRotate(t, db, r)
				if got.Advanced || !got.Found || got.View.Refresh.Counter != 0 {
					t.Errorf("advanced %t, found %t, counter %d", got.Advanced, got.Found, got.View.Refresh.Counter)
				}
				if diff := cmp.Diff(mustSession(t, db, s.ID), got.View); diff != "" {
					t.Error("the view is not the row", diff)
				}
			})
		}
		t.Run("no such session", func(t *testing.T) {
			r := rotation(db, newSignIn(db).Session)
			if got := mustRotate(t, db, r); got.Advanced || got.Found {
				t.Errorf("%+v", got)
			}
		})
	})
}

func TestRotationKnowsTheDefaultAudienceAmongSeveral(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		for _, granted := range [][]string{{"https://api.example.com"}, {"https://api.example.com", "https://mail.example.com"}} {
			in := newSignIn(db)
			in.Session.Resources = granted
			r := rotation(db, mustSignIn(t, db, in))
			for _, r.Audiences = range [][]string{nil, granted[:1], {"https://id.example.com", "https://api.example.com", "https://x.example.com"}} {
				if got := mustRotate(t, db, r); !got.Advanced {
					t.Errorf("granted %v, answerable %v: not advanced", granted, r.Audiences)
				}
				r.Counter++
			}
		}
	})
}

func setExpiry(t *testing.T, db *DB, id domain.SessionID, idle, absolute time.Time) {
	run(t, db, "UPDATE sessions SET idle_expires_at = $2, absolute_expires_at = $3 WHERE id = $1", id[:], micros(idle), micros(absolute))
}

func restoreClients(t *testing.T, db *DB) {
	ctx := context.Background()
	if err := errors.Join(db.PutCatalog(ctx, smallCatalog()), db.SetClientDisabled(ctx, "app", false, domain.Event{})); err != nil {
		t.Error(err)
	}
}

func TestABearerSessionIgnoresWhateverKeyComes(t *testing.T) { // RT12
	onEachEngine(t, func(t *testing.T, db *DB) {
		r := rotation(db, mustSignIn(t, db, bearer(newSignIn(db))))
		r.JKT = "thief"
		if got := mustRotate(t, db, r); !got.Advanced || got.View.JKT != "" {
			t.Errorf("advanced %t with key %q", got.Advanced, got.View.JKT)
		}
	})
}

func TestAStableSessionKeepsItsTokenAndIsExtended(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		in := bearer(newSignIn(db))
		in.Session.Tier = domain.TierStable
		s := mustSignIn(t, db, in)
		r := rotation(db, s)
		r.Now = r.Now.Add(time.Hour)
		got := mustRotate(t, db, r)
		want := s
		want.IdleExpiresAt = r.Now.Add(s.IdleFor)
		if diff := cmp.Diff(want, mustSession(t, db, s.ID).Session); !got.Advanced || diff != "" {
			t.Error(got.Advanced, diff)
		}
	})
}

func TestAHundredParallelRotationsAdvanceOnce(t *testing.T) { // RT02
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := mustSignIn(t, db, newSignIn(db))
		var advanced atomic.Int32
		atOnce(100, func(int) {
			got, err := db.RotateRefresh(t.Context(), rotation(db, s))
			switch {
			case err != nil:
				t.Error(err)
			case got.Advanced:
				advanced.Add(1)
			case got.View.Refresh.Counter != 1:
				t.Errorf("a loser saw counter %d", got.View.Refresh.Counter)
			}
		})
		if n := advanced.Load(); n != 1 {
			t.Errorf("%d advanced", n)
		}
		if v := mustSession(t, db, s.ID); v.Refresh.Counter != 1 {
			t.Errorf("counter %d", v.Refresh.Counter)
		}
	})
}

func TestParallelRotationsOfManySessionsEachGetTheirOwnVerdict(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		sessions := make([]domain.Session, 40)
		for i := range sessions {
			sessions[i] = mustSignIn(t, db, newSignIn(db))
		}
		atOnce(len(sessions), func(i int) {
			s := sessions[i]
			for range 5 {
				r := rotation(db, s)
				if i%4 == 0 {
					r.SecretHash = sum()
				}
				got, err := db.RotateRefresh(t.Context(), r)
				if err != nil {
					t.Error(err)
					return
				}
				if got.View.ID != s.ID || got.Advanced != (i%4 != 0) {
					t.Errorf("session %d: got the verdict of %s, advanced %t", i, got.View.ID, got.Advanced)
				}
				s = got.View.Session
			}
		})
		for i, s := range sessions {
			want := uint32(5)
			if i%4 == 0 {
				want = 0
			}
			if v := mustSession(t, db, s.ID); v.Refresh.Counter != want {
				t.Errorf("session %d: counter %d, want %d", i, v.Refresh.Counter, want)
			}
		}
	})
}

func TestNoRotationAdvancesAfterAnEndingReturned(t *testing.T) { // IR06
	onEachEngine(t, func(t *testing.T, db *DB) {
		for range 10 {
			s := mustSignIn(t, db, newSignIn(db))
			var ended atomic.Bool
			atOnce(9, func(i int) {
				if i == 0 {
					if ok, err := db.EndSession(t.Context(), s.ID, domain.EndedByUser, domain.Event{}); !ok || err != nil {
						t.Error(ok, err)
					}
					ended.Store(true)
					return
				}
				for mine, over := s, false; !over; {
					over = ended.Load()
					got, err := db.RotateRefresh(t.Context(), rotation(db, mine))
					if err != nil {
						t.Error(err)
						return
					}
					if over && got.Advanced {
						t.Error("advanced after the ending returned")
					}
					mine = got.View.Session
				}
			})
			if v := mustSession(t, db, s.ID); v.State != domain.SessionEnded {
				t.Error("the session lives")
			}
		}
	})
}

func TestACallerWhoIsGoneRotatesNothing(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := mustSignIn(t, db, newSignIn(db))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := db.RotateRefresh(ctx, rotation(db, s)); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if v := mustSession(t, db, s.ID); v.Refresh.Counter != 0 {
			t.Error("the row advanced")
		}
	})
}

func TestARotationWaitsForWhoeverHoldsItsRowAndHoldsUpNobodyElse(t *testing.T) {
	db := migrated(t, Options{URL: engines[1].url(t)})
	held, free := mustSignIn(t, db, newSignIn(db)), mustSignIn(t, db, newSignIn(db))
	tx, err := db.pool.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "SELECT 1 FROM sessions WHERE id = $1 FOR UPDATE", held.ID[:]); err != nil {
		t.Fatal(err)
	}
	waiting := make(chan RotationResult)
	go func() {
		got, err := db.RotateRefresh(context.Background(), rotation(db, held))
		if err != nil {
			t.Error(err)
		}
		waiting <- got
	}()
	for range 3 {
		got := mustRotate(t, db, rotation(db, free))
		if !got.Advanced {
			t.Fatal("another session was held up")
		}
		free = got.View.Session
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := <-waiting; !got.Advanced {
		t.Error("the rotation did not advance when the row was free")
	}
}

func TestLateRetriesAreCountedOncePerGeneration(t *testing.T) { // RT04
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := mustSignIn(t, db, bearer(newSignIn(db)))
		type call struct {
			rotate int // before it
			want   int
		}
		for i, c := range []call{{1, 1}, {0, 1}, {1, 2}, {0, 2}, {2, 1}, {1, 2}, {1, 3}, {0, 3}} {
			for range c.rotate {
				s = mustRotate(t, db, rotation(db, s)).View.Session
			}
			got, err := db.MarkLateRetry(t.Context(), s.ID, s.Refresh.Counter)
			if err != nil || got != c.want {
				t.Fatalf("call %d: streak %d, want %d (%v)", i, got, c.want, err)
			}
		}
		if got, err := db.MarkLateRetry(t.Context(), s.ID, s.Refresh.Counter-1); err != nil || got != 3 {
			t.Errorf("a generation that is over: streak %d (%v)", got, err)
		}
		if _, err := db.MarkLateRetry(t.Context(), domain.SessionID(newID()), 1); !errors.Is(err, ErrNotFound) {
			t.Error("no such session:", err)
		}
	})
}

func TestParallelLateRetriesCountOnce(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := mustSignIn(t, db, bearer(newSignIn(db)))
		s = mustRotate(t, db, rotation(db, s)).View.Session
		atOnce(20, func(int) {
			if got, err := db.MarkLateRetry(t.Context(), s.ID, 1); err != nil || got != 1 {
				t.Errorf("streak %d (%v)", got, err)
			}
		})
	})
}
