package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
)

// agree grants a flow with a consent.
func agree(t testing.TB, db *DB, c domain.Consent) {
	t.Helper()
	f := mustStart(t, db, newFlow(db))
	f.State, f.AccountID, f.Request = domain.FlowGranted, c.AccountID, domain.AuthRequest{Scope: c.Scope}
	if took, err := db.GrantFlow(t.Context(), f, &c, domain.Event{}); !took || err != nil {
		t.Fatal(took, err)
	}
}

func TestWhatIsAgreedToAddsUp(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		acc := mustSignIn(t, db, newSignIn(db)).AccountID
		grants := func() (n int) {
			for _, a := range actions(t, db, acc) {
				if a == "consent.grant" {
					n++
				}
			}
			return n
		}
		want := domain.Consent{AccountID: acc, ClientID: "app"}
		for i, c := range []struct {
			scope, resources []string
			rows             int
		}{
			{[]string{"openid"}, []string{"https://a.example"}, 1},
			{[]string{"openid"}, nil, 1}, // nothing new
			{[]string{"email", "openid"}, []string{"https://b.example"}, 2},
			{nil, nil, 2},
		} {
			given := domain.Consent{AccountID: acc, ClientID: "app", Scope: c.scope, Resources: c.resources, GrantedAt: db.Now()}
			if c.rows > grants() {
				want.Scope, want.Resources, want.GrantedAt = union(want.Scope, c.scope), union(want.Resources, c.resources), given.GrantedAt
			}
			agree(t, db, given)
			got, err := db.Consent(t.Context(), acc, "app")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, *got); diff != "" || grants() != c.rows {
				t.Errorf("step %d: %d rows of the trail, %s", i, grants(), diff)
			}
		}
		if diff := cmp.Diff([]string{"openid", "email"}, want.Scope); diff != "" {
			t.Error(diff)
		}
		agree(t, db, domain.Consent{AccountID: acc, ClientID: "other", Scope: []string{"openid"}, GrantedAt: db.Now()})
		list, err := db.Consents(t.Context(), acc)
		if err != nil || len(list) != 2 || list[0].ClientID != "other" {
			t.Errorf("%+v (%v)", list, err)
		}
	})
}

func TestAStepNotTakenAgreesToNothing(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := mustSignIn(t, db, newSignIn(db))
		f := mustStart(t, db, newFlow(db))
		f.Version--
		if took, err := db.GrantFlow(t.Context(), f, consentOf(db, s), domain.Event{}); took || err != nil {
			t.Error(took, err)
		}
		if _, err := db.Consent(t.Context(), s.AccountID, "app"); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		f.Version++
		if took, err := db.GrantFlow(t.Context(), f, nil, domain.Event{}); !took || err != nil {
			t.Error("nobody was asked:", took, err)
		}
	})
}

func TestParallelConsentsLoseNothing(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		acc := mustSignIn(t, db, newSignIn(db)).AccountID
		var flows []domain.Flow
		for range 10 {
			flows = append(flows, mustStart(t, db, newFlow(db)))
		}
		atOnce(len(flows), func(i int) {
			c := domain.Consent{AccountID: acc, ClientID: "app", Scope: []string{fmt.Sprintf("scope-%d", i)}, GrantedAt: db.Now()}
			if took, err := db.GrantFlow(t.Context(), flows[i], &c, domain.Event{}); !took || err != nil {
				t.Error(took, err)
			}
		})
		got, err := db.Consent(t.Context(), acc, "app")
		if err != nil || len(got.Scope) != len(flows) {
			t.Errorf("%+v (%v)", got, err)
		}
	})
}

func TestAWithdrawnConsentEndsTheClientsSessions(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		first := newSignIn(db)
		mine, bystander := mustSignIn(t, db, first), mustSignIn(t, db, newSignIn(db))
		elsewhere := again(db, first)
		elsewhere.Session.ClientID = "other"
		kept := mustSignIn(t, db, elsewhere)
		agree(t, db, *consentOf(db, mine))
		agree(t, db, *consentOf(db, bystander))
		for _, want := range []bool{true, false} {
			if found, err := db.WithdrawConsent(t.Context(), mine.AccountID, "app", domain.Event{}); found != want || err != nil {
				t.Errorf("found %t, want %t (%v)", found, want, err)
			}
		}
		if v := mustSession(t, db, mine.ID); v.EndReason != domain.EndedByConsent {
			t.Errorf("%+v", v)
		}
		for _, s := range []domain.Session{kept, bystander} {
			if v := mustSession(t, db, s.ID); v.State != domain.SessionLive {
				t.Errorf("%+v", v)
			}
		}
		if _, err := db.Consent(t.Context(), bystander.AccountID, "app"); err != nil {
			t.Error("another account's:", err)
		}
		want := []string{"account.create", "identity.link", "session.start", "session.start", "consent.grant", "consent.withdraw", "session.end"}
		if diff := cmp.Diff(want, actions(t, db, mine.AccountID)); diff != "" {
			t.Error(diff)
		}
	})
}

