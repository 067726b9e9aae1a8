package refresh_test

import (
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/client"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

const day = 24 * time.Hour

func TestEveryRefreshRotatesOneRowAndWritesNoOther(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		for _, kind := range []struct {
			name      string
			phone     func(*standin.PhoneConfig)
			tokenType string
			expiresIn int64
		}{
			{"bound", bound, "DPoP", 600},
			{"bearer", bearer, "Bearer", 300},
			{"browser", browser, "Bearer", 300},
		} {
			t.Run(kind.name, func(t *testing.T) {
				d := w.signedIn(t, kind.phone)
				db := w.Store()
				before := settledRows(t, db)
				token := d.first
				for range 20 {
					got := d.takes(t, token)
					if got.TokenType != kind.tokenType || got.ExpiresIn != kind.expiresIn || got.Scope != todos || got.IDToken != "" || got.RefreshToken == token {
						t.Fatalf("%+v", got)
					}
					token = got.RefreshToken
				}
				d.wantCounter(t, 20)
				after, err := db.Rows(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for table, n := range after {
					if n != before[table] {
						t.Errorf("%s grew from %d to %d rows", table, before[table], n)
					}
				}
			})
		}
	})
}

// settledRows counts the rows once each of the three kinds of keys has its standby: drawing those is the one thing that
// a new server still writes by itself.
func settledRows(t *testing.T, db *store.DB) map[string]int64 {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		rows, err := db.Rows(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if rows["keys"] == 6 {
			return rows
		}
		<-tick.C
	}
	t.Fatal("the standby keys were not drawn")
	return nil
}

// RT03: the answer is lost and the phone asks again after some time.
func TestRT03ALostAnswerIsAskedForAgain(t *testing.T) {
	for _, tt := range []struct {
		name  string
		kind  func(*standin.PhoneConfig)
		after map[time.Duration]bool // to whether the same successor comes
	}{
		{"bound", bound, map[time.Duration]bool{time.Second: true, 55 * time.Second: true, 8 * time.Hour: true, 30 * day: true}},
		{"bearer", bearer, map[time.Duration]bool{time.Second: true, 55 * time.Second: true, 8 * time.Hour: true, 30 * day: false}},
		// 13 days: within its idle life, so that the grace alone decides
		{"browser", browser, map[time.Duration]bool{time.Second: true, 55 * time.Second: true, 8 * time.Hour: false, 13 * day: false}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, w *world) {
				for after, same := range tt.after {
					t.Run(after.String(), func(t *testing.T) {
						d := w.signedIn(t, tt.kind)
						lost := d.next(t, d.first)
						w.Clock.Step(after)
						if !same {
							d.refused(t, d.first, "invalid_grant")
							d.refused(t, lost, "invalid_grant")
							d.wantEnded(t, "reuse")
							return
						}
						d.again(t, d.first, lost)
						d.wantCounter(t, 1)
						d.next(t, lost)
						d.wantCounter(t, 2)
					})
				}
			})
		})
	}
}

// The grace of a browser client is 60 seconds to the second, and a client's own setting goes before it. RT04
func TestRT04AfterTheGraceABearerParentEndsTheSession(t *testing.T) {
	const patient = `  - id: patient
    type: native
    bearer_grace: 3m
    providers: [{name: google, audiences: [web.example]}]
    resources: [todo-api]
    scopes: [openid, offline_access, todos.read]
`
	onEngines(t, func(t *testing.T, w *world) {
		for _, tt := range []struct {
			name  string
			kind  func(*standin.PhoneConfig)
			grace time.Duration
		}{
			{"native", bearer, day},
			{"browser", browser, time.Minute},
			{"its own", func(c *standin.PhoneConfig) { harness.As("patient", todos)(c); harness.Bearer(c) }, 3 * time.Minute},
		} {
			t.Run(tt.name, func(t *testing.T) {
				for before, alive := range map[time.Duration]bool{2 * time.Second: true, -2 * time.Second: false} {
					d := w.signedIn(t, tt.kind)
					lost := d.next(t, d.first)
					w.Clock.Step(tt.grace - before)
					if alive {
						d.again(t, d.first, lost)
						continue
					}
					d.refused(t, d.first, "invalid_grant")
					d.refused(t, lost, "invalid_grant")
					d.wantEnded(t, "reuse")
				}
			})
		}
	}, harness.Clients(patient))
}

// RT04: what a thief in step with the owner looks like.
func TestRT04ThreeGenerationsInARowRetriedLateEndABearerSession(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		const late, prompt = 11 * time.Second, time.Second
		for _, tt := range []struct {
			name    string
			kind    func(*standin.PhoneConfig)
			retries []time.Duration // one a generation; zero: none
			ends    bool
		}{
			{"three late ones", bearer, []time.Duration{late, late, late}, true},
			{"a prompt one in between", bearer, []time.Duration{late, late, prompt, late, late, 0, late}, false},
			{"three after a quiet one", bearer, []time.Duration{late, late, 0, late, late, late}, true},
			{"a bound session knows no late ones", bound, []time.Duration{late, late, late, late, late}, false},
		} {
			t.Run(tt.name, func(t *testing.T) {
				d := w.signedIn(t, tt.kind)
				parent := d.first
				for i, after := range tt.retries {
					current := d.next(t, parent)
					w.Clock.Step(after)
					switch {
					case tt.ends && i == len(tt.retries)-1:
						d.refused(t, parent, "invalid_grant")
						d.refused(t, current, "invalid_grant")
						d.wantEnded(t, "reuse")
						return
					case after != 0:
						d.again(t, parent, current)
						d.again(t, parent, current) // a second retry of one generation counts as one
					}
					parent = current
				}
				d.next(t, parent)
			})
		}
	})
}

