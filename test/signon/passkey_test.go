package signon_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// person has a passkey that they made after signing in by provider.
type person struct {
	keys    *standin.Authenticator
	account string
}

func withPasskey(t *testing.T, w *harness.World, username string) person {
	t.Helper()
	p := person{keys: standin.NewAuthenticator()}
	trip, b := web(), w.Browser()
	b.Open(trip.Path()).SignInWith(w.Corp, "corp", username)
	if b.Has("consent-form") {
		b.Submit("consent-allow", "action", "allow")
	}
	made, err := p.keys.Create(b.Want("passkey-skip").PasskeyOptions(), w.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	b.Submit("passkey-form", "credential", string(made))
	p.account = subject(t, w, tokens(t, w, trip, b))
	if n := actions(t, w)["passkey.add"] + actions(t, w)["identity.link"]; n < 2 {
		t.Fatalf("the passkey was not added: %v", actions(t, w))
	}
	return p
}

// answer is the form the page's script sends, with the passkey's answer for the challenge of the page.
func (p person) answer(t *testing.T, w *harness.World, b *harness.Web) (path string, form url.Values) {
	t.Helper()
	response, err := p.keys.Get(b.PasskeyOptions(), w.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	path, form = b.Form("passkey-form")
	form.Set("credential", string(response))
	return path, form
}

// A challenge is answered once, in time, and in the trip it was made for.
func TestWA01AChallengeIsGoodForOneSignIn(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		alice := withPasskey(t, w, "alice")
		trip, b := web(), w.Browser()
		path, form := alice.answer(t, w, b.Open(trip.Path()))
		again := b.Copy()
		if got := account(t, w, trip, b.Post(path, form)); got != alice.account {
			t.Errorf("%s, not %s", got, alice.account)
		}
		if again.Post(path, form); again.Cookie(signOn) != "" || again.Status != 400 {
			t.Errorf("replayed: %d %s", again.Status, again.Page)
		}
		t.Run("replayed in another trip", func(t *testing.T) {
			c := w.Browser().Open(web().Path())
			_, mine := c.Form("passkey-form")
			mine.Set("credential", form.Get("credential"))
			if told(c.Post(path, mine).Want("login-form")); c.Cookie(signOn) != "" {
				t.Error("signed in")
			}
		})
		t.Run("for another trip", func(t *testing.T) {
			c, d := w.Browser().Open(web().Path()), w.Browser().Open(web().Path())
			_, theirs := alice.answer(t, w, c)
			if d.Post(path, theirs); d.Cookie(signOn) != "" || d.Status != 400 {
				t.Errorf("%d %s", d.Status, d.Page)
			}
		})
		t.Run("too late", func(t *testing.T) {
			c := w.Browser().Open(web().Path())
			path, form := alice.answer(t, w, c)
			w.Clock.Step(6 * time.Minute)
			if told(c.Post(path, form).Want("login-form")); c.Cookie(signOn) != "" {
				t.Error("signed in")
			}
			path, form = alice.answer(t, w, c) // the page has a fresh one
			if c.Post(path, form); c.Cookie(signOn) == "" {
				t.Errorf("the fresh challenge is no good: %s", c.Page)
			}
		})
		t.Run("twenty times at once", func(t *testing.T) {
			before := actions(t, w)["browser.sign_in"]
			c := w.Browser().Open(web().Path())
			path, form := alice.answer(t, w, c)
			signedIn := 0
			for _, one := range together(c, 20, path, form) {
				if one.Cookie(signOn) != "" {
					signedIn++
				}
			}
			if n := actions(t, w)["browser.sign_in"] - before; signedIn != 1 || n != 1 {
				t.Errorf("%d browsers, %d sign-ins", signedIn, n)
			}
		})
	})
}

