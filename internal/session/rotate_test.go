package session

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
)

const phoneKey = "jkt-of-the-phone"

func TestEveryRefreshAdvancesTheOneRow(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		for name, a := range map[string]*signedIn{"bound": h.signIn(t, phone, phoneKey), "bearer": h.signIn(t, phone, "")} {
			before, err := h.db.Rows(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]bool{a.token: true}
			for n := uint32(1); n <= 5; n++ {
				h.clock.step(time.Hour)
				r := a.refresh(t)
				if r.Retry || r.Session.Refresh.Counter != n || seen[a.token] {
					t.Errorf("%s: refresh %d: retry %v, counter %d, token seen before %v", name, n, r.Retry, r.Session.Refresh.Counter, seen[a.token])
				}
				seen[a.token] = true
				row := a.row(t)
				if idle := row.IdleExpiresAt.Sub(h.db.Now()); idle < row.IdleFor-time.Second {
					t.Errorf("%s: idle time was not extended: %s", name, idle)
				}
			}
			after, err := h.db.Rows(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for table, n := range after {
				if n != before[table] {
					t.Errorf("%s: refreshing changed the rows of %s from %d to %d", name, table, before[table], n)
				}
			}
		}
	})
}

func TestAConfidentialClientKeepsItsToken(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		a := h.signIn(t, web, "")
		first, idle := a.token, a.row(t).IdleExpiresAt
		for range 3 {
			h.clock.step(24 * time.Hour)
			a.jkt = "another key each time"
			if r := a.refresh(t); r.Retry || r.Session.Refresh.Counter != 0 {
				t.Errorf("retry %v, counter %d", r.Retry, r.Session.Refresh.Counter)
			}
		}
		if a.token != first {
			t.Error("the token changed")
		}
		if !a.row(t).IdleExpiresAt.After(idle) {
			t.Error("idle time was not extended")
		}
	})
}

// RT02
func TestAHundredAtOnceOnTwoNodesGetOneSuccessor(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		nodes := []*Service{h.s, h.another(t).s}
		for _, jkt := range []string{"", phoneKey} {
			a := h.signIn(t, phone, jkt)
			tokens, errs := make([]RefreshToken, 100), make([]error, 100)
			var all sync.WaitGroup
			for i := range tokens {
				all.Go(func() {
					r, err := nodes[i%2].Rotate(t.Context(), a.presents(a.token))
					if errs[i] = err; err == nil {
						tokens[i] = r.Token
					}
				})
			}
			all.Wait()
			for i, err := range errs {
				if err != nil || tokens[i] != tokens[0] {
					t.Fatalf("call %d: same token %v, error %v", i, tokens[i] == tokens[0], err)
				}
			}
			if c := a.row(t).Refresh.Counter; c != 1 {
				t.Errorf("counter %d", c)
			}
		}
	})
}

// RT03
func TestALostAnswerIsGivenAgain(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		for _, c := range []struct {
			name   string
			client *domain.Client
			jkt    string
			after  time.Duration
			ok     bool
		}{
			{"bound, 1 s", phone, phoneKey, time.Second, true},
			{"bound, 55 s", phone, phoneKey, 55 * time.Second, true},
			{"bound, 8 h", phone, phoneKey, 8 * time.Hour, true},
			{"bound, 30 d", phone, phoneKey, 30 * 24 * time.Hour, true},
			{"native bearer, 1 s", phone, "", time.Second, true},
			{"native bearer, 8 h", phone, "", 8 * time.Hour, true},
			{"native bearer, 30 d", phone, "", 30 * 24 * time.Hour, false},
			{"browser bearer, 55 s", browser, "", 55 * time.Second, true},
			{"browser bearer, 8 h", browser, "", 8 * time.Hour, false},
		} {
			a := h.signIn(t, c.client, c.jkt)
			parent := a.token
			a.refresh(t)
			expires := a.row(t).IdleExpiresAt
			h.clock.step(c.after)
			r, err := a.use(parent)
			if !c.ok {
				wantCode(t, err, oauth.InvalidGrant)
				a.ended(t, domain.EndedByReuse)
				continue
			}
			if err != nil || !r.Retry || string(r.Token) != a.token {
				t.Errorf("%s: %+v, error %v", c.name, r, err)
			}
			if !a.row(t).IdleExpiresAt.Equal(expires) {
				t.Errorf("%s: the retry extended the idle time (RT14)", c.name)
			}
		}
	})
}

