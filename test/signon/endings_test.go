package signon_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/test/harness"
)

// refreshed is what the website gets for the refresh token of an answer.
func refreshed(w *harness.World, got harness.Answer) harness.Answer {
	return w.Refresh(harness.WebID, got.String("refresh_token"), harness.Basic(harness.WebID, harness.WebSecret))
}

// byCode finishes a trip of the website with a code sent to alice.
func byCode(t *testing.T, w *harness.World, b *harness.Web, more ...string) harness.Answer {
	t.Helper()
	trip := web(more...)
	code := send(t, w, b.Open(trip.Path()), "alice@example.com")
	return tokens(t, w, trip, through(b.Submit("code-submit", "code", code)))
}

// A device that was approved and has not fetched its tokens yet is a session to be: what ends the sessions of whoever
// approved it ends it too.
func TestDV05ADeviceApprovedBeforeAnEndingGetsNothing(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, w *harness.World, b *harness.Web, acc domain.AccountID){
		"signed out everywhere": func(t *testing.T, w *harness.World, _ *harness.Web, acc domain.AccountID) {
			if _, err := w.Admin().EndAccountSessions(t.Context(), acc.String()); err != nil {
				t.Fatal(err)
			}
		},
		"the identity unlinked": func(t *testing.T, w *harness.World, _ *harness.Web, acc domain.AccountID) {
			db := w.Store()
			list, err := db.Identities(t.Context(), acc)
			if err != nil || len(list) != 2 {
				t.Fatal(list, err)
			}
			for _, i := range list {
				if i.Provider != "corp" {
					continue
				}
				v, err := db.UnlinkIdentity(t.Context(), store.Unlink{Now: db.Now(), AccountID: acc, IdentityID: i.ID, Event: domain.Event{At: db.Now()}})
				if err != nil || v != store.Unlinked {
					t.Fatal(v, err)
				}
			}
		},
		"signed out where it was approved": func(_ *testing.T, _ *harness.World, b *harness.Web, _ domain.AccountID) {
			b.Open("/logout").Submit("logout-confirm", "action", "confirm").Want("logout-done")
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, w *harness.World) {
				acc := accountID(t, byProvider(t, w, w.Corp, "corp", "alice"))
				secondIdentity(t, w, acc)
				d := newDevice(t, w)
				b := d.approve("alice")
				end(t, w, b, acc)
				d.want(t, "access_denied")
				w.Clock.Step(6 * time.Second)
				d.want(t, "access_denied")
				other := newDevice(t, w) // what was agreed to afterwards is not touched
				if name != "the identity unlinked" {
					other.approve("alice")
					if a := other.poll(); a.Status != http.StatusOK {
						t.Errorf("%d %s", a.Status, a.Body)
					}
				}
			})
		})
	}
}

func accountID(t *testing.T, text string) (id domain.AccountID) {
	t.Helper()
	if err := id.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return id
}

// secondIdentity lets the account be signed in to in another way, so that the first may be unlinked.
func secondIdentity(t *testing.T, w *harness.World, acc domain.AccountID) {
	t.Helper()
	db := w.Store()
	list, err := db.AccountSessions(t.Context(), acc, true)
	if err != nil || len(list) == 0 {
		t.Fatal(list, err)
	}
	now := db.Now()
	v, _, err := db.LinkIdentity(t.Context(), store.Link{Now: now, SessionID: list[0].ID, Event: domain.Event{At: now}, Identity: domain.Identity{
		ID: domain.NewID[domain.IdentityID](), AccountID: acc, Provider: "email", Issuer: domain.EmailIssuer, Subject: "second@example.com",
		CreatedAt: now, LastUsedAt: now,
	}})
	if err != nil || v != store.Linked {
		t.Fatal(v, err)
	}
}

// The sign-on of a browser nobody has used for two weeks is over; the apps that began in it may not be. Whoever signs out
// there is signed out of them, and does not only read so.
func TestSE05ALogoutInABrowserWhoseTimeIsOverEndsItsSessions(t *testing.T) {
	bye := "https://todo.example/bye"
	for name, out := range map[string]func(t *testing.T, b *harness.Web, got harness.Answer){
		"by the app": func(t *testing.T, b *harness.Web, got harness.Answer) {
			b.Open("/logout?" + url.Values{"id_token_hint": {got.String("id_token")}, "post_logout_redirect_uri": {bye}}.Encode())
			if b.Left == nil || b.Left.String() != bye {
				t.Errorf("left for %v: %s", b.Left, b.Page)
			}
		},
		"by the person": func(t *testing.T, b *harness.Web, _ harness.Answer) {
			b.Open("/logout").Want("logout-confirm")
			if strings.Contains(b.Page, "alice") {
				t.Error("the page tells whose browser it was:", b.Page)
			}
			b.Submit("logout-confirm", "action", "confirm").Want("logout-done")
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, w *harness.World) {
				b := w.Browser()
				got := byCode(t, w, b)
				last := got
				for _, days := range []int{10, 5} {
					w.Clock.Step(time.Duration(days*24) * time.Hour)
					if last = refreshed(w, last); last.Status != http.StatusOK {
						t.Fatalf("%d %s", last.Status, last.Body)
					}
				}
				if signedIn(b.Copy()) {
					t.Fatal("still signed in")
				}
				out(t, b, got)
				if a := refreshed(w, last); a.Error() != "invalid_grant" {
					t.Errorf("the app is still signed in: %d %s", a.Status, a.Body)
				}
			})
		})
	}
}

