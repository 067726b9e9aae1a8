package refresh_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// RT02: a hundred requests with the current token, on as many nodes as the engine allows.
func TestRT02AHundredAtOnceHaveOneSuccessor(t *testing.T) {
	t.Parallel()
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		t.Parallel()
		nodes := map[harness.Engine]int{harness.SQLite: 1, harness.Postgres: 2}[e]
		hw := harness.New(t, e, harness.Nodes(nodes), harness.MaxConns(4))
		hw.Clock.Freeze()
		w := &world{World: hw, admin: hw.Admin()}
		for name, kind := range map[string]func(*standin.PhoneConfig){"bound": bound, "bearer": bearer} {
			t.Run(name, func(t *testing.T) {
				d := w.signedIn(t, func(c *standin.PhoneConfig) { kind(c); w.Through(c) })
				var addresses []string
				for _, n := range w.Nodes {
					addresses = append(addresses, strings.TrimPrefix(n.Public, "http://"))
				}
				if err := w.Network.Route(strings.TrimPrefix(w.Issuer, "http://"), addresses...); err != nil {
					t.Fatal(err)
				}
				var (
					all        sync.WaitGroup
					mu         sync.Mutex
					successors = map[string]int{}
				)
				for range 100 {
					all.Go(func() {
						a, err := d.Present(t.Context(), d.first)
						if err != nil || a.Tokens == nil {
							t.Errorf("%+v, %v", a, err)
							return
						}
						mu.Lock()
						defer mu.Unlock()
						successors[a.Tokens.RefreshToken]++
					})
				}
				all.Wait()
				if len(successors) != 1 {
					t.Errorf("%d successors", len(successors))
				}
				d.wantCounter(t, 1)
			})
		}
	})
}

// The network itself makes the duplicate, and the phone's next refresh overtakes the copy. The phone never notices.
func TestRT06TheNetworkDuplicatesARefreshAndThePhoneNeverNotices(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		d := w.signedIn(t, func(c *standin.PhoneConfig) { bound(c); w.Through(c) })
		copies, let := make(chan standin.Delivery, 1), make(chan struct{})
		w.Network.Observe(func(a standin.Delivery) {
			if a.Copy {
				copies <- a
			}
		})
		w.Network.Next("/token", standin.Fault{Kind: standin.Duplicate, Until: let})
		for range 2 {
			if _, err := d.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		close(let)
		if a := <-copies; a.Status != 503 {
			t.Errorf("the copy was answered %d %s", a.Status, a.Body)
		}
		if _, err := d.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
		d.wantCounter(t, 3)
	})
}

// A phone that keeps the contract stays signed in whatever the weather: in a burst with copies of everything about, and
// over days of a bad line.
func TestABoundPhoneNeverEndsInBadWeather(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		for _, tt := range []struct {
			name    string
			apart   time.Duration
			weather standin.Rates
		}{
			{"a burst", 0, standin.Rates{LoseRequest: .1, LoseResponse: .2, CutRequest: .05, CutResponse: .1, Duplicate: .2, LateResponse: .1}},
			{"days", 7 * time.Hour, standin.Rates{LoseRequest: .1, LoseResponse: .3, CutRequest: .05, CutResponse: .1}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				d := w.signedIn(t, func(c *standin.PhoneConfig) {
					bound(c)
					w.Through(c)
					c.Pause = func(ctx context.Context, _ time.Duration) error {
						w.Clock.Step(tt.apart)
						return ctx.Err()
					}
					c.Patience = 1000 * time.Hour
				})
				w.Network.Random(7, tt.weather)
				for i := range 40 {
					if _, err := d.Refresh(t.Context()); err != nil {
						t.Fatalf("refresh %d: %v", i, err)
					}
					w.Clock.Step(tt.apart)
				}
				w.Network.Random(0, standin.Rates{})
				if s, err := w.admin.Session(t.Context(), d.sid); err != nil || !s.Live {
					t.Errorf("%+v, %v", s, err)
				}
			})
		}
	})
}
