package oidc

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/test/harness"
)

// oidc-backchannel-2.4-01, oidc-backchannel-2.4-02, oidc-backchannel-2.4-03, oidc-backchannel-2.4-04, oidc-backchannel-2.4-05, oidc-backchannel-2.5-01
func TestEveryClientOfABrowserIsToldThatItWasSignedOut(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		b, elsewhere := w.Browser(), w.Browser()
		_, rp := w.signIn(t, b, "rp", "openid offline_access")
		_, signed := w.signIn(t, b, "rp-signed", "openid")
		w.enter(t, elsewhere, "rp", "openid")
		id := w.verified(t, rp.String("id_token"), "JWT", jose.RS256)
		began := time.Now()
		b.Open(logout("id_token_hint", rp.String("id_token"), "post_logout_redirect_uri", bye))
		posts := w.told.next(t, 2)
		slices.SortFunc(posts, func(a, b post) int { return strings.Compare(a.path, b.path) })
		if len(posts) != 2 || posts[0].path != "/rp" || posts[1].path != "/signed" {
			t.Fatalf("%+v", posts)
		}
		for i, c := range []struct {
			client string
			alg    jose.Alg
			tokens harness.Answer
		}{{"rp", jose.RS256, rp}, {"rp-signed", jose.ES256, signed}} {
			p := posts[i]
			if p.contentType != "application/x-www-form-urlencoded" || p.at.Sub(began) > 5*time.Second {
				t.Errorf("%s after %v", p.contentType, p.at.Sub(began))
			}
			own := w.verified(t, c.tokens.String("id_token"), "JWT", c.alg)
			claims := w.verified(t, p.token, "logout+jwt", c.alg)
			events, _, _ := claims.Object("events")
			kind, there, err := events.Object("http://schemas.openid.net/event/backchannel-logout")
			issued, _, _ := claims.Seconds("iat")
			expires, _, _ := claims.Seconds("exp")
			if !there || err != nil || kind.Has("x") || text(claims, "iss") != w.Issuer || text(claims, "aud") != c.client || text(claims, "sub") != text(id, "sub") ||
				text(claims, "sid") != text(own, "sid") || text(claims, "jti") == "" || claims.Has("nonce") || expires.Sub(issued) != 2*time.Minute {
				t.Errorf("%+v", claims)
			}
		}
		if text(w.verified(t, posts[0].token, "logout+jwt", jose.RS256), "jti") == text(w.verified(t, posts[1].token, "logout+jwt", jose.ES256), "jti") {
			t.Error("two tokens, one jti")
		}
		if !w.silent(elsewhere) {
			t.Error("another browser was signed out too")
		}
		// It is none of our other tokens, RS01.
		if a := w.Do(w.Request("GET", "/userinfo", "", harness.Set("Authorization", "Bearer "+posts[0].token))); a.Status != 401 {
			t.Errorf("a logout token opens userinfo: %d", a.Status)
		}
		b.Open(logout("id_token_hint", posts[0].token, "post_logout_redirect_uri", bye))
		if b.Left != nil {
			t.Error("a logout token is taken for a hint")
		}
	})
}

// oidc-backchannel-2.5-02: whichever way a session ends.
func TestAClientIsToldHoweverItsSessionEnds(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		b := w.Browser()
		for name, end := range map[string]func(tokens harness.Answer, sid string){
			"by revocation": func(a harness.Answer, _ string) {
				w.revoke(t, a)
			},
			"by an operator": func(_ harness.Answer, sid string) {
				if err := w.Admin().EndSession(t.Context(), sid); err != nil {
					t.Error(err)
				}
			},
		} {
			_, got := w.signIn(t, b, "rp", "openid offline_access")
			sid := text(w.verified(t, got.String("id_token"), "JWT", jose.RS256), "sid")
			end(got, sid)
			posts := w.told.next(t, 1)
			if last := w.verified(t, posts[len(posts)-1].token, "logout+jwt", jose.RS256); text(last, "sid") != sid {
				t.Errorf("%s: told of %s, not of %s", name, text(last, "sid"), sid)
			}
		}
	})
}

// oidc-backchannel-2.8-01
func TestAClientThatIsDownIsToldLater(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		w.told.answers("/rp", 503)
		b := w.Browser()
		_, got := w.signIn(t, b, "rp", "openid")
		b.Open(logout("id_token_hint", got.String("id_token")))
		first := w.told.next(t, 1)
		w.told.answers("/rp", 204)
		again := w.told.next(t, 1)
		if len(again) != 2 || first[0].token == again[1].token {
			t.Fatalf("%+v", again)
		}
		one, two := w.verified(t, first[0].token, "logout+jwt", jose.RS256), w.verified(t, again[1].token, "logout+jwt", jose.RS256)
		if text(one, "sid") != text(two, "sid") {
			t.Error("told of another session")
		}
		w.eventuallyNoNotices(t)
	})
}

// SE05: a client that refuses, or whose address is none of the public Internet's, is given up, and the log says so.
func TestAClientThatRefusesIsGivenUp(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		w.told.answers("/rp", 400)
		b := w.Browser()
		_, got := w.signIn(t, b, "rp", "openid")
		w.enter(t, b, "rp-private", "openid")
		b.Open(logout("id_token_hint", got.String("id_token")))
		w.told.next(t, 1)
		w.eventuallyNoNotices(t)
		for _, want := range []string{"client rp was not told", "it answered 400", "client rp-private was not told", "not a public one"} {
			if !has(w.Log.String(), want) {
				t.Errorf("the log lacks %q", want)
			}
		}
	})
}

// eventuallyNoNotices waits until nothing is left to be told.
func (w *world) eventuallyNoNotices(t *testing.T) {
	t.Helper()
	db := w.Store()
	late := time.After(10 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		rows, err := db.Rows(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if rows["notices"] == 0 {
			return
		}
		select {
		case <-late:
			t.Fatalf("%d notices are left", rows["notices"])
		case <-tick.C:
		}
	}
}

func TestOfTwoNodesOneTells(t *testing.T) {
	t.Parallel()
	told := newReceiver(t)
	w := &world{harness.New(t, harness.Postgres, harness.Nodes(2), harness.Clients(strings.ReplaceAll(clientsYAML, "%[1]s", told.url))), told}
	var account string
	for range 8 { // browsers, a session each
		trip := harness.NewTrip("rp", redirects["rp"], "openid")
		b := w.Browser().Open(trip.Path()).SignInWith(w.Corp, "corp", "bob")
		got := w.Post("/token", trip.Redeem(trip.Code(b)), harness.Basic("rp", harness.WebSecret))
		account = text(w.verified(t, got.String("id_token"), "JWT", jose.RS256), "sub")
	}
	if _, err := w.Admin().EndAccountSessions(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	told.next(t, 8)
	w.eventuallyNoNotices(t)
	seen := map[string]int{}
	for _, p := range told.next(t, 0) {
		seen[text(w.verified(t, p.token, "logout+jwt", jose.RS256), "sid")]++
	}
	for sid, n := range seen {
		if n != 1 {
			t.Errorf("%s was told %d times", sid, n)
		}
	}
	if len(seen) != 8 {
		t.Errorf("%d sessions were told of", len(seen))
	}
}
