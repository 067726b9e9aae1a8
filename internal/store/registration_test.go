package store

import (
	"errors"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// newRegistration is a client that let itself in at a time.
func newRegistration(id string, at time.Time) NewRegistration {
	return NewRegistration{
		Registration: Registration{
			Client:   domain.Client{ID: id, Type: domain.ClientNative, Registered: domain.RegisteredByToken, RegisteredAt: at.Truncate(time.Microsecond).UTC()},
			Metadata: "{}",
		},
		Token: sum(),
	}
}

func added(t *testing.T, db *DB, r NewRegistration) {
	t.Helper()
	if ok, err := db.AddRegistration(t.Context(), r); err != nil || !ok {
		t.Fatal(ok, err)
	}
}

func TestAnInitialTokenIsSpentOnlyWithAClient(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		now, hash := db.Now(), sum()
		token := domain.RegistrationToken{ID: domain.NewID[domain.RegistrationTokenID](), Name: "x", UsesLeft: 1, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
		if err := db.CreateRegistrationToken(t.Context(), token, hash, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		taken := newRegistration("app", now) // the id of a declared client
		taken.Initial = hash
		if _, err := db.AddRegistration(t.Context(), taken); !errors.Is(err, ErrTaken) {
			t.Fatal(err)
		}
		first, second := newRegistration("dyn_1", now), newRegistration("dyn_2", now)
		first.Initial, second.Initial = hash, hash
		added(t, db, first)
		if ok, err := db.AddRegistration(t.Context(), second); ok || err != nil {
			t.Error("a spent token let one in", err)
		}
		if _, err := db.RegisteredClient(t.Context(), "dyn_2"); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	})
}

func TestTheFileNeitherTakesNorKeepsWhatRegisteredItself(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		r := newRegistration("dyn_1", db.Now())
		added(t, db, r)
		if err := db.PutCatalog(t.Context(), smallCatalog()); err != nil {
			t.Fatal(err)
		}
		if _, err := db.RegisteredClient(t.Context(), "dyn_1"); err != nil {
			t.Error("the file withdrew it:", err)
		}
		own := smallCatalog()
		own.Clients = append(own.Clients, domain.Client{ID: "dyn_1", Type: domain.ClientWeb})
		if err := db.PutCatalog(t.Context(), own); err != nil {
			t.Fatal(err)
		}
		// Now it is the operator's: its token manages it no longer.
		if ok, err := db.ReplaceRegistration(t.Context(), r.Registration, r.Token, domain.Event{}); ok || err != nil {
			t.Error("replaced", err)
		}
		if ok, err := db.DeleteRegistration(t.Context(), "dyn_1", r.Token, domain.Event{}); ok || err != nil {
			t.Error("deleted", err)
		}
		r.Client.Registered = domain.RegisteredByDocument
		if ok, err := db.PutDocument(t.Context(), r.Registration, domain.Event{}); ok || err != nil {
			t.Error("overwritten by a document", err)
		}
	})
}

func TestTheUseOfAClientIsNotedOnceADay(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		now := db.Now()
		added(t, db, newRegistration("dyn_1", now))
		var last time.Time
		for _, step := range []struct {
			after time.Duration
			noted bool
		}{{time.Minute, true}, {time.Hour, false}, {23 * time.Hour, false}, {25 * time.Hour, true}} {
			c, err := db.RegisteredClient(t.Context(), "dyn_1")
			if err != nil {
				t.Fatal(err)
			}
			if err := db.TouchRegistration(t.Context(), c, now.Add(step.after)); err != nil {
				t.Fatal(err)
			}
			if c, err = db.RegisteredClient(t.Context(), "dyn_1"); err != nil || c.UsedAt.After(last) != step.noted {
				t.Errorf("after %v: %v %v", step.after, c.UsedAt, err)
			}
			last = c.UsedAt
		}
	})
}

func TestADisabledRegistrationStaysDisabled(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		now := db.Now()
		r := newRegistration("https://app.example/client", now).Registration
		r.Client.Registered, r.FetchedAt, r.FreshUntil = domain.RegisteredByDocument, now, now
		if ok, err := db.PutDocument(t.Context(), r, domain.Event{}); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if err := db.SetClientDisabled(t.Context(), r.Client.ID, true, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Sweep(t.Context(), now.Add(1000*day)); err != nil {
			t.Fatal(err)
		}
		if ok, err := db.PutDocument(t.Context(), r, domain.Event{}); !ok || err != nil {
			t.Error(ok, err)
		}
		if state, err := db.ClientState(t.Context(), r.Client.ID); err != nil || state != domain.ClientDisabled {
			t.Error(state, err)
		}
	})
}
