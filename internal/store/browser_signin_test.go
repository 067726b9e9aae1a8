package store

import (
	"crypto/rand"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
)

// newBrowserSignIn is a first sign-in of somebody on our pages.
func newBrowserSignIn(t testing.TB, db *DB) BrowserSignIn {
	in := newSignIn(db)
	f := mustStart(t, db, newFlow(db))
	f.State, f.AuthTime, f.AMR = domain.FlowSignedIn, in.Now, []string{domain.AMRCode}
	return BrowserSignIn{
		Now: in.Now, Flow: f, NewAccount: in.NewAccount, NewIdentity: in.NewIdentity, Event: in.Event,
		Browser: domain.Browser{
			ID: domain.BrowserID(newID()), SecretHash: sum(), AuthTime: in.Now, AMR: []string{domain.AMRCode},
			CreatedAt: in.Now, SeenAt: in.Now, ExpiresAt: in.Now.Add(14 * day), EndsAt: in.Now.Add(90 * day),
		},
	}
}

// byEmail is a sign-in with a code sent to an address.
func byEmail(t testing.TB, db *DB, address string) BrowserSignIn {
	in := newBrowserSignIn(t, db)
	in.NewIdentity.Provider, in.NewIdentity.Issuer, in.NewIdentity.Subject = "email", domain.EmailIssuer, address
	in.NewIdentity.ProvedEmail, in.Join = address, EmailJoin{Address: address, Vouched: true}
	return in
}

func mustSignInBrowser(t testing.TB, db *DB, in BrowserSignIn, want BrowserVerdict) BrowserSignInResult {
	t.Helper()
	got, err := db.SignInBrowser(t.Context(), in)
	if err != nil || got.Verdict != want {
		t.Fatalf("verdict %d, want %d (%v)", got.Verdict, want, err)
	}
	return got
}

// refusedBrowser signs in in vain, and leaves nothing but rows of the trail.
func refusedBrowser(t testing.TB, db *DB, name string, in BrowserSignIn, want BrowserVerdict, trail int64) {
	t.Helper()
	before, flow := mustRows(t, db), mustFlow(t, db, in.Flow.ID)
	mustSignInBrowser(t, db, in, want)
	before["events"] += trail
	if diff := cmp.Diff(before, mustRows(t, db)); diff != "" {
		t.Error(name, diff)
	}
	if diff := cmp.Diff(flow, mustFlow(t, db, in.Flow.ID)); diff != "" {
		t.Error(name, diff)
	}
}

func TestAFirstBrowserSignInMakesAccountIdentityAndBrowser(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		in := newBrowserSignIn(t, db)
		in.NewIdentity.ProvedEmail = "ada@example.com"
		in.Grant = &UpstreamGrant{ClientID: "com.example.web", AAD: "aad", Sealed: []byte("token")}
		got := mustSignInBrowser(t, db, in, BrowserSignedIn)
		b := in.Browser
		b.AccountID, b.IdentityID = in.NewAccount.ID, in.NewIdentity.ID
		flow := in.Flow
		flow.Version++
		flow.AccountID, flow.IdentityID, flow.BrowserID = b.AccountID, b.IdentityID, b.ID
		want := BrowserSignInResult{Verdict: BrowserSignedIn, Flow: flow, Browser: b, NewAccount: true}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(flow, mustFlow(t, db, flow.ID)); diff != "" {
			t.Error("the row", diff)
		}
		if diff := cmp.Diff(b, mustReadBrowser(t, db, b.ID).Browser); diff != "" {
			t.Error("the row", diff)
		}
		if diff := cmp.Diff([]string{"account.create", "identity.link", "identity.grant", "browser.sign_in"}, actions(t, db, b.AccountID)); diff != "" {
			t.Error(diff)
		}
		var clientID, address string
		if err := one(t.Context(), db.reader, "SELECT i.grant_client_id, e.address FROM identities i JOIN emails e ON e.identity_id = i.id", nil, &clientID, &address); err != nil {
			t.Fatal(err)
		}
		if clientID != "com.example.web" || address != "ada@example.com" {
			t.Error(clientID, address)
		}
		refusedBrowser(t, db, "the same form once more", in, FlowMovedOn, 0)
	})
}

