package store

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
)

// agree grants a flow with a consent.
func agree(t testing.TB, db *DB, c domain.Consent) {
	t.Helper()
	f := mustStart(t, db, newFlow(db))
	f.State, f.AccountID = domain.FlowGranted, c.AccountID
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