// RT06
func TestADelayedDuplicateIsNoReuse(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		for _, jkt := range []string{"", phoneKey} {
			a := h.signIn(t, phone, jkt)
			delayed := a.token
			a.refresh(t)
			h.clock.step(4 * time.Second)
			a.refresh(t)
			h.clock.step(4 * time.Second)
			a.untouched(t, func() {
				_, err := a.use(delayed)
				wantCode(t, err, oauth.TemporarilyUnavailable)
			})
			a.refresh(t)
		}
	})
}

// I4: an hour-old token is retried, the answer used, and a copy of the retry comes last.
func TestACopyOfARetryDoesNotEndABoundSession(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		a := h.signIn(t, phone, phoneKey)
		lost := a.token
		if _, err := a.use(lost); err != nil { // the answer is lost
			t.Fatal(err)
		}
		h.clock.step(time.Hour)
		a.refresh(t)
		a.refresh(t)
		h.clock.step(3 * time.Second)
		a.untouched(t, func() {
			_, err := a.use(lost)
			wantCode(t, err, oauth.TemporarilyUnavailable)
		})
		a.refresh(t)
	})
}

// RT14
func TestSessionsEndByTime(t *testing.T) {
	const day = 24 * time.Hour
	onBothEngines(t, func(t *testing.T, h *house) {
		for _, c := range []struct {
			name        string
			client      *domain.Client
			jkt         string
			every, upTo time.Duration // refreshed so often, and alive so long
		}{
			{"bound, every 89 days, for ever", phone, phoneKey, 89 * day, 890 * day},
			{"bound, idle for 90 days", phone, phoneKey, 90 * day, 0},
			{"native bearer, monthly, for a year", phone, "", 30 * day, 360 * day},
			{"native bearer, idle for 60 days", phone, "", 60 * day, 0},
			{"browser, every ten days, for thirty", browser, "", 10 * day, 20 * day},
			{"browser, idle for 14 days", browser, "", 14 * day, 0},
		} {
			a := h.signIn(t, c.client, c.jkt)
			for lived := c.every; lived <= c.upTo; lived += c.every {
				h.clock.step(c.every)
				a.refresh(t)
			}
			if c.jkt != "" && c.upTo > 0 {
				continue
			}
			h.clock.step(c.every)
			_, err := a.use(a.token)
			if err == nil {
				t.Errorf("%s: it still lives", c.name)
			}
			wantCode(t, err, oauth.InvalidGrant)
		}
	})
}

