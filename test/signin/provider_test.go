package signin_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/client"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// ID05: tokens with made-up key ids. (The flood of ten thousand is in package upstream; here it comes through the door.)
func TestID05UnknownKeysCauseOneFetchAMinute(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		p := w.phone()
		made := 0
		unknown := func() *standin.Answer {
			made++
			r := google("ada")
			r.Header = func(h map[string]any) { h["kid"] = fmt.Sprintf("made-up-%d", made) }
			return w.attempt(t, p, w.Google, r)
		}
		wantIn(t, w.attempt(t, w.phone(), w.Google, google("ada"))) // so that the keys have been fetched
		before := w.Google.Requests("/jwks")
		for range 20 {
			a := unknown()
			wantUnavailable(t, a)
			if wait, _ := a.RetryAfter(); wait < 30*time.Second || wait > time.Minute {
				t.Errorf("the throttle lasts a minute, and Retry-After is %v", wait)
			}
		}
		if n := w.Google.Requests("/jwks") - before; n != 0 {
			t.Errorf("%d fetches within the minute", n)
		}
		for range 3 {
			w.Clock.Step(61 * time.Second)
			before = w.Google.Requests("/jwks")
			wantRefused(t, unknown(), "invalid_request") // the fetch was allowed, so this is a verdict
			var forms []*standin.Answer
			for range 5 {
				forms = append(forms, unknown())
			}
			for _, a := range forms {
				wantUnavailable(t, a)
			}
			if n := w.Google.Requests("/jwks") - before; n != 1 {
				t.Errorf("%d fetches in a minute", n)
			}
		}
		wantIn(t, w.attempt(t, p, w.Google, google("ada"))) // a known key needs none
	}, unlimited)
}

// A provider that rotates its keys keeps nobody out, and a key it took back signs nobody in.
func TestAProviderRotatesItsKeys(t *testing.T) { // rfc8725-3.8-01
	onEngines(t, func(t *testing.T, w *world) {
		bearer := w.phone(harness.Bearer)
		old := w.prepare(t, bearer, w.Google, google("ada"))
		if _, err := w.Google.RotateKeys(); err != nil {
			t.Fatal(err)
		}
		w.Google.DropOldKeys()
		w.Clock.Step(61 * time.Second)
		before := w.Google.Requests("/jwks")
		var all sync.WaitGroup
		for i := range 20 {
			p := w.phone()
			all.Go(func() {
				if a := w.attempt(t, p, w.Google, google(fmt.Sprint(i))); a.Tokens == nil {
					t.Errorf("with the new key: %d %s", a.Status, a.Body)
				}
			})
		}
		all.Wait()
		if n := w.Google.Requests("/jwks") - before; n != 1 {
			t.Errorf("twenty sign-ins with a new key made %d fetches", n)
		}
		wantUnavailable(t, send(t, bearer, old))
		w.Clock.Step(61 * time.Second)
		wantRefused(t, send(t, bearer, old), "invalid_request")
	}, unlimited)
}

// ID21: the provider's keys are down, slow, huge or elsewhere. Cached ones serve for a day.
func TestID21AProviderInTroubleDoesNoHarm(t *testing.T) {
	hangs := make(chan struct{})
	t.Cleanup(func() { close(hangs) })
	for name, trouble := range map[string]standin.Behaviour{
		"down":       {Status: 503},
		"gone wrong": {Status: 200, JWKSBytes: 0},
		"slow":       {Until: hangs},
		"huge":       {JWKSBytes: 10 << 20},
		"elsewhere":  {RedirectTo: "http://169.254.169.254/latest/meta-data"},
	} {
		t.Run(name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, w *world) {
				p := w.phone()
				wantIn(t, w.attempt(t, p, w.Google, google("ada")))
				w.Google.Behave(trouble)
				w.Clock.Step(23 * time.Hour)
				wantIn(t, w.attempt(t, p, w.Google, google("ada")))
				w.Clock.Step(2 * time.Hour)
				began := time.Now()
				w.unchanged(t, func() { wantUnavailable(t, w.attempt(t, p, w.Google, google("ada"))) })
				if took := time.Since(began); took > 9*time.Second { // the fetch is given 5 s, the request 10
					t.Errorf("it took %v", took)
				}
				wantIn(t, w.attempt(t, w.phone(), w.Corp, corp("ada"))) // the others are as before
				w.Google.Behave(standin.Behaviour{})
				w.Clock.Step(61 * time.Second)
				wantIn(t, w.attempt(t, p, w.Google, google("ada")))
			}, unlimited)
		})
	}
}

