package signon_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// unhurt fails the test if anybody was signed in, unless the person was told and the same trip still ends well.
func unhurt(t *testing.T, w *harness.World, trip *harness.Trip, b *harness.Web, p *standin.Provider, name string) {
	t.Helper()
	if b.Cookie(signOn) != "" {
		t.Error("signed in")
		return
	}
	told(b.Want("login-form"))
	p.Misbehave(standin.Mischief{})
	account(t, w, trip, b.SignInWith(p, name, "alice"))
}

// ID01, ID06, ID08, ID10: what a provider sends back is held against what it was asked.
func TestAProvidersWrongAnswerSignsNobodyIn(t *testing.T) {
	claim := func(name string, value any) standin.Mischief {
		return standin.Mischief{Claims: func(c map[string]any) { c[name] = value }}
	}
	without := func(name string) standin.Mischief {
		return standin.Mischief{Claims: func(c map[string]any) { delete(c, name) }}
	}
	ago := func(d time.Duration) float64 { return float64(time.Now().Add(-d).Unix()) }
	cases := map[string]standin.Mischief{
		"ID01 another issuer in the token": claim("iss", "https://evil.example"),
		"ID01 another audience":            {Audience: "somebody-else"},
		"ID01 two audiences, azp another":  {Claims: func(c map[string]any) { c["aud"], c["azp"] = []any{c["aud"], "other"}, "other" }},
		"ID06 expired":                     claim("exp", ago(time.Hour)),
		"ID06 no expiry":                   without("exp"),
		"ID06 expiry as text":              claim("exp", "tomorrow"),
		"ID06 issued ahead of time":        claim("iat", ago(-time.Hour)),
		"ID06 too old":                     {Claims: func(c map[string]any) { c["iat"] = ago(time.Hour) }},
		"ID08 another nonce":               {Nonce: "another"},
		"ID08 no nonce":                    without("nonce"),
		"ID08 nonce as a hash of it":       {Claims: func(c map[string]any) { c["nonce"] = strings.ToUpper(c["nonce"].(string)) }},
		"ID10 a code that is not theirs":   {Code: "stolen"},
		"no subject":                       without("sub"),
		"the subject of userinfo differs":  {UserSubject: "somebody-else"},
		"an error":                         {Error: "server_error"},
		"an error nobody knows":            {Error: "x\"><b>"},
		"the token endpoint is down":       {TokenStatus: http.StatusInternalServerError},
		"the token endpoint refuses us":    {TokenStatus: http.StatusUnauthorized},
		"another server's iss":             {Issuer: "https://evil.example"},
		"no iss although it says so":       {NoIssuer: true},
		"another state":                    {State: "AAAAAAAAAAAAAAAAAAAAAA.x"},
	}
	onEngines(t, func(t *testing.T, w *harness.World) {
		for name, m := range cases {
			t.Run(name, func(t *testing.T) {
				trip, b := web(), w.Browser()
				b.Open(trip.Path())
				back := b.At.RequestURI()
				w.Corp.Misbehave(m)
				b.SignInWith(w.Corp, "corp", "alice")
				if m.UserSubject != "" && b.Cookie(signOn) != "" { // what the token said is enough
					w.Corp.Misbehave(standin.Mischief{})
					if got, want := account(t, w, trip, b), byProvider(t, w, w.Corp, "corp", "alice"); got != want {
						t.Errorf("%s is not %s", got, want)
					}
					return
				}
				if m.State != "" { // it finds no trip: the person goes back
					if b.Cookie(signOn) != "" || b.Status != http.StatusBadRequest {
						t.Errorf("%d %s", b.Status, b.Page)
					}
					w.Corp.Misbehave(standin.Mischief{})
					account(t, w, trip, b.Open(back).SignInWith(w.Corp, "corp", "alice"))
					return
				}
				unhurt(t, w, trip, b, w.Corp, "corp")
			})
		}
	})
}

