package signin_test

import (
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/signin"
	"github.com/countersign/countersign/test/house"
)

// ID09: the very same sign-in within 60 s returns the very same session; anything else is a replay and changes nothing.
func TestRepeatedSignIn(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		for _, tt := range []struct {
			name   string
			keyed  bool
			before func(t *testing.T, r *signin.Request, first *signin.Result)
			same   bool
		}{
			{"by the same key at once", true, nil, true},
			{"by the same key after 50 s", true, func(*testing.T, *signin.Request, *signin.Result) {
				h.Clock.Step(50 * time.Second)
			}, true},
			{"by the same key after a key rotation", true, func(t *testing.T, _ *signin.Request, _ *signin.Result) {
				if err := h.Ring.Rotate(t.Context(), true, domain.Event{}); err != nil {
					t.Fatal(err)
				}
			}, true},
			{"by the same key, after its nonce expired", true, func(t *testing.T, r *signin.Request, first *signin.Result) {
				old(t, h, r, first, 9*time.Minute+30*time.Second, time.Hour)
			}, true},
			{"by the same key, after its id_token expired", true, func(t *testing.T, r *signin.Request, first *signin.Result) {
				old(t, h, r, first, 4*time.Minute+50*time.Second, 5*time.Minute)
			}, true},
			{"by another key, after the nonce expired", true, func(t *testing.T, r *signin.Request, first *signin.Result) {
				old(t, h, r, first, 9*time.Minute+30*time.Second, time.Hour)
				r.JKT = h.Phone(t).JKT()
			}, false},
			{"with another token, after the nonce expired", true, func(t *testing.T, r *signin.Request, first *signin.Result) {
				old(t, h, r, first, 9*time.Minute+30*time.Second, time.Hour)
				r.Evidence.SubjectToken += "A"
			}, false},
			{"by the same key after 61 s and the end of its nonce", true, func(t *testing.T, r *signin.Request, first *signin.Result) {
				old(t, h, r, first, 9*time.Minute+30*time.Second, time.Hour)
				h.Clock.Step(11 * time.Second)
			}, false},
			{"by the same key after 61 s", true, func(*testing.T, *signin.Request, *signin.Result) {
				h.Clock.Step(61 * time.Second)
			}, false},
			{"by another key", true, func(t *testing.T, r *signin.Request, _ *signin.Result) { r.JKT = h.Phone(t).JKT() }, false},
			{"by nobody's key", true, func(_ *testing.T, r *signin.Request, _ *signin.Result) { r.JKT = "" }, false},
			{"without a key from the start", false, nil, false},
			{"with another scope", true, func(_ *testing.T, r *signin.Request, _ *signin.Result) { r.Scope = r.Scope[:1] }, false},
			{"with another resource", true, func(_ *testing.T, r *signin.Request, _ *signin.Result) {
				r.Resources = []string{"https://api.example.com"}
			}, false},
			{"with another token for the same nonce", true, func(t *testing.T, r *signin.Request, _ *signin.Result) {
				token := house.GoogleToken("repeat")
				token.Nonce, token.Picture = r.Evidence.Nonce, "https://example.com/ada.png"
				c, err := h.Google.Issue(token)
				if err != nil {
					t.Fatal(err)
				}
				r.Evidence.SubjectToken = c.IDToken
			}, false},
			{"after a refresh", true, func(t *testing.T, r *signin.Request, first *signin.Result) {
				_, err := h.Sessions.Rotate(t.Context(), session.Presented{Client: r.Client, Token: string(first.Refresh), JKT: r.JKT})
				if err != nil {
					t.Fatal(err)
				}
			}, false},
			{"after the session ended", true, func(t *testing.T, _ *signin.Request, first *signin.Result) {
				if err := h.Sessions.End(t.Context(), first.Session.ID, domain.EndedBySignOut); err != nil {
					t.Fatal(err)
				}
			}, false},
		} {
			t.Run(tt.name, func(t *testing.T) {
				jkt := ""
				if tt.keyed {
					jkt = h.Phone(t).JKT()
				}
				r := h.Request(t, h.Google, house.GoogleToken("repeat"), house.Todo, "")
				r.JKT = jkt
				first := h.Enter(t, r)
				if tt.before != nil {
					tt.before(t, &r, first)
				}
				if !tt.same {
					wantRefused(t, h, r, oauth.InvalidRequest)
					return
				}
				before := rows(t, h)
				again := h.Enter(t, r)
				if !again.Repeated || again.Session.ID != first.Session.ID || again.Refresh != first.Refresh {
					t.Errorf("the repeat is another session or token")
				}
				if after := rows(t, h); after["sessions"] != before["sessions"] || after["events"] != before["events"] {
					t.Errorf("rows before %v, after %v", before, after)
				}
			})
		}
	})
}

