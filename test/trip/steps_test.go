package trip

import (
	"net/url"
	"strings"
	"testing"

	"github.com/countersign/countersign/test/harness"
)

// web is a trip of the third-party client: people are asked.
func web(more ...string) *harness.Trip {
	return harness.NewTrip(harness.WebID, webRedirect, "openid offline_access todos.read", more...)
}

const loopback = "http://127.0.0.1:51004/cb"

// app is a trip of the native client.
func app(redirect string, more ...string) *harness.Trip {
	return harness.NewTrip(harness.ClientID, redirect, "openid offline_access todos.read", more...)
}

// through agrees to whatever is still asked.
func through(b *harness.Web) *harness.Web {
	b.T.Helper()
	if b.Has("login-continue") {
		b.Submit("login-continue", "action", "continue")
	}
	if b.Has("consent-form") {
		b.Submit("consent-allow", "action", "allow")
	}
	if b.Has("passkey-skip") {
		b.Submit("passkey-skip", "action", "skip")
	}
	return b
}

// coded makes a whole trip of a person who signs in with Google, up to its code.
func coded(w *harness.World, trip *harness.Trip) (b *harness.Web, code string) {
	w.T.Helper()
	b = w.Browser().Open(trip.Path())
	through(b.SignInWith(w.Google, "google", "alice"))
	return b, trip.Code(b)
}

// staysHere fails the test unless the answer is a page of ours that says what is wrong and leads nowhere (result E).
func staysHere(t *testing.T, b *harness.Web) {
	t.Helper()
	if b.Left != nil || b.Status != 400 || !b.Has("error-page") {
		t.Errorf("%d, left for %v, at %s:\n%s", b.Status, b.Left, b.At, b.Page)
	}
	guarded(t, b)
}

// guarded fails the test unless the page may be neither framed nor kept (AZ34).
func guarded(t *testing.T, b *harness.Web) {
	t.Helper()
	if !strings.Contains(b.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") ||
		b.Header.Get("X-Frame-Options") != "DENY" || !strings.Contains(b.Header.Get("Cache-Control"), "no-store") {
		t.Errorf("%s: %v", b.At, b.Header)
	}
}

// goesBack fails the test unless the client is told this error, and no code (result R).
func goesBack(t *testing.T, trip *harness.Trip, b *harness.Web, code string) url.Values {
	t.Helper()
	q := trip.Response(b)
	if q.Get("error") != code || q.Has("code") {
		t.Errorf("%v instead of %s", q, code)
	}
	described(t, q)
	return q
}

// described holds the sentence for the developer against what it may be made of: rfc6749-4.1.2.1-03.
func described(t *testing.T, q url.Values) {
	t.Helper()
	for _, c := range []byte(q.Get("error_description")) {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			t.Errorf("error_description %q", q.Get("error_description"))
			return
		}
	}
}

// flowOf is the trip a page belongs to.
func flowOf(b *harness.Web) string {
	b.T.Helper()
	id := b.At.Query().Get("flow")
	if id == "" {
		b.T.Fatalf("no trip at %s (%d):\n%s", b.At, b.Status, b.Page)
	}
	return id
}

// refused fails the test unless the token endpoint says this and gives nothing.
func refused(t *testing.T, a harness.Answer, code string) {
	t.Helper()
	if a.Status != 400 || a.Error() != code || a.String("access_token") != "" {
		t.Errorf("%d %s instead of %s", a.Status, a.Body, code)
	}
}

// redeem sends a token request of the confidential client.
func redeem(w *harness.World, trip *harness.Trip, code string, more ...string) harness.Answer {
	w.T.Helper()
	return w.Post("/token", trip.Redeem(code, more...), harness.Basic(trip.Client, harness.WebSecret))
}

// userinfo asks with an access token.
func userinfo(w *harness.World, access string) harness.Answer {
	w.T.Helper()
	return w.Do(w.Request("GET", "/userinfo", "", harness.Set("Authorization", "Bearer "+access)))
}
