package signon_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// ask is a new browser that asks for a code at an address.
func ask(w *harness.World, address string) *harness.Web {
	return w.Browser().Open(web().Path()).Submit("login-submit", "action", "email", "email", address)
}

// lives fails the test unless the node answers people it has nothing to ask of anybody for, and phones.
func lives(t *testing.T, w *harness.World, phone *standin.Phone) {
	t.Helper()
	if a := w.Do(w.Request(http.MethodGet, "/jwks", "")); a.Status != http.StatusOK {
		t.Errorf("/jwks: %d %s", a.Status, a.Body)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	if _, err := phone.Refresh(ctx); err != nil {
		t.Errorf("refresh: %v", err)
	}
}

// answered waits for so many of those that are under way.
func answered(t *testing.T, n int, done <-chan *harness.Web) (list []*harness.Web) {
	t.Helper()
	timeout := time.After(8 * time.Second)
	for range n {
		select {
		case b := <-done:
			list = append(list, b)
		case <-timeout:
			t.Fatalf("%d of %d were answered while the others wait", len(list), n)
		}
	}
	return list
}

// A mail server that falls silent holds sixteen requests for five seconds, and none of anybody else's.
func TestASilentMailServerHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.SQLite, harness.YAML("limits: {in_flight: 64, email_codes_asked_per_hour: -1}"))
	phone := w.SignedIn("pixel", "ada")
	w.Mails.FallSilent()
	const all, held = 64, 16
	done := make(chan *harness.Web, all)
	for i := range all {
		b := w.Browser().Open(web().Path())
		path, form := b.Form("login-submit")
		form.Set("action", "email")
		form.Set("email", fmt.Sprintf("x%d@example.com", i))
		go func() { done <- b.Post(path, form) }()
	}
	for _, b := range answered(t, all-held, done) {
		told(b.Want("login-form"))
	}
	lives(t, w, phone)
	for range held { // and each of them hears of it before the request is given up
		told((<-done).Want("login-form"))
	}
	if log := w.Log.String(); !strings.Contains(log, "too many mails are being sent") {
		t.Error("the log does not say why")
	}
}

// So does a provider that falls silent after people have signed in there.
func TestASilentProviderHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.SQLite)
	phone := w.SignedIn("pixel", "ada")
	const all, held = 70, 64
	var back []func() *harness.Web
	for i := range all {
		b := w.Browser().Open(web().Path())
		b.Submit("provider-corp")
		r, err := w.Corp.SignInAt(t.Context(), nil, b.Left.String(), fmt.Sprint("person", i))
		if err != nil {
			t.Fatal(err)
		}
		back = append(back, func() *harness.Web { return b.Send(r) })
	}
	until := make(chan struct{})
	w.Corp.Behave(standin.Behaviour{Until: until})
	done := make(chan *harness.Web, all)
	for _, one := range back {
		go func() { done <- one() }()
	}
	for _, b := range answered(t, all-held, done) {
		told(b.Want("login-form"))
	}
	lives(t, w, phone)
	close(until)
	for range held {
		if b := <-done; b.Cookie(signOn) == "" {
			t.Errorf("not signed in: %d at %s", b.Status, b.At)
		}
	}
}

// And one that was silent from the start, so that nobody knows yet where to send people.
func TestAProviderThatWasNeverHeardOfHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.SQLite)
	phone := w.SignedIn("pixel", "ada")
	const all, held = 70, 64
	until := make(chan struct{})
	w.Corp.Behave(standin.Behaviour{Until: until})
	done := make(chan *harness.Web, all)
	for range all {
		b := w.Browser().Open(web().Path())
		go func() { done <- b.Submit("provider-corp") }()
	}
	for _, b := range answered(t, all-held, done) {
		told(b.Want("login-form"))
	}
	lives(t, w, phone)
	if log := w.Log.String(); !strings.Contains(log, "too many wait for providers") {
		t.Error("everybody waited")
	}
	if b := w.Browser().Open(web().Path()).Submit("provider-github"); b.Left == nil {
		t.Errorf("another provider's people are held up too: %s", noticeText.FindString(b.Page))
	}
	close(until)
	for range held {
		<-done
	}
}

