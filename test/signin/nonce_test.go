package signin_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// ID08: our nonce, wrong in every way, and the good one still good afterwards where it was not burned.
func TestID08ANonceThatIsNotTheRightOneIsRefused(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		owner, other := w.phone(), w.phone()
		challenge := func(p *standin.Phone, purpose string) string {
			t.Helper()
			nonce, err := p.Challenge(t.Context(), purpose)
			if err != nil {
				t.Fatal(err)
			}
			return nonce
		}
		with := func(sent, inToken string) url.Values {
			r := google("ada")
			r.Nonce = inToken
			f := w.prepare(t, owner, w.Google, r)
			f.Set("nonce", sent)
			return f
		}
		good := challenge(owner, "")
		flipped := []byte(good)
		flipped[20] ^= 1
		foreign := w.Post("/challenge", url.Values{"client_id": {harness.BoundClientID}, "dpop_jkt": {owner.JKT()}}).String("nonce")
		for _, tt := range []struct {
			name string
			form url.Values
		}{
			{"another one in the token", with(good, challenge(owner, ""))},
			{"none in the token", without("nonce", with(good, good), w, t)},
			{"none sent", with("", good)},
			{"made up", with("n-0S6_WzA2Mj", "n-0S6_WzA2Mj")},
			{"a bit flipped", with(string(flipped), string(flipped))},
			{"its hash sent", with(hashOf(good), hashOf(good))},
			{"with padding", with(good+"=", good+"=")},
			{"asked for by another key", with(challenge(other, ""), "")},
			{"asked for by another client", with(foreign, foreign)},
			{"asked for to link", nonceOf(with, challenge(owner, "link"))},
			{"asked for to prove who is there", nonceOf(with, challenge(owner, "reauth"))},
		} {
			t.Run(tt.name, func(t *testing.T) {
				w.unchanged(t, func() { wantRefused(t, send(t, owner, tt.form), "invalid_request") })
			})
		}
		t.Run("and the good one is good", func(t *testing.T) { wantIn(t, send(t, owner, with(good, good))) })
		t.Run("once", func(t *testing.T) {
			w.Clock.Step(2 * time.Second) // so that the token is another
			w.unchanged(t, func() { wantRefused(t, send(t, owner, with(good, good)), "invalid_request") })
		})
		t.Run("expired", func(t *testing.T) {
			old := challenge(owner, "")
			w.Clock.Step(9*time.Minute + 59*time.Second)
			wantIn(t, send(t, owner, with(old, old)))
			old = challenge(owner, "")
			w.Clock.Step(10*time.Minute + time.Second)
			w.unchanged(t, func() { wantRefused(t, send(t, owner, with(old, old)), "invalid_request") })
		})
	}, unlimited)
}

func nonceOf(with func(sent, inToken string) url.Values, nonce string) url.Values {
	return with(nonce, nonce)
}

// without makes the provider leave a claim out of the token of a form.
func without(name string, f url.Values, w *world, t *testing.T) url.Values {
	t.Helper()
	r := google("ada")
	r.Nonce = f.Get("nonce")
	r.Mutate = func(c map[string]any) { delete(c, name) }
	c, err := w.Google.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	f.Set("subject_token", c.IDToken)
	return f
}

// TX05: the challenge named a key.
func TestTX05AChallengeThatNamedAKeyNeedsItsProof(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		owner, thief := w.phone(), w.phone()
		f := w.prepare(t, owner, w.Google, google("ada"))
		w.unchanged(t, func() {
			a := w.Post("/token", f)
			if a.Status != 400 || a.Error() != "invalid_dpop_proof" || a.Description() == "" {
				t.Errorf("without a proof: %d %s", a.Status, a.Body)
			}
			wantRefused(t, send(t, thief, f), "invalid_request")
		})
		wantIn(t, send(t, owner, f)) // neither burned it
	}, unlimited)
}

