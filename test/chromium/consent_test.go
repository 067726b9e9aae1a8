package chromium

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/test/browser"
	"github.com/countersign/countersign/test/harness"
)

// AZ37: the person agrees to less than was asked for, and that is what the tokens are good for.
func TestWhatIsUntickedIsNotGranted(t *testing.T) {
	s := newSite(t)
	p := s.person(t, browser.Phone)
	trip := p.begins(s.trip(every))
	p.signsInWith("google", "alice")
	p.Click("input[type=checkbox][value='todos.write']")
	p.Click("input[type=checkbox][value='email']")
	p.agrees()
	got := strings.Fields(p.redeems(trip).String("scope"))
	slices.Sort(got)
	if want := []string{"offline_access", "openid", "profile", "todos.read"}; !slices.Equal(got, want) {
		t.Errorf("granted %v", got)
	}
}

func TestASecondTripAsksNothingAndAWiderOneAsksAgain(t *testing.T) {
	s := newSite(t)
	p := s.person(t, browser.Desktop)
	first := p.begins(s.trip(modest))
	p.signsInWith("corp", "alice")
	p.agrees()
	p.finishes(first)

	p.finishes(p.begins(s.trip(modest))) // not one click

	wider := p.begins(s.trip(modest + " todos.write"))
	p.Click("#consent-allow")
	p.finishes(wider)
}

func TestWhoTurnsBackIsBroughtToTheApp(t *testing.T) {
	s := newSite(t)
	for name, turnBack := range map[string]func(*person){
		"cancel at the sign-in": func(p *person) { p.Click("#login-cancel") },
		"deny what is asked": func(p *person) {
			p.signsInWith("google", "alice")
			p.Click("#consent-deny")
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := s.person(t, browser.Phone)
			q := p.arrives(turned(p, turnBack))
			if q.Get("error") != "access_denied" || q.Has("code") {
				t.Errorf("%v", q)
			}
		})
	}
}

func turned(p *person, back func(*person)) *harness.Trip {
	trip := p.begins(p.s.trip(modest))
	back(p)
	return trip
}

func TestWhoCancelsAtAProviderMayChooseAnotherWay(t *testing.T) {
	s := newSite(t)
	p := s.person(t, browser.Phone)
	trip := p.begins(s.trip("openid"))
	for _, name := range []string{"google", "apple", "corp", "microsoft", "github"} {
		p.Click("#provider-" + name)
		p.Click("#standin-deny")
		p.Wait("#provider-google")
		if p.Text("#notice") == "" {
			t.Errorf("%s: nobody says what happened", name)
		}
	}
	p.signsInWith("google", "alice")
	p.agrees()
	p.finishes(trip)
}

// RFC 8252 §8.6, AZ12: where another app may have claimed the scheme, the person is asked; then the app is called.
func TestAnAppIsCalledByItsOwnScheme(t *testing.T) {
	s := newSite(t)
	p := s.person(t, browser.Phone)
	trip := harness.NewTrip(harness.ClientID, "com.example.todo:/cb", "openid")
	p.begins(trip)
	p.signsInWith("google", "alice")
	p.Click("#consent-allow")
	came(t, p.ClickFor("#passkey-skip", trip.RedirectURI), trip)

	p = &person{p.Tab(), t, s} // the first still waits for the app
	again := harness.NewTrip(harness.ClientID, "com.example.todo:/cb", "openid")
	p.begins(again)
	came(t, p.ClickFor("#login-continue", again.RedirectURI), again)
}

func came(t *testing.T, address string, trip *harness.Trip) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil || u.Query().Get("state") != trip.State || u.Query().Get("code") == "" {
		t.Errorf("called with %q: %v", address, err)
	}
}

func TestFormPostGoesOnByItself(t *testing.T) {
	s := newSite(t)
	p := s.person(t, browser.Desktop)
	trip := p.begins(s.trip("openid", "response_mode", "form_post"))
	p.signsInWith("google", "alice")
	p.agrees()
	p.finishes(trip)
	if p.Text("#method") != http.MethodPost || strings.Contains(p.Address(), "code") {
		t.Errorf("%s at %s", p.Text("#method"), p.Address())
	}
}

func TestAnotherAccountCanBeChosen(t *testing.T) {
	s := newSite(t)
	p := s.person(t, browser.Phone)
	first := p.begins(s.trip("openid"))
	p.signsInByMail("alice@example.net")
	p.agrees()
	alice := claims(t, p.redeems(first))["sub"]

	same := p.begins(s.trip("openid", "prompt", "select_account"))
	if !strings.Contains(p.Text("main"), "alice@example.net") {
		t.Errorf("as whom? %s", p.Text("main"))
	}
	p.Click("#login-continue")
	if got := claims(t, p.redeems(same))["sub"]; got != alice {
		t.Errorf("%v went on as %v", alice, got)
	}

	other := p.begins(s.trip("openid", "prompt", "select_account"))
	p.Click("#login-switch")
	p.Type("#email", "nobody@") // a slip: the ways to sign in must still be there
	p.Script("document.getElementById('login-form').noValidate = true, ''")
	p.Click("#login-submit")
	p.Wait("#email")
	if p.Text("#notice") == "" {
		t.Error("nobody says what was wrong")
	}
	p.signsInByMail("bob@example.net")
	p.agrees()
	if got := claims(t, p.redeems(other))["sub"]; got == alice {
		t.Error("bob is alice")
	}
}
