package registration

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/test/harness"
)

// rfc7592-2-01, rfc7592-2.1-01, rfc7592-2.1-02, rfc7592-3-01, oidc-registration-4.3-01
func TestAClientReadsItself(t *testing.T) {
	onEngines(t, openYAML, func(t *testing.T, w *world) {
		client := w.registered(t, webApp().with("software_id", "notes"))
		other := w.registered(t, webApp())
		a := w.manage("GET", client, "")
		if a.Status != 200 || a.String("client_id") != client.String("client_id") || a.String("software_id") != "notes" ||
			a.String("registration_access_token") != client.String("registration_access_token") || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		if a.JSON["client_secret"] != nil || a.JSON["client_secret_expires_at"] != nil {
			t.Errorf("a secret we do not have: %s", a.Body)
		}
		own := "/register/" + client.String("client_id")
		for what, mod := range map[string]func(*http.Request){
			"no token":               func(*http.Request) {},
			"another client's token": bearer(other.String("registration_access_token")),
			"a made up one":          bearer("cs_rat_" + client.String("client_id")),
			"its secret":             bearer(client.String("client_secret")),
			"basic":                  basicOf(client),
		} {
			if a := w.Do(w.Request("GET", own, "", mod)); a.Status != http.StatusUnauthorized && what != "basic" || a.Status == 200 {
				t.Errorf("%s: %d %s", what, a.Status, a.Body)
			}
		}
		for _, id := range []string{"todo-web", "nobody"} { // a declared client is nobody's to manage
			a := w.Do(w.Request("GET", "/register/"+id, "", bearer(client.String("registration_access_token"))))
			wantError(t, id, a, http.StatusUnauthorized, "invalid_token")
		}
	})
}