func TestWA02AnAnswerFromElsewhereSignsNobodyIn(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		alice := withPasskey(t, w, "alice")
		for name, flaws := range map[string]standin.Flaws{
			"another origin":           {Origin: "https://evil.example"},
			"another RP":               {RPID: "evil.example"},
			"another ceremony":         {Type: "webauthn.create"},
			"an embedded page":         {CrossOrigin: true},
			"without verification":     {WithoutUserVerification: true},
			"without presence":         {WithoutUserPresence: true},
			"a bad signature":          {BadSignature: true},
			"another person's handle":  {UserHandle: []byte("0123456789abcdef")},
			"a challenge of one's own": {Challenge: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
		} {
			b := w.Browser().Open(web().Path())
			alice.keys.Behave(flaws)
			path, form := alice.answer(t, w, b)
			alice.keys.Behave(standin.Flaws{})
			if told(b.Post(path, form).Want("login-form")); b.Cookie(signOn) != "" {
				t.Errorf("%s: signed in", name)
			}
		}
		for _, garbage := range []string{"", "{}", "null", `{"id":1}`, "[]"} {
			b := w.Browser().Open(web().Path())
			if b.Submit("passkey-form", "credential", garbage).Want("login-form"); b.Cookie(signOn) != "" {
				t.Errorf("%s: signed in", garbage)
			}
		}
	})
}

// A passkey whose counter goes backwards was copied: nobody signs in with it, and the trail says so.
func TestAClonedPasskeyIsRefusedAndSaidSo(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		alice := withPasskey(t, w, "alice")
		for range 2 {
			trip, b := web(), w.Browser()
			path, form := alice.answer(t, w, b.Open(trip.Path()))
			account(t, w, trip, b.Post(path, form))
		}
		alice.keys.Behave(standin.Flaws{CounterBack: 2})
		b := w.Browser().Open(web().Path())
		path, form := alice.answer(t, w, b)
		told(b.Post(path, form).Want("login-form"))
		if b.Cookie(signOn) != "" || actions(t, w)["passkey.clone"] != 1 {
			t.Errorf("%v: %s", actions(t, w), b.Page)
		}
		if b.At.Query().Get("notice") != "passkey_unknown" { // not "another account": there is none
			t.Errorf("at %s", b.At)
		}
	})
}

// A passkey is added right after a sign-in in the same trip, and never else.
func TestWA04APasskeyIsOnlyAddedAfterASignInInTheSameTrip(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		offered := func(username string) (*harness.Trip, *harness.Web) {
			trip, b := web(), w.Browser()
			b.Open(trip.Path()).SignInWith(w.Corp, "corp", username)
			return trip, b.Submit("consent-allow", "action", "allow").Want("passkey-skip")
		}
		keys := standin.NewAuthenticator()
		create := func(b *harness.Web) (string, url.Values) {
			t.Helper()
			made, err := keys.Create(b.PasskeyOptions(), w.Issuer)
			if err != nil {
				t.Fatal(err)
			}
			path, form := b.Form("passkey-form")
			form.Set("credential", string(made))
			return path, form
		}
		before := rows(t, w)["passkeys"]
		same := func(what string) {
			t.Helper()
			if n := rows(t, w)["passkeys"]; n != before {
				t.Errorf("%s: %d passkeys, then %d", what, before, n)
			}
		}
		_, alice := offered("alice")
		path, form := create(alice)

		stranger := w.Browser()
		if stranger.Post(path, form); stranger.Status != 400 {
			t.Errorf("without a cookie: %d %s", stranger.Status, stranger.Page)
		}
		_, bob := offered("bob")
		if bob.Copy().Post(path, form).Status != 400 {
			t.Error("in another browser")
		}
		_, foreign := bob.Form("passkey-form")
		foreign.Set("credential", form.Get("credential"))
		bob.Post(path, foreign)
		same("a foreign trip, or another trip's answer")

		late, c := offered("carol")
		path, form = create(c)
		through(c)
		late.Code(c)
		if c.Post(path, form); c.Status != 400 {
			t.Errorf("a trip that is over: %d %s", c.Status, c.Page)
		}
		same("a trip that is over")

		signedOut, d := offered("dave")
		_ = signedOut
		path, form = create(d)
		d.PutCookie(signOn, "").Post(path, form)
		same("without a sign-in")

		_, e := offered("erin")
		path, form = create(e)
		w.Clock.Step(31 * time.Minute)
		if e.Post(path, form); e.Status != 400 {
			t.Errorf("an expired trip: %d %s", e.Status, e.Page)
		}
		same("an expired trip")
	})
}