// Two tabs: in one the person withdraws what they agreed to, in the other they agree to something small. What was withdrawn
// does not come back with it.
func TestAWithdrawnConsentDoesNotComeBackWithAnother(t *testing.T) {
	db := migrated(t, Options{URL: engines[1].url(t)})
	s := mustSignIn(t, db, newSignIn(db))
	agree(t, db, domain.Consent{AccountID: s.AccountID, ClientID: "app", Scope: []string{"openid", "mail.read"}, GrantedAt: db.Now()})
	f := mustStart(t, db, newFlow(db)) // of a browser that was signed in already: the flow has no account yet
	tx, err := db.pool.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readConsent(t.Context(), tx, s.AccountID, "app", " FOR UPDATE"); err != nil { // holds the withdrawal up half-way
		t.Fatal(err)
	}
	withdrawn, granted := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := db.WithdrawConsent(context.Background(), s.AccountID, "app", domain.Event{})
		withdrawn <- err
	}()
	until(t, func() error { return mustWait(t, db, 1) })
	go func() {
		f.State, f.AccountID = domain.FlowGranted, s.AccountID
		small := domain.Consent{AccountID: s.AccountID, ClientID: "app", Scope: []string{"openid", "todos.read"}, GrantedAt: db.Now()}
		_, err := db.GrantFlow(context.Background(), f, &small, domain.Event{})
		granted <- err
	}()
	until(t, func() error { return mustWait(t, db, 2) })
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(<-withdrawn, <-granted); err != nil {
		t.Fatal(err)
	}
	c, err := db.Consent(t.Context(), s.AccountID, "app")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"openid", "todos.read"}, c.Scope); diff != "" {
		t.Error(diff)
	}
}

// Whoever unlinks or withdraws holds the account and wants its flows: a grant that has to wait for the account must not
// hold its flow meanwhile, or they wait for each other.
func TestAGrantThatWaitsForTheAccountHoldsNothing(t *testing.T) {
	db := migrated(t, Options{URL: engines[1].url(t)})
	s := mustSignIn(t, db, newSignIn(db))
	f := mustStart(t, db, newFlow(db))
	f.State, f.AccountID = domain.FlowSignedIn, s.AccountID
	if took, err := db.StepFlow(t.Context(), f); !took || err != nil {
		t.Fatal(took, err)
	}
	tx, err := db.pool.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := db.lockAccount(t.Context(), tx, s.AccountID); err != nil {
		t.Fatal(err)
	}
	took := make(chan bool, 1)
	go func() {
		f.State, f.Version = domain.FlowGranted, f.Version+1
		granted, err := db.GrantFlow(context.Background(), f, consentOf(db, s), domain.Event{})
		if err != nil {
			t.Error(err)
		}
		took <- granted
	}()
	until(t, func() error { return mustWait(t, db, 1) })
	if _, err := tx.ExecContext(t.Context(), "SET LOCAL lock_timeout = '300ms'"); err != nil {
		t.Fatal(err)
	}
	if err := refuseFlows(t.Context(), tx, s.AccountID, ""); err != nil {
		t.Error("the flow is held:", err)
	}
	_ = tx.Commit()
	if <-took {
		t.Error("what was refused was granted")
	}
}

// Asked anew, the person may leave out what they agreed to before: then it is not agreed to any more. What they were not
// asked about stays.
func TestWhatIsLeftOutWhenAskedAgainIsNoLongerAgreedTo(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		acc := mustSignIn(t, db, newSignIn(db)).AccountID
		grant := func(asked, agreed string) []string {
			t.Helper()
			f := newFlow(db)
			f.Request = domain.AuthRequest{ClientID: "app", Scope: strings.Fields(asked)}
			f = mustStart(t, db, f)
			f.State, f.AccountID = domain.FlowGranted, acc
			c := domain.Consent{AccountID: acc, ClientID: "app", Scope: strings.Fields(agreed), GrantedAt: db.Now()}
			if took, err := db.GrantFlow(t.Context(), f, &c, domain.Event{}); !took || err != nil {
				t.Fatal(took, err)
			}
			now, err := db.Consent(t.Context(), acc, "app")
			if err != nil {
				t.Fatal(err)
			}
			return now.Scope
		}
		for _, c := range []struct{ asked, agreed, want string }{
			{"openid email mail.read", "openid email mail.read", "openid email mail.read"},
			{"openid mail.read", "openid", "openid email"},
			{"openid", "openid", "openid email"},
			{"openid todos.read email", "openid todos.read", "openid todos.read"},
		} {
			if diff := cmp.Diff(strings.Fields(c.want), grant(c.asked, c.agreed)); diff != "" {
				t.Errorf("asked for %s, and agreed to %s: %s", c.asked, c.agreed, diff)
			}
		}
		n := 0
		for _, a := range actions(t, db, acc) {
			if a == "consent.grant" {
				n++
			}
		}
		if n != 3 {
			t.Errorf("%d rows of the trail", n)
		}
	})
}