// rfc7592-2.2-01, rfc7592-2.2-02, rfc7592-2.2-03, rfc7592-2.2-04, rfc7592-2.2-05
func TestAnUpdateReplacesEverything(t *testing.T) {
	onEngines(t, openYAML, func(t *testing.T, w *world) {
		client := w.registered(t, webApp().with("tos_uri", "https://app.example/terms"))
		update := members{"client_id": client.String("client_id"), "redirect_uris": []string{"https://app.example/new"}, "client_secret": client.String("client_secret")}
		a := w.manage("PUT", client, update.String())
		if a.Status != 200 || a.JSON["client_name"] != nil || a.JSON["tos_uri"] != nil || a.JSON["client_secret"] != nil || a.JSON["client_id_issued_at"] != client.JSON["client_id_issued_at"] {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		if b := w.Browser().Open(harness.NewTrip(client.String("client_id"), redirect, "openid").Path()); b.Left != nil || b.Status != http.StatusBadRequest {
			t.Errorf("the old redirect URI: %d", b.Status)
		}
		trip, code := w.signIn(t, client.String("client_id"), "https://app.example/new", "openid")
		if a := w.Post("/token", trip.Redeem(code), basicOf(client)); a.Status != 200 {
			t.Errorf("the secret stays: %d %s", a.Status, a.Body)
		}
		for what, bad := range map[string]members{
			"no client_id":     webApp(),
			"another's":        update.with("client_id", "todo-web"),
			"a wrong secret":   update.with("client_secret", "cs_sk_wrong"),
			"a token":          update.with("registration_access_token", client.String("registration_access_token")),
			"its address":      update.with("registration_client_uri", client.String("registration_client_uri")),
			"an expiry":        update.with("client_secret_expires_at", 0),
			"when it was made": update.with("client_id_issued_at", 1),
		} {
			wantError(t, what, w.manage("PUT", client, bad.String()), http.StatusBadRequest, "invalid_request")
		}
		wantError(t, "what is no better than at first", w.manage("PUT", client, update.with("redirect_uris", []string{"https://*/"}).String()), http.StatusBadRequest, "invalid_redirect_uri")
		if a := w.manage("GET", client, ""); fmt.Sprint(a.JSON["redirect_uris"]) != "[https://app.example/new]" {
			t.Errorf("%s", a.Body)
		}
	})
}

func TestAnUpdateGivesASecretToWhoNeedsOne(t *testing.T) {
	onEngines(t, openYAML, func(t *testing.T, w *world) {
		client := w.registered(t, webApp().with("token_endpoint_auth_method", "none"))
		update := webApp().with("client_id", client.String("client_id"))
		a := w.manage("PUT", client, update.String())
		if a.Status != 200 || a.String("client_secret") == "" || a.JSON["client_secret_expires_at"] != float64(0) {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		trip, code := w.signIn(t, client.String("client_id"), redirect, "openid")
		if a := w.Post("/token", trip.Redeem(code), basicOf(a)); a.Status != 200 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		if a := w.manage("PUT", client, update.with("token_endpoint_auth_method", "none").String()); a.Status != 200 || a.JSON["client_secret"] != nil || a.JSON["client_secret_expires_at"] != nil {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
}

// rfc7592-2.3-01, rfc7592-2.3-02, rfc7592-2.3-03: what it gave is dead at once, and its sessions end.
func TestNothingOfADeletedClientIsGoodForAnything(t *testing.T) {
	onEngines(t, openYAML, func(t *testing.T, w *world) {
		client := w.registered(t, webApp())
		id := client.String("client_id")
		trip, code := w.signIn(t, id, redirect, "openid offline_access todos.read")
		tokens := w.Post("/token", trip.Redeem(code), basicOf(client))
		if tokens.Status != 200 || !w.Active(tokens.String("access_token")) {
			t.Fatalf("%d %s", tokens.Status, tokens.Body)
		}
		unspent, other := w.signIn(t, id, redirect, "openid")
		waiting := w.Browser()
		waiting.Open(harness.NewTrip(id, redirect, "openid").Path())

		if a := w.manage("DELETE", client, ""); a.Status != http.StatusNoContent || len(a.Body) != 0 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		for _, method := range []string{"GET", "DELETE"} {
			wantError(t, method, w.manage(method, client, ""), http.StatusUnauthorized, "invalid_token")
		}
		wantError(t, "PUT", w.manage("PUT", client, webApp().with("client_id", id).String()), http.StatusUnauthorized, "invalid_token")
		wantError(t, "refresh", w.Refresh(id, tokens.String("refresh_token"), basicOf(client)), http.StatusUnauthorized, "invalid_client")
		wantError(t, "a code", w.Post("/token", unspent.Redeem(other), basicOf(client)), http.StatusUnauthorized, "invalid_client")
		if w.Active(tokens.String("access_token")) {
			t.Error("the access token is active")
		}
		if a := w.Do(w.Request("GET", "/userinfo", "", bearer(tokens.String("access_token")))); a.Status != http.StatusUnauthorized {
			t.Errorf("userinfo: %d", a.Status)
		}
		if b := w.Browser().Open(harness.NewTrip(id, redirect, "openid").Path()); b.Left != nil || b.Status != http.StatusBadRequest {
			t.Errorf("authorize: %d", b.Status)
		}
		if waiting.Submit("provider-corp"); waiting.Left != nil || waiting.Status != http.StatusBadRequest {
			t.Errorf("a trip that was under way goes on: %d %v", waiting.Status, waiting.Left)
		}

		db := w.Store()
		if _, err := db.Sweep(t.Context(), db.Now()); err != nil {
			t.Fatal(err)
		}
		ended := 0
		events, err := db.Events(t.Context(), domain.AccountID{}, domain.SessionID{}, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.ClientID == id && e.Action == "session.end" && e.Reason == "client" {
				ended++
			}
		}
		if ended != 1 {
			t.Errorf("%d sessions ended", ended)
		}
		w.Clock.Step(2 * time.Hour)
		if swept, err := db.Sweep(t.Context(), time.Now().Add(2*time.Hour)); err != nil || swept.Registrations != 1 {
			t.Errorf("%+v %v", swept, err)
		}
	})
}

// A client that is deleted beside refreshes: whatever is answered after 204 is a refusal, on both engines.
func TestARefreshBesideADeleteIsOneOrTheOther(t *testing.T) {
	onEngines(t, openYAML, func(t *testing.T, w *world) {
		client := w.registered(t, webApp())
		id := client.String("client_id")
		trip, code := w.signIn(t, id, redirect, "openid offline_access")
		tokens := w.Post("/token", trip.Redeem(code), basicOf(client))
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				if a := w.Refresh(id, tokens.String("refresh_token"), basicOf(client)); a.Status != 200 && a.Status != http.StatusUnauthorized {
					t.Errorf("%d %s", a.Status, a.Body)
				}
			})
		}
		wg.Go(func() {
			if a := w.manage("DELETE", client, ""); a.Status != http.StatusNoContent {
				t.Errorf("%d %s", a.Status, a.Body)
			}
			wantError(t, "after it", w.Refresh(id, tokens.String("refresh_token"), basicOf(client)), http.StatusUnauthorized, "invalid_client")
		})
		wg.Wait()
	})
}

// Two updates at a time: the client is one of them, whole.
func TestTwoUpdatesDoNotMix(t *testing.T) {
	onEngines(t, openYAML, func(t *testing.T, w *world) {
		client := w.registered(t, webApp())
		version := func(n int) members {
			return members{"client_id": client.String("client_id"), "client_name": fmt.Sprint("v", n), "redirect_uris": []string{fmt.Sprintf("https://app.example/v%d", n)}}
		}
		var wg sync.WaitGroup
		for n := range 6 {
			wg.Go(func() {
				if a := w.manage("PUT", client, version(n).String()); a.Status != 200 || a.String("client_name") != fmt.Sprint("v", n) {
					t.Errorf("%d %s", a.Status, a.Body)
				}
			})
		}
		wg.Wait()
		a := w.manage("GET", client, "")
		if fmt.Sprint(a.JSON["redirect_uris"]) != fmt.Sprintf("[https://app.example/%s]", a.String("client_name")) {
			t.Errorf("%s", a.Body)
		}
		b := w.Browser().Open(harness.NewTrip(client.String("client_id"), "https://app.example/"+a.String("client_name"), "openid").Path())
		if b.Status != http.StatusOK {
			t.Errorf("what is told is not what holds: %d", b.Status)
		}
	})
}

// A client that is not used goes by itself; one that is stays.
func TestUnusedClientsAreSwept(t *testing.T) {
	onEngines(t, openYAML, func(t *testing.T, w *world) {
		used, unused := w.registered(t, webApp()), w.registered(t, webApp())
		trip, code := w.signIn(t, used.String("client_id"), redirect, "openid")
		if a := w.Post("/token", trip.Redeem(code), basicOf(used)); a.Status != 200 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		db := w.Store()
		for _, step := range []struct {
			after        time.Duration
			used, unused int
		}{
			{23 * time.Hour, 200, 200}, {25 * time.Hour, 200, 401}, {399 * 24 * time.Hour, 200, 401}, {401 * 24 * time.Hour, 401, 401},
		} {
			if _, err := db.Sweep(t.Context(), time.Now().Add(step.after)); err != nil {
				t.Fatal(err)
			}
			if a := w.manage("GET", used, ""); a.Status != step.used {
				t.Errorf("used, after %v: %d", step.after, a.Status)
			}
			if a := w.manage("GET", unused, ""); a.Status != step.unused {
				t.Errorf("unused, after %v: %d", step.after, a.Status)
			}
		}
	})
}

// An operator who switches a registered client off also takes it out of its own hands.
func TestADisabledClientManagesNothing(t *testing.T) {
	onEngines(t, openYAML, func(t *testing.T, w *world) {
		client := w.registered(t, webApp())
		db := w.Store()
		if err := db.SetClientDisabled(t.Context(), client.String("client_id"), true, domain.Event{Actor: "test"}); err != nil {
			t.Fatal(err)
		}
		for _, method := range []string{"GET", "DELETE"} {
			wantError(t, method, w.manage(method, client, ""), http.StatusUnauthorized, "invalid_token")
		}
		if b := w.Browser().Open(harness.NewTrip(client.String("client_id"), redirect, "openid").Path()); b.Left != nil {
			t.Errorf("authorize: %d", b.Status)
		}
		if _, err := db.Sweep(t.Context(), time.Now().Add(48*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if state, err := db.ClientState(t.Context(), client.String("client_id")); err != nil || state != domain.ClientDisabled {
			t.Errorf("%v %v", state, err)
		}
	})
}

// The keys of a client are kept once, and without what nobody reads.
func TestTheKeysOfAClientAreKeptOnce(t *testing.T) {
	onEngines(t, openYAML, func(t *testing.T, w *world) {
		key := map[string]any{
			"kty": "EC", "crv": "P-256", "kid": "a", "x5c": []string{strings.Repeat("A", 6000)},
			"x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
		}
		app := webApp().with("jwks", map[string]any{"keys": []any{key}})
		client := w.registered(t, app)
		check := func(what string) {
			t.Helper()
			read := w.manage("GET", client, "")
			if got := fmt.Sprint(read.JSON["jwks"]); !strings.Contains(got, "f83OJ3D2") || strings.Contains(got, "x5c") {
				t.Errorf("%s: %s", what, read.Body)
			}
			stored, err := w.Store().Registration(t.Context(), client.String("client_id"), sha256.Sum256([]byte(client.String("registration_access_token"))))
			if err != nil || strings.Contains(stored.Metadata, "jwks") || len(stored.Client.JWKS) > 300 {
				t.Errorf("%s: %+v %v", what, stored, err)
			}
		}
		check("registered")
		if a := w.manage("PUT", client, app.with("client_id", client.String("client_id")).String()); a.Status != 200 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		check("replaced")
		wantError(t, "more than metadata needs", w.post(app.with("more", strings.Repeat("x", 24<<10)).String()), http.StatusBadRequest, "invalid_client_metadata")
	})
}

// RG07: nor by an update: it would see, in sessions that answered to it, the subject that others know.
func TestTheSectorOfAClientStays(t *testing.T) {
	onEngines(t, openYAML, func(t *testing.T, w *world) {
		theirs := webApp().with("subject_type", "pairwise").with("redirect_uris", []string{"https://victim.example/cb"})
		mine := webApp().with("redirect_uris", []string{"https://attacker.example/cb"})
		open, pairwise := w.registered(t, mine), w.registered(t, mine.with("subject_type", "pairwise"))
		for name, c := range map[string]harness.Answer{"public before": open, "pairwise before": pairwise} {
			wantError(t, name, w.manage("PUT", c, theirs.with("client_id", c.String("client_id")).String()), 400, "invalid_client_metadata")
		}
		wantError(t, "pairwise no more", w.manage("PUT", pairwise, mine.with("client_id", pairwise.String("client_id")).String()), 400, "invalid_client_metadata")
		moved := mine.with("subject_type", "pairwise").with("client_id", pairwise.String("client_id")).with("redirect_uris", []string{"https://attacker.example/other"})
		if a := w.manage("PUT", pairwise, moved.String()); a.Status != 200 {
			t.Errorf("another path of the same host: %d %s", a.Status, a.Body)
		}
	})
}
