package trip

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/client"
	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// revoked fails the test unless the session of these tokens has ended, for everybody who has them, and the trail says why.
func revoked(t *testing.T, w *harness.World, got harness.Answer) {
	t.Helper()
	if w.Active(got.String("access_token")) {
		t.Error("the access token is active")
	}
	if a := userinfo(w, got.String("access_token")); a.Status != http.StatusUnauthorized || a.Error() != "invalid_token" {
		t.Errorf("userinfo: %d %s", a.Status, a.Body)
	}
	if a := w.Refresh(harness.OwnID, got.String("refresh_token"), harness.Basic(harness.OwnID, harness.WebSecret)); a.Error() != "invalid_grant" {
		t.Errorf("refresh: %d %s", a.Status, a.Body)
	}
	claims, err := standin.Claims(got.String("id_token"))
	if err != nil {
		t.Fatal(err)
	}
	sid, _ := claims["sid"].(string)
	events, err := w.Admin().Events(t.Context(), client.EventFilter{SessionID: sid})
	if err != nil {
		t.Fatal(err)
	}
	ended := 0
	for _, e := range events {
		if e.Action == "session.end" && e.Reason == "reuse" {
			ended++
		}
	}
	if ended != 1 {
		t.Errorf("%d endings for reuse in the trail of %s: %+v", ended, sid, events)
	}
}

// alive fails the test unless the tokens are as good as they were.
func alive(t *testing.T, w *harness.World, got harness.Answer) {
	t.Helper()
	if !w.Active(got.String("access_token")) {
		t.Error("the access token is not active")
	}
}

// alarmed fails the test unless the log has this alarm.
func alarmed(t *testing.T, w *harness.World, alarm string) {
	t.Helper()
	if !strings.Contains(w.Log.String(), `"alarm":"`+alarm+`"`) {
		t.Errorf("no alarm %s in the log", alarm)
	}
}

// TK04 rfc6749-4.1.2-01 rfc6749-4.1.2-02 rfc6749-10.5-01 rfc6749-10.5-02: a code that comes again ends what it gave, however late and also
// after a restart.
func TestTK04AReplayedCodeEndsWhatItGave(t *testing.T) {
	for name, later := range map[string]func(w *harness.World){
		"at once":         func(*harness.World) {},
		"after 1 s":       func(w *harness.World) { w.Clock.Step(time.Second) },
		"after 30 s":      func(w *harness.World) { w.Clock.Step(30 * time.Second) },
		"after 9 min":     func(w *harness.World) { w.Clock.Step(9 * time.Minute) },
		"after a restart": func(w *harness.World) { w.Restart() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			harness.Engines(t, func(t *testing.T, e harness.Engine) {
				w := harness.New(t, e)
				trip := own()
				_, code := coded(w, trip)
				got := tokens(t, w, trip, code)
				later(w)
				refused(t, redeem(w, trip, code), "invalid_grant")
				revoked(t, w, got)
				alarmed(t, w, "code.replay")
			})
		})
	}
}

// proven makes a DPoP header for the token endpoint.
func proven(t *testing.T, w *harness.World, p *dpop.Prover) func(*http.Request) {
	t.Helper()
	proof, err := p.Proof(http.MethodPost, w.Issuer+"/token", "", "", w.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	return harness.Set("DPoP", proof)
}

func newProver(t *testing.T) *dpop.Prover {
	t.Helper()
	p, err := dpop.NewProver()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TK04: what the network doubled is refused and harms nobody; another key, or the same one later, is a second party.
func TestTK04ADuplicateByTheSameKeyRevokesNothing(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		w.Clock.Freeze()
		for name, tt := range map[string]struct {
			after   time.Duration
			foreign bool
			ends    bool
		}{
			"the same key at once": {0, false, false}, "the same key after 9 s": {9 * time.Second, false, false},
			"the same key after 10 s": {10 * time.Second, false, true}, "another key at once": {0, true, true},
		} {
			t.Run(name, func(t *testing.T) {
				key := newProver(t)
				trip := app(loopback)
				_, code := coded(w, trip)
				form := trip.Redeem(code, "client_id", harness.ClientID)
				got := w.Post("/token", form, proven(t, w, key))
				if got.Status != 200 || got.String("token_type") != "DPoP" {
					t.Fatalf("%d %s", got.Status, got.Body)
				}
				w.Clock.Step(tt.after)
				if tt.foreign {
					key = newProver(t)
				}
				refused(t, w.Post("/token", form, proven(t, w, key)), "invalid_grant")
				if active := w.Active(got.String("access_token")); active == tt.ends {
					t.Errorf("active: %t", active)
				}
			})
		}
	})
}