// ID09: the very same sign-in once more.
func TestID09ARepeatedSignInIsTheSameSessionForItsKeyAloneAndForAMinute(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		enter := func(t *testing.T, p *standin.Phone) (url.Values, *standin.Tokens) {
			t.Helper()
			f := w.prepare(t, p, w.Google, google("ada"))
			return f, wantIn(t, send(t, p, f))
		}
		t.Run("by its key, twice", func(t *testing.T) {
			p := w.phone()
			f, first := enter(t, p)
			w.unchanged(t, func() {
				for _, after := range []time.Duration{time.Second, 57 * time.Second} {
					w.Clock.Step(after)
					again := wantIn(t, send(t, p, f))
					if again.RefreshToken != first.RefreshToken || claim(t, again.AccessToken, "sid") != claim(t, first.AccessToken, "sid") {
						t.Errorf("%+v is not %+v", again, first)
					}
				}
			})
			if a := wantIn(t, present(t, p, first.RefreshToken)); a.RefreshToken == first.RefreshToken {
				t.Error("it does not rotate")
			}
		})
		for _, tt := range []struct {
			name  string
			again func(t *testing.T, p *standin.Phone, f url.Values, got *standin.Tokens) *standin.Answer
		}{
			{"by another phone", func(t *testing.T, _ *standin.Phone, f url.Values, _ *standin.Tokens) *standin.Answer {
				return send(t, w.phone(), f)
			}},
			{"after a minute", func(t *testing.T, p *standin.Phone, f url.Values, _ *standin.Tokens) *standin.Answer {
				w.Clock.Step(61 * time.Second)
				return send(t, p, f)
			}},
			{"after the first refresh", func(t *testing.T, p *standin.Phone, f url.Values, got *standin.Tokens) *standin.Answer {
				wantIn(t, present(t, p, got.RefreshToken))
				return send(t, p, f)
			}},
			{"with another scope", func(t *testing.T, p *standin.Phone, f url.Values, _ *standin.Tokens) *standin.Answer {
				f.Set("scope", scope+" todos.write")
				return send(t, p, f)
			}},
			{"with another token for the nonce", func(t *testing.T, p *standin.Phone, f url.Values, _ *standin.Tokens) *standin.Answer {
				r := google("bob")
				r.Nonce = f.Get("nonce")
				c, err := w.Google.Issue(r)
				if err != nil {
					t.Fatal(err)
				}
				f.Set("subject_token", c.IDToken)
				return send(t, p, f)
			}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				p := w.phone()
				f, got := enter(t, p)
				w.unchanged(t, func() { wantRefused(t, tt.again(t, p, f, got), "invalid_request") })
				wantIn(t, present(t, p, got.RefreshToken)) // the first session lives
			})
		}
		t.Run("without a key", func(t *testing.T) {
			p := w.phone(harness.Bearer)
			f, _ := enter(t, p)
			w.unchanged(t, func() {
				wantRefused(t, send(t, p, f), "invalid_request")
				wantRefused(t, send(t, w.phone(), f), "invalid_request")
			})
		})
	}, unlimited)
}

func present(t *testing.T, p *standin.Phone, token string) *standin.Answer {
	t.Helper()
	a, err := p.Present(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// The phone repeats by itself what the network swallowed, also after its app was killed.
func TestALostSignInIsRepeated(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		t.Run("at once", func(t *testing.T) {
			p := w.phone(w.Through)
			w.Network.Next("/token", standin.Fault{Kind: standin.LoseResponse}, standin.Fault{Kind: standin.LoseRequest})
			if _, err := p.SignIn(t.Context(), w.GooglePrompt("ada")); err != nil {
				t.Fatal(err)
			}
		})
		t.Run("after a restart of the app", func(t *testing.T) {
			var p *standin.Phone
			p = w.phone(w.Through, func(c *standin.PhoneConfig) {
				c.Observe = func(e standin.Event) {
					if e.What == standin.Unheard {
						p.Kill()
					}
				}
			})
			w.Network.Next("/token", standin.Fault{Kind: standin.LoseResponse})
			if _, err := p.SignIn(t.Context(), w.GooglePrompt("ada")); err == nil {
				t.Fatal("a killed app was signed in")
			}
			p.Start()
			if _, err := p.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
		if got := w.rows(t); got[0] != 1 || got[2] != 2 {
			t.Errorf("accounts, identities, sessions, devices: %v", got)
		}
	})
}

// Guessing tokens by the thousand is slowed down, per address and per person.
func TestRefusedSignInsAreLimited(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		p := w.phone()
		bad := func() *standin.Answer {
			r := google("ada")
			r.Forgery = standin.BadSignature
			return w.attempt(t, p, w.Google, r)
		}
		for range 30 {
			wantRefused(t, bad(), "invalid_request")
		}
		a := bad()
		wait, ok := a.RetryAfter()
		if a.Status != 429 || a.Error != "slow_down" || !ok || wait <= 0 || wait > time.Minute || strings.Contains(string(a.Body), "signature") {
			t.Fatalf("%d %v %s", a.Status, a.Header, a.Body)
		}
		w.Clock.Step(wait)
		wantIn(t, w.attempt(t, p, w.Google, google("ada")))
	})
}
