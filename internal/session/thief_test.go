package session

import (
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/oauth"
)

// RT01, rfc9700-4.14.2-03
func TestAnOldTokenEndsTheSession(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		for name, jkt := range map[string]string{"bearer": "", "bound": phoneKey} {
			a := h.signIn(t, phone, jkt)
			old := a.token
			a.refresh(t)
			h.clock.step(time.Minute)
			a.refresh(t)
			h.clock.step(time.Minute)

			ev := &event.Event{ID: "req-1"}
			_, err := h.s.Rotate(event.With(t.Context(), ev), a.presents(old))
			wantCode(t, err, oauth.InvalidGrant)
			a.ended(t, domain.EndedByReuse)
			if !hasField(ev, "security", "refresh.reuse") {
				t.Errorf("%s: the event says %v", name, ev.Attrs())
			}
			_, err = a.use(a.token)
			wantCode(t, err, oauth.InvalidGrant) // the successor is dead too

			rows, err := h.db.Events(t.Context(), domain.AccountID{}, a.id, 10)
			if err != nil {
				t.Fatal(err)
			}
			if len(rows) == 0 || rows[0].Action != "session.end" || rows[0].Reason != "reuse" || rows[0].RequestID != "req-1" {
				t.Errorf("%s: audit trail %+v", name, rows)
			}
		}
	})
}

func hasField(e *event.Event, key, value string) bool {
	for _, a := range e.Attrs() {
		if a.Key == key && a.Value.String() == value {
			return true
		}
	}
	return false
}

// RT04
func TestThreeLateGenerationsInARowEndABearerSession(t *testing.T) {
	lateGeneration := func(t *testing.T, h *house, a *signedIn) error {
		parent := a.token
		a.refresh(t)
		h.clock.step(time.Minute)
		_, err := a.use(parent)
		return err
	}
	onBothEngines(t, func(t *testing.T, h *house) {
		a := h.signIn(t, phone, "")
		for n := range 2 {
			if err := lateGeneration(t, h, a); err != nil {
				t.Fatalf("late generation %d: %v", n+1, err)
			}
		}
		wantCode(t, lateGeneration(t, h, a), oauth.InvalidGrant)
		a.ended(t, domain.EndedByReuse)

		b := h.signIn(t, phone, "")
		for range 4 { // a generation without a late retry starts the count anew
			for range 2 {
				if err := lateGeneration(t, h, b); err != nil {
					t.Fatal(err)
				}
			}
			b.refresh(t)
			h.clock.step(time.Minute)
		}
		b.ended(t, "")
	})
}

// RT07, rfc9700-4.14.2-03
func TestAThiefInLockStepIsFoundOut(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		for _, c := range []struct {
			name   string
			client *domain.Client
			within int // foreign uses
		}{
			{"grace of 60 s", browser, 1},
			{"grace of 24 h", phone, 3},
		} {
			a := h.signIn(t, c.client, "")
			thief := a.token
			uses := 0
			for range 60 {
				a.refresh(t)
				h.clock.step(15 * time.Minute)
				uses++
				r, err := a.use(thief)
				if err != nil {
					break
				}
				thief = string(r.Token)
			}
			a.ended(t, domain.EndedByReuse)
			if uses > c.within {
				t.Errorf("%s: found out at foreign use %d, want %d", c.name, uses, c.within)
			}
		}

		a := h.signIn(t, phone, phoneKey)
		for range 60 {
			stolen := a.token
			a.refresh(t)
			h.clock.step(15 * time.Minute)
			a.untouched(t, func() {
				for _, jkt := range []string{"", "jkt of the thief"} {
					if r, err := h.s.Rotate(t.Context(), Presented{Client: phone, Token: stolen, JKT: jkt}); err == nil {
						t.Fatalf("the thief got %v", r.Session.ID)
					}
				}
			})
		}
	})
}

// RT08
func TestACounterAheadChangesNothingAndRaisesAnAlarm(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		a := h.signIn(t, phone, phoneKey)
		ahead, _, _ := parse(a.token)
		ahead.counter = 5
		key, _ := h.keys.Key(ahead.keyID, keyring.RefreshMAC)
		ev := &event.Event{}
		a.untouched(t, func() {
			_, err := h.s.Rotate(event.With(t.Context(), ev), a.presents(string(ahead.mint(key))))
			wantCode(t, err, oauth.TemporarilyUnavailable)
		})
		if !hasField(ev, "alarm", "refresh.counter_ahead") {
			t.Errorf("no alarm: %v", ev.Attrs())
		}
		a.refresh(t)
	})
}