// In one browser, one person begins and another goes on: what the first said and made is not the second's.
func TestWhatOnePersonSaidInATripIsNotAnothers(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		t.Run("a passkey offered to one is not added to another", func(t *testing.T) {
			b := w.Browser().Open(web().Path()).SignInWith(w.Corp, "corp", "alice")
			b.Submit("consent-allow", "action", "allow").Want("passkey-skip")
			made, err := standin.NewAuthenticator().Create(b.PasskeyOptions(), w.Issuer)
			if err != nil {
				t.Fatal(err)
			}
			path, form := b.Form("passkey-form")
			form.Set("credential", string(made))
			tab := own("prompt", "login")
			account(t, w, tab, b.Open(tab.Path()).SignInWith(w.Corp, "corp", "bob"))
			before := rows(t, w)["passkeys"]
			if b.Post(path, form); rows(t, w)["passkeys"] != before {
				t.Error("Alice's passkey is Bob's")
			}
			if b.Left != nil {
				t.Errorf("Bob agreed to nothing, and left for %v", b.Left)
			}
		})
		t.Run("nor does what they agreed to, where the other came by another tab", func(t *testing.T) {
			trip, b := web(), w.Browser()
			b.Open(trip.Path()).SignInWith(w.Corp, "corp", "alice").Submit("consent-allow", "action", "allow").Want("passkey-skip")
			path := b.At.String()
			tab := own("prompt", "login")
			erin := account(t, w, tab, b.Open(tab.Path()).SignInWith(w.Corp, "corp", "erin"))
			if b.Open(path); b.Left != nil || !b.Has("consent-form") {
				t.Fatalf("Erin was asked nothing: %v\n%s", b.Left, b.Page)
			}
			if got := account(t, w, trip, b); got != erin {
				t.Errorf("%s, not %s", got, erin)
			}
		})
		t.Run("nor does their consent hold for another", func(t *testing.T) {
			trip, b := web(), w.Browser()
			b.Open(trip.Path()).SignInWith(w.Corp, "corp", "carol")
			flow := flowOf(t, b)
			b.Submit("consent-allow", "action", "allow").Want("passkey-skip")
			b.Open("/login?as=another&flow="+flow).SignInWith(w.Corp, "corp", "dave").Want("consent-form")
			account(t, w, trip, b)
		})
	})
}

// A page says as whom it speaks. If somebody else has signed in by the time its button is pressed, in another tab, the
// button is nobody's word: they are asked whether to go on as they.
func TestAButtonPressedByOnePersonIsNotAnothersWord(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		for name, c := range map[string]struct {
			trip   *harness.Trip
			button string
			form   url.Values
		}{
			"to agree":             {web(), "consent-allow", url.Values{"action": {"allow"}}},
			"to go on as somebody": {own("prompt", "select_account"), "login-continue", url.Values{"action": {"continue"}}},
		} {
			b, before := w.Browser(), own()
			account(t, w, before, b.Open(before.Path()).SignInWith(w.Corp, "corp", "alice"))
			path, form := b.Open(c.trip.Path()).Form(c.button)
			for k, v := range c.form {
				form[k] = v
			}
			tab := own("prompt", "login")
			bob := account(t, w, tab, b.Open(tab.Path()).SignInWith(w.Corp, "corp", "bob"))
			if b.Post(path, form); b.Left != nil || b.Has("consent-form") || !b.Has("login-continue") {
				t.Fatalf("%s: Bob was not asked as whom: %v\n%s", name, b.Left, b.Page)
			}
			if got := account(t, w, c.trip, b.Submit("login-continue", "action", "continue")); got != bob {
				t.Errorf("%s: %s, not %s", name, got, bob)
			}
		}
	})
}
