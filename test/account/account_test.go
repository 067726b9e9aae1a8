// Package account_test manages accounts as people do on their phones, and as others should not: the account API,
// introspection, revocation and what /userinfo tells.
package account_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/client"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

type world struct {
	*harness.World
	admin *client.Client
}

func onEngines(t *testing.T, test func(*testing.T, *world), options ...harness.Option) {
	t.Helper()
	t.Parallel()
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		t.Parallel()
		w := harness.New(t, e, options...)
		w.Clock.Freeze()
		test(t, &world{World: w, admin: w.Admin()})
	})
}

// refusal is what the account API said to a phone.
func refusal(t *testing.T, err error) *standin.Answer {
	t.Helper()
	var refused *standin.Refused
	if !errors.As(err, &refused) {
		t.Fatalf("not refused: %v", err)
	}
	return refused.Answer
}

func wantRefusal(t *testing.T, err error, status int, code string) {
	t.Helper()
	a := refusal(t, err)
	if a.Status != status || a.Error != code || status != 401 && a.Description == "" {
		t.Errorf("got %d %v %s, want %d %s", a.Status, a.Header, a.Body, status, code)
	}
}

// wantProblem asserts RFC 9457.
func wantProblem(t *testing.T, err error, status int, kind string) {
	t.Helper()
	a := refusal(t, err)
	var problem struct{ Type, Title, Detail string }
	if decodeErr := a.Decode(&problem); decodeErr != nil || a.Status != status || problem.Type != "urn:countersign:problem:"+kind ||
		problem.Title == "" || problem.Detail == "" || a.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %d %v %s, want %d %s", a.Status, a.Header, a.Body, status, kind)
	}
}

func TestTheAccountAndItsDevices(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		pixel, laptop := w.SignedIn("pixel", "ada"), w.SignedIn("laptop", "ada", harness.Bearer)
		bob := w.SignedIn("bob's phone", "bob")
		account, err := pixel.Account(ctx)
		if err != nil || !strings.HasPrefix(account.ID, "acc_") || account.ClientID != harness.ClientID || account.CreatedAt.IsZero() {
			t.Fatalf("%+v, %v", account, err)
		}
		if same, err := laptop.Account(ctx); err != nil || same.ID != account.ID || same.SessionID == account.SessionID {
			t.Errorf("%+v, %v", same, err)
		}
		w.Clock.Step(time.Hour)
		if _, err := pixel.Refresh(ctx); err != nil {
			t.Fatal(err)
		}
		sessions, err := pixel.Sessions(ctx)
		if err != nil || len(sessions) != 2 {
			t.Fatalf("%+v, %v", sessions, err)
		}
		for _, s := range sessions {
			mine := s.ID == account.SessionID
			tier, name := "bearer", "laptop"
			if mine {
				tier, name = "bound", "pixel"
			}
			if s.Current != mine || s.Tier != tier || s.DeviceName != name || s.Provider != "google" || s.ClientName != "Todo" ||
				mine != s.LastRefreshedAt.After(s.CreatedAt) {
				t.Errorf("%+v", s)
			}
		}
		identities, err := pixel.Identities(ctx)
		if err != nil || len(identities) != 1 || identities[0].Provider != "google" || identities[0].Email != "ada@gmail.com" ||
			!identities[0].EmailVerified || identities[0].Name != "Person ada" {
			t.Errorf("%+v, %v", identities, err)
		}
		if theirs, err := bob.Sessions(ctx); err != nil || len(theirs) != 1 || theirs[0].ID == account.SessionID {
			t.Errorf("%+v, %v", theirs, err)
		}
	})
}

