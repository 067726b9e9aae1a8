package signon_test

import (
	"testing"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// SE17: a sign-in is worth what proved it, and no longer anything once that is gone.
func TestSE17ASignInIsWorthWhatProvedIt(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		p := withPasskey(t, w, "alice")
		// With a provider's word alone the demand for a passkey is not met silently.
		b := w.Browser()
		plain := web()
		byWord := tokens(t, w, plain, through(b.Open(plain.Path()).SignInWith(w.Google, "google", "alice")))
		if acr := w.Introspect(byWord.String("access_token"), harness.ResourceID, harness.ResourceSecret).String("acr"); acr != domain.ACRSingle {
			t.Errorf("a provider's word is worth %q", acr)
		}
		silent := web("acr_values", domain.ACRPhish, "prompt", "none")
		if q := silent.Response(b.Open(silent.Path())); q.Get("error") != "interaction_required" {
			t.Errorf("%v", q)
		}
		// With the passkey it is, until the passkey is taken off the account.
		strong := web("acr_values", domain.ACRPhish)
		path, form := p.answer(t, w, b.Open(strong.Path()))
		byKey := tokens(t, w, strong, through(b.Post(path, form)))
		if acr := w.Introspect(byKey.String("access_token"), harness.ResourceID, harness.ResourceSecret).String("acr"); acr != domain.ACRPhish {
			t.Errorf("a passkey is worth %q", acr)
		}
		silent = web("acr_values", domain.ACRPhish, "prompt", "none")
		silent.Code(b.Open(silent.Path()))
		takeOff(t, w, accountID(t, subject(t, w, byKey)))
		if w.Active(byKey.String("access_token")) {
			t.Error("what the passkey proved is still active")
		}
		silent = web("acr_values", domain.ACRPhish, "prompt", "none")
		if q := silent.Response(b.Open(silent.Path())); q.Get("error") != "login_required" {
			t.Errorf("%v", q)
		}
	})
}

// Who has no passkey makes one on the way to what asks for it, and it counts at once; who has one uses it.
func TestWhoHasNoPasskeyMakesOneOnTheWay(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		keys, b := standin.NewAuthenticator(), w.Browser()
		trip := web("acr_values", domain.ACRPhish)
		b.Open(trip.Path()).Want("provider-corp").SignInWith(w.Corp, "corp", "alice")
		made, err := keys.Create(b.Want("passkey-skip").PasskeyOptions(), w.Issuer)
		if err != nil {
			t.Fatal(err)
		}
		got := tokens(t, w, trip, through(b.Submit("passkey-form", "credential", string(made))))
		if acr := w.Introspect(got.String("access_token"), harness.ResourceID, harness.ResourceSecret).String("acr"); acr != domain.ACRPhish {
			t.Errorf("worth %q", acr)
		}
		// The browser stays signed in by it.
		silent := web("acr_values", domain.ACRPhish, "prompt", "none")
		silent.Code(b.Open(silent.Path()))
		// In another browser the same account comes back with less although it has one.
		weak := web("acr_values", domain.ACRPhish)
		other := w.Browser().Open(weak.Path()).SignInWith(w.Corp, "corp", "alice")
		if q := weak.Response(other); q.Get("error") != "unmet_authentication_requirements" {
			t.Errorf("%v", q)
		}
	})
}

// takeOff unlinks the passkeys of an account.
func takeOff(t *testing.T, w *harness.World, acc domain.AccountID) {
	t.Helper()
	db := w.Store()
	list, err := db.Identities(t.Context(), acc)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list {
		if i.Issuer != domain.PasskeyIssuer {
			continue
		}
		v, err := db.UnlinkIdentity(t.Context(), store.Unlink{Now: db.Now(), AccountID: acc, IdentityID: i.ID, Event: domain.Event{At: db.Now()}})
		if err != nil || v != store.Unlinked {
			t.Fatalf("%v (%v)", v, err)
		}
	}
}

// CA12: what a proxy would say of a client's certificate is nothing when a client says it.
func TestCA12AHeaderIsNoCertificate(t *testing.T) {
	w := harness.New(t, harness.SQLite)
	for _, name := range []string{"X-SSL-Client-Cert", "X-Forwarded-Client-Cert", "Client-Cert", "X-Client-Cert"} {
		r := w.Request("POST", "/token", "grant_type=client_credentials&client_id="+harness.ServiceID)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set(name, ":MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGU=:")
		if a := w.Do(r); a.Status != 401 || a.Error() != "invalid_client" {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
}