// TK05: of a hundred that redeem one code on two nodes one succeeds, and since the others may be thieves it ends.
func TestTK05OneCodeAHundredTimesOnTwoNodes(t *testing.T) {
	for name, e := range map[string]struct {
		engine harness.Engine
		nodes  int
	}{"two nodes on PostgreSQL": {harness.Postgres, 2}, "one node on SQLite": {harness.SQLite, 1}} {
		t.Run(name, func(t *testing.T) {
			w := harness.New(t, e.engine, harness.Nodes(e.nodes))
			trip := own()
			_, code := coded(w, trip)
			answers := make([]harness.Answer, 100)
			var all sync.WaitGroup
			for i := range answers {
				all.Go(func() {
					answers[i] = w.Post("/token", trip.Redeem(code), harness.Basic(trip.Client, harness.WebSecret), harness.At(w.Nodes[i%e.nodes]))
				})
			}
			all.Wait()
			var got []harness.Answer
			for _, a := range answers {
				if a.Status == 200 {
					got = append(got, a)
					continue
				}
				refused(t, a, "invalid_grant")
			}
			if len(got) != 1 {
				t.Fatalf("%d succeeded", len(got))
			}
			revoked(t, w, got[0])
		})
	}
}

// TK06 rfc6749-4.1.3-01 rfc6749-4.1.3-02 rfc7636-4.6-01: client, time and verifier must all be right.
func TestTK06OnlyTheRightClientInTimeWithTheRightVerifierSucceeds(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		b, _ := coded(w, own())
		for i := range 8 {
			rightClient, live, rightVerifier := i&1 != 0, i&2 != 0, i&4 != 0
			trip := own()
			code := trip.Code(b.Open(trip.Path()))
			client, verifier := harness.WebID, own().Verifier
			if rightClient {
				client = harness.OwnID
			}
			if rightVerifier {
				verifier = trip.Verifier
			}
			if !live {
				w.Clock.Step(61 * time.Second)
			}
			a := w.Post("/token", trip.Redeem(code, "code_verifier", verifier), harness.Basic(client, harness.WebSecret))
			if rightClient && live && rightVerifier {
				if a.Status != 200 {
					t.Errorf("all right: %d %s", a.Status, a.Body)
				}
				continue
			}
			refused(t, a, "invalid_grant")
		}
		alarmed(t, w, "code.other_client")
	})
}

// TK06: a code is for the redirect URI of its request, and a stranger who tries harms nobody.
func TestACodeIsForItsClientAndRedirectURI(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		trip := web()
		_, code := coded(w, trip)
		refused(t, w.Post("/token", trip.Redeem(code), harness.Basic(harness.OwnID, harness.WebSecret)), "invalid_grant")
		refused(t, w.Post("/token", trip.Redeem(code, "client_id", harness.ClientID)), "invalid_grant")
		refused(t, redeem(w, trip, code, "redirect_uri", webRedirect+"?with=query"), "invalid_grant")
		refused(t, redeem(w, trip, code, "redirect_uri", ""), "invalid_request")
		refused(t, redeem(w, trip, code+"A"), "invalid_grant")
		refused(t, redeem(w, trip, ""), "invalid_request")
		if a := w.Post("/token", trip.Redeem(code, "client_id", harness.WebID)); a.Status != http.StatusUnauthorized || a.Error() != "invalid_client" {
			t.Errorf("not authenticated: %d %s", a.Status, a.Body) // rfc6749-3.2.1-01
		}
		got := tokens(t, w, trip, code) // none of that spent it
		refused(t, w.Post("/token", trip.Redeem(code), harness.Basic(harness.OwnID, harness.WebSecret)), "invalid_grant")
		alive(t, w, got) // nor does another client's replay end it
	})
}