func TestAPersonOfTheAppsIsTheSameInTheBrowser(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		first := newSignIn(db)
		s := mustSignIn(t, db, first)
		in := newBrowserSignIn(t, db)
		in.NewIdentity.Issuer, in.NewIdentity.Subject = first.NewIdentity.Issuer, first.NewIdentity.Subject
		in.NewIdentity.ProvedEmail = "ada@example.com" // which the sign-in before did not know for certain
		in.Expected = only(s.AccountID)
		got := mustSignInBrowser(t, db, in, BrowserSignedIn)
		if got.NewAccount || got.Joined || got.Flow.AccountID != s.AccountID || got.Browser.IdentityID != s.IdentityID {
			t.Errorf("%+v", got)
		}
		if n := mustRows(t, db)["emails"]; n != 1 {
			t.Errorf("%d addresses", n)
		}
	})
}

func TestAProvedAddressJoinsTheAccountThatProvedItBefore(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		app := newSignIn(db)
		app.NewIdentity.ProvedEmail = "ada@gmail.com"
		s := mustSignIn(t, db, app)
		in := byEmail(t, db, "ada@gmail.com")
		got := mustSignInBrowser(t, db, in, BrowserSignedIn)
		if !got.Joined || got.NewAccount || got.Flow.AccountID != s.AccountID || got.Flow.IdentityID != in.NewIdentity.ID {
			t.Errorf("%+v", got)
		}
		want := []string{"account.create", "identity.link", "session.start", "identity.link", "browser.sign_in"}
		if diff := cmp.Diff(want, actions(t, db, s.AccountID)); diff != "" {
			t.Error(diff)
		}
		mine := in.NewIdentity.ID
		mustLink(t, db, newLink(db, s), Linked)
		mustUnlink(t, db, unlink(db, s, s.IdentityID), Unlinked)
		mustUnlink(t, db, unlink(db, s, mine), Unlinked)
		if n := mustRows(t, db)["emails"]; n != 0 {
			t.Errorf("%d addresses of identities that are gone", n)
		}
		if got := mustSignInBrowser(t, db, byEmail(t, db, "ada@gmail.com"), BrowserSignedIn); !got.NewAccount {
			t.Error("what was unlinked still speaks for the account")
		}
	})
}

func TestAProvedAddressIsKeptOfEveryNewIdentity(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		first := newSignIn(db)
		s := mustSignIn(t, db, first)
		l := newLink(db, s)
		l.Identity.ProvedEmail = "linked@example.com"
		mustLink(t, db, l, Linked)
		known := again(db, first)
		known.NewIdentity.ProvedEmail = "later@example.com" // a known identity costs its sign-in no statement more
		mustSignIn(t, db, known)
		list, err := all(t.Context(), db.reader, scanText, "SELECT address FROM emails WHERE account_id = $1", s.AccountID[:])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"linked@example.com"}, list); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAnAddressJoinsNobodyWhereItIsNotProvedOrNotOnesAlone(t *testing.T) { // ID14
	onEachEngine(t, func(t *testing.T, db *DB) {
		claims := newSignIn(db) // ada@example.com, "verified", says a provider that does not give addresses out
		mustSignIn(t, db, claims)
		if got := mustSignInBrowser(t, db, byEmail(t, db, "ada@example.com"), BrowserSignedIn); !got.NewAccount {
			t.Error("a provider's claim joined accounts")
		}
		for range 2 {
			in := newSignIn(db)
			in.NewIdentity.ProvedEmail = "two@example.com"
			mustSignIn(t, db, in)
		}
		if got := mustSignInBrowser(t, db, byEmail(t, db, "two@example.com"), BrowserSignedIn); !got.NewAccount {
			t.Error("one of two was chosen")
		}
		without := byEmail(t, db, "two@example.com")
		without.NewIdentity.Subject, without.Join = rand.Text(), EmailJoin{}
		if got := mustSignInBrowser(t, db, without, BrowserSignedIn); !got.NewAccount {
			t.Error("it joined unasked")
		}
	})
}

func TestABrowserSignInIsRefused(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		disabled := newSignIn(db)
		disabled.NewIdentity.ProvedEmail = "gone@example.com"
		s := mustSignIn(t, db, disabled)
		if _, err := db.SetAccountState(t.Context(), s.AccountID, domain.AccountDisabled, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		known := newBrowserSignIn(t, db)
		known.NewIdentity.Subject = disabled.NewIdentity.Subject
		refusedBrowser(t, db, "a disabled account", known, BrowserAccountNotLive, 0)
		refusedBrowser(t, db, "its address", byEmail(t, db, "gone@example.com"), BrowserAccountNotLive, 0)
		known.Expected = only(domain.AccountID(newID()))
		refusedBrowser(t, db, "another account", known, OtherAccount, 0)
		fresh := newBrowserSignIn(t, db)
		fresh.Expected = only(s.AccountID)
		refusedBrowser(t, db, "nobody known", fresh, OtherAccount, 0)
		moved := newBrowserSignIn(t, db)
		if took, err := db.StepFlow(t.Context(), moved.Flow); !took || err != nil {
			t.Fatal(took, err)
		}
		refusedBrowser(t, db, "a flow that has moved on", moved, FlowMovedOn, 0)
	})
}

