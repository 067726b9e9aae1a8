package session

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/keyring"
)

// rotator is the thing under test: the Service, or one of the wrong ones of mutants_test.go.
type rotator interface {
	Rotate(ctx context.Context, p Presented) (*Rotated, error)
}

// step is one thing that happens in a history.
type step struct {
	After time.Duration // the clock steps first
	Do    string
	Who   int // which app
	N     int // how many at once, or how far back
}

// The steps. The earlier ones are drawn more often. Steps of the clock avoid the bounds of the table themselves:
// those are for judge_test.go.
var (
	doings = []string{
		"refresh", "late retry", "refresh at once", "overtaken copy", "thief refreshes", "refresh and lose the answer",
		"refresh", "refresh and lose the answer", "copy a request", "steal", "thief refreshes", "thief without key",
		"other client", "token ahead", "turn keys", "sign out during refresh", "disable", "enable", "enable", "enable",
		"sign out", "restart",
	}
	pauses = []time.Duration{
		0, 0, 0, 0, 0, 1100 * time.Millisecond, 1100 * time.Millisecond, 3300 * time.Millisecond, 3300 * time.Millisecond,
		8700 * time.Millisecond, 11300 * time.Millisecond, 11300 * time.Millisecond, 55 * time.Second, 61 * time.Second,
		11 * time.Minute, 11 * time.Minute, 7 * time.Hour, 25 * time.Hour, 61 * 24 * time.Hour,
	}
	histories = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			After: rapid.SampledFrom(pauses).Draw(t, "after"),
			Do:    rapid.SampledFrom(doings).Draw(t, "do"),
			Who:   rapid.IntRange(0, 2).Draw(t, "who"),
			N:     rapid.IntRange(2, 6).Draw(t, "n"),
		}
	}), 20, 60)
)

// TestRotationKeepsItsInvariants drives random histories of honest apps on bad networks, and of thieves, against
// the real store, and judges every answer and every row: I1 one successor per parent, I3 and I10 counters hold what
// was acknowledged and never fall, I4 and I5 who is signed out and who is not, I6 nothing after a revocation.
// Longer: go test -run RotationKeeps ./internal/session -rapid.checks=5000
func TestRotationKeepsItsInvariants(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		rapid.Check(t, func(rt *rapid.T) {
			if time.Until(h.clock.now()) > 30*365*24*time.Hour {
				h = newHouse(t, h.newURL) // key ids end in 2106
			}
			steps := histories.Draw(rt, "history")
			if err := play(t, h, steps, func(w *world) rotator { return w.h.s }); err != nil {
				rt.Fatal(err)
			}
		})
	})
}

// world is one history under way.
type world struct {
	t        testing.TB
	h        *house
	variant  func(*world) rotator
	apps     []*app
	together int // how many present a token at once
}

// app is an honest app, and the thief who has been at it.
type app struct {
	*signedIn
	modelSession
	held     int // the token the app has stored
	stolen   int // the token the thief has; -1: none
	sent     []request
	refusals int    // after a few the person signs in again
	lastSeen uint32 // highest counter of the row
}

// request is one the network may deliver again.
type request struct {
	n     int
	at    time.Time
	first bool // use of the token
}

func play(t testing.TB, h *house, steps []step, variant func(*world) rotator) error {
	w := &world{t: t, h: h, variant: variant}
	h.s.RetriesPerMinute, h.s.AdvancesPerMinute = -1, -1
	for _, a := range []*signedIn{{client: phone, jkt: "jkt-of-a-phone"}, {client: phone}, {client: browser}} {
		w.apps = append(w.apps, w.signIn(a.client, a.jkt))
	}
	for i, s := range steps {
		h.clock.step(s.After)
		a := w.apps[s.Who]
		if a.refusals > 2 {
			a = w.signIn(a.client, a.jkt)
			w.apps[s.Who] = a
		}
		err := w.do(s, a)
		if err == nil {
			err = a.check(t)
		}
		if err != nil {
			return fmt.Errorf("step %d %+v of a %s session: %w", i, s, a.tier, err)
		}
	}
	return nil
}

func (w *world) signIn(client *domain.Client, jkt string) *app {
	in, now := w.h.signIn(w.t, client, jkt), w.h.db.Now()
	tier := in.row(w.t).Tier
	life := client.Lifetimes(tier)
	m := modelSession{
		tier: tier, tokens: []string{in.token}, born: []time.Time{now},
		idle: life.Idle, grace: life.Grace, idleEnd: now.Add(life.Idle), lateGen: -5,
	}
	if life.Absolute > 0 {
		m.end = now.Add(life.Absolute)
	}
	return &app{signedIn: in, modelSession: m, stolen: -1}
}