// TK08 rfc7636-4.1-01 rfc7636-4.6-01: whoever guesses verifiers has one guess, and nobody else loses anything by it.
func TestTK08AWrongVerifierBurnsTheCode(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		b, _ := coded(w, own())
		earlier := own()
		before := tokens(t, w, earlier, earlier.Code(b.Open(earlier.Path())))
		for name, verifier := range map[string]string{
			"missing": "", "wrong": own().Verifier, "short": strings.Repeat("a", 42), "long": strings.Repeat("a", 129),
			"another alphabet": strings.Repeat("ä", 40), "a space": strings.Repeat("a ", 30),
		} {
			trip := own()
			code := trip.Code(b.Open(trip.Path()))
			refused(t, redeem(w, trip, code, "code_verifier", verifier), "invalid_grant")
			if a := redeem(w, trip, code); a.Status != 400 || a.Error() != "invalid_grant" {
				t.Errorf("%s: the right one then: %d %s", name, a.Status, a.Body)
			}
		}
		trip := own()
		got := tokens(t, w, trip, trip.Code(b.Open(trip.Path())))
		alive(t, w, got)
		alive(t, w, before)
		alarmed(t, w, "code.wrong_verifier")
	})
}

// TK09: what has changed since the person agreed counts when the code is redeemed.
func TestTK09ACodeIsWorthNothingOnceItsGroundIsGone(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		for name, gone := range map[string]func(t *testing.T, w *harness.World, b *harness.Web){
			"the account is disabled": func(t *testing.T, w *harness.World, _ *harness.Web) {
				a, err := w.Admin().AccountByIdentity(t.Context(), "https://accounts.google.com", w.Google.PersonNamed("alice").Subject)
				if err == nil {
					_, err = w.Admin().DisableAccount(t.Context(), a.ID)
				}
				if err != nil {
					t.Fatal(err)
				}
			},
			"consent is withdrawn": func(_ *testing.T, w *harness.World, _ *harness.Web) { w.Exec("DELETE FROM consents") },
			"the person has signed out": func(_ *testing.T, _ *harness.World, b *harness.Web) {
				b.Open("/logout").Submit("logout-confirm", "action", "confirm")
			},
		} {
			t.Run(name, func(t *testing.T) {
				w := harness.New(t, e)
				trip := web()
				b, code := coded(w, trip)
				gone(t, w, b)
				refused(t, redeem(w, trip, code), "invalid_grant")
				refused(t, redeem(w, trip, code), "invalid_grant")
			})
		}
		t.Run("the client is disabled", func(t *testing.T) {
			w := harness.New(t, e)
			trip := web()
			_, code := coded(w, trip)
			if err := w.Admin().DisableClient(t.Context(), harness.WebID); err != nil {
				t.Fatal(err)
			}
			if a := redeem(w, trip, code); a.Status == 200 || a.Status >= 500 || a.String("access_token") != "" {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		})
	})
}

// TK10 rfc9449-10-01: a code that is bound to a key is redeemed with it alone.
func TestTK10ABoundCodeNeedsItsKey(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		mine, other := newProver(t), newProver(t)
		trip := app(loopback, "dpop_jkt", mine.JKT())
		_, code := coded(w, trip)
		form := trip.Redeem(code, "client_id", harness.ClientID)
		refused(t, w.Post("/token", form), "invalid_grant")
		refused(t, w.Post("/token", form, proven(t, w, other)), "invalid_grant")
		if a := w.Post("/token", form, proven(t, w, mine)); a.Status != 200 || a.String("token_type") != "DPoP" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
}

