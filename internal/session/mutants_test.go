package session

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// TestTheModelCatchesWrongRotations plants three mistakes that peers have made and asks the model to find each: a
// model that lets them pass would prove nothing.
func TestTheModelCatchesWrongRotations(t *testing.T) {
	mutants := []struct {
		name   string
		broken string // the invariant that must be found broken
		make   func(*world) rotator
	}{
		{"read, then write", "I1", newReadThenWrite},
		{"a retry mints a fresh pair", "I1", func(w *world) rotator { return freshPair{w.h.s} }},
		{"a bearer parent is accepted for ever", "I5", func(w *world) rotator { return acceptForEver{w.h.s} }},
	}
	onBothEngines(t, func(t *testing.T, h *house) {
		for _, m := range mutants {
			t.Run(m.name, func(t *testing.T) {
				const enough = 200
				for seed := range enough {
					err := play(t, h, histories.Example(seed), m.make)
					// Of several at once, which one shows it first is chance: it may show as another row's answer.
					if err != nil && strings.Contains(err.Error(), m.broken) {
						t.Logf("history %d: %v", seed, err)
						return
					}
				}
				t.Errorf("not found in %d histories", enough)
			})
		}
	})
}

// readThenWrite judges by a read and writes whatever the row says by then.
type readThenWrite struct {
	*Service
	read *sync.WaitGroup // all who came at once have read
}

func newReadThenWrite(w *world) rotator {
	read := &sync.WaitGroup{}
	read.Add(w.together)
	return &readThenWrite{w.h.s, read}
}

func (r *readThenWrite) Rotate(ctx context.Context, p Presented) (*Rotated, error) {
	h, ok, err := r.Service.read(ctx, p.Token)
	if err != nil || !ok {
		return r.Service.Rotate(ctx, p)
	}
	v, err := r.DB.Session(ctx, h.session)
	r.read.Done()
	r.read.Wait()
	if err != nil || judgeNow(r.Service, v, h, p) != current {
		return r.Service.Rotate(ctx, p)
	}
	u := use{Presented: p, handle: h, now: r.DB.Now(), mintWith: r.Keys.Current()}
	for {
		found, err := r.advance(ctx, u)
		switch {
		case err != nil:
			return nil, err
		case found.Advanced:
			return r.advanced(ctx, u, found.View)
		case judgeNow(r.Service, &found.View, handle{counter: found.View.Refresh.Counter, secret: h.secret}, p) != current:
			return r.Service.Rotate(ctx, p)
		}
		u.handle.counter = found.View.Refresh.Counter
	}
}

func judgeNow(s *Service, v *domain.SessionView, h handle, p Presented) verdict {
	u := use{Presented: p, handle: h}
	return judge(v, u.presented(), s.DB.Now(), p.Client.Lifetimes(v.Tier).Grace)
}

// freshPair answers a retry with a new token instead of the same one.
type freshPair struct{ *Service }

func (f freshPair) Rotate(ctx context.Context, p Presented) (*Rotated, error) {
	r, err := f.Service.Rotate(ctx, p)
	if err != nil || !r.Retry {
		return r, err
	}
	p.Token = string(r.Token)
	return f.Service.Rotate(ctx, p)
}

// acceptForEver answers the parent of a bearer session's token however old it is.
type acceptForEver struct{ *Service }

func (f acceptForEver) Rotate(ctx context.Context, p Presented) (*Rotated, error) {
	lax := *p.Client
	lax.BearerGrace = 100 * 365 * 24 * time.Hour
	p.Client = &lax
	return f.Service.Rotate(ctx, p)
}
