// Package refresh_test shows every row of the rotation's state table from outside: what a phone, a thief or a network
// sees of it, and what has become of the session afterwards.
package refresh_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/client"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// onEngines gives a test a world of its own on each engine, in which time stands still between steps, with somebody to
// look at it from behind.
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

// lastingKeys is for tests in which a year is over in milliseconds: a new key every 90 days cannot be made as fast.
var lastingKeys = harness.Keys(keyring.Options{DataPeriod: 36500 * day, SigningPeriod: 36500 * day})

type world struct {
	*harness.World
	admin *client.Client
}

const todos = "openid offline_access todos.read"

// The kinds of phones.
func bound(c *standin.PhoneConfig)   { harness.As(harness.ClientID, todos)(c) }
func bearer(c *standin.PhoneConfig)  { bound(c); harness.Bearer(c) }
func browser(c *standin.PhoneConfig) { harness.As(harness.BrowserID, todos)(c); harness.Bearer(c) }

// device is a phone with its session.
type device struct {
	*standin.Phone
	w      *world
	sid    string
	first  string // the refresh token of the sign-in
	access string // an access token of the sign-in
}

// signedIn signs somebody new in.
func (w *world) signedIn(t *testing.T, kind func(*standin.PhoneConfig)) *device {
	t.Helper()
	p := w.Phone("phone", kind)
	tokens, err := p.SignIn(t.Context(), w.GooglePrompt("somebody-"+strings.ToLower(t.Name())))
	if err != nil {
		t.Fatal(err)
	}
	return &device{Phone: p, w: w, sid: claim(t, tokens.AccessToken, "sid"), first: tokens.RefreshToken, access: tokens.AccessToken}
}

func claim(t *testing.T, jwt, name string) string {
	t.Helper()
	claims, err := standin.Claims(jwt)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := claims[name].(string)
	return text
}

// thief is a copy of a device's storage without its key, in the hands of somebody who makes another.
func (d *device) thief(mods ...func(*standin.PhoneConfig)) *device {
	d.w.T.Helper()
	return &device{Phone: d.w.Phone("thief", mods...), w: d.w, sid: d.sid}
}

// present sends a token and returns whatever came back.
func (d *device) present(t *testing.T, token string) *standin.Answer {
	t.Helper()
	a, err := d.Present(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// takes presents a token, which must be taken, and returns what came for it.
func (d *device) takes(t *testing.T, token string) *standin.Tokens {
	t.Helper()
	a := d.present(t, token)
	if a.Tokens == nil || a.Tokens.RefreshToken == "" {
		t.Fatalf("refused: %d %s", a.Status, a.Body)
	}
	return a.Tokens
}

// next presents a token and returns its successor, which must be another.
func (d *device) next(t *testing.T, token string) string {
	t.Helper()
	successor := d.takes(t, token).RefreshToken
	if successor == token {
		t.Fatal("the refresh token did not rotate")
	}
	return successor
}

// again presents a token that has a successor already, which must come back byte for byte.
func (d *device) again(t *testing.T, token, successor string) {
	t.Helper()
	if got := d.takes(t, token).RefreshToken; got != successor {
		t.Fatal("the retry brought another token")
	}
}

// refused presents a token, which must be refused with the code and a sentence.
func (d *device) refused(t *testing.T, token, code string) {
	t.Helper()
	a := d.present(t, token)
	wantRefused(t, a, code)
}

func wantRefused(t *testing.T, a *standin.Answer, code string) {
	t.Helper()
	if a.Status != 400 || a.Error != code || a.Description == "" {
		t.Fatalf("got %d %s, want %s", a.Status, a.Body, code)
	}
}

// row is the session as the database has it.
func (d *device) row(t *testing.T) *domain.SessionView {
	t.Helper()
	var id domain.SessionID
	if err := id.UnmarshalText([]byte(d.sid)); err != nil {
		t.Fatal(err)
	}
	view, err := d.w.Store().Session(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return view
}

// wantCounter asserts how far the session has come, and so that nothing else happened to it.
func (d *device) wantCounter(t *testing.T, counter uint32) {
	t.Helper()
	if v := d.row(t); v.Refresh.Counter != counter || v.State != domain.SessionLive {
		t.Fatalf("counter %d, state %d; want %d and live", v.Refresh.Counter, v.State, counter)
	}
}

// wantEnded asserts that the session is over for that reason, with one row in the audit trail, and dead for everybody.
func (d *device) wantEnded(t *testing.T, reason string) {
	t.Helper()
	s, err := d.w.admin.Session(t.Context(), d.sid)
	if err != nil || s.State != "ended" || s.EndReason != reason {
		t.Fatalf("session %+v, %v; want it ended by %s", s, err, reason)
	}
	events, err := d.w.admin.Events(t.Context(), client.EventFilter{SessionID: d.sid})
	if err != nil {
		t.Fatal(err)
	}
	endings := slices.DeleteFunc(events, func(e client.Event) bool { return e.Action != "session.end" })
	if len(endings) != 1 || endings[0].Reason != reason {
		t.Errorf("endings in the audit trail: %+v", endings)
	}
	if d.access != "" && d.w.Active(d.access) {
		t.Error("introspection says active")
	}
}

// form is a refresh as a client sends it that does it by itself.
func form(clientID, token string, more ...string) url.Values {
	f := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	if clientID != "" {
		f.Set("client_id", clientID)
	}
	for i := 0; i+1 < len(more); i += 2 {
		f.Add(more[i], more[i+1])
	}
	return f
}
