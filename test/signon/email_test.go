package signon_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/test/harness"
)

// A code is one sign-in, in the trip it was sent for, within ten minutes.
func TestSE08ACodeByMailIsGoodOnce(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		trip, b := web(), w.Browser()
		code := send(t, w, b.Open(trip.Path()), "alice@example.com")
		again := b.Copy()
		alice := account(t, w, trip, b.Submit("code-submit", "code", code))
		if again.Submit("code-submit", "code", code); again.Left != nil || again.Has("consent-form") {
			t.Errorf("the code was good a second time: %v, %s", again.Left, again.Page)
		}
		t.Run("not in another trip", func(t *testing.T) {
			other, c := web("prompt", "login"), w.Browser()
			send(t, w, c.Open(other.Path()), "bob@example.com")
			if c.Submit("code-submit", "code", code).Want("code"); c.Left != nil {
				t.Errorf("left for %v", c.Left)
			}
		})
		t.Run("not after ten minutes", func(t *testing.T) {
			late, c := web(), w.Browser()
			code := send(t, w, c.Open(late.Path()), "carol@example.com")
			w.Clock.Step(10*time.Minute + time.Second)
			if told(c.Submit("code-submit", "code", code).Want("login-form")); c.Cookie(signOn) != "" {
				t.Error("signed in")
			}
		})
		t.Run("nor the one before it", func(t *testing.T) {
			trip, c := web(), w.Browser()
			first := send(t, w, c.Open(trip.Path()), "dave@example.com")
			c.Submit("code-resend", "action", "resend").Want("code")
			second := newest(t, w, "dave@example.com", 1)
			if c.Submit("code-submit", "code", first); first != second && (c.Cookie(signOn) != "" || !c.Has("code")) {
				t.Errorf("signed in: %s", c.Page)
			}
			account(t, w, trip, c.Submit("code-submit", "code", second))
		})
		if again := byMail(t, w, "alice@example.com"); again != alice {
			t.Errorf("%s, then %s", alice, again)
		}
	})
}

// Sent twenty times at once, the right code is one sign-in.
func TestSE08TheRightCodeInParallelIsOneSignIn(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		b := w.Browser().Open(web().Path())
		code := send(t, w, b, "alice@example.com")
		path, form := b.Form("code-submit")
		form.Set("code", code)
		signedIn := 0
		for _, one := range together(b, 20, path, form) {
			if one.Cookie(signOn) != "" {
				signedIn++
			}
		}
		if signedIn != 1 || actions(t, w)["browser.sign_in"] != 1 {
			t.Errorf("%d browsers signed in, %v", signedIn, actions(t, w))
		}
	})
}

// A guess too many changes nothing, or it would take the trip from the right one that is signing in at that moment.
func TestSE08AGuessTooManyLeavesTheTripAlone(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		b, db := w.Browser().Open(web().Path()), w.Store()
		code := send(t, w, b, "alice@example.com")
		var id domain.FlowID
		if err := id.UnmarshalText([]byte(flowOf(t, b))); err != nil {
			t.Fatal(err)
		}
		for range 5 { // guesses that are counted and not compared yet
			if _, ok, err := db.AttemptFlow(t.Context(), id, 5); err != nil || !ok {
				t.Fatal(ok, err)
			}
		}
		before, err := db.Flow(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if told(b.Submit("code-submit", "code", code)); b.Cookie(signOn) != "" {
			t.Error("signed in")
		}
		after, err := db.Flow(t.Context(), id)
		if err != nil || after.Version != before.Version {
			t.Errorf("from version %d to %d, %v", before.Version, after.Version, err)
		}
		told(b.Submit("code-resend", "action", "resend").Want("login-form"))
	})
}