// old makes the request one whose nonce is that old when it first signs in, with an id_token that lives that long, and
// lets 50 seconds pass after that.
func old(t *testing.T, h *house.House, r *signin.Request, first *signin.Result, age, life time.Duration) {
	t.Helper()
	token := house.GoogleToken("repeat")
	token.ExpiresAt = h.Clock.Now().Add(life)
	again := h.Request(t, h.Google, token, house.Todo, r.JKT)
	h.Clock.Step(age)
	*r, *first = again, *h.Enter(t, again)
	h.Clock.Step(50 * time.Second)
}

// A nonce that was never spent is no better for having been asked for by this key.
func TestAnExpiredNonceSignsNobodyInForTheFirstTime(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		r := h.Request(t, h.Google, house.GoogleToken("late"), house.Todo, h.Phone(t).JKT())
		h.Clock.Step(signin.NonceTTL + time.Second)
		wantRefused(t, h, r, oauth.InvalidRequest)
		wantRefused(t, h, r, oauth.InvalidRequest)
	})
}

// I2: the nonce succeeds once, however many carry it at the same time; its owner gets one session.
func TestSameSignInFiftyTimesAtOnce(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		r := h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, h.Phone(t).JKT())
		results, errs := atOnce(50, func(int) (*signin.Result, error) { return h.SignIn.Native(t.Context(), r) })
		fresh := 0
		for i, in := range results {
			if errs[i] != nil {
				t.Fatalf("call %d: %v", i, errs[i])
			}
			if !in.Repeated {
				fresh++
			}
			if in.Session.ID != results[0].Session.ID || in.Refresh != results[0].Refresh {
				t.Errorf("call %d got another session or token", i)
			}
		}
		if n := rows(t, h); fresh != 1 || n["sessions"] != 1 || n["accounts"] != 1 || n["identities"] != 1 {
			t.Errorf("%d fresh, rows %v", fresh, n)
		}
	})
}

func TestSameSignInFiftyTimesAtOnceWithoutAKey(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		h.SignIn.FailuresPerMinute = -1
		r := h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, "")
		_, errs := atOnce(50, func(int) (*signin.Result, error) { return h.SignIn.Native(t.Context(), r) })
		succeeded := 0
		for _, err := range errs {
			if err == nil {
				succeeded++
				continue
			}
			wantCode(t, err, oauth.InvalidRequest)
		}
		if n := rows(t, h); succeeded != 1 || n["sessions"] != 1 || n["accounts"] != 1 {
			t.Errorf("%d succeeded, rows %v", succeeded, n)
		}
	})
}

func TestFirstSignInsOfOnePersonAtOnce(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		requests := make([]signin.Request, 8)
		for i := range requests {
			requests[i] = h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, h.Phone(t).JKT())
		}
		results, errs := atOnce(len(requests), func(i int) (*signin.Result, error) {
			return h.SignIn.Native(t.Context(), requests[i])
		})
		sessions, fresh := map[domain.SessionID]bool{}, 0
		for i, in := range results {
			if errs[i] != nil {
				t.Fatal(errs[i])
			}
			sessions[in.Session.ID] = true
			if in.NewAccount {
				fresh++
			}
			if in.Session.AccountID != results[0].Session.AccountID {
				t.Error("one person got two accounts")
			}
		}
		if n := rows(t, h); len(sessions) != 8 || fresh != 1 || n["accounts"] != 1 || n["identities"] != 1 {
			t.Errorf("%d sessions, %d new accounts, rows %v", len(sessions), fresh, n)
		}
	})
}

// The two keys of a nonce and of a session are told apart, so a nonce of an older data key is as good.
func TestNonceOfAnOlderDataKey(t *testing.T) {
	h := house.OnSQLite(t)
	r := h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, h.Phone(t).JKT())
	old := h.Ring.Current()
	if err := h.Ring.Rotate(t.Context(), true, domain.Event{}); err != nil {
		t.Fatal(err)
	}
	h.Clock.Step(2 * time.Minute) // the new key mints now
	if h.Ring.Current() == old {
		t.Fatal("the data key was not rotated")
	}
	first := h.Enter(t, r)
	if first.Session.Refresh.KeyID == old {
		t.Error("the session was started under the old key")
	}
	if again := h.Enter(t, r); again.Refresh != first.Refresh {
		t.Error("the repeat got another token")
	}
	if _, ok := h.Ring.Key(old, keyring.SignInNonce); !ok {
		t.Error("the old key is gone")
	}
}

// atOnce starts n calls together.
func atOnce[T any](n int, call func(i int) (T, error)) ([]T, []error) {
	results, errs := make([]T, n), make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			results[i], errs[i] = call(i)
		})
	}
	close(start)
	all.Wait()
	return results, errs
}
