package chromium

import (
	"testing"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/test/browser"
)

// withPasskey is a person who signed in by mail and took the offer of a passkey; sub is their account.
func withPasskey(t *testing.T, s *site) (p *person, keys *browser.Passkeys, sub any) {
	t.Helper()
	p = s.person(t, browser.Phone)
	keys = p.Passkeys()
	trip := p.begins(s.trip(modest))
	p.signsInByMail("ada@example.net")
	p.Click("#consent-allow")
	p.Click("#passkey")
	sub = claims(t, p.redeems(trip))["sub"]
	if keys.Count() != 1 {
		t.Fatalf("%d passkeys", keys.Count())
	}
	return p, keys, sub
}

// signsOut uses our own page.
func (p *person) signsOut() {
	p.t.Helper()
	p.Open(p.s.Issuer + "/logout")
	p.Click("#logout-confirm")
	p.Wait("#logout-done")
}

func TestAPasskeySignsInByItsButtonAndInsideTheField(t *testing.T) {
	s := newSite(t)
	p, _, ada := withPasskey(t, s)

	p.signsOut()
	trip := p.begins(s.trip(modest)) // conditional mediation: nobody clicks
	checkPhr(t, claims(t, p.redeems(trip)), ada)

	p.signsOut()
	p.WithoutConditional()
	trip = p.begins(s.trip(modest))
	p.Click("#passkey")
	checkPhr(t, claims(t, p.redeems(trip)), ada)
}

func checkPhr(t *testing.T, c map[string]any, sub any) {
	t.Helper()
	if c["sub"] != sub || c["acr"] != domain.ACRPhish {
		t.Errorf("sub %v, acr %v; want %v, phr", c["sub"], c["acr"], sub)
	}
}

// AZ25: what only a passkey reaches is reached by a passkey, and nothing else is offered.
func TestAStrongerSignInIsReachedByPasskey(t *testing.T) {
	s := newSite(t)
	p, _, ada := withPasskey(t, s)
	trip := p.begins(s.trip(modest, "acr_values", domain.ACRPhish))
	p.Wait("#passkey")
	for _, weaker := range []string{"#email", ".provider", "#login-continue"} {
		if p.Has(weaker) {
			t.Errorf("%s is offered and leads nowhere", weaker)
		}
	}
	p.Click("#passkey")
	checkPhr(t, claims(t, p.redeems(trip)), ada)
}

func TestWhoTurnsDownAPasskeyIsNotOfferedOneAgain(t *testing.T) {
	s := newSite(t)
	p := s.person(t, browser.Desktop)
	for i := range 2 {
		trip := p.begins(s.trip("openid", "prompt", "login"))
		p.signsInByMail("carol@example.net")
		if i == 0 {
			p.agrees()
		}
		p.finishes(trip)
	}
}

func TestAPersonWhoseFingerIsNotRecognisedIsToldAndTriesAgain(t *testing.T) {
	s := newSite(t)
	p, keys, ada := withPasskey(t, s)
	p.signsOut()
	p.WithoutConditional()
	keys.Verify(false)
	trip := p.begins(s.trip(modest))
	p.Click("#passkey")
	p.Wait("#notice:not(:empty)")
	keys.Verify(true)
	p.Click("#passkey")
	checkPhr(t, claims(t, p.redeems(trip)), ada)
}