// RT15, IR06
func TestWhatASessionHangsOnMustLive(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		for _, c := range []struct {
			name string
			says string // whether signing in again will help
			end  func(a *signedIn) error
		}{
			{"account disabled", "The account is disabled. Signing in again will not help", func(a *signedIn) error {
				_, err := h.db.SetAccountState(ctx, a.account, domain.AccountDisabled, domain.Event{At: h.db.Now()})
				return err
			}},
			{"signed out", "This session has ended. Sign in again.", func(a *signedIn) error { return h.s.End(ctx, a.id, domain.EndedBySignOut) }},
			{"ended twice", "This session has ended. Sign in again.", func(a *signedIn) error {
				if err := h.s.End(ctx, a.id, domain.EndedByUser); err != nil {
					return err
				}
				return h.s.End(ctx, a.id, domain.EndedByAdmin)
			}},
			{"ended, and the account disabled", "This session has ended. Sign in again.", func(a *signedIn) error {
				_, err := h.db.SetAccountState(ctx, a.account, domain.AccountDisabled, domain.Event{At: h.db.Now()})
				return errors.Join(err, h.s.End(ctx, a.id, domain.EndedBySignOut))
			}},
			{"client disabled", "This client is disabled. Signing in again will not help", func(*signedIn) error {
				return h.db.SetClientDisabled(ctx, phone.ID, true, domain.Event{At: h.db.Now()})
			}},
		} {
			a := h.signIn(t, phone, phoneKey)
			parent := a.token
			a.refresh(t)
			if err := c.end(a); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			for _, token := range []string{a.token, parent} {
				a.untouched(t, func() {
					_, err := a.use(token)
					if err == nil {
						t.Errorf("%s: answered", c.name)
					}
					wantCode(t, err, oauth.InvalidGrant)
					if got := oauth.AsError(err).Description; !strings.HasPrefix(got, c.says) {
						t.Errorf("%s: %q", c.name, got)
					}
				})
			}
		}
	})
}

// RT15: a file on another node withdrew the client, and this node's catalog has yet to hear of it. The refresh is refused
// as clientauth refuses an unknown client, and the person is still signed in when the file is mended.
func TestAnUndeclaredClientSignsNobodyOut(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		declare := func(clients ...domain.Client) {
			t.Helper()
			if err := h.db.PutCatalog(t.Context(), domain.Catalog{Clients: clients}); err != nil {
				t.Fatal(err)
			}
		}
		a, b := h.signIn(t, phone, phoneKey), h.signIn(t, phone, "")
		w := h.signIn(t, web, "")
		disable := func(disabled bool) {
			t.Helper()
			if err := h.db.SetClientDisabled(t.Context(), phone.ID, disabled, domain.Event{At: h.db.Now()}); err != nil {
				t.Fatal(err)
			}
		}
		refused := func() {
			t.Helper()
			for _, a := range []*signedIn{a, b, w} {
				a.untouched(t, func() {
					_, err := a.use(a.token)
					wantCode(t, err, oauth.InvalidClient)
					if e := oauth.AsError(err); e.Description != oauth.UnknownClient(nil).Description {
						t.Errorf("it can be told from an unknown client: %q", e.Description)
					}
				})
			}
		}
		grandparent := b.token
		for range 2 {
			a.refresh(t)
			b.refresh(t)
		}
		h.clock.step(time.Hour)
		declare()
		refused()
		b.untouched(t, func() { // not even reuse is judged
			_, err := b.use(grandparent)
			wantCode(t, err, oauth.InvalidClient)
		})
		disable(true)
		refused()
		declare(*phone, *browser, *web)
		_, err := a.use(a.token)
		wantCode(t, err, oauth.InvalidGrant) // disabled, and declared: an operator's decision
		disable(false)
		a.refresh(t)
		b.refresh(t)
		w.refresh(t)
	})
}

// RT17, RT20
func TestARetryIsAnsweredAcrossRestartsAndKeys(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		bound, bearer := h.signIn(t, phone, phoneKey), h.signIn(t, phone, "")
		parent, old := bound.token, bearer.token
		for _, a := range []*signedIn{bound, bearer} {
			a.refresh(t)
		}
		h.rotateDataKey(t)
		h.restart(t)
		h.rotateDataKey(t)
		if r, err := bound.use(parent); err != nil || string(r.Token) != bound.token {
			t.Errorf("the retry under new keys: same token %v, error %v", err == nil && string(r.Token) == bound.token, err)
		}
		was, _, _ := parse(bound.token)
		bound.refresh(t)
		if is, _, _ := parse(bound.token); is.keyID == was.keyID || is.secret != was.secret || is.counter != was.counter+1 {
			t.Errorf("the next token: key %d after %d, counter %d after %d", is.keyID, was.keyID, is.counter, was.counter)
		}

		bearer.refresh(t)
		h.clock.step(time.Minute)
		h.restart(t)
		_, err := bearer.use(old)
		wantCode(t, err, oauth.InvalidGrant)
		bearer.ended(t, domain.EndedByReuse)
	})
}

