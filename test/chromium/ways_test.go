package chromium

import (
	"strings"
	"testing"

	"github.com/countersign/countersign/test/browser"
)

func TestAPersonSignsInWithProvidersAndByMail(t *testing.T) {
	s := newSite(t)
	subjects := map[any]bool{}
	for name, signIn := range map[string]func(*person){
		"google": func(p *person) { p.signsInWith("google", "alice") },
		"apple":  func(p *person) { p.signsInWith("apple", "alice") }, // posts across sites, without our cookies
		"corp":   func(p *person) { p.signsInWith("corp", "alice") },
		"github": func(p *person) { p.signsInWith("github", "alice") },
		"mail":   func(p *person) { p.signsInByMail("ada@example.net") },
	} {
		t.Run(name, func(t *testing.T) {
			p := s.person(t, browser.Phone)
			trip := p.begins(s.trip(modest))
			signIn(p)
			p.agrees()
			got := p.redeems(trip)
			if got.String("refresh_token") == "" {
				t.Errorf("%s", got.Body)
			}
			subjects[claims(t, got)["sub"]] = true
		})
	}
	if len(subjects) != 5 {
		t.Errorf("%d accounts of five", len(subjects))
	}
}

func TestWithoutScriptsEverythingButPasskeysWorks(t *testing.T) {
	s := newSite(t)
	for name, signIn := range map[string]func(*person){
		"google": func(p *person) { p.signsInWith("google", "bob") },
		"apple": func(p *person) {
			p.signsInWith("apple", "bob")
			p.Click("#standin-continue")
		},
		"mail": func(p *person) { p.signsInByMail("bob@example.net") },
	} {
		t.Run(name, func(t *testing.T) {
			p := s.person(t, browser.Desktop)
			p.Scripts(false)
			trip := p.begins(s.trip(modest, "response_mode", "form_post"))
			signIn(p)
			p.agrees()
			if strings.Contains(p.Address(), s.app) {
				t.Fatal("it went on by itself: the browser runs scripts")
			}
			p.Click("#post-submit")
			p.finishes(trip)
			if p.Text("#method") != "POST" {
				t.Error("it was not posted")
			}
		})
	}
}

func TestAWrongCodeIsSaidBesideTheFieldAndTheRightOneStillWorks(t *testing.T) {
	s := newSite(t)
	p := s.person(t, browser.Phone)
	trip := p.begins(s.trip("openid"))
	p.Type("#email", "carol@example.net")
	p.Click("#login-submit")
	code := p.mailedCode("carol@example.net")
	wrong := "111111"
	if code == wrong {
		wrong = "222222"
	}
	p.Type("#code", wrong)
	p.Click("#code-submit")
	if p.Text("#code-error") == "" || p.Script("document.activeElement.id") != "code" {
		t.Error("the person is not told, or has to look for the field")
	}
	p.Reload() // asks nothing again
	p.Type("#code", code[:3]+" "+code[3:])
	p.Click("#code-submit")
	p.agrees()
	p.finishes(trip)
}

// Every redirect after a form's POST is held to the form's policy, also those of the app itself (CSP3 §6.4.2).
func TestTheAppMaySendTheBrowserOnToAnotherHostOfIts(t *testing.T) {
	s := newSite(t)
	for _, mode := range []string{"query", "form_post"} {
		t.Run(mode, func(t *testing.T) {
			p := s.person(t, browser.Desktop)
			trip := s.trip("openid", "redirect_uri", s.hop()+"/hop", "response_mode", mode)
			trip.RedirectURI = s.hop() + "/hop"
			p.begins(trip)
			p.signsInWith("google", "dora-"+mode)
			p.agrees()
			p.finishes(trip)
			if !strings.HasPrefix(p.Address(), s.other+"/landed") {
				t.Errorf("at %s", p.Address())
			}
		})
	}
}
