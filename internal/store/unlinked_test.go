package store

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// vouched is a first sign-in by a provider that is certain of an address, which joins the account that proved it.
func vouched(t *testing.T, db *DB, address string) BrowserSignIn {
	in := newBrowserSignIn(t, db)
	in.NewIdentity.ProvedEmail, in.Join = address, EmailJoin{Address: address}
	return in
}

// fresh is the same sign-in, for another try with other ids.
func fresh(t *testing.T, db *DB, in BrowserSignIn) BrowserSignIn {
	again := newBrowserSignIn(t, db)
	again.NewIdentity.Issuer, again.NewIdentity.Subject = in.NewIdentity.Issuer, in.NewIdentity.Subject
	again.NewIdentity.ProvedEmail, again.Join = in.NewIdentity.ProvedEmail, in.Join
	return again
}

func takeOff(t *testing.T, db *DB, b domain.Browser) {
	t.Helper()
	mustUnlink(t, db, Unlink{Now: db.Now(), AccountID: b.AccountID, IdentityID: b.IdentityID}, Unlinked)
}

// A company's account that somebody stole is taken off, while a code by mail to the same address stays.
func TestID19AnIdentityTakenOffAnAccountDoesNotJoinItAgain(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		const address = "ada@company.example"
		mine := mustSignInBrowser(t, db, byEmail(t, db, address), BrowserSignedIn).Browser
		stolen := vouched(t, db, address)
		joined := mustSignInBrowser(t, db, stolen, BrowserSignedIn)
		if !joined.Joined || joined.Browser.AccountID != mine.AccountID {
			t.Fatalf("%+v", joined)
		}
		takeOff(t, db, joined.Browser)

		native := newSignIn(db)
		native.NewIdentity = fresh(t, db, stolen).NewIdentity
		native.Join = stolen.Join
		s := mustSignIn(t, db, native)
		if s.AccountID == mine.AccountID {
			t.Error("it joined again on the phone")
		}
		again := mustSignInBrowser(t, db, fresh(t, db, stolen), BrowserSignedIn)
		if again.Joined || again.Browser.AccountID != s.AccountID {
			t.Errorf("whoever came on the phone is somebody else in the browser: %+v", again)
		}
		other := vouched(t, db, address)
		if got := mustSignInBrowser(t, db, other, BrowserSignedIn); got.Browser.AccountID != mine.AccountID {
			t.Error("another identity that proves the address joins no more")
		}
	})
}

func TestID19AnIdentityTakenOffJoinsNotInTheBrowserEither(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		// Google vouched for it, and a code to that address was the second way.
		app := newSignIn(db)
		app.NewIdentity.ProvedEmail = "ada@gmail.com"
		s, code := mustSignIn(t, db, app), byEmail(t, db, "ada@gmail.com")
		joined := mustSignInBrowser(t, db, code, BrowserSignedIn)
		if !joined.Joined {
			t.Fatalf("%+v", joined)
		}
		takeOff(t, db, joined.Browser)
		if got := mustSignInBrowser(t, db, fresh(t, db, code), BrowserSignedIn); !got.NewAccount || got.Browser.AccountID == s.AccountID {
			t.Errorf("%+v", got)
		}
	})
}

func TestWhatItsOwnerLinksAnewMayJoinAgain(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		const address = "ada@company.example"
		mine := mustSignInBrowser(t, db, byEmail(t, db, address), BrowserSignedIn).Browser
		in := vouched(t, db, address)
		takeOff(t, db, mustSignInBrowser(t, db, in, BrowserSignedIn).Browser)
		link := newLink(db, domain.Session{AccountID: mine.AccountID})
		link.BrowserID = mine.ID
		link.Identity.Issuer, link.Identity.Subject = in.NewIdentity.Issuer, in.NewIdentity.Subject
		mustLink(t, db, link, Linked)
		if n := mustRows(t, db)["unlinked"]; n != 0 {
			t.Errorf("%d are remembered as taken off", n)
		}
		// A node of the release before takes it off and leaves no trace: what is remembered is the last word, and that was yes.
		run(t, db, "DELETE FROM identities WHERE id = $1", link.Identity.ID[:])
		if got := mustSignInBrowser(t, db, fresh(t, db, in), BrowserSignedIn); got.Browser.AccountID != mine.AccountID {
			t.Errorf("%+v", got)
		}
	})
}

func TestAnAccountRemembersTheNewestHundredItWasTakenOff(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := mustSignIn(t, db, newSignIn(db))
		bystander := mustSignIn(t, db, newSignIn(db))
		remember := func(acc domain.AccountID, subject string, at time.Time) {
			t.Helper()
			if _, err := write(t.Context(), db, alone, func(ctx context.Context, q queryer) (any, error) {
				return nil, rememberUnlinked(ctx, q, acc, "https://corp.example", subject, at)
			}); err != nil {
				t.Fatal(err)
			}
		}
		began := db.Now()
		remember(bystander.AccountID, "theirs", began.Add(-day))
		for i := range keepUnlinked + 5 {
			remember(s.AccountID, fmt.Sprint(i), began.Add(time.Duration(i)*time.Second))
		}
		remember(s.AccountID, "104", began.Add(time.Hour)) // once more
		if n := mustRows(t, db)["unlinked"]; n != keepUnlinked+1 {
			t.Errorf("%d rows", n)
		}
		for subject, want := range map[string]bool{"4": false, "5": true, "104": true} {
			got, err := wasUnlinked(t.Context(), db.reader, s.AccountID, domain.Identity{Issuer: "https://corp.example", Subject: subject})
			if err != nil || got != want {
				t.Errorf("%s: %t (%v)", subject, got, err)
			}
		}
		mustLink(t, db, newLink(db, s), Linked)
		passkey := newPasskey(db, s)
		mustAddPasskey(t, db, passkey, Linked)
		mustUnlink(t, db, unlink(db, s, passkey.Identity.ID), Unlinked)
		if n := mustRows(t, db)["unlinked"]; n != keepUnlinked+1 {
			t.Errorf("a passkey is remembered: %d rows", n)
		}
	})
}