// RT06: the network delivers a copy of a request that was overtaken.
func TestRT06ADelayedDuplicateIsToldToTryAgain(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		for name, kind := range map[string]func(*standin.PhoneConfig){"bound": bound, "bearer": bearer} {
			t.Run(name, func(t *testing.T) {
				d := w.signedIn(t, kind)
				second := d.next(t, d.next(t, d.first))
				a := d.present(t, d.first)
				if wait, ok := a.RetryAfter(); a.Status != 503 || a.Error != "temporarily_unavailable" || !ok || wait != time.Second || a.Tokens != nil {
					t.Fatalf("%d %s", a.Status, a.Body)
				}
				d.wantCounter(t, 2)
				third := d.next(t, second)
				w.Clock.Step(11 * time.Second)
				d.refused(t, d.first, "invalid_grant") // n = c-3 and much later: no duplicate any more
				d.refused(t, third, "invalid_grant")
				d.wantEnded(t, "reuse")
			})
		}
	})
}

// RT19: a loop in an app is slowed down, and loses nothing.
func TestRT19MoreThanTenRetriesAMinuteAreThrottled(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		for name, kind := range map[string]func(*standin.PhoneConfig){"bound": bound, "bearer": bearer} {
			t.Run(name, func(t *testing.T) {
				d := w.signedIn(t, kind)
				current := d.next(t, d.first)
				for range 12 { // parallel requests of one app, within two seconds, are no retries
					d.again(t, d.first, current)
				}
				w.Clock.Step(3 * time.Second)
				for range 10 {
					d.again(t, d.first, current)
				}
				a := d.present(t, d.first)
				wait, ok := a.RetryAfter()
				if a.Status != 429 || a.Error != "slow_down" || !ok || wait <= 0 || wait > time.Minute {
					t.Fatalf("%d %v %s", a.Status, a.Header, a.Body)
				}
				d.wantCounter(t, 1)
				w.Clock.Step(wait)
				d.again(t, d.first, current)
				d.next(t, current)
			})
		}
	})
}

func TestMoreThanSixtyRefreshesAMinuteAreThrottled(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		d := w.signedIn(t, bound)
		token := d.first
		for range 60 {
			token = d.next(t, token)
		}
		a := d.present(t, token)
		if wait, ok := a.RetryAfter(); a.Status != 429 || !ok || wait <= 0 {
			t.Fatalf("%d %v %s", a.Status, a.Header, a.Body)
		}
		w.Clock.Step(5 * time.Second)
		d.next(t, token)
	})
}

// RT20: the key of the tokens is replaced between an answer and its retry.
func TestRT20ARetryAcrossAKeyRotationBringsTheSameBytes(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		for name, kind := range map[string]func(*standin.PhoneConfig){"bound": bound, "bearer": bearer} {
			t.Run(name, func(t *testing.T) {
				d := w.signedIn(t, kind)
				first := d.next(t, d.first)
				old := w.newest(t)
				if _, err := w.admin.RotateKeys(t.Context(), true); err != nil {
					t.Fatal(err)
				}
				d.again(t, d.first, first) // the new key may not be used yet
				w.Clock.Step(2 * time.Minute)
				d.again(t, d.first, first) // and the old one is the row's
				second := d.next(t, first)
				if now := w.newest(t); now == old || d.row(t).Refresh.KeyID != now {
					t.Fatalf("the successor is not under the new key: %d, then %d, the row has %d", old, now, d.row(t).Refresh.KeyID)
				}
				d.again(t, first, second)
				d.next(t, second)
			})
		}
	})
}

// newest is the data key that new tokens are made with.
func (w *world) newest(t *testing.T) uint32 {
	t.Helper()
	keys, err := w.admin.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if k.Use == "data" && k.State == "active" {
			return k.ID
		}
	}
	t.Fatalf("no active data key in %+v", keys)
	return 0
}

// RT08: the database is older than the tokens, as after a restore or a lost failover.
func TestRT08ACounterAheadOfARestoredDatabaseIsNoVerdict(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		d, quick := w.signedIn(t, bound), w.signedIn(t, bearer)
		restore := w.Backup()
		ahead := d.next(t, d.next(t, d.first))
		later := w.signedIn(t, bound)
		restore()
		a := d.present(t, ahead)
		if _, ok := a.RetryAfter(); a.Status != 503 || a.Error != "temporarily_unavailable" || !ok {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		d.wantCounter(t, 0)
		if !strings.Contains(w.Log.String(), `"alarm":"refresh.counter_ahead"`) {
			t.Error("no alarm was raised")
		}
		quick.next(t, quick.first) // whose session the restore did not set back
		later.refused(t, later.first, "invalid_grant")
		if _, err := w.admin.Session(t.Context(), later.sid); !client.IsNotFound(err) {
			t.Errorf("a session that the restored database cannot know: %v", err)
		}
	})
}