// Ids of somebody else are not there, whoever asks and however fresh the proof (SE14).
func TestSomebodyElsesThingsAreNotThere(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		ada, bob := w.SignedIn("ada", "ada"), w.SignedIn("bob", "bob")
		reauth := w.GooglePrompt("ada")
		theirs, err := bob.Account(ctx)
		if err != nil {
			t.Fatal(err)
		}
		identities, err := bob.Identities(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{theirs.SessionID, "ses_AAAAAAAAAAAAAAAAAAAAAA", "ses_x", theirs.ID, "%2e%2e"} {
			wantProblem(t, ada.EndSession(ctx, id, nil), http.StatusNotFound, "not-found")
			wantProblem(t, ada.EndSession(ctx, id, reauth), http.StatusNotFound, "not-found")
		}
		for _, id := range []string{identities[0].ID, "idn_AAAAAAAAAAAAAAAAAAAAAA", "idn_x", theirs.SessionID} {
			wantProblem(t, ada.Unlink(ctx, id, reauth), http.StatusNotFound, "not-found")
		}
		if _, err := bob.Refresh(ctx); err != nil {
			t.Error(err)
		}
		if list, err := bob.Identities(ctx); err != nil || len(list) != 1 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// ID17: what changes an account needs somebody who proved themselves in the last five minutes.
func TestID17ChangesNeedAFreshProof(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		ada, tablet, bob := w.SignedIn("ada", "ada"), w.SignedIn("tablet", "ada"), w.SignedIn("bob", "bob")
		mine, err := tablet.Account(ctx)
		if err != nil {
			t.Fatal(err)
		}
		stale := func(err error) {
			t.Helper()
			wantRefusal(t, err, 401, "insufficient_user_authentication")
			if a := refusal(t, err); a.MaxAge != 5*time.Minute {
				t.Errorf("max_age %v", a.MaxAge)
			}
		}
		link := func(reauth standin.Prompt) error {
			_, err := ada.Link(ctx, w.ApplePrompt("ada"), reauth)
			return err
		}
		endOthers := func(reauth standin.Prompt) error {
			_, err := ada.EndOtherSessions(ctx, reauth)
			return err
		}
		old := func(p *standin.Provider, r standin.TokenRequest) standin.Prompt {
			r.IssuedAt = w.Clock.Now().Add(-6 * time.Minute)
			return p.Prompt(r)
		}
		for name, reauth := range map[string]standin.Prompt{
			"none":                    nil,
			"somebody else's":         w.GooglePrompt("bob"),
			"a stranger's":            w.GooglePrompt("stranger"),
			"an identity not linked":  w.ApplePrompt("ada"),
			"six minutes old":         old(w.Google, standin.GoogleAndroid(harness.GoogleWeb, harness.GoogleAndroid, harness.Person("ada"))),
			"forged":                  w.Google.Prompt(standin.TokenRequest{Audience: harness.GoogleWeb, AZP: harness.GoogleAndroid, Subject: "ada", Forgery: standin.BadSignature}),
			"for another app":         w.Google.Prompt(standin.TokenRequest{Audience: "other.example", AZP: harness.GoogleAndroid, Subject: "ada"}),
			"with a nonce of its own": w.Google.Prompt(standin.TokenRequest{Audience: harness.GoogleWeb, AZP: harness.GoogleAndroid, Subject: "ada", Mutate: func(c map[string]any) { c["nonce"] = "x" }}),
		} {
			t.Run(name, func(t *testing.T) {
				stale(link(reauth))
				stale(ada.EndSession(ctx, mine.SessionID, reauth))
				stale(endOthers(reauth))
			})
		}
		t.Run("a nonce for something else, or used before", func(t *testing.T) {
			prove := func(nonce, session string) *standin.Answer {
				t.Helper()
				c, err := w.GooglePrompt("ada")(ctx, nonce)
				if err != nil {
					t.Fatal(err)
				}
				a, err := ada.CallResource(ctx, w.Issuer, "DELETE", w.Issuer+"/account/v1/sessions/"+session,
					map[string]string{"reauth_token": c.IDToken, "reauth_nonce": nonce})
				if err != nil {
					t.Fatal(err)
				}
				return a
			}
			challenge := func(purpose string) string {
				t.Helper()
				nonce, err := ada.Challenge(ctx, purpose)
				if err != nil {
					t.Fatal(err)
				}
				return nonce
			}
			once := challenge("reauth")
			if _, err := ada.EndOtherSessions(ctx, func(ctx context.Context, fresh string) (*standin.Credential, error) {
				_, err := w.GooglePrompt("ada")(ctx, fresh)
				return nil, errors.Join(err, errors.New("the person cancelled"))
			}); err == nil {
				t.Error("a person who cancelled proved themselves")
			}
			for _, nonce := range []string{challenge(""), challenge("link"), "made up", ""} {
				if a := prove(nonce, mine.SessionID); a.Status != 401 || a.Error != "insufficient_user_authentication" {
					t.Errorf("%d %s", a.Status, a.Body)
				}
			}
			spare := w.SignedIn("spare", "ada")
			next, err := spare.Account(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the answer to the first may be lost
				if a := prove(once, mine.SessionID); a.Status != 204 {
					t.Fatalf("%d %s", a.Status, a.Body)
				}
			}
			if a := prove(once, next.SessionID); a.Status != 401 || a.Error != "insufficient_user_authentication" {
				t.Errorf("for another change: %d %s", a.Status, a.Body)
			}
			tablet = spare
		})
		if mine, err = tablet.Account(ctx); err != nil {
			t.Fatal(err)
		}
		if list, err := ada.Identities(ctx); err != nil || len(list) != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		good := w.GooglePrompt("ada")
		if err := link(good); err != nil {
			t.Fatal(err)
		}
		t.Run("Apple's auth_time is a proof by itself, for five minutes", func(t *testing.T) {
			phone := w.Phone("iphone")
			if _, err := phone.SignIn(ctx, w.ApplePrompt("ada")); err != nil {
				t.Fatal(err)
			}
			w.Clock.Step(4 * time.Minute)
			if err := phone.EndSession(ctx, mine.SessionID, nil); err != nil {
				t.Error(err)
			}
			w.Clock.Step(2 * time.Minute)
			_, err := phone.EndOtherSessions(ctx, nil)
			stale(err)
		})
		t.Run("ending one's own session needs none", func(t *testing.T) {
			theirs, err := bob.Account(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := bob.EndSession(ctx, theirs.SessionID, nil); err != nil {
				t.Error(err)
			}
			if _, err := bob.Refresh(ctx); !errors.Is(err, standin.ErrSignedOut) {
				t.Error(err)
			}
		})
	})
}

// ID17, ID18: linking and unlinking.
func TestIdentitiesAreLinkedAndUnlinked(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		ada, bob := w.SignedIn("ada", "ada"), w.SignedIn("bob", "bob")
		adas, bobs := w.GooglePrompt("ada"), w.GooglePrompt("bob")
		account, err := ada.Account(ctx)
		if err != nil {
			t.Fatal(err)
		}
		google, err := ada.Identities(ctx)
		if err != nil || len(google) != 1 {
			t.Fatalf("%+v, %v", google, err)
		}
		apple, err := ada.Link(ctx, w.ApplePrompt("ada"), adas)
		if err != nil || apple.Provider != "apple" || apple.Name != "Person ada" {
			t.Fatalf("%+v, %v", apple, err)
		}
		if again, err := ada.Link(ctx, w.ApplePrompt("ada"), adas); err != nil || again.ID != apple.ID {
			t.Errorf("linked once more: %+v, %v", again, err)
		}
		for name, theirs := range map[string]standin.Prompt{"linked to somebody": w.ApplePrompt("ada"), "somebody's first": adas} {
			t.Run("ID17 an identity "+name, func(t *testing.T) {
				_, err := bob.Link(ctx, theirs, bobs)
				wantProblem(t, err, http.StatusConflict, "linked-elsewhere")
			})
		}
		if list, err := bob.Identities(ctx); err != nil || len(list) != 1 {
			t.Errorf("%+v, %v", list, err)
		}
		phone := w.Phone("iphone")
		if _, err := phone.SignIn(ctx, w.ApplePrompt("ada")); err != nil {
			t.Fatal(err)
		}
		if same, err := phone.Account(ctx); err != nil || same.ID != account.ID {
			t.Errorf("%+v, %v", same, err)
		}
		if err := ada.Unlink(ctx, apple.ID, adas); err != nil {
			t.Fatal(err)
		}
		t.Run("its devices are signed out, and the one that asked is not", func(t *testing.T) {
			if list, err := ada.Sessions(ctx); err != nil || len(list) != 1 || !list[0].Current {
				t.Errorf("%+v, %v", list, err)
			}
			if _, err := phone.Refresh(ctx); err == nil || phone.SignedIn() {
				t.Errorf("the phone is still signed in: %v", err)
			}
		})
		t.Run("ID18 the last one stays", func(t *testing.T) {
			for _, reauth := range []standin.Prompt{nil, adas} {
				wantProblem(t, ada.Unlink(ctx, google[0].ID, reauth), http.StatusConflict, "last-identity")
			}
			if list, err := ada.Identities(ctx); err != nil || len(list) != 1 {
				t.Errorf("%+v, %v", list, err)
			}
		})
		t.Run("an unlinked identity becomes an account of its own", func(t *testing.T) {
			fresh := w.Phone("fresh")
			if _, err := fresh.SignIn(ctx, w.ApplePrompt("ada")); err != nil {
				t.Fatal(err)
			}
			if other, err := fresh.Account(ctx); err != nil || other.ID == account.ID {
				t.Errorf("%+v, %v", other, err)
			}
		})
		events, err := w.admin.Events(ctx, client.EventFilter{AccountID: account.ID})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		for _, e := range events {
			seen[e.Action]++
		}
		if seen["identity.link"] != 2 || seen["identity.unlink"] != 1 { // the first was linked by the sign-in
			t.Errorf("%v", seen)
		}
	})
}