func (w *world) do(s step, a *app) error {
	ctx := context.Background()
	switch s.Do {
	case "refresh":
		return w.refresh(a, true)
	case "refresh and lose the answer":
		return w.refresh(a, false)
	case "refresh at once":
		return w.refreshAtOnce(a, s.N)
	case "copy a request":
		return w.copyRequest(a, s.N)
	case "late retry":
		return w.inTurn(
			func() error { return w.refresh(a, false) },
			func() error { w.h.clock.step(15 * time.Second); return w.refresh(a, true) })
	case "overtaken copy":
		return w.inTurn(
			func() error { return w.refresh(a, true) },
			func() error { return w.refresh(a, true) },
			func() error { return w.copyRequest(a, 1) })
	case "steal":
		a.stolen = a.held
	case "thief refreshes":
		return w.thief(a)
	case "thief without key":
		return w.foreign(a, s.N, by{client: true, proof: s.N%2 == 0}, Presented{Client: a.client, JKT: []string{"a thief's", ""}[s.N%2]})
	case "other client":
		return w.foreign(a, s.N, by{proof: true, key: true}, Presented{Client: web, JKT: a.jkt})
	case "token ahead":
		return w.ahead(a, s.N)
	case "sign out":
		return w.signOut(a)
	case "sign out during refresh":
		return w.signOutDuring(a)
	case "disable", "enable":
		a.disabled = s.Do == "disable"
		state := map[bool]domain.AccountState{true: domain.AccountDisabled, false: domain.AccountActive}[a.disabled]
		_, err := w.h.db.SetAccountState(ctx, a.account, state, domain.Event{At: w.h.db.Now(), Actor: "system"})
		return err
	case "restart":
		w.h.restart(w.t)
		w.h.s.RetriesPerMinute, w.h.s.AdvancesPerMinute = -1, -1
	case "turn keys":
		return w.h.keys.Turn(ctx)
	}
	return nil
}

func (w *world) inTurn(moves ...func() error) error {
	for _, move := range moves {
		if err := move(); err != nil {
			return err
		}
	}
	return nil
}

// refresh is the app's: it presents the token it has stored and stores the answer before it drops the old one.
func (w *world) refresh(a *app, arrives bool) error {
	now := w.h.db.Now()
	a.sent = append(a.sent, request{a.held, now, a.held == a.counter()})
	r, err := w.present(a, a.held, theApp)
	switch {
	case err == nil && r != nil && arrives:
		a.held++
	case err == nil && r == nil:
		a.refusals++
	}
	return err
}

// present uses token n for the app or for a thief of a bearer session, and compares.
func (w *world) present(a *app, n int, who by) (*Rotated, error) {
	now := w.h.db.Now()
	want := a.expect(n, who, now)
	r, err := w.single().Rotate(context.Background(), a.presents(a.tokens[n]))
	return r, a.answered(n, want, r, err, now)
}

// single is the rotation under test for one use, with nobody else at it.
func (w *world) single() rotator {
	w.together = 1
	return w.variant(w)
}

// refreshAtOnce is several processes of the app with the same stored token (RT02).
func (w *world) refreshAtOnce(a *app, k int) error {
	now, n := w.h.db.Now(), a.held
	want := a.expect(n, theApp, now)
	a.sent = append(a.sent, request{n, now, n == a.counter()})
	results, errs := make([]*Rotated, k), make([]error, k)
	w.together = k
	under := w.variant(w)
	var all sync.WaitGroup
	for i := range k {
		all.Go(func() { results[i], errs[i] = under.Rotate(context.Background(), a.presents(a.tokens[n])) })
	}
	all.Wait()
	for i := range k {
		if err := a.answered(n, want, results[i], errs[i], now); err != nil {
			return fmt.Errorf("%d of %d at once: %w", i+1, k, err)
		}
	}
	if results[0] != nil {
		a.held++
	}
	return nil
}

// copyRequest delivers one of the last requests again, as a network may within ten seconds. Of a bearer session the copy
// of a retry, overtaken in between, cannot be told from a thief, nor can a copy that two refreshes overtook: they are
// left out.
func (w *world) copyRequest(a *app, k int) error {
	back := k % 4
	if a.tier == domain.TierBearer {
		back = k % 2
	}
	i := len(a.sent) - 1 - back
	if i < 0 || w.h.db.Now().Sub(a.sent[i].at) >= 10*time.Second {
		return nil
	}
	if a.tier == domain.TierBearer && !a.sent[i].first {
		return nil
	}
	_, err := w.present(a, a.sent[i].n, theApp)
	return err
}