// The person turns round at the provider, and goes on in the same trip.
func TestWhoCancelsAtTheProviderMayChooseAgain(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		for name, p := range map[string]*standin.Provider{"corp": w.Corp, "google": w.Google, "apple": w.Apple, "github": w.GitHub, "microsoft": w.Microsoft} {
			trip, b := web(), w.Browser()
			b.Open(trip.Path()).Submit("provider-" + name)
			back, err := p.DenyAt(t.Context(), nil, b.Left.String())
			if err != nil {
				t.Fatal(err)
			}
			unhurt(t, w, trip, b.Send(back), p, name)
		}
	})
}

// An answer swapped for that of another provider, of another trip or of an earlier question is none (RFC 9700 §4.4).
func TestAnswersDoNotFitOtherQuestions(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		answer := func(b *harness.Web, p *standin.Provider, name, username string) *http.Request {
			b.Submit("provider-" + name)
			r, err := p.SignInAt(t.Context(), nil, b.Left.String(), username)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		t.Run("ID17 another person's trip", func(t *testing.T) {
			alice, mallory := w.Browser().Open(web().Path()), w.Browser().Open(web().Path())
			before := rows(t, w)
			r := answer(mallory, w.Corp, "corp", "mallory")
			if alice.Send(r); alice.Status != http.StatusBadRequest || alice.Cookie(signOn) != "" {
				t.Errorf("%d %s", alice.Status, alice.Page)
			}
			after := rows(t, w)
			if before["accounts"] != after["accounts"] || before["browsers"] != after["browsers"] {
				t.Errorf("%v, then %v", before, after)
			}
		})
		t.Run("another provider's callback", func(t *testing.T) {
			trip, b := web(), w.Browser()
			r := answer(b.Open(trip.Path()), w.Corp, "corp", "alice")
			r.URL.Path = "/federation/google/callback"
			unhurt(t, w, trip, b.Send(r), w.Corp, "corp")
		})
		t.Run("the question before", func(t *testing.T) {
			trip, b := web(), w.Browser()
			b.Open(trip.Path())
			page := b.At.RequestURI()
			first := answer(b, w.Corp, "corp", "alice")
			answer(b.Open(page), w.Corp, "corp", "alice")
			unhurt(t, w, trip, b.Send(first), w.Corp, "corp")
		})
		t.Run("the code of another trip", func(t *testing.T) {
			trip, b := web(), w.Browser()
			stolen := answer(w.Browser().Open(web().Path()), w.Corp, "corp", "mallory").URL.Query().Get("code")
			r := answer(b.Open(trip.Path()), w.Corp, "corp", "alice")
			q := r.URL.Query()
			q.Set("code", stolen)
			r.URL.RawQuery = q.Encode()
			unhurt(t, w, trip, b.Send(r), w.Corp, "corp")
		})
		t.Run("twice", func(t *testing.T) {
			trip, b := web(), w.Browser()
			r := answer(b.Open(trip.Path()), w.Corp, "corp", "erin")
			n := actions(t, w)["browser.sign_in"]
			second := r.Clone(t.Context())
			b.Send(r)
			again := b.Copy().Send(second)
			if actions(t, w)["browser.sign_in"] != n+1 || again.Status != http.StatusOK {
				t.Errorf("%d, %s", again.Status, again.Page)
			}
			account(t, w, trip, b)
		})
	})
}

// The provider's token endpoint does not answer: the person is told in time, and the trip is alive.
func TestAProviderThatDoesNotAnswerCostsNoTrip(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		trip, b := web(), w.Browser()
		b.Open(trip.Path())
		w.Corp.Misbehave(standin.Mischief{TokenSlow: time.Hour})
		start := time.Now()
		b.SignInWith(w.Corp, "corp", "alice")
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("the person waited %v", took)
		}
		unhurt(t, w, trip, b, w.Corp, "corp")
	})
}