func TestABrowserThatSignsInAgainKeepsItsName(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := mustSignIn(t, db, newSignIn(db))
		b := mustBrowser(t, db, s)
		hanging := mustRedeem(t, db, redemption(db, granted(t, db, newFlow(db), s, b.ID)), Redeemed)

		again := byEmail(t, db, "ada@example.com") // another identity of hers
		l := newLink(db, s)
		l.Identity.Issuer, l.Identity.Subject = again.NewIdentity.Issuer, again.NewIdentity.Subject
		linked := mustLink(t, db, l, Linked)
		again.Replaces, again.Browser.CreatedAt = b.ID, b.CreatedAt.Add(time.Hour)
		got := mustSignInBrowser(t, db, again, BrowserSignedIn)
		want := again.Browser
		want.ID, want.AccountID, want.IdentityID, want.CreatedAt, want.PreviousHash = b.ID, s.AccountID, linked, b.CreatedAt, b.SecretHash
		if diff := cmp.Diff(want, mustReadBrowser(t, db, b.ID).Browser); diff != "" || got.Flow.BrowserID != b.ID {
			t.Error(diff)
		}
		if diff := cmp.Diff(want, got.Browser); diff != "" {
			t.Error(diff)
		}

		somebody := newBrowserSignIn(t, db)
		somebody.Replaces = b.ID
		other := mustSignInBrowser(t, db, somebody, BrowserSignedIn)
		if other.Browser.ID == b.ID || mustReadBrowser(t, db, b.ID).Live(db.Now()) {
			t.Error("two are signed in to one browser")
		}
		if v := mustSession(t, db, hanging.ID); v.State != domain.SessionLive {
			t.Error("an app was signed out by somebody else's sign-in")
		}
		back := newBrowserSignIn(t, db) // a browser that was ended is nobody's to take over
		back.NewIdentity.Issuer, back.NewIdentity.Subject, back.Replaces = again.NewIdentity.Issuer, again.NewIdentity.Subject, b.ID
		if got := mustSignInBrowser(t, db, back, BrowserSignedIn); got.Browser.ID == b.ID {
			t.Error("it came back")
		}
	})
}

func TestParallelBrowserSignInsOfOneStepMakeOne(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		in := newBrowserSignIn(t, db)
		verdicts := browserVerdicts(t, db, 20, func(int) BrowserSignIn {
			mine := in
			mine.Browser.ID = domain.BrowserID(newID())
			return mine
		})
		rows := mustRows(t, db)
		if verdicts[BrowserSignedIn] != 1 || verdicts[FlowMovedOn] != 19 || rows["accounts"] != 1 || rows["browsers"] != 1 {
			t.Errorf("%v, %v", verdicts, rows)
		}
	})
}

// Two ways that prove one address come at the same moment: one makes the account, the other joins it.
func TestParallelFirstSignInsOfOneAddressMakeOneAccount(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		const rounds, ways = 5, 8
		for round := range rounds { // in the first, connections are still being made
			address := rand.Text() + "@example.com"
			list := make([]BrowserSignIn, ways)
			for i := range list {
				list[i] = byEmail(t, db, address)
				if i%2 == 0 {
					list[i].NewIdentity.Issuer, list[i].NewIdentity.Subject = "https://accounts.google.com", rand.Text()
				}
			}
			verdicts := browserVerdicts(t, db, ways, func(i int) BrowserSignIn { return list[i] })
			rows, n := mustRows(t, db), int64(round+1)
			if verdicts[BrowserSignedIn] != ways || rows["accounts"] != n || rows["identities"] != n*(ways/2+1) {
				t.Fatalf("%v, %v", verdicts, rows)
			}
		}
	})
}

func browserVerdicts(t *testing.T, db *DB, n int, in func(i int) BrowserSignIn) map[BrowserVerdict]int {
	t.Helper()
	var mu sync.Mutex
	verdicts := map[BrowserVerdict]int{}
	atOnce(n, func(i int) {
		got, err := db.SignInBrowser(t.Context(), in(i))
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		verdicts[got.Verdict]++
	})
	return verdicts
}

// only is the one account that may sign in.
func only(id domain.AccountID) func(domain.AccountID) bool {
	return func(who domain.AccountID) bool { return who == id }
}