// thief uses the token he copied and, on success, keeps the successor. Of a bound session he lacks the key: see
// foreign.
func (w *world) thief(a *app) error {
	if a.stolen < 0 || a.tier == domain.TierBound {
		return nil
	}
	r, err := w.present(a, a.stolen, theApp)
	if err == nil && r != nil {
		a.stolen++
	}
	return err
}

// foreign is a use by somebody who has a token of a session and nothing else: nothing at all may change.
func (w *world) foreign(a *app, back int, who by, p Presented) error {
	if a.tier == domain.TierBearer && who.client {
		return nil
	}
	n := max(0, a.counter()-back+2)
	before, want := a.row(w.t), a.expect(n, who, w.h.db.Now())
	p.Token = a.tokens[n]
	r, err := w.single().Rotate(context.Background(), p)
	if err := a.answered(n, want, r, err, w.h.db.Now()); err != nil {
		return err
	}
	return unchanged(before, a.row(w.t))
}

func unchanged(before, after *domain.SessionView) error {
	if diff := cmp.Diff(before, after); diff != "" {
		return fmt.Errorf("I4: it left a trace:\n%s", diff)
	}
	return nil
}

// ahead presents a token that only a lost database could have issued (RT08).
func (w *world) ahead(a *app, by int) error {
	h, _, _ := parse(a.tokens[a.counter()])
	h.counter += uint32(by)
	key, ok := w.h.keys.Key(h.keyID, keyring.RefreshMAC)
	if !ok {
		return fmt.Errorf("data key %d is gone", h.keyID)
	}
	before, want := a.row(w.t), busy
	if !a.live(w.h.db.Now()) {
		want = refused
	}
	r, err := w.single().Rotate(context.Background(), a.presents(string(h.mint(key))))
	if got := outcomeOf(r, err); got != want {
		return fmt.Errorf("a token ahead was answered %q, want %q", got, want)
	}
	return unchanged(before, a.row(w.t))
}

func (w *world) signOut(a *app) error {
	if err := w.h.s.End(context.Background(), a.id, domain.EndedBySignOut); err != nil {
		return err
	}
	if a.over == "" {
		a.over = domain.EndedBySignOut
	}
	return nil
}

// signOutDuring revokes while a refresh is under way (IR06): the refresh may win, but only once.
func (w *world) signOutDuring(a *app) error {
	if !a.live(w.h.db.Now()) || a.held != a.counter() {
		return w.signOut(a)
	}
	var r *Rotated
	var err, endErr error
	var both sync.WaitGroup
	w.together = 1
	under := w.variant(w)
	both.Go(func() { r, err = under.Rotate(context.Background(), a.presents(a.tokens[a.held])) })
	both.Go(func() { endErr = w.signOut(a) })
	both.Wait()
	if endErr != nil {
		return endErr
	}
	want := refused
	if r != nil {
		want = advances
	}
	if err := a.answered(a.held, want, r, err, w.h.db.Now()); err != nil {
		return err
	}
	if _, err := w.present(a, a.counter(), theApp); err != nil {
		return fmt.Errorf("I6: after the revocation: %w", err)
	}
	return nil
}

// check compares the row with what was acknowledged.
func (a *app) check(t testing.TB) error {
	row := a.row(t)
	switch {
	case row.Refresh.Counter < a.lastSeen:
		return fmt.Errorf("I10: the counter fell from %d to %d", a.lastSeen, row.Refresh.Counter)
	case int(row.Refresh.Counter) != a.counter():
		return fmt.Errorf("I3: the counter is %d, %d was acknowledged", row.Refresh.Counter, a.counter())
	case row.EndReason != a.over:
		return fmt.Errorf("I5: the session ended for %q, want %q", row.EndReason, a.over)
	case a.tier == domain.TierBound && a.over == domain.EndedByReuse:
		return fmt.Errorf("I4: a bound session ended for reuse")
	case !slices.Contains([]domain.EndReason{"", domain.EndedByReuse, domain.EndedBySignOut}, row.EndReason):
		return fmt.Errorf("the session ended for %q", row.EndReason)
	}
	a.lastSeen = row.Refresh.Counter
	return nil
}
