package signon_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

var social = []standin.Kind{standin.Facebook, standin.LINE, standin.Discord, standin.GitLab}

const (
	socialWeb   = "social-web"
	socialPhone = "com.example.social"
)

// onSocial runs a test in a world with the providers of people's networks, of each engine.
func onSocial(t *testing.T, test func(t *testing.T, w *harness.World)) {
	t.Helper()
	onEngines(t, test, harness.Federation(social...), harness.Clients(`  - id: social-web
    type: web
    secret_file: ./web.secret
    first_party: true
    email: true
    redirect_uris: ["https://social.example/cb"]
    providers: [{name: facebook}, {name: line}, {name: discord}, {name: gitlab}, {name: google, audiences: [web.example]}]
    scopes: [openid, profile, email]
  - id: com.example.social
    type: native
    providers: [{name: facebook, audiences: [app-at-facebook]}, {name: line, audiences: [app-at-line, line-of-the-app]}]
    scopes: [openid, offline_access, account.read]
`))
}

func socialTrip() *harness.Trip {
	return harness.NewTrip(socialWeb, "https://social.example/cb", "openid profile email")
}

// comes is what userinfo says after a trip with a provider in a new browser.
func comes(t *testing.T, w *harness.World, kind standin.Kind, username string) harness.Answer {
	t.Helper()
	trip := socialTrip()
	b := w.Browser().Open(trip.Path()).SignInWith(w.Others[kind], string(kind), username)
	a := tokens(t, w, trip, through(b))
	return w.Do(w.Request(http.MethodGet, "/userinfo", "", harness.Set("Authorization", "Bearer "+a.String("access_token"))))
}

func TestPeopleOfTheNetworksSignInToTheirOwnAccountAgainAndAgain(t *testing.T) {
	onSocial(t, func(t *testing.T, w *harness.World) {
		seen := map[string]standin.Kind{}
		for _, kind := range social {
			first, again, other := comes(t, w, kind, "alice"), comes(t, w, kind, "alice"), comes(t, w, kind, "bob")
			sub := first.String("sub")
			if sub == "" || again.String("sub") != sub || other.String("sub") == sub || first.String("name") != "Alice Example" {
				t.Errorf("%s: %s, %s, %s", kind, first.Body, again.Body, other.Body)
			}
			if before, taken := seen[sub]; taken {
				t.Errorf("%s and %s are one account by an address", before, kind)
			}
			seen[sub] = kind
			verified := kind == standin.Discord || kind == standin.GitLab
			if strings.Contains(string(first.Body), `"email_verified":true`) != verified {
				t.Errorf("%s: %s", kind, first.Body)
			}
			if page := w.Browser().Open(socialTrip().Path()); !strings.Contains(page.Page, map[standin.Kind]string{
				standin.Facebook: "Facebook", standin.LINE: "LINE", standin.Discord: "Discord", standin.GitLab: "GitLab",
			}[kind]) {
				t.Errorf("%s has no button", kind)
			}
		}
	})
}

// ID12, ID16: none of them is the authority of any address, whatever it says of it.
func TestNoNetworksWordForAnAddressJoinsAccounts(t *testing.T) {
	onSocial(t, func(t *testing.T, w *harness.World) {
		for _, kind := range social {
			address := string(kind) + "@gmail.com"
			owner := byMail(t, w, address)
			someone(t, w.Others[kind], "mallory", address, func(p *standin.Person) { p.Subject = "" })
			if got := comes(t, w, kind, "mallory").String("sub"); got == owner || got == "" {
				t.Errorf("%s opens the account of %s", kind, address)
			}
			// Nor does one who waits there get the owner when they come.
			waiting := string(kind) + "2@gmail.com"
			someone(t, w.Others[kind], "waiting", waiting, func(p *standin.Person) { p.Subject = "" })
			pre := comes(t, w, kind, "waiting").String("sub")
			if got := byMail(t, w, waiting); got == pre {
				t.Errorf("%s: the code opens the account that was waiting for it", kind)
			}
		}
	})
}

// ID01, ID04, ID06, ID08: what they send back is held against what they were asked.
func TestANetworksWrongAnswerSignsNobodyIn(t *testing.T) {
	user := func(name string, value any) standin.Mischief {
		return standin.Mischief{User: func(c map[string]any) { c[name] = value }}
	}
	cases := map[standin.Kind]map[string]standin.Mischief{
		standin.LINE: {
			"ID04 signed as for an app":     {AppKey: true},
			"ID04 HS256 by the public key":  {Forgery: standin.HMACWithPublicKey},
			"ID04 alg none":                 {Forgery: standin.AlgNone},
			"ID04 another channel's secret": {Secret: strings.Repeat("another", 8)},
			"ID01 another channel's token":  {Audience: "line-of-the-app"},
			"ID01 another issuer":           {Claims: func(c map[string]any) { c["iss"] = "https://evil.example" }},
			"ID08 another nonce":            {Nonce: "another"},
			"ID08 no nonce":                 {Claims: func(c map[string]any) { delete(c, "nonce") }},
			"the token endpoint is down":    {TokenStatus: http.StatusInternalServerError},
		},
		standin.GitLab: {
			"ID04 HS256 by the public key": {Forgery: standin.HMACWithPublicKey},
			"ID01 another app's token":     {Audience: "another"},
			"ID01 gitlab.com's token":      {Claims: func(c map[string]any) { c["iss"] = "https://gitlab.com" }},
			"ID08 another nonce":           {Nonce: "another"},
		},
		standin.Facebook: {
			"an id that is a number":    user("id", 7),
			"no id":                     user("id", nil),
			"a stolen code":             {Code: "stolen"},
			"the person's own no, bent": {Error: "access_denied"},
			"another server's iss":      {Issuer: "https://evil.example"},
		},
		standin.Discord: {
			"an id that is a number":     user("id", 80351110224678912),
			"an id that is a user name":  {UserSubject: "alice"},
			"the token endpoint is down": {TokenStatus: http.StatusBadGateway},
		},
	}
	onSocial(t, func(t *testing.T, w *harness.World) {
		for kind, list := range cases {
			for name, m := range list {
				t.Run(string(kind)+" "+name, func(t *testing.T) {
					trip, b := socialTrip(), w.Browser()
					b.Open(trip.Path())
					w.Others[kind].Misbehave(m)
					unhurt(t, w, trip, b.SignInWith(w.Others[kind], string(kind), "alice"), w.Others[kind], string(kind))
				})
			}
		}
	})
}