// Bob reads a code that was sent to him; in the trip that Alice began it signs nobody in, nor does Alice's in his.
func TestSE08ACodeForSomebodyElseDoesNotSignInHere(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		alice, bob := w.Browser().Open(web().Path()), w.Browser().Open(web().Path())
		send(t, w, alice, "alice@example.com")
		bobs := send(t, w, bob, "bob@example.com")
		if alice.Submit("code-submit", "code", bobs); alice.Cookie(signOn) != "" {
			t.Error("Bob's code signed in at Alice's trip")
		}
		_, form := bob.Form("code-submit")
		form.Set("code", bobs)
		before := rows(t, w)
		if alice.Post("/login/code", form); alice.Status != 400 || alice.Cookie(signOn) != "" {
			t.Errorf("Alice's browser with Bob's trip: %d %s", alice.Status, alice.Page)
		}
		if after := rows(t, w); after["browsers"] != before["browsers"] || after["accounts"] != before["accounts"] {
			t.Errorf("%v, then %v", before, after)
		}
	})
}

// Five wrong guesses end it, also over a restart; a new code brings none back, and a second trip counts for the address.
func TestSE09CodesCannotBeGuessed(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		b := w.Browser().Open(web().Path())
		code := send(t, w, b, "alice@example.com")
		for range 3 {
			b.Submit("code-submit", "code", wrong(code)).Want("code")
		}
		w.Restart()
		b.Submit("code-submit", "code", wrong(code)).Want("code")
		b.Submit("code-resend", "action", "resend").Want("code")
		code = newest(t, w, "alice@example.com", 1)
		path, form := b.Form("code-submit")
		told(b.Submit("code-submit", "code", wrong(code)).Want("login-form"))
		form.Set("code", code)
		if b.Post(path, form).Want("login-form"); b.Cookie(signOn) != "" {
			t.Fatal("the sixth guess signed in")
		}
		if b.Submit("login-submit", "action", "email", "email", "alice@example.com").Want("login-form"); mails(w, "alice@example.com") != 2 {
			t.Error("the trip sends another code")
		}
	}, harness.YAML("limits: {email_codes_per_hour: -1}"))
}

func TestSE09GuessesAreCountedForTheAddressOverAllTrips(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		guess := func(right bool) *harness.Web {
			b := w.Browser().Open(web().Path())
			code := send(t, w, b, "alice@example.com")
			if right {
				return b.Submit("code-submit", "code", code)
			}
			path, form := b.Form("code-submit")
			form.Set("code", wrong(code))
			for range 5 {
				b.Post(path, form)
			}
			return told(b.Want("login-form"))
		}
		for range 4 { // twenty wrong ones
			guess(false)
		}
		if b := told(guess(true).Want("login-form")); b.Cookie(signOn) != "" {
			t.Error("signed in after twenty wrong guesses")
		}
		byMail(t, w, "bob@example.com")
		w.Clock.Step(time.Hour + time.Minute)
		if b := guess(true); b.Cookie(signOn) == "" {
			t.Errorf("an hour later: %s", b.Page)
		}
	}, harness.YAML("limits: {email_codes_per_hour: -1}"))
}

// A mail scanner that opens whatever it finds does nothing: there is nothing to open, and GET changes nothing.
func TestSE10AMailHoldsNoLinkAndAGetHasNoEffect(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		trip, b := web(), w.Browser()
		code := send(t, w, b.Open(trip.Path()), "alice@example.com")
		m, err := w.Mails.WaitFor(t.Context(), "alice@example.com")
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{m.Text(), m.HTML(), m.Subject()} {
			for _, link := range []string{"http:", "https:", "href", w.Issuer, strings.TrimPrefix(w.Issuer, "http://")} {
				if strings.Contains(strings.ToLower(text), link) {
					t.Errorf("the mail holds %q: %s", link, text)
				}
			}
		}
		flow := flowOf(t, b)
		page := b.At.RequestURI()
		for _, q := range []string{"/login/code?", "/login?", "/login?action=email&email=x@example.com&", "/login?action=cancel&"} {
			b.Copy().Open(q + url.Values{"flow": {flow}, "code": {code}}.Encode())
		}
		if n := mails(w, "alice@example.com"); n != 1 || len(w.Mails.Messages()) != 1 || actions(t, w)["browser.sign_in"] != 0 {
			t.Errorf("a GET had an effect: %d mails, %v", n, actions(t, w))
		}
		account(t, w, trip, b.Open(page).Submit("code-submit", "code", code))
	})
}

