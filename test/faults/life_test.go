package faults_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/countersign/countersign/standin"
)

// life is what one person does with one phone, over and over: refresh, alone and several at once, and now and then
// lose the app, sign out, or be robbed. It keeps the client contract; what is played outside of it says so.
type life struct {
	*standin.Phone
	name   string
	other  *standin.Phone // a second process of the app; nil without a key
	thief  *standin.Phone // who copies what he finds, and has no key
	prompt standin.Prompt
	rng    *rand.Rand

	history *history
	kept    []string // refresh tokens of this session, in their order
	errs    []error  // what no app may meet
}

// impatience shortens the waits of C21, so that a run of seconds has as many retries as a bad day.
const impatience = 100 * time.Millisecond

func impatient(c *standin.PhoneConfig) {
	c.Pause = func(ctx context.Context, d time.Duration) error { return rest(ctx, min(d, impatience)) }
}

func (f *fleet) life(name string, seed uint64, way *http.Client, h *history, mods ...func(*standin.PhoneConfig)) *life {
	f.t.Helper()
	mods = append(mods, impatient, h.watch)
	l := &life{
		Phone: f.phone(name, way, mods...), name: name, prompt: f.prompt(name), history: h,
		thief: f.phone(name+"'s thief", way, bearer, impatient, h.watch),
		rng:   rand.New(rand.NewPCG(seed, uint64(len(name)))),
	}
	if l.JKT() != "" {
		l.other = l.Extension()
	}
	return l
}

// live goes on until ctx ends.
func (l *life) live(ctx context.Context) {
	for ctx.Err() == nil {
		if !l.SignedIn() {
			l.signIn(ctx)
			continue
		}
		switch dice := l.rng.IntN(100); {
		case dice < 70:
			l.refresh(ctx, l.Phone)
		case dice < 85:
			l.refreshAtOnce(ctx)
		case dice < 92:
			l.loseTheApp(ctx)
		case dice < 95:
			l.signOut(ctx)
		default:
			l.beRobbed(ctx)
		}
		l.pace(ctx)
	}
}

// pace keeps a phone without a key from refreshing several times in a breath (C32).
func (l *life) pace(ctx context.Context) {
	pause := time.Duration(l.rng.IntN(40)) * time.Millisecond
	if l.other == nil {
		pause += 60 * time.Millisecond
	}
	_ = rest(ctx, pause)
}

// signIn finishes a sign-in that is pending or begins one.
func (l *life) signIn(ctx context.Context) {
	_, err := l.Resume(ctx)
	if errors.Is(err, standin.ErrNothingPending) {
		_, err = l.SignIn(ctx, l.prompt)
	}
	l.met(err)
	l.kept = nil
	l.keep()
}

func (l *life) keep() {
	if held := l.RefreshToken(); held != "" && (len(l.kept) == 0 || l.kept[len(l.kept)-1] != held) {
		l.kept = append(l.kept, held)
	}
}

func (l *life) refresh(ctx context.Context, app *standin.Phone) {
	_, err := app.Refresh(ctx)
	l.met(err)
	l.keep()
}

// refreshAtOnce is both processes of an app at work, and beside them copies of the request that no lock holds back.
func (l *life) refreshAtOnce(ctx context.Context) {
	if l.other == nil {
		l.refresh(ctx, l.Phone)
		return
	}
	held := l.RefreshToken()
	var all sync.WaitGroup
	errs := make([]error, 2)
	all.Go(func() { _, errs[0] = l.Refresh(ctx) })
	all.Go(func() { _, errs[1] = l.other.Refresh(ctx) })
	for range 2 {
		all.Go(func() { _, _ = l.Present(ctx, held) }) // the history has the answers
	}
	all.Wait()
	for _, err := range errs {
		l.met(err)
	}
	l.keep()
}

// loseTheApp kills the app at any point of a refresh and starts it again.
func (l *life) loseTheApp(ctx context.Context) {
	if l.other == nil {
		l.refresh(ctx, l.Phone)
		return
	}
	after := time.Duration(l.rng.IntN(8000)) * time.Microsecond
	var both sync.WaitGroup
	both.Go(func() { _, _ = l.Refresh(ctx) })
	both.Go(func() {
		_ = rest(ctx, after)
		l.Reboot()
	})
	both.Wait()
	l.keep()
}

// signOut signs out, and lets whoever kept a copy of the token try it (I6).
func (l *life) signOut(ctx context.Context) {
	held, asked := l.RefreshToken(), time.Now()
	err := l.SignOut(ctx)
	l.met(err)
	l.history.end(held, asked, err == nil)
	for range 2 {
		_, _ = l.Present(ctx, held)
	}
}

// generations is how far behind a thief's copy is: more than the network could be.
const generations = 4

// beRobbed lets a thief use an old copy until he is refused; then it is over for the owner too (I5). Of a session with
// a key he learns nothing, and nothing happens to it.
func (l *life) beRobbed(ctx context.Context) {
	if len(l.kept) <= generations {
		return
	}
	copied := l.kept[len(l.kept)-1-generations]
	refused := l.steal(ctx, copied)
	if l.other == nil {
		l.history.rob(copied, refused)
	}
	l.refresh(ctx, l.Phone)
}

// steal tells whether the thief was refused before the run was over.
func (l *life) steal(ctx context.Context, copied string) bool {
	want := "invalid_dpop_proof"
	if l.other == nil {
		want = "invalid_grant"
	}
	for ctx.Err() == nil {
		a, err := l.thief.Present(ctx, copied)
		switch {
		case err != nil || a.Status == http.StatusServiceUnavailable:
			_ = rest(ctx, impatience)
			continue
		case a.Error != want:
			l.errs = append(l.errs, fmt.Errorf("the thief was answered %d %s, want %s", a.Status, a.Error, want))
		}
		return true
	}
	return false
}

// met keeps what an app that holds to the contract must not meet. What it may: no answer for longer than its
// patience, its own death, the end of the run; and refusals, which the judges find in the history.
func (l *life) met(err error) {
	for _, may := range []error{standin.ErrUnreachable, standin.ErrKilled, standin.ErrSignedOut} {
		if err == nil || errors.Is(err, may) {
			return
		}
	}
	if refused := new(standin.Refused); errors.As(err, &refused) {
		return
	}
	l.errs = append(l.errs, fmt.Errorf("%s: %w", l.name, err))
}
