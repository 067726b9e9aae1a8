package session

import (
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/oauth"
)

// ahead is the token the app would hold had the database not lost the last n rotations.
func (a *signedIn) ahead(t testing.TB, n uint32) string {
	t.Helper()
	h, _, ok := parse(a.token)
	key, known := a.h.keys.Key(h.keyID, keyring.RefreshMAC)
	if !ok || !known {
		t.Fatal("the token is none of ours")
	}
	h.counter += n
	return string(h.mint(key))
}

// forwards counts the rows of the trail that tell of a session which caught up.
func (a *signedIn) forwards(t testing.TB) (n int) {
	t.Helper()
	events, err := a.h.db.Events(t.Context(), domain.AccountID{}, a.id, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Action == "session.forward" && e.Reason == "refresh.counter_ahead" && e.AccountID == a.account && e.ClientID == a.client.ID {
			n++
		}
	}
	return n
}

// RT08
func TestADeclaredRecoveryTakesTokensAheadOfTheirRows(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		for name, jkt := range map[string]string{"bound": phoneKey, "bearer": ""} {
			a := h.signIn(t, phone, jkt)
			old := a.token
			a.refresh(t)
			held := a.ahead(t, 4)
			a.untouched(t, func() {
				_, err := a.use(held)
				wantCode(t, err, oauth.TemporarilyUnavailable)
			})

			h.s.RecoverUntil = h.clock.now().Add(time.Hour)
			const at = 20
			answers := make([]RefreshToken, at)
			var all sync.WaitGroup
			for i := range at {
				all.Go(func() {
					r, err := a.use(held)
					if err != nil {
						t.Errorf("%s: %v", name, err)
						return
					}
					answers[i] = r.Token
				})
			}
			all.Wait()
			for _, token := range answers {
				if token != answers[0] {
					t.Fatalf("%s: the parent has two successors", name)
				}
			}
			if row := a.row(t); row.Refresh.Counter != 6 || a.forwards(t) != 1 {
				t.Errorf("%s: counter %d and %d rows in the trail, want 6 and 1", name, row.Refresh.Counter, a.forwards(t))
			}
			a.token = string(answers[0])
			a.refresh(t)

			// what was so before is so again: an old token is reuse
			h.clock.step(time.Minute)
			_, err := a.use(old)
			wantCode(t, err, oauth.InvalidGrant)
			a.ended(t, domain.EndedByReuse)
			h.s.RecoverUntil = time.Time{}
		}
	})
}

// RT08
func TestADeclaredRecoveryIsForLiveSessionsAndTheirOwnKeysAndEnds(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		h.s.RecoverUntil = h.clock.now().Add(time.Hour)
		a := h.signIn(t, phone, phoneKey)
		thief := *a
		thief.jkt = "jkt-of-a-thief"
		a.untouched(t, func() {
			_, err := thief.use(a.ahead(t, 3))
			wantCode(t, err, oauth.InvalidGrant)
		})
		confidential := h.signIn(t, web, "")
		confidential.untouched(t, func() {
			_, err := confidential.use(confidential.ahead(t, 1))
			wantCode(t, err, oauth.TemporarilyUnavailable)
		})

		h.clock.step(time.Hour)
		a.untouched(t, func() {
			_, err := a.use(a.ahead(t, 3))
			wantCode(t, err, oauth.TemporarilyUnavailable)
		})
		h.s.RecoverUntil = h.clock.now().Add(time.Hour)
		if err := h.s.End(t.Context(), a.id, domain.EndedBySignOut); err != nil {
			t.Fatal(err)
		}
		a.untouched(t, func() {
			_, err := a.use(a.ahead(t, 3))
			wantCode(t, err, oauth.InvalidGrant)
		})
		if n := a.forwards(t) + confidential.forwards(t); n != 0 {
			t.Errorf("%d rows in the trail tell of sessions that caught up", n)
		}
	})
}
