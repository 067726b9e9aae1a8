package chromium

import (
	"net/url"
	"strings"
	"testing"

	"github.com/countersign/countersign/test/browser"
	"github.com/countersign/countersign/test/harness"
)

// signedIn is a person who went through one trip.
func signedIn(t *testing.T, s *site, size browser.Size) (*person, harness.Answer) {
	t.Helper()
	p := s.person(t, size)
	trip := p.begins(s.trip(modest))
	p.signsInWith("google", "alice")
	p.agrees()
	got := p.redeems(trip)
	return p, got
}

// known tells whether the browser is signed in.
func (p *person) known() bool {
	p.t.Helper()
	trip := p.begins(p.s.trip(modest, "prompt", "none"))
	return p.arrives(trip).Has("code")
}

func TestALogoutWithAHintReturnsToTheApp(t *testing.T) {
	s := newSite(t)
	p, got := signedIn(t, s, browser.Phone)
	q := url.Values{"id_token_hint": {got.String("id_token")}, "post_logout_redirect_uri": {s.app + "/bye"}, "state": {"x"}}
	p.Open(s.Issuer + "/logout?" + q.Encode())
	if p.Wait("#parameters"); p.Address() != s.app+"/bye?state=x" {
		t.Errorf("at %s", p.Address())
	}
	if p.known() || s.Active(got.String("access_token")) {
		t.Error("still signed in")
	}
}

func TestALogoutWithoutAHintAsksFirst(t *testing.T) {
	s := newSite(t)
	p, got := signedIn(t, s, browser.Desktop)
	p.Open(s.Issuer + "/logout?post_logout_redirect_uri=" + url.QueryEscape(s.app+"/bye"))
	p.Click("#logout-cancel")
	p.Wait("#logout-kept")
	if !p.known() {
		t.Error("who stayed is signed out")
	}
	p.Open(s.Issuer + "/logout")
	if !strings.Contains(p.Text("main"), "alice") {
		t.Errorf("it does not say who: %s", p.Text("main"))
	}
	p.Click("#logout-confirm")
	p.Wait("#logout-done")
	if p.known() || s.Active(got.String("access_token")) {
		t.Error("still signed in")
	}
	p.Open(s.Issuer + "/logout") // nobody to sign out
	p.Wait("#logout-done")
}

// An app whose page posts its logout across sites comes without our cookies, and is asked again with them.
func TestAnAppMayPostItsLogout(t *testing.T) {
	s := newSite(t)
	p, got := signedIn(t, s, browser.Desktop)
	p.Open(s.app)
	p.Script(`(() => { document.body.innerHTML = '<form id=f method=post><input name=id_token_hint><button id=bye>Bye</button></form>';
		f.action = '` + s.Issuer + `/logout'; f.elements[0].value = '` + got.String("id_token") + `'; return '' })()`)
	p.Click("#bye")
	p.Wait("#logout-done")
	if p.known() {
		t.Error("still signed in")
	}
}