// ID21: the address of a provider's keys sends the server on to somebody else's, which are a key set like any other. They
// are not even asked for.
func TestID21AKeySetElsewhereIsNotAskedFor(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		evil, err := standin.NewProvider(standin.Google, standin.WithClock(w.Clock.Now))
		if err != nil {
			t.Fatal(err)
		}
		defer evil.Close()
		p := w.phone()
		wantIn(t, w.attempt(t, p, w.Google, google("ada")))
		w.Google.Behave(standin.Behaviour{RedirectTo: evil.URL() + "/jwks"})
		w.Clock.Step(25 * time.Hour)
		for _, from := range []*standin.Provider{w.Google, evil} {
			before := w.Google.Requests("/jwks")
			w.unchanged(t, func() { wantUnavailable(t, w.attempt(t, p, from, google("ada"))) })
			if asked := w.Google.Requests("/jwks") - before; asked != 1 {
				t.Errorf("Google was asked %d times, so this shows nothing", asked)
			}
			if n := evil.Requests("/jwks"); n != 0 {
				t.Errorf("%d requests followed the redirect", n)
			}
			w.Clock.Step(61 * time.Second)
		}
	}, unlimited)
}

// ID14: an address is information. It moves between people, and no account moves with it.
func TestID14AnAddressThatChangesChangesNoAccount(t *testing.T) { // rfc8725-3.8-02
	onEngines(t, func(t *testing.T, w *world) {
		ada, bob := google("ada"), google("bob")
		ada.Email, bob.Email = "ada@example.com", "bob@example.com"
		a, b := w.account(t, w.Google, ada), w.account(t, w.Google, bob)
		ada.Email = "bob@example.com"
		if got := w.account(t, w.Google, ada); got != a || a == b {
			t.Errorf("ada was %s and is %s; bob is %s", a, got, b)
		}
		stranger := corp("stranger")
		stranger.Email = "ada@example.com"
		if got := w.account(t, w.Corp, stranger); got == a || got == b {
			t.Errorf("somebody with ada's address at another provider became %s", got)
		}
		for account, email := range map[string]string{a: "ada@example.com", b: "bob@example.com"} {
			got, err := w.admin.Account(t.Context(), account)
			if err != nil || len(got.Identities) != 1 || got.Identities[0].Email != email {
				t.Errorf("%+v, %v; want the address %s of the first sign-in", got, err, email)
			}
		}
	})
}

// A subject is one person at one provider, letter by letter.
func TestASubjectIsComparedLetterByLetter(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		seen := map[string]string{}
		for _, subject := range []string{"ada", "Ada", "ada ", "ada\u200b", "аda", strings.Repeat("a", 255)} {
			r := corp("ada")
			r.Subject = subject
			account := w.account(t, w.Corp, r)
			if before, taken := seen[account]; taken {
				t.Errorf("%q and %q are one account", before, subject)
			}
			seen[account] = subject
		}
		for name, subject := range map[string]any{"none": nil, "empty": "", "a number": 7, "too long": strings.Repeat("a", 256), "with NUL": "a\x00b"} {
			r := corp("ada")
			r.Mutate = func(c map[string]any) { c["sub"] = subject }
			t.Run(name, func(t *testing.T) {
				w.unchanged(t, func() { wantRefused(t, w.attempt(t, w.phone(), w.Corp, r), "invalid_request") })
			})
		}
	}, unlimited)
}

// ID10: Google on iOS sends at_hash, Apple c_hash.
func TestID10HashesInTheToken(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		ios := standin.GoogleIOS(harness.GoogleWeb, "ios.example", harness.Person("ada"))
		wantIn(t, w.attempt(t, w.phone(), w.Google, ios))
		ios.Mutate = func(c map[string]any) { c["at_hash"] = "wrong" }
		wantIn(t, w.attempt(t, w.phone(), w.Google, ios))
		p := w.phone()
		for name, code := range map[string]string{"missing": "", "another": "c0ffee.0.code", "its hash": "hash"} {
			f := w.prepare(t, p, w.Apple, apple("ada"))
			f.Set("provider_code", code)
			t.Run(name, func(t *testing.T) {
				w.unchanged(t, func() { wantRefused(t, send(t, p, f), "invalid_request") })
			})
		}
		wantIn(t, w.attempt(t, p, w.Apple, apple("ada")))
	}, unlimited)
}