func TestAWrongSecretUnderOurMACRaisesAnAlarm(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		a := h.signIn(t, phone, "")
		forged, _, _ := parse(a.token)
		forged.secret[0] ^= 1
		key, _ := h.keys.Key(forged.keyID, keyring.RefreshMAC)
		ev := &event.Event{}
		a.untouched(t, func() {
			_, err := h.s.Rotate(event.With(t.Context(), ev), a.presents(string(forged.mint(key))))
			wantCode(t, err, oauth.InvalidGrant)
			_, ok, err := h.s.Authentic(t.Context(), string(forged.mint(key)))
			if ok || err != nil {
				t.Errorf("authentic %v, error %v", ok, err)
			}
		})
		if !hasField(ev, "alarm", "refresh.wrong_secret") {
			t.Errorf("no alarm: %v", ev.Attrs())
		}
	})
}

// RT09: with the database gone, whatever needs no query is still judged.
func TestForgedTokensCostNoQuery(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		a := h.signIn(t, phone, "")
		h.rotateDataKey(t) // the key of the token is old by now
		if err := h.db.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := a.use(a.token)
		wantCode(t, err, oauth.TemporarilyUnavailable) // TK14: never invalid_grant

		for i := range a.token {
			damaged := []byte(a.token)
			damaged[i] ^= 4
			_, err := a.use(string(damaged))
			wantCode(t, err, oauth.InvalidGrant)
		}
		otherKid, mac, _ := parse(a.token)
		for _, id := range []uint32{0, 1, otherKid.keyID - 4, otherKid.keyID + 1, 1<<32 - 1} {
			forged := otherKid
			forged.keyID = id
			_, err := a.use(string(forged.mint(mac[:])))
			wantCode(t, err, oauth.InvalidGrant)
		}
		_, err = a.use(strings.Repeat("cs_rt_", 1000))
		wantCode(t, err, oauth.InvalidGrant)
	})
}

// RT09: the answers are one, but an operator who restored a backup must see that a key is missing (docs/operations.md).
func TestTheLogTellsALostKeyFromAForgery(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		a := h.signIn(t, phone, phoneKey)
		lost, mac, _ := parse(a.token)
		lost.keyID += 4
		damaged := []byte(a.token)
		damaged[len(damaged)-1] ^= 1
		own, _, _ := parse(a.token)
		for token, want := range map[string]string{
			string(lost.mint(mac[:])): "unknown_key", string(own.mint(mac[:])): "forged", string(damaged): "forged", "": "forged",
		} {
			ev := &event.Event{}
			a.untouched(t, func() {
				_, err := h.s.Rotate(event.With(t.Context(), ev), a.presents(token))
				wantCode(t, err, oauth.InvalidGrant)
			})
			if !hasField(ev, "rotation", want) {
				t.Errorf("%q: the event says %v, want %s", token, ev.Attrs(), want)
			}
		}
	})
}

// RT10, RT11, RT12
func TestATokenInOtherHands(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		bound, bearer := h.signIn(t, phone, phoneKey), h.signIn(t, phone, "")
		for _, c := range []struct {
			name string
			a    *signedIn
			by   Presented
			want oauth.Code
		}{
			{"RT10: another public client", bearer, Presented{Client: browser}, oauth.InvalidGrant},
			{"RT10: a confidential client", bearer, Presented{Client: web}, oauth.InvalidGrant},
			{"RT10: another client with the right key", bound, Presented{Client: browser, JKT: phoneKey}, oauth.InvalidGrant},
			{"RT11: no proof", bound, Presented{Client: phone}, oauth.InvalidDPoPProof},
			{"RT11: another key", bound, Presented{Client: phone, JKT: "other"}, oauth.InvalidGrant},
		} {
			c.by.Token = c.a.token
			c.a.untouched(t, func() {
				_, err := h.s.Rotate(t.Context(), c.by)
				if err == nil {
					t.Errorf("%s: answered", c.name)
				}
				wantCode(t, err, c.want)
			})
		}

		// RT12: the proof of a bearer session's holder binds nothing.
		bearer.jkt = "a key"
		if r := bearer.refresh(t); r.Session.JKT != "" || r.Session.Tier != domain.TierBearer {
			t.Errorf("the session is %s and bound to %q", r.Session.Tier, r.Session.JKT)
		}
		bearer.jkt = "another key"
		bearer.refresh(t)
	})
}