// Whatever spelling strangers choose, the box behind it gets three mails an hour.
func TestOneMailboxHasOneLimitInEverySpelling(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		for _, spellings := range [][]string{
			{"victim@example.com", "VICTIM@example.com", "victim+1@example.com", "Victim+2@EXAMPLE.com", "viCtim@example.com"},
			{"a.lice@gmail.com", "alice@gmail.com", "A.L.I.C.E+x@googlemail.com", "ali.ce@gmail.com", "alice@googlemail.com"},
		} {
			for i, address := range spellings {
				if b := ask(w, address); b.Has("code") != (i < 3) {
					t.Errorf("the mail to %s, number %d: at %s", address, i+1, b.At)
				}
			}
		}
		ask(w, "vic.tim@example.com").Want("code") // elsewhere a dot makes another box
	})
}

// It is for counting only: who signs in with another spelling is somebody else.
func TestSpellingsThatAreCountedTogetherAreNotOnePerson(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		if byMail(t, w, "alice@gmail.com") == byMail(t, w, "a.lice@gmail.com") {
			t.Error("two addresses, one account")
		}
	})
}

// DS06 DS08: whoever asks for mails to many is held at their own address, on all nodes together; a person whose browser is
// known there is not.
func TestMailsAskedForFromOneAddressAreBoundedOnTwoNodes(t *testing.T) {
	twoNodes(t, func(t *testing.T, w *harness.World) {
		trip, known := web(), w.Browser()
		account(t, w, trip, known.Open(trip.Path()).Submit("login-submit", "action", "email", "email", "alice@example.com").
			Submit("code-submit", "code", newest(t, w, "alice@example.com", 0)))
		for i := range 6 {
			b := w.Browser().Via(w.Nodes[i%2]).Open(web().Path()).
				Submit("login-submit", "action", "email", "email", fmt.Sprintf("x%d@example.com", i))
			if b.Has("code") != (i < 4) { // Alice's led to her sign-in
				t.Errorf("mail %d: at %s", i, b.At)
			}
			if i >= 4 && !strings.Contains(b.Page, "from your network") {
				t.Errorf("mail %d: the person is told something else: %s", i, noticeText.FindString(b.Page))
			}
		}
		known.Open(web("prompt", "login").Path())
		send(t, w, known, "alice@example.com")
		w.Clock.Step(time.Hour + time.Second)
		ask(w, "x9@example.com").Want("code")
	}, harness.YAML("limits: {email_codes_asked_per_hour: 4}"))
}

// Only codes that nobody typed in count against a network address: an office signs in of a morning, each with a code or two.
func TestHonestPeopleBehindOneAddressDoNotKeepEachOtherOut(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		for i := range 6 {
			trip, b := web(), w.Browser()
			address := fmt.Sprintf("p%d@example.com", i)
			b.Open(trip.Path()).Submit("login-submit", "action", "email", "email", address)
			b.Want("code").Submit("code-resend", "action", "resend").Want("code")
			account(t, w, trip, b.Submit("code-submit", "code", newest(t, w, address, 1)))
		}
		// What came before in the same trip, to somebody else, was nobody's sign-in.
		trip, b := web(), w.Browser()
		path, form := b.Open(trip.Path()).Form("login-submit")
		form.Set("action", "email")
		for _, address := range []string{"victim@example.com", "mallory@example.com"} {
			form.Set("email", address)
			b.Post(path, form).Want("code")
		}
		account(t, w, trip, b.Submit("code-submit", "code", newest(t, w, "mallory@example.com", 0)))
		ask(w, "x1@example.com").Want("code")
		ask(w, "x2@example.com").Want("login-form")
	}, harness.YAML("limits: {email_codes_asked_per_hour: 2}"))
}