// The account API takes tokens for the issuer with the scope, and none that an app server was handed.
func TestWhoMayUseTheAccountAPI(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		owner := w.SignedIn("owner", "ada", harness.Bearer)
		reader := w.SignedIn("reader", "ada", harness.As(harness.ClientID, "openid offline_access account.read", w.Issuer))
		plain := w.SignedIn("plain", "ada", harness.As(harness.ClientID, "openid offline_access", w.Issuer), harness.Bearer)
		forApp, err := owner.AccessToken(ctx, harness.Audience)
		if err != nil {
			t.Fatal(err)
		}
		forPlain, err := plain.AccessToken(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		service := w.Post("/token", map[string][]string{"grant_type": {"client_credentials"}}, harness.Basic(harness.ServiceID, harness.ServiceSecret)).String("access_token")
		for _, route := range []struct{ method, path string }{
			{"GET", "/account/v1"}, {"GET", "/account/v1/sessions"}, {"DELETE", "/account/v1/sessions"},
			{"DELETE", "/account/v1/sessions/ses_AAAAAAAAAAAAAAAAAAAAAA"}, {"GET", "/account/v1/identities"},
			{"POST", "/account/v1/identities"}, {"DELETE", "/account/v1/identities/idn_AAAAAAAAAAAAAAAAAAAAAA"},
		} {
			for _, tt := range []struct {
				name, authorization string
				status              int
				code                string
			}{
				{"no token", "", 401, ""},
				{"an app server with the token it was handed", "Bearer " + forApp.AccessToken, 401, "invalid_token"},
				{"a service", "Bearer " + service, 401, "invalid_token"},
				{"a token without the scope", "Bearer " + forPlain.AccessToken, 403, "insufficient_scope"},
				{"a refresh token", "Bearer " + owner.RefreshToken(), 401, "invalid_token"},
				{"an API key of the operator", "Bearer " + w.APIKey(), 401, "invalid_token"},
			} {
				a := w.Do(w.Request(route.method, route.path, "", harness.Set("Authorization", tt.authorization)))
				if a.Status != tt.status || a.Error() != tt.code || a.Header.Get("WWW-Authenticate") == "" {
					t.Errorf("%s %s with %s: %d %v", route.method, route.path, tt.name, a.Status, a.Header)
				}
			}
		}
		if _, err := reader.Account(ctx); err != nil {
			t.Error(err)
		}
		_, err = reader.EndOtherSessions(ctx, w.GooglePrompt("ada"))
		wantRefusal(t, err, 403, "insufficient_scope")
		if _, err := owner.EndOtherSessions(ctx, w.GooglePrompt("ada")); err != nil {
			t.Error(err)
		}
		if _, err := reader.Refresh(ctx); !errors.Is(err, standin.ErrSignedOut) {
			t.Error(err)
		}
	})
}