// Known or not, an address gets the same page and a mail.
func TestSE13NobodyLearnsWhetherAnAddressIsKnown(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		byMail(t, w, "known@example.com")
		shape := func(address string) (int, int) {
			b := w.Browser().Open(web().Path())
			send(t, w, b, address)
			return b.Status, len(b.Page)
		}
		status, length := shape("known@example.com")
		if s, l := shape("fresh@example.com"); s != status || l != length {
			t.Errorf("known: %d, %d bytes; unknown: %d, %d bytes", status, length, s, l)
		}
	})
}

// Three mails an hour and ten a day to one address, whoever asks and wherever.
func TestAnAddressGetsNoMoreMailsThanItsLimitOnTwoNodes(t *testing.T) {
	twoNodes(t, func(t *testing.T, w *harness.World) {
		i := 0
		ask := func() *harness.Web {
			b := w.Browser().Via(w.Nodes[i%2]).Open(web().Path())
			i++
			return b.Submit("login-submit", "action", "email", "email", "alice@example.com")
		}
		want := 0
		for _, perHour := range []int{3, 3, 3, 1} {
			for range perHour {
				ask().Want("code")
			}
			want += perHour
			told(ask().Want("login-form"))
			if n := mails(w, "alice@example.com"); n != want {
				t.Fatalf("%d mails, want %d", n, want)
			}
			w.Clock.Step(time.Hour + time.Second)
		}
		told(ask().Want("login-form"))
		w.Clock.Step(24 * time.Hour)
		ask().Want("code")
	})
}

// The mail server is down: the person is told, and goes on in the same trip.
func TestAMailServerThatIsDownCostsNoTrip(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		trip, b := web(), w.Browser()
		b.Open(trip.Path())
		w.Mails.Answer("DATA", "451 4.3.0 try again later")
		told(b.Submit("login-submit", "action", "email", "email", "alice@example.com").Want("login-form"))
		w.Mails.Answer("DATA", "")
		code := send(t, w, b, "alice@example.com")
		account(t, w, trip, b.Submit("code-submit", "code", code))
	})
}

// Whoever has patience guesses within the hourly limits for months. A hundred wrong codes without a right one between them
// end it for browsers that are not known; the person's own goes on, and its right code begins the count anew.
func TestSE09AHundredWrongCodesInARowAreTheLast(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		const address = "alice@example.com"
		alice := mailed(t, w, address).PutCookie(signOn, "")
		guess := func(n int) {
			for i := range n {
				if i%4 == 0 {
					w.Clock.Step(time.Hour + time.Second)
				}
				b := w.Browser().Open(web().Path())
				code := send(t, w, b, address)
				for range 5 {
					b.Submit("code-submit", "code", wrong(code))
				}
			}
			w.Clock.Step(time.Hour + time.Second)
		}
		comes := func(b *harness.Web) bool {
			code := send(t, w, b.Open(web().Path()), address)
			return !b.Submit("code-submit", "code", code).Has("login-form")
		}
		guess(19) // 95, and a right one
		if !comes(w.Browser()) {
			t.Fatal("too soon")
		}
		guess(20)
		if comes(w.Browser()) {
			t.Error("a stranger's 101st guess counts")
		}
		if !comes(alice) || !comes(w.Browser()) {
			t.Error("her own browser does not end it")
		}
	}, harness.YAML("limits: {email_codes_per_hour: -1, email_codes_asked_per_hour: -1}"))
}