// A right code is no guess: whoever signs in often from a browser that keeps no cookie is not locked out by it.
func TestARightCodeIsNotCountedAsAGuess(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		for i := range 21 { // one more than the guesses an hour
			trip, b := web(), w.Browser()
			code := send(t, w, b.Open(trip.Path()), "alice@example.com")
			if b.Submit("code-submit", "code", code); b.Has("login-form") {
				t.Fatalf("sign-in %d: %s", i, noticeText.FindString(b.Page))
			}
			account(t, w, trip, b)
		}
	}, harness.YAML("limits: {email_codes_per_hour: -1, email_codes_asked_per_hour: -1}"))
}

// Of a form sent twice, one code is sent and one is counted, whether the two meet or follow one another.
func TestADoubleClickSendsAndCountsOneMail(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		w.Clock.Freeze()
		b := w.Browser().Open(web().Path())
		path, form := b.Form("login-submit")
		form.Set("action", "email")
		form.Set("email", "alice@example.com")
		for _, one := range together(b, 5, path, form) {
			one.Want("code")
		}
		b.Post(path, form).Want("code")
		if n := mails(w, "alice@example.com"); n != 1 {
			t.Errorf("%d mails", n)
		}
		for range 2 {
			ask(w, "alice@example.com").Want("code")
		}
		told(ask(w, "alice@example.com").Want("login-form"))
	})
}

// A mail that the server did not take is not counted, and the code before it is still good.
func TestAMailThatFailedCostsNothing(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		trip, b := web(), w.Browser()
		code := send(t, w, b.Open(trip.Path()), "alice@example.com")
		w.Mails.Answer("DATA", "451 4.3.0 try again later")
		for range 4 {
			told(b.Submit("code-resend", "action", "resend").Want("code"))
		}
		w.Mails.Answer("DATA", "")
		account(t, w, trip, b.Submit("code-submit", "code", code))
		for range 2 {
			ask(w, "alice@example.com").Want("code")
		}
		told(ask(w, "alice@example.com").Want("login-form"))
	})
}

// A resend too many takes nothing away: the code that was sent is good.
func TestAResendBeyondTheLimitLeavesTheCodeThatWasSent(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		trip, b := web(), w.Browser()
		send(t, w, b.Open(trip.Path()), "alice@example.com")
		for range 2 {
			b.Submit("code-resend", "action", "resend").Want("code")
		}
		code := newest(t, w, "alice@example.com", 2)
		told(b.Submit("code-resend", "action", "resend").Want("code"))
		account(t, w, trip, b.Submit("code-submit", "code", code))
	})
}

const known = "cs_known"

// mailed signs somebody in with a code by mail and returns their browser.
func mailed(t *testing.T, w *harness.World, address string) *harness.Web {
	t.Helper()
	trip, b := web(), w.Browser()
	code := send(t, w, b.Open(trip.Path()), address)
	account(t, w, trip, b.Submit("code-submit", "code", code))
	if b.Cookie(known) == "" {
		t.Fatal("the browser has no cookie by which it is known")
	}
	w.Log.Never(b.Cookie(known))
	return b
}

