package upstream

import (
	"testing"
	"time"

	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/standin"
)

// other-providers.md section 8: all is where it is at every instance, and nothing is discovered.
func TestAGitLabOfOnesOwnIsFoundWithoutDiscovery(t *testing.T) {
	j := newJourney(t, standin.GitLab, nil)
	got, err := j.trip(t, "alice")
	if err != nil || got.Subject.Issuer != j.there.URL() || !got.Subject.EmailVerified || got.Subject.ProvedEmail != "" {
		t.Fatalf("%+v, %v", got, err)
	}
	if n := j.there.Requests("/.well-known/openid-configuration"); n != 0 {
		t.Errorf("discovered %d times", n)
	}
	j.there.Misbehave(standin.Mischief{Claims: func(c map[string]any) { delete(c, "email_verified") }})
	if got, err := j.trip(t, "alice"); err != nil || got.Subject.EmailVerified || got.Subject.Email == "" {
		t.Errorf("an address of which nothing is said: %+v, %v", got, err)
	}
	// GitLab leaves most out of the token: it is at userinfo, and never of somebody else.
	thin := func(c map[string]any) {
		for _, name := range []string{"email", "email_verified", "name"} {
			delete(c, name)
		}
	}
	j.there.Misbehave(standin.Mischief{Claims: thin})
	if got, err := j.trip(t, "alice"); err != nil || got.Subject.Email != "alice@example.com" || !got.Subject.EmailVerified {
		t.Errorf("%+v, %v", got, err)
	}
	j.there.Misbehave(standin.Mischief{Claims: thin, UserSubject: "1"})
	got, err = j.trip(t, "alice")
	wantNo(t, got, err)
}

func TestTheBaseOfAnInstanceIsAnAddressAndNothingElse(t *testing.T) {
	for _, base := range []string{
		"gitlab.corp.example", "https://git.corp.example/", "https://git.corp.example?x", "https://git.corp.example#x", "https://u@git.corp.example", "ftp://git.corp.example",
	} {
		for _, s := range []Settings{{Type: "gitlab", Issuer: base}, {Type: "github", BaseURL: base}} {
			s.Name, s.ClientID, s.ClientSecret = "p", ourID, ourSecret
			if _, err := New(s, fetch.New(fetch.Options{}), time.Now); err == nil {
				t.Errorf("%s at %s", s.Type, base)
			}
		}
	}
	if _, err := New(Settings{Name: "p", Type: "gitlab", Standin: "http://127.0.0.1:1"}, fetch.New(fetch.Options{}), time.Now); err == nil {
		t.Error("a stand-in under gitlab.com's name")
	}
}

func TestWhereAGitHubEnterpriseIsAsked(t *testing.T) {
	for base, want := range map[string][2]string{ // the issuer, the API
		"":                         {"https://github.com/login/oauth", "https://api.github.com"},
		"https://github.com":       {"https://github.com/login/oauth", "https://api.github.com"},
		"https://git.corp.example": {"https://git.corp.example/login/oauth", "https://git.corp.example/api/v3"},
		"https://octo.ghe.com":     {"https://octo.ghe.com/login/oauth", "https://api.octo.ghe.com"},
	} {
		p, err := New(Settings{Name: "p", Type: "github", BaseURL: base, ClientID: ourID, ClientSecret: ourSecret}, fetch.New(fetch.Options{}), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		at := p.directory.pinned
		if p.Issuers()[0] != want[0] || at.token != want[0]+"/access_token" || at.userInfo != want[1]+"/user" || at.emails != want[1]+"/user/emails" {
			t.Errorf("%s: %v %+v", base, p.Issuers(), at)
		}
	}
}