// On the phone there is an id_token, and in the browser the same person: Limited Login and ES256, against the classic login
// and HS256.
func TestANetworksPersonIsOneAccountOnThePhoneAndInTheBrowser(t *testing.T) {
	onSocial(t, func(t *testing.T, w *harness.World) {
		for kind, prompt := range map[standin.Kind]func(string, standin.Person) standin.TokenRequest{
			standin.Facebook: standin.FacebookLimited, standin.LINE: standin.LINENative,
		} {
			p := w.Others[kind]
			sub := comes(t, w, kind, "alice").String("sub")
			phone := socialOn(w, "phone "+string(kind))
			if _, err := phone.SignIn(t.Context(), p.Prompt(prompt(harness.AppID(kind), p.PersonNamed("alice")))); err != nil {
				t.Fatal(err)
			}
			if a, err := phone.Account(t.Context()); err != nil || a.ID != sub {
				t.Errorf("%s: %+v, %v, want %s", kind, a, err, sub)
			}
			for name, change := range map[string]func(*standin.TokenRequest){
				"ID01 another app's":             func(r *standin.TokenRequest) { r.Audience = "another" },
				"ID01 another issuer":            func(r *standin.TokenRequest) { r.Mutate = func(c map[string]any) { c["iss"] = "https://evil.example" } },
				"ID04 HS256 with the public key": func(r *standin.TokenRequest) { r.Forgery = standin.HMACWithPublicKey },
				"ID04 alg none":                  func(r *standin.TokenRequest) { r.Forgery = standin.AlgNone },
				"ID08 without a nonce":           func(r *standin.TokenRequest) { r.Mutate = func(c map[string]any) { delete(c, "nonce") } },
				"ID08 with a foreign one":        func(r *standin.TokenRequest) { r.Mutate = func(c map[string]any) { c["nonce"] = "x" } },
			} {
				r := prompt(harness.AppID(kind), p.PersonNamed("alice"))
				change(&r)
				if got, err := socialOn(w, "thief").SignIn(t.Context(), p.Prompt(r)); err == nil {
					t.Errorf("%s, %s: %+v", kind, name, got)
				}
			}
		}
	})
}

func socialOn(w *harness.World, name string) *standin.Phone {
	return w.Phone(name, func(c *standin.PhoneConfig) {
		c.ClientID, c.Scope, c.Resources = socialPhone, "openid offline_access account.read", nil
	})
}

// ID01, ID04: a classic access token of Facebook's could be any app's: what is no id_token is taken from no app. LINE's
// token for the web is none of an app's either, though everything in it is true.
func TestWhatANetworkGivesTheWebIsTakenFromNoApp(t *testing.T) {
	onSocial(t, func(t *testing.T, w *harness.World) {
		evidence := map[string]string{
			"an access token":             "EAAGm0PX4ZCpsBAKZCZBZAz0ZA3ZBqFakeAccessToken",
			"one with points in it":       "EAAGm0PX.4ZCpsBAKZCZB.ZAz0ZA3ZBq",
			"an object in three parts":    strings.Join([]string{part(`{}`), part(`{"iss":"https://www.facebook.com"}`), part("x")}, "."),
			"Discord's word, in its name": strings.Join([]string{part(`{"alg":"RS256"}`), part(`{"iss":"https://discord.com"}`), part("x")}, "."),
		}
		line := w.Others[standin.LINE]
		hs256 := func(_ context.Context, nonce string) (*standin.Credential, error) {
			request := standin.LINENative(harness.AppID(standin.LINE), line.PersonNamed("alice"))
			request.Nonce = nonce
			c, err := line.Issue(request)
			if err != nil {
				return nil, err
			}
			payload := strings.Split(c.IDToken, ".")[1]
			mac := hmac.New(sha256.New, []byte(harness.ProviderSecret))
			mac.Write([]byte(part(`{"alg":"HS256","typ":"JWT"}`) + "." + payload))
			return &standin.Credential{IDToken: part(`{"alg":"HS256","typ":"JWT"}`) + "." + payload + "." + part(string(mac.Sum(nil)))}, nil
		}
		if got, err := socialOn(w, "thief").SignIn(t.Context(), hs256); err == nil {
			t.Errorf("LINE's token for the web: %+v", got)
		}
		for name, raw := range evidence {
			prompt := func(context.Context, string) (*standin.Credential, error) {
				return &standin.Credential{IDToken: raw}, nil
			}
			if got, err := socialOn(w, "thief").SignIn(t.Context(), prompt); err == nil {
				t.Errorf("%s: %+v", name, got)
			}
		}
	})
}

func part(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