// Apple posts across sites, so without cookies: what it posts is put by for the browser that began, once.
func TestApplesAnswerIsTakenUpByTheBrowserThatBegan(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		trip, b := web(), w.Browser()
		b.Open(trip.Path()).Submit("provider-apple")
		r, err := w.Apple.SignInAt(t.Context(), nil, b.Left.String(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		posted, err := standin.ReadCallback(r)
		if err != nil {
			t.Fatal(err)
		}
		post := func(form url.Values) string {
			t.Helper()
			a := w.Post("/federation/apple/callback", form, harness.Set("Sec-Fetch-Site", "cross-site"), harness.Set("Origin", "https://appleid.apple.com"))
			to := a.Header.Get("Location")
			if a.Status != http.StatusSeeOther || len(a.Header.Values("Set-Cookie")) > 0 || strings.Contains(to, posted.Get("code")) {
				t.Errorf("%d %v", a.Status, a.Header)
			}
			return to
		}
		to := post(posted)
		second := url.Values{"state": posted["state"], "code": {"mallorys"}}
		if again := post(second); again != to {
			t.Errorf("%s, then %s", to, again)
		}
		post(url.Values{"state": {posted.Get("state") + "&code=mallorys"}, "code": {"x"}})
		if u, err := url.Parse(to); err != nil || len(u.Query()) != 1 || u.Query().Get("state") != posted.Get("state") {
			t.Errorf("%s", to)
		}
		stranger := w.Browser().Open(to)
		if stranger.Status != http.StatusBadRequest || stranger.Cookie(signOn) != "" {
			t.Errorf("a stranger: %d %s", stranger.Status, stranger.Page)
		}
		account(t, w, trip, b.Open(to))
		if strings.Contains(w.Log.String(), posted.Get("code")) {
			t.Error("the code is in the log")
		}
	})
}

// A state that brings parameters of its own along adds none to an address of ours.
func TestAPostedStateIsEscapedInTheAddressItLeadsTo(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		b := w.Browser().Open(web().Path()).Submit("provider-apple")
		state := b.Left.Query().Get("state") + "&code=evil&error=x\r\nX: y#z"
		a := w.Post("/federation/apple/callback", url.Values{"state": {state}, "code": {"c"}})
		u, err := url.Parse(a.Header.Get("Location"))
		if err != nil || u.Query().Get("state") != state || len(u.Query()) != 1 || u.Fragment != "" {
			t.Errorf("%d %v", a.Status, a.Header)
		}
	})
}

// Apple's refresh token is kept sealed on the identity and revoked when it is unlinked.
func TestApplesGrantIsRevokedWithTheIdentity(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		alice := w.Apple.PersonNamed("alice")
		who := byProvider(t, w, w.Apple, "apple", "alice")
		given := w.Apple.AppleRefreshTokens()
		if len(given) != 1 {
			t.Fatalf("%v", given)
		}
		// On the phone they link Google, and unlink Apple.
		native := standin.AppleNative(harness.ClientID, harness.Person(alice.Subject))
		native.AuthorizationCode = false // which would put a grant in the place of this one
		apple, phone := w.Apple.Prompt(native), w.Phone("phone")
		if _, err := phone.SignIn(t.Context(), apple); err != nil {
			t.Fatal(err)
		}
		if a, err := phone.Account(t.Context()); err != nil || a.ID != who {
			t.Fatalf("%+v, %v, want %s", a, err, who)
		}
		if _, err := phone.Link(t.Context(), w.GooglePrompt("alice"), apple); err != nil {
			t.Fatal(err)
		}
		list, err := phone.Identities(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range list {
			if i.Provider == "apple" {
				if err := phone.Unlink(t.Context(), i.ID, w.GooglePrompt("alice")); err != nil {
					t.Fatal(err)
				}
			}
		}
		tick, end := time.NewTicker(20*time.Millisecond), time.After(20*time.Second)
		defer tick.Stop()
		for !slices.Equal(w.Apple.AppleRevoked(), given) { // by the outbox
			select {
			case <-tick.C:
			case <-end:
				t.Fatalf("revoked %v of %v", w.Apple.AppleRevoked(), given)
			}
		}
	})
}
