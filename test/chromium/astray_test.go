package chromium

import (
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/test/browser"
	"github.com/countersign/countersign/test/harness"
)

func TestARequestThatCannotBeAnsweredStaysHere(t *testing.T) {
	s := newSite(t)
	p := s.person(t, browser.Phone)
	for name, trip := range map[string]*harness.Trip{
		"an unknown client":       harness.NewTrip("nobody", s.app+"/cb", "openid"),
		"an unregistered address": harness.NewTrip(shop, s.app+"/elsewhere", "openid"),
	} {
		p.begins(trip)
		if p.Wait("#error-page"); !strings.HasPrefix(p.Address(), s.Issuer+"/authorize") {
			t.Errorf("%s: at %s", name, p.Address())
		}
		if p.Text("#error-description") == "" || p.Text("#error-request") == "" {
			t.Errorf("%s: %s", name, p.Text("main"))
		}
	}
	p.Open(s.Issuer + "/login?flow=none")
	p.Wait("#error-page")
}

func TestATripThatTookTooLongBeginsAnew(t *testing.T) {
	s := newSite(t)
	p := s.person(t, browser.Phone)
	trip := p.begins(s.trip("openid"))
	p.Wait("#login-form")
	s.Clock.Step(time.Hour)
	p.Click("#provider-google")
	p.Click("#error-restart")
	p.signsInWith("google", "alice")
	p.agrees()
	p.finishes(trip)
}

func TestBackFromTheAppIsNoWall(t *testing.T) {
	s := newSite(t)
	p, _ := signedIn(t, s, browser.Phone)
	p.Script("history.back(), ''")
	p.Click("#error-restart")
	p.Wait("#parameters")
}

func TestADoubleClickIsOneClick(t *testing.T) {
	s := newSite(t)
	p := s.person(t, browser.Desktop)
	trip := p.begins(s.trip("openid"))
	p.DoubleClick("#provider-google")
	p.Type("#username", "alice")
	p.DoubleClick("#standin-allow")
	p.DoubleClick("#consent-allow")
	p.DoubleClick("#passkey-skip")
	p.finishes(trip)

	p = s.person(t, browser.Desktop)
	trip = p.begins(s.trip("openid"))
	p.Type("#email", "dora@example.net")
	p.DoubleClick("#login-submit")
	p.Type("#code", p.mailedCode("dora@example.net"))
	p.DoubleClick("#code-submit")
	p.DoubleClick("#consent-allow")
	p.DoubleClick("#passkey-skip")
	p.finishes(trip)
	if n := len(s.Mails.Messages()); n != 1 {
		t.Errorf("%d mails", n)
	}
}

func TestTwoTabsDoNotMeet(t *testing.T) {
	s := newSite(t)
	one := s.person(t, browser.Desktop)
	two := &person{one.Tab(), t, s}
	first, second := one.begins(s.trip(modest)), two.begins(s.trip(modest))
	one.signsInWith("google", "alice")
	one.Wait("#consent-form")
	two.signsInWith("corp", "bob") // is who is signed in here from now on
	two.agrees()
	bob := claims(t, two.redeems(second))["sub"]

	// What alice is asked is not answered for bob: the question comes again, to him.
	one.Click("#consent-allow")
	if text := one.Text("#login-continue"); !strings.Contains(text, "bob") {
		t.Errorf("%q", text)
	}
	one.Click("#login-continue")
	if got := claims(t, one.redeems(first))["sub"]; got != bob {
		t.Errorf("%v, not bob, who was asked", got)
	}
}

func TestASecondTabOfATripShowsWhereItIs(t *testing.T) {
	s := newSite(t)
	one := s.person(t, browser.Desktop)
	two := &person{one.Tab(), t, s}
	same := one.begins(s.trip("openid"))
	two.Open(one.Address())
	one.signsInByMail("carol@example.net")
	one.Wait("#consent-form")
	two.Reload()
	two.agrees()
	two.finishes(same)
	one.Click("#consent-allow") // what the other did stands
	one.Wait("#error-restart")
}