// DS06: what strangers ask for in a person's name is not counted against the browser that person signed in with before. It
// has as many of its own, for that address and no other.
func TestDS06StrangersDoNotUseUpTheMailsOfAKnownBrowser(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		alice := mailed(t, w, "alice@example.com").PutCookie(signOn, "")
		for _, address := range []string{"alice@example.com", "alice@example.com", "bob@example.com", "bob@example.com", "bob@example.com"} {
			ask(w, address).Want("code")
		}
		told(ask(w, "alice@example.com").Want("login-form"))
		mail := func(b *harness.Web, address string) *harness.Web {
			return b.Open(web().Path()).Submit("login-submit", "action", "email", "email", address)
		}
		told(mail(alice.Copy(), "bob@example.com").Want("login-form"))
		told(mail(alice.Copy(), "ALICE@example.com").Want("login-form"))
		for name, value := range map[string]string{
			"altered": wrongLast(alice.Cookie(known)), "cut": alice.Cookie(known)[1:], "another's": mailed(t, w, "carol@example.com").Cookie(known),
			"made up": strings.Repeat("A", len(alice.Cookie(known))),
		} {
			if b := told(mail(alice.Copy().PutCookie(known, value), "alice@example.com")); b.Has("code") {
				t.Errorf("a cookie that is %s is taken", name)
			}
		}
		for range 2 {
			mail(alice, "alice@example.com").Want("code")
		}
		trip := web()
		code := send(t, w, alice.Open(trip.Path()), "alice@example.com")
		account(t, w, trip, alice.Submit("code-submit", "code", code)) // it stays the browser it was
		told(mail(alice.PutCookie(signOn, ""), "alice@example.com").Want("login-form"))
	})
}

func wrongLast(text string) string {
	if strings.HasSuffix(text, "AAAA") {
		return text[:len(text)-4] + "BAAA"
	}
	return text[:len(text)-4] + "AAAA"
}

// DS06: nor do their wrong guesses keep the person out. The browser is known over a restart.
func TestDS06StrangersDoNotUseUpTheGuessesOfAKnownBrowser(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		alice := mailed(t, w, "alice@example.com").PutCookie(signOn, "")
		w.Restart()
		for range 4 {
			b := w.Browser().Open(web().Path())
			code := send(t, w, b, "alice@example.com")
			path, form := b.Form("code-submit")
			form.Set("code", wrong(code))
			for range 5 {
				b.Post(path, form)
			}
		}
		stranger := w.Browser().Open(web().Path())
		told(stranger.Submit("code-submit", "code", send(t, w, stranger, "alice@example.com")).Want("login-form"))
		trip := web()
		account(t, w, trip, alice.Submit("code-submit", "code", send(t, w, alice.Open(trip.Path()), "alice@example.com")))
	}, harness.YAML("limits: {email_codes_per_hour: -1, email_codes_asked_per_hour: -1}"))
}

// Neither our log nor, by way of the mail server's words, anybody's says who did not get a mail.
func TestTheLogDoesNotNameWhoGotNoMail(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		w.Log.Never("victim")
		w.Mails.Answer("victim@example.com", "550 5.1.1 <victim@example.com> is unknown here")
		told(ask(w, "victim@example.com").Want("login-form"))
		w.Mails.Answer("DATA", "451 4.3.0 not now, victim@example.org")
		told(ask(w, "victim@example.org").Want("login-form"))
		for _, code := range []string{"550 5.1.1", "451 4.3.0"} {
			if !strings.Contains(w.Log.String(), code) {
				t.Errorf("the log does not have %s", code)
			}
		}
	})
}

// Asked for at once on two nodes, the mails to one address are as many as one after the other.
func TestMailsAskedForAtOnceAreNoMoreThanTheLimitOnTwoNodes(t *testing.T) {
	twoNodes(t, func(t *testing.T, w *harness.World) {
		const all = 12
		done := make(chan *harness.Web, all)
		for i := range all {
			b := w.Browser().Via(w.Nodes[i%2]).Open(web().Path())
			path, form := b.Form("login-submit")
			form.Set("action", "email")
			form.Set("email", "alice@example.com")
			go func() { done <- b.Post(path, form) }()
		}
		sent := 0
		for range all {
			if b := <-done; b.Has("code") {
				sent++
			} else {
				told(b.Want("login-form"))
			}
		}
		if n := mails(w, "alice@example.com"); n != 3 || sent != 3 {
			t.Errorf("%d mails, %d pages", n, sent)
		}
	})
}
