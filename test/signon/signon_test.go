// Package signon_test signs people in and out in browsers as it should not work: with cookies, codes, passkeys and
// provider's answers that are old, planted, guessed or somebody else's. Every test is over real sockets.
package signon_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

const (
	webRedirect = "https://todo.example/cb"
	ownRedirect = "https://own.example/cb"
	signOn      = "cs_session" // on a plain http issuer the cookies go without the prefix
)

// onEngines runs a test in a world of each engine.
func onEngines(t *testing.T, test func(t *testing.T, w *harness.World), options ...harness.Option) {
	t.Helper()
	t.Parallel()
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		t.Parallel()
		test(t, harness.New(t, e, options...))
	})
}

// twoNodes runs a test in a world of two nodes on one database.
func twoNodes(t *testing.T, test func(t *testing.T, w *harness.World), options ...harness.Option) {
	t.Helper()
	t.Parallel()
	test(t, harness.New(t, harness.Postgres, append(options, harness.Nodes(2))...))
}

// web is a trip of the client with every way to sign in.
func web(more ...string) *harness.Trip {
	return harness.NewTrip(harness.WebID, webRedirect, "openid offline_access todos.read", more...)
}

// own is a trip of the first-party client: nobody is asked for consent.
func own(more ...string) *harness.Trip {
	return harness.NewTrip(harness.OwnID, ownRedirect, "openid offline_access todos.read", more...)
}

// through agrees to what is asked and would rather not have a passkey.
func through(b *harness.Web) *harness.Web {
	b.T.Helper()
	if b.Has("consent-form") {
		b.Submit("consent-allow", "action", "allow")
	}
	if b.Has("passkey-skip") {
		b.Submit("passkey-skip", "action", "skip")
	}
	return b
}

// tokens redeems a trip's code.
func tokens(t *testing.T, w *harness.World, trip *harness.Trip, b *harness.Web) harness.Answer {
	t.Helper()
	a := w.Post("/token", trip.Redeem(trip.Code(b)), harness.Basic(trip.Client, harness.WebSecret))
	if a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	return a
}

// subject is whose tokens these are.
func subject(t *testing.T, w *harness.World, a harness.Answer) string {
	t.Helper()
	info := w.Do(w.Request(http.MethodGet, "/userinfo", "", harness.Set("Authorization", "Bearer "+a.String("access_token"))))
	if info.Status != http.StatusOK {
		t.Fatalf("userinfo: %d %s", info.Status, info.Body)
	}
	return info.String("sub")
}

// account finishes the trip the browser is on and says who has signed in.
func account(t *testing.T, w *harness.World, trip *harness.Trip, b *harness.Web) string {
	t.Helper()
	return subject(t, w, tokens(t, w, trip, through(b)))
}

// byProvider is the account that somebody has who signs in with a provider in a new browser.
func byProvider(t *testing.T, w *harness.World, p *standin.Provider, name, username string) string {
	t.Helper()
	trip := web()
	return account(t, w, trip, w.Browser().Open(trip.Path()).SignInWith(p, name, username))
}

var sixDigits = regexp.MustCompile(`\b\d{6}\b`)

// send asks for a code at an address and reads it from the mail.
func send(t *testing.T, w *harness.World, b *harness.Web, address string) (code string) {
	t.Helper()
	before := mails(w, address)
	b.Submit("login-submit", "action", "email", "email", address).Want("code")
	return newest(t, w, address, before)
}

// mails counts what came to an address.
func mails(w *harness.World, address string) (n int) {
	for _, m := range w.Mails.Messages() {
		if strings.EqualFold(m.To[0], address) {
			n++
		}
	}
	return n
}

// newest is the code in the mail that came after some.
func newest(t *testing.T, w *harness.World, address string, after int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	m, err := w.Mails.WaitFor(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	if n := mails(w, address); n != after+1 { // a mail is taken before the page is answered
		t.Fatalf("%d mails to %s, want %d", n, address, after+1)
	}
	return sixDigits.FindString(m.Text())
}

// byMail is the account that somebody has who signs in with a code by mail in a new browser.
func byMail(t *testing.T, w *harness.World, address string) string {
	t.Helper()
	trip, b := web(), w.Browser()
	code := send(t, w, b.Open(trip.Path()), address)
	return account(t, w, trip, b.Submit("code-submit", "code", code))
}

// wrong is a code that is not this one.
func wrong(code string) string {
	first := "1"
	if code[0] == '1' {
		first = "2"
	}
	return first + code[1:]
}

var noticeText = regexp.MustCompile(`<p id="notice"[^>]*>([^<]*)</p>`)

// told fails the test unless the page tells the person what happened.
func told(b *harness.Web) *harness.Web {
	b.T.Helper()
	if m := noticeText.FindStringSubmatch(b.Page); len(m) < 2 || m[1] == "" {
		b.T.Errorf("nothing is said at %s:\n%s", b.At, b.Page)
	}
	return b
}

// flowOf is the trip the page in the browser is of.
func flowOf(t *testing.T, b *harness.Web) string {
	t.Helper()
	id := b.At.Query().Get("flow")
	if id == "" {
		t.Fatalf("no flow at %s:\n%s", b.At, b.Page)
	}
	return id
}

// actions counts the rows of the audit trail by what they say.
func actions(t *testing.T, w *harness.World) map[string]int {
	t.Helper()
	events, err := w.Store().Events(t.Context(), domain.AccountID{}, domain.SessionID{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, e := range events {
		seen[e.Action]++
	}
	return seen
}

// rows counts the rows of every table.
func rows(t *testing.T, w *harness.World) map[string]int64 {
	t.Helper()
	n, err := w.Store().Rows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// together sends the same form from n copies of a browser at once, and returns them.
func together(b *harness.Web, n int, path string, form url.Values, nodes ...*harness.Node) []*harness.Web {
	all := make([]*harness.Web, n)
	var done sync.WaitGroup
	for i := range all {
		all[i] = b.Copy()
		if len(nodes) > 0 {
			all[i].Via(nodes[i%len(nodes)])
		}
		done.Go(func() { all[i].Post(path, form) })
	}
	done.Wait()
	return all
}