// lostAnswer signs alice in and has her prove anew who she is, but the answer with the new cookie never arrives: kept is her
// browser as it is then, lost as it would have been.
func lostAnswer(t *testing.T, w *harness.World) (kept, lost *harness.Web, first harness.Answer) {
	t.Helper()
	lost = w.Browser()
	first = byCode(t, w, lost)
	again := web("prompt", "login")
	code := send(t, w, lost.Open(again.Path()), "alice@example.com")
	kept = lost.Copy()
	path, form := lost.Form("code-submit")
	form.Set("code", code)
	lost.Post(path, form)
	if signedIn(kept.Copy()) || !signedIn(lost.Copy()) {
		t.Fatal("the old cookie is still good, or the new one is not")
	}
	return kept, lost, first
}

func TestSE05ALogoutByTheCookieBeforeEndsTheSessions(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		kept, lost, first := lostAnswer(t, w)
		kept.Open("/logout").Want("logout-confirm")
		if strings.Contains(kept.Page, "alice") {
			t.Error("the page tells whose browser it was:", kept.Page)
		}
		kept.Submit("logout-confirm", "action", "confirm").Want("logout-done")
		if a := refreshed(w, first); a.Error() != "invalid_grant" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		if signedIn(lost.Copy()) {
			t.Error("the browser is still signed in")
		}
		if lost.Open("/logout"); lost.Has("logout-confirm") {
			t.Error("a browser that was signed out is asked again")
		}
	})
}

// When she signs in once more the sessions stay with her browser, and its logout ends them all.
func TestSE05ALostAnswerLosesNoSessions(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		kept, lost, first := lostAnswer(t, w)
		second := byCode(t, w, kept)
		if n := rows(t, w)["browsers"]; n != 1 {
			t.Errorf("%d browsers", n)
		}
		if signedIn(lost) || !signedIn(kept.Copy()) {
			t.Error("another cookie than the newest is good")
		}
		kept.Open("/logout").Submit("logout-confirm", "action", "confirm").Want("logout-done")
		for which, got := range map[string]harness.Answer{"first": first, "second": second} {
			if a := refreshed(w, got); a.Error() != "invalid_grant" {
				t.Errorf("the %s session lives: %d %s", which, a.Status, a.Body)
			}
		}
	})
}

// A single-page app with a key of its own that renews silently leaves one session, not one each time.
func TestAnAppThatRenewsSilentlyWithAKeyHasOneSession(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		key, err := dpop.NewProver()
		if err != nil {
			t.Fatal(err)
		}
		b := w.Browser()
		visit := func(more ...string) {
			trip := harness.NewTrip(harness.BrowserID, "https://todo.example/spa", "openid todos.read", more...)
			if b.Open(trip.Path()); b.Has("login-form") {
				b.SignInWith(w.Corp, "corp", "alice")
			}
			proof, err := key.Proof(http.MethodPost, w.Issuer+"/token", "", "", time.Now())
			if err != nil {
				t.Fatal(err)
			}
			a := w.Post("/token", trip.Redeem(trip.Code(through(b)), "client_id", harness.BrowserID), harness.Set("DPoP", proof))
			if a.Status != http.StatusOK || a.String("token_type") != "DPoP" || a.String("refresh_token") != "" {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
		}
		visit()
		before := rows(t, w)
		for range 5 {
			visit("prompt", "none")
		}
		if after := rows(t, w); after["sessions"] != before["sessions"] || after["devices"] != before["devices"] || after["events"] != before["events"] {
			t.Errorf("%v became %v", before, after)
		}
	})
}

// A logout that fails has signed nobody out: whoever tries again is still known, and so is the app that the hint names.
// With half of it done, the second try would say that all is over while the app lives on.
func TestSE05ALogoutIsWholeOrNotAtAll(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		b, trip := w.Browser(), harness.NewTrip("com.example.todo", "https://todo.example/app", "openid offline_access todos.read")
		b.Open(trip.Path()).SignInWith(w.Corp, "corp", "alice")
		got := w.Post("/token", trip.Redeem(trip.Code(through(b)), "client_id", "com.example.todo"))
		if got.Status != http.StatusOK {
			t.Fatalf("%d %s", got.Status, got.Body)
		}
		bye := "/logout?" + url.Values{"id_token_hint": {got.String("id_token")}}.Encode()
		refuse, allow := "ALTER TABLE sessions ADD CONSTRAINT lasting CHECK (state = 1)", "ALTER TABLE sessions DROP CONSTRAINT lasting"
		if w.Engine == harness.SQLite {
			refuse = "CREATE TRIGGER lasting BEFORE UPDATE OF state ON sessions BEGIN SELECT RAISE(ABORT, 'lasting'); END"
			allow = "DROP TRIGGER lasting"
		}
		w.Exec(refuse) // no session can be ended
		if b.Open(bye); b.Has("logout-done") || b.Status != http.StatusServiceUnavailable || !signedIn(b.Copy()) {
			t.Fatalf("half of it was done: %d %s", b.Status, b.Page)
		}
		w.Exec(allow)
		b.Open(bye).Want("logout-done")
		refused := w.Post("/token", url.Values{
			"grant_type": {"refresh_token"}, "client_id": {"com.example.todo"}, "refresh_token": {got.String("refresh_token")},
		})
		if signedIn(b) || refused.Error() != "invalid_grant" {
			t.Errorf("the app lives on: %d %s", refused.Status, refused.Body)
		}
	})
}