// TK13: a code of one deployment is nothing at another, whatever both have in common.
func TestTK13ACodeOfAnotherIssuerIsNothing(t *testing.T) {
	a, b := harness.New(t, harness.SQLite), harness.New(t, harness.SQLite)
	trip := own()
	_, code := coded(a, trip)
	refused(t, redeem(b, trip, code), "invalid_grant")
	got := tokens(t, a, trip, code)
	if r := userinfo(b, got.String("access_token")); r.Status != http.StatusUnauthorized || r.Error() != "invalid_token" {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	refused(t, b.Refresh(harness.OwnID, got.String("refresh_token"), harness.Basic(harness.OwnID, harness.WebSecret)), "invalid_grant")
}

// TK14: while the database fails nobody is told that a code, a client or a trip is no good, and afterwards all go on.
func TestTK14ATripOutlivesADatabaseThatIsGone(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		trip := web()
		_, code := coded(w, trip)
		under := web()
		b := w.Browser().Open(under.Path())
		page := b.At.String()
		device := w.Post("/device_authorization", url.Values{"client_id": {harness.TVID}, "scope": {"openid todos.read"}})

		mend := w.Break("flows", "browsers", "consents")
		unavailable := func(name string, status int, h http.Header, body string) {
			t.Helper()
			if status != http.StatusServiceUnavailable || h.Get("Retry-After") == "" || h.Get("Location") != "" ||
				strings.Contains(body, "elsewhere") || strings.Contains(strings.ToLower(body), "sql") {
				t.Errorf("%s: %d %v %s", name, status, h, body)
			}
		}
		for name, a := range map[string]harness.Answer{
			"the code": redeem(w, trip, code),
			"the device": w.Post("/token", url.Values{
				"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {harness.TVID}, "device_code": {device.String("device_code")},
			}),
		} {
			unavailable(name, a.Status, a.Header, string(a.Body))
			if a.Error() != "temporarily_unavailable" {
				t.Errorf("%s: %s", name, a.Body)
			}
		}
		for name, path := range map[string]string{"a new trip": web().Path(), "its page": page, "a silent one": web("prompt", "none").Path()} {
			b.Open(path)
			unavailable(name, b.Status, b.Header, b.Page)
			if !b.Has("error-page") {
				t.Errorf("%s:\n%s", name, b.Page)
			}
		}
		mend()
		_ = tokens(t, w, trip, code)
		under.Code(through(b.Open(page).SignInWith(w.Google, "google", "alice")))
	})
}

// TK01 TK02 TK16 rfc6749-4.1.4-01: the code is read from the form, once, and no answer is kept.
func TestTK01ACodeTravelsInTheFormOnce(t *testing.T) {
	w := harness.New(t, harness.SQLite)
	trip := own()
	_, code := coded(w, trip)
	basic := harness.Basic(trip.Client, harness.WebSecret)
	form := trip.Redeem(code)
	uncached := func(a harness.Answer) harness.Answer {
		t.Helper()
		if a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d %v", a.Status, a.Header)
		}
		return a
	}
	if a := uncached(w.Do(w.Request(http.MethodGet, "/token?"+form.Encode(), "", basic))); a.Status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", a.Status)
	}
	refused(t, uncached(w.Post("/token?code="+code, trip.Redeem("x"), basic)), "invalid_request")
	refused(t, uncached(w.Do(w.Request(http.MethodPost, "/token", `{"code":"`+code+`"}`, basic, harness.Set("Content-Type", "application/json")))), "invalid_request")
	for _, name := range []string{"code", "code_verifier", "redirect_uri", "grant_type"} {
		twice := url.Values{}
		for k, v := range form {
			twice[k] = v
		}
		twice[name] = []string{form.Get(name), form.Get(name)}
		refused(t, uncached(w.Post("/token", twice, basic)), "invalid_request")
	}
	form.Set("utm_source", "x")
	form.Set("scope", "") // as if it were not there
	a := uncached(w.Post("/token", form, basic))
	if a.Status != 200 || a.Header.Get("Pragma") != "no-cache" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	_ = uncached(userinfo(w, a.String("access_token")))
	_ = uncached(userinfo(w, "x"))
}