// appleGrants waits until Apple has given out so many refresh tokens, and the server has put them away.
func (w *world) appleGrants(t *testing.T, n int) []string {
	t.Helper()
	var tokens []string
	eventually(t, 20*time.Second, fmt.Sprintf("%d codes redeemed", n), func() bool {
		tokens = w.Apple.AppleRefreshTokens()
		rows, err := w.db.Rows(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(tokens) == n && rows["outbox"] == 0
	})
	return tokens
}

// Apple's code is redeemed after the sign-in, once, for the person it belongs to.
func TestAnAppleCodeIsRedeemed(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		account := w.account(t, w.Apple, apple("ada"))
		if tokens := w.appleGrants(t, 1); len(tokens) != 1 {
			t.Fatalf("%v", tokens)
		}
		w.wantGrants(t, account, 1)
		t.Run("the name Apple tells once is kept", func(t *testing.T) {
			got, err := w.admin.Account(t.Context(), account)
			if err != nil || len(got.Identities) != 1 || got.Identities[0].Name != "Person ada" || got.Identities[0].Email != "ada@gmail.com" {
				t.Errorf("%+v, %v", got, err)
			}
		})
		t.Run("Apple being down keeps nobody out", func(t *testing.T) {
			w.Apple.Behave(standin.Behaviour{Status: 503})
			bob := w.account(t, w.Apple, apple("bob"))
			eventually(t, 10*time.Second, "a first try", func() bool { return w.Apple.Requests("/auth/token") >= 2 })
			w.Apple.Behave(standin.Behaviour{})
			w.Clock.Step(10 * time.Second)
			w.appleGrants(t, 2)
			w.wantGrants(t, bob, 1)
		})
		t.Run("a code of somebody else's is thrown away", func(t *testing.T) {
			r := apple("eve")
			r.CodeSubject = "ada"
			eve := w.account(t, w.Apple, r)
			eventually(t, 10*time.Second, "given up", func() bool {
				return strings.Contains(w.Log.String(), "an Apple authorization code was given up")
			})
			w.wantGrants(t, eve, 0)
		})
	})
}

func (w *world) wantGrants(t *testing.T, account string, n int) {
	t.Helper()
	events, err := w.admin.Events(t.Context(), client.EventFilter{AccountID: account})
	if err != nil {
		t.Fatal(err)
	}
	got := 0
	for _, e := range events {
		if e.Action == "identity.grant" {
			got++
		}
	}
	if got != n {
		t.Errorf("%d grants in the trail of %s, want %d", got, account, n)
	}
}

// What an account's trail says of a first sign-in.
func TestASignInIsAudited(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		account := w.account(t, w.Google, google("ada"))
		w.account(t, w.Google, google("ada"))
		events, err := w.admin.Events(t.Context(), client.EventFilter{AccountID: account})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		for _, e := range events {
			seen[e.Action]++
			if e.RequestID == "" || e.IP == "127.0.0.1" || e.ClientID != harness.ClientID {
				t.Errorf("%+v", e)
			}
		}
		if seen["account.create"] != 1 || seen["session.start"] != 2 {
			t.Errorf("%v", seen)
		}
		body, err := json.Marshal(events)
		if err != nil || bytes.Contains(body, []byte("eyJhbGci")) || bytes.Contains(body, []byte("gmail.com")) {
			t.Errorf("%s, %v", body, err)
		}
	})
}

// An account that may not be used signs nobody in, and the app is told that signing in again will not help.
func TestADisabledAccountSignsNobodyIn(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		account := w.account(t, w.Google, google("ada"))
		if _, err := w.admin.DisableAccount(t.Context(), account); err != nil {
			t.Fatal(err)
		}
		w.unchanged(t, func() { wantRefused(t, w.attempt(t, w.phone(), w.Google, google("ada")), "invalid_grant") })
		if _, err := w.admin.EnableAccount(t.Context(), account); err != nil {
			t.Fatal(err)
		}
		if got := w.account(t, w.Google, google("ada")); got != account {
			t.Errorf("%s became %s", account, got)
		}
	})
}

// RT15: a person the server knows, at a client that may not be used: no session is left behind, not even one that would
// come alive with the client.
func TestRT15ADisabledClientSignsNobodyIn(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		p := w.phone()
		account := w.account(t, w.Google, google("ada"))
		known, stranger := w.prepare(t, p, w.Google, google("ada")), w.prepare(t, p, w.Google, google("eve"))
		if err := w.admin.DisableClient(t.Context(), harness.ClientID); err != nil {
			t.Fatal(err)
		}
		w.unchanged(t, func() {
			for _, f := range []url.Values{known, stranger} {
				if a := send(t, p, f); a.Status != 401 || a.Error != "invalid_client" || a.Description == "" {
					t.Errorf("%d %s", a.Status, a.Body)
				}
			}
		})
		if err := w.admin.EnableClient(t.Context(), harness.ClientID); err != nil {
			t.Fatal(err)
		}
		if sessions, err := w.admin.AccountSessions(t.Context(), account, true); err != nil || len(sessions) != 1 {
			t.Errorf("%+v, %v; want the first session alone", sessions, err)
		}
	})
}
