package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
)

func mustRegister(t *testing.T, db *DB, id string, by domain.RegisteredBy) domain.Client {
	t.Helper()
	c := domain.Client{
		ID: id, Name: "App " + id, Type: domain.ClientWeb, DPoP: domain.DPoPAllowed, AuthMethod: domain.AuthNone,
		RedirectURIs: []string{"https://" + id + ".example/cb"}, Registered: by, RegisteredAt: db.Now(),
	}
	ok, err := db.AddRegistration(t.Context(), NewRegistration{Registration: Registration{Client: c, Metadata: "{}"}})
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	return c
}

func TestRegisteredClientsAreListedInPagesAndDeclaredOnesAreNot(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		var want []string
		for i := range 5 {
			want = append(want, mustRegister(t, db, fmt.Sprintf("client-%d", i), domain.RegisteredByAnybody).ID)
		}
		if err := db.SetClientDisabled(t.Context(), "client-3", true, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		var got []string
		for after := ""; ; after = got[len(got)-1] {
			page, err := db.RegisteredClients(t.Context(), after, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range page {
				got = append(got, c.ID)
				state := domain.ClientLive
				if c.ID == "client-3" {
					state = domain.ClientDisabled
				}
				if c.State != state || c.Name != "App "+c.ID || !c.UsedAt.Equal(c.RegisteredAt) || !c.Unverified() {
					t.Errorf("%+v", c)
				}
			}
			if len(page) < 2 {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		for _, id := range []string{"app", "nobody"} { // "app" is declared
			if _, err := db.ShowRegistered(t.Context(), id); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: %v", id, err)
			}
		}
	})
}

// RFC 7592 §2.3: with a client goes all it was given. A declared client is not taken away like this.
func TestARegisteredClientIsTakenAwayWithItsSessionsAndConsents(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		c := mustRegister(t, db, "stranger", domain.RegisteredByAnybody)
		in := newSignIn(db)
		in.Session.ClientID = c.ID
		mine := mustSignIn(t, db, in)
		other := mustSignIn(t, db, newSignIn(db))
		for _, id := range []string{c.ID, other.ClientID} {
			run(t, db, `INSERT INTO consents (account_id, client_id, scope, resources, granted_at) VALUES ($1, $2, 'openid', '', 1)`, mine.AccountID[:], id)
		}
		remove := func(id string) error {
			return db.RemoveRegistered(t.Context(), id, domain.EndedByAdmin, domain.Event{Actor: "api-key key_1"})
		}
		if err := remove(c.ID); err != nil {
			t.Fatal(err)
		}
		if s := mustSession(t, db, mine.ID); s.State != domain.SessionEnded || s.EndReason != domain.EndedByAdmin || s.Live(db.Now()) {
			t.Errorf("its session: %+v", s)
		}
		if s := mustSession(t, db, other.ID); !s.Live(db.Now()) {
			t.Errorf("somebody else's session: %+v", s)
		}
		consents, err := db.Consents(t.Context(), mine.AccountID)
		if err != nil || len(consents) != 1 || consents[0].ClientID != other.ClientID {
			t.Errorf("%+v, %v", consents, err)
		}
		if state, err := db.ClientState(t.Context(), c.ID); err != nil || state != domain.ClientUndeclared {
			t.Errorf("%v, %v", state, err)
		}
		for _, id := range []string{c.ID, other.ClientID, "nobody"} {
			if err := remove(id); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: %v", id, err)
			}
		}
		events, err := db.Events(t.Context(), domain.AccountID{}, domain.SessionID{}, 2)
		if err != nil || events[1].Action != "client.deregister" || events[1].ClientID != c.ID || events[0].Action != "session.end" {
			t.Errorf("%+v, %v", events, err)
		}
	})
}

func TestATokenIsSpentTogetherWithTheClientItLetsIn(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		token, hash := mustRegistrationToken(t, db, 2, time.Hour)
		add := func(id string) (bool, error) {
			c := domain.Client{ID: id, Registered: domain.RegisteredByToken, RegisteredAt: db.Now()}
			return db.AddRegistration(t.Context(), NewRegistration{Registration: Registration{Client: c, Metadata: "{}"}, Initial: hash})
		}
		if ok, err := add("first"); err != nil || !ok {
			t.Fatal(ok, err)
		}
		if _, err := add("first"); !errors.Is(err, ErrTaken) {
			t.Errorf("an id that is taken: %v", err)
		}
		if ok, err := add("second"); err != nil || !ok {
			t.Errorf("a use was lost without a client won: %t, %v", ok, err)
		}
		if ok, err := add("third"); err != nil || ok {
			t.Errorf("let in with no use left: %t, %v", ok, err)
		}
		events, err := db.Events(t.Context(), domain.AccountID{}, domain.SessionID{}, 1)
		if err != nil || events[0].Action != "client.register" || events[0].Reason != token.ID.String() {
			t.Errorf("%+v, %v", events, err)
		}
	})
}