// RT20: a newer release advanced the session with a format or a key that this node cannot write.
func TestARetryThisNodeCannotAnswerWaits(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		for name, c := range map[string]struct {
			keyID  uint32
			format uint8
		}{"another format": {h.keys.Current(), 2}, "another key": {8, format1}} {
			a := h.signIn(t, phone, phoneKey)
			p, _, _ := parse(a.token)
			_, err := h.db.RotateRefresh(t.Context(), store.Rotation{
				Now: h.db.Now(), SessionID: a.id, ClientID: phone.ID, SecretHash: p.secretHash(), JKT: phoneKey,
				KeyID: c.keyID, Format: c.format,
			})
			if err != nil {
				t.Fatal(err)
			}
			ev := &event.Event{}
			a.untouched(t, func() {
				_, err := h.s.Rotate(event.With(t.Context(), ev), a.presents(a.token))
				wantCode(t, err, oauth.TemporarilyUnavailable)
			})
			if !hasField(ev, "alarm", "refresh.unknown_key_or_format") {
				t.Errorf("%s: no alarm: %v", name, ev.Attrs())
			}
		}
	})
}

// RT19
func TestRetriesAreLimited(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		a := h.signIn(t, phone, phoneKey)
		parent := a.token
		a.refresh(t)
		for range 50 { // prompt ones do not count
			if _, err := a.use(parent); err != nil {
				t.Fatal(err)
			}
		}
		h.clock.step(2 * time.Second)
		for i := range 10 {
			if _, err := a.use(parent); err != nil {
				t.Fatalf("retry %d: %v", i+1, err)
			}
		}
		a.untouched(t, func() {
			_, err := a.use(parent)
			wantCode(t, err, oauth.TooManyRequests)
		})
		h.clock.step(time.Minute)
		if _, err := a.use(parent); err != nil {
			t.Errorf("a minute later: %v", err)
		}
		a.refresh(t)
	})
}

func TestRefreshesAreLimited(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		a := h.signIn(t, phone, phoneKey)
		for range 60 {
			a.refresh(t)
		}
		a.untouched(t, func() {
			_, err := a.use(a.token)
			wantCode(t, err, oauth.TooManyRequests)
		})
		h.clock.step(2 * time.Second)
		a.refresh(t)
	})
}

// TK14: a caller who is gone before the update leaves nothing behind.
func TestACallerWhoIsGoneChangesNothing(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		a := h.signIn(t, phone, phoneKey)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		a.untouched(t, func() {
			_, err := h.s.Rotate(ctx, a.presents(a.token))
			wantCode(t, err, oauth.TemporarilyUnavailable)
		})
		a.refresh(t)
	})
}

// A node that was given no line of the new master key cannot open the next data key. That is no verdict on anybody's
// token, and it must not write down that it minted with a key it does not have: nobody could ever answer a retry.
func TestANodeThatCannotOpenTheKeysDecidesNothing(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		before, after := h.signIn(t, phone, phoneKey), h.signIn(t, phone, phoneKey)
		both, err := keyring.ParseMaster([]byte(keyring.NewMasterLine() + "\n" + h.line))
		if err != nil {
			t.Fatal(err)
		}
		abreast := h.anotherUnder(t, both)
		abreast.rotateDataKey(t)
		after.h = abreast
		after.refresh(t)
		if err := h.keys.Turn(t.Context()); err == nil {
			t.Fatal("the node opened the new key")
		}
		for _, a := range []*signedIn{before, after} {
			a.untouched(t, func() {
				_, err := h.s.Rotate(t.Context(), a.presents(a.token))
				wantCode(t, err, oauth.TemporarilyUnavailable)
			})
			a.h = abreast
			a.refresh(t)
		}
	})
}
