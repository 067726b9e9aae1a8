package flow

import (
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/token"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// begun is a trip of a first-party web client that began at noon, a minute ago.
func begun(change func(t *trip)) *trip {
	t := &trip{now: noon.Add(time.Minute), tokens: &token.Service{}, client: &domain.Client{
		ID: "app", Type: domain.ClientWeb, FirstParty: true, Providers: []domain.ClientProvider{{Name: "corp"}},
	}}
	t.flow = domain.Flow{Kind: domain.FlowAuthorize, CreatedAt: noon, Request: domain.AuthRequest{
		ClientID: "app", RedirectURI: "https://app.example/cb", Scope: []string{"openid"}, Resources: []string{"https://api.example"},
	}}
	change(t)
	return t
}

// signedIn is somebody who signed in so long before the trip began.
func signedIn(before time.Duration, amr ...string) *domain.BrowserView {
	b := &domain.BrowserView{AccountState: domain.AccountActive, Issuer: "https://corp.example", Provider: "corp"}
	b.AccountID, b.AuthTime, b.AMR = domain.AccountID{1}, noon.Add(-before), amr
	return b
}

var (
	anHourAgo = func(t *trip) { t.browser = signedIn(time.Hour, domain.AMRFederated) }
	justNow   = func(t *trip) { t.browser, t.p.Own = signedIn(-30*time.Second, domain.AMRFederated), true }
)

func seconds(n int64) *int64 { return &n }

// What a person is asked next: AZ12 AZ22 AZ24 AZ25 AZ26 SE18.
func TestNext(t *testing.T) {
	tests := []struct {
		name   string
		before func(t *trip)
		asks   func(t *trip)
		want   next
	}{
		{"nobody is there", func(*trip) {}, func(*trip) {}, wantsSignIn},
		{"somebody is", anHourAgo, func(*trip) {}, wantsNothing},
		{"another than hinted", anHourAgo, func(t *trip) { t.flow.Request.HintedSubject = domain.AccountID{2}.String() }, wantsSignIn},
		{"the hinted one", anHourAgo, func(t *trip) { t.flow.Request.HintedSubject = domain.AccountID{1}.String() }, wantsNothing},
		{"another than hinted, who signed in here", justNow, func(t *trip) { t.flow.Request.HintedSubject = domain.AccountID{2}.String() }, wantsSignIn},

		{"by mail, which the client does not list", by(domain.EmailIssuer, "email"), func(*trip) {}, wantsSignIn},
		{"by mail, which it lists", by(domain.EmailIssuer, "email"), func(t *trip) { t.client.Email = true }, wantsNothing},
		{"by a passkey, which it does not list", by(domain.PasskeyIssuer, "passkey"), func(t *trip) { t.client.Email = true }, wantsSignIn},
		{"by a passkey, which it lists", by(domain.PasskeyIssuer, "passkey"), func(t *trip) { t.client.Passkeys = true }, wantsNothing},
		{"by a provider it does not list", by("https://other.example", "other"), func(t *trip) { t.client.Email, t.client.Passkeys = true, true }, wantsSignIn},
		{"by a provider somebody named email", by("https://other.example", "email"), func(t *trip) { t.client.Email = true }, wantsSignIn},
		{"by mail, where a provider is named email", by(domain.EmailIssuer, "email"),
			func(t *trip) { t.client.Providers = []domain.ClientProvider{{Name: "email"}} }, wantsSignIn},
		{"on a device of a client that does not list it", by(domain.EmailIssuer, "email"), func(t *trip) { t.flow.Kind = domain.FlowDevice }, wantsSignIn},

		{"to sign in anew", anHourAgo, func(t *trip) { t.flow.Request.Prompt = []string{"login"} }, wantsSignIn},
		{"anew, and they did", justNow, func(t *trip) { t.flow.Request.Prompt = []string{"login"} }, wantsNothing},
		{"anew, and they did elsewhere", func(t *trip) { t.browser = signedIn(-30 * time.Second) }, func(t *trip) { t.flow.Request.Prompt = []string{"login"} }, wantsSignIn},
		{"anew, and nobody vouches for when", func(t *trip) { justNow(t); t.browser.AuthTime = time.Time{} },
			func(t *trip) { t.flow.Request.Prompt = []string{"login"} }, wantsSignIn},
		{"anew, and the provider did not ask", func(t *trip) { t.browser, t.p.Own = signedIn(time.Hour), true },
			func(t *trip) { t.flow.Request.Prompt = []string{"login"} }, wantsSignIn},
		{"anew, by a clock a little behind", func(t *trip) { t.browser, t.p.Own = signedIn(50*time.Second), true },
			func(t *trip) { t.flow.Request.Prompt = []string{"login"} }, wantsNothing},
		{"not too long ago", anHourAgo, func(t *trip) { t.flow.Request.MaxAge = seconds(3660) }, wantsNothing},
		{"a second too long ago", anHourAgo, func(t *trip) { t.flow.Request.MaxAge = seconds(3659) }, wantsSignIn},
		{"an age beyond counting", anHourAgo, func(t *trip) { t.flow.Request.MaxAge = seconds(1 << 62) }, wantsNothing},
		{"never too recent", justNow, func(t *trip) { t.flow.Request.MaxAge = seconds(0) }, wantsNothing},
		{"nobody vouches for when", func(t *trip) { anHourAgo(t); t.browser.AuthTime = time.Time{} },
			func(t *trip) { t.flow.Request.MaxAge = seconds(1 << 40) }, wantsSignIn},
		{"when does not matter", func(t *trip) { anHourAgo(t); t.browser.AuthTime = time.Time{} }, func(*trip) {}, wantsNothing},

		{"too weak", anHourAgo, func(t *trip) { t.flow.Request.ACR = []string{domain.ACRPhish} }, wantsStronger},
		{"strong enough", func(t *trip) { t.browser = signedIn(time.Hour, domain.AMRPasskey, domain.AMRVerified) },
			func(t *trip) { t.flow.Request.ACR = []string{domain.ACRPhish} }, wantsNothing},
		{"stronger than asked", func(t *trip) { t.browser = signedIn(time.Hour, domain.AMRPasskey, domain.AMRVerified) },
			func(t *trip) { t.flow.Request.ACR = []string{domain.ACRSingle} }, wantsNothing},
		{"a passkey that verified nobody", func(t *trip) { t.browser = signedIn(time.Hour, domain.AMRPasskey) },
			func(t *trip) { t.flow.Request.ACR = []string{domain.ACRPhish} }, wantsStronger},

		{"as whom", anHourAgo, func(t *trip) { t.flow.Request.Prompt = []string{"select_account"} }, wantsChoice},
		{"as whom, and they said", anHourAgo, func(t *trip) { t.flow.Request.Prompt, t.p.Chosen = []string{"select_account"}, true }, wantsNothing},
		{"as whom, and they just signed in", justNow, func(t *trip) { t.flow.Request.Prompt = []string{"select_account"} }, wantsNothing},
		{"to a scheme of anybody's", anHourAgo, func(t *trip) { t.flow.Request.RedirectURI = "com.ex.app:/cb" }, wantsChoice},
		{"to any port of loopback", anHourAgo, native("http://127.0.0.1:5000/cb"), wantsChoice},
		{"to any port of loopback, and they just signed in", justNow, native("http://[::1]:5000/cb"), wantsNothing},
		{"to an address nobody else can claim", anHourAgo, native("https://app.example/cb"), wantsNothing},
		{"to the one port of a web client on loopback", anHourAgo, func(t *trip) { t.flow.Request.RedirectURI = "http://127.0.0.1:5000/cb" }, wantsNothing},
		{"to such a scheme, and they just signed in", justNow, func(t *trip) { t.flow.Request.RedirectURI = "com.ex.app:/cb" }, wantsNothing},

		{"a third party", anHourAgo, func(t *trip) { t.client.FirstParty = false }, wantsConsent},
		{"a third party they agreed to", anHourAgo, agreedTo("openid", "https://api.example"), wantsNothing},
		{"a third party they agreed to less of", anHourAgo, agreedTo("email", "https://api.example"), wantsConsent},
		{"a third party they agreed to elsewhere", anHourAgo, agreedTo("openid", "https://other.example"), wantsConsent},
		{"a third party, and they said yes", anHourAgo, func(t *trip) { t.client.FirstParty, t.p.Agreed = false, true }, wantsNothing},
		{"to be asked all the same", anHourAgo, func(t *trip) { t.flow.Request.Prompt = []string{oauth.PromptConsent} }, wantsConsent},
		{"a device of ours", anHourAgo, func(t *trip) { t.flow.Kind, t.flow.Request.RedirectURI = domain.FlowDevice, "" }, wantsConsent},
		{"a device they agreed to before", anHourAgo, func(t *trip) {
			agreedTo("openid", "https://api.example")(t)
			t.flow.Kind, t.flow.Request.RedirectURI = domain.FlowDevice, ""
		}, wantsConsent},
		{"sign-in comes before consent", func(*trip) {}, func(t *trip) { t.client.FirstParty = false }, wantsSignIn},
		{"strength comes before consent", anHourAgo, func(t *trip) { t.client.FirstParty, t.flow.Request.ACR = false, []string{domain.ACRPhish} }, wantsStronger},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			trip := begun(tt.before)
			tt.asks(trip)
			if got := trip.next(); got != tt.want {
				t.Errorf("%d instead of %d", got, tt.want)
			}
		})
	}
}

// by is somebody who signed in that way, an hour ago.
func by(issuer, provider string) func(t *trip) {
	return func(t *trip) { anHourAgo(t); t.browser.Issuer, t.browser.Provider = issuer, provider }
}

func native(redirect string) func(t *trip) {
	return func(t *trip) { t.client.Type, t.flow.Request.RedirectURI = domain.ClientNative, redirect }
}

func agreedTo(scope, resource string) func(t *trip) {
	return func(t *trip) {
		t.client.FirstParty = false
		t.consent = &domain.Consent{Scope: []string{scope}, Resources: []string{resource}}
	}
}

func TestWhatAConsentFormMaySay(t *testing.T) { // AZ37
	trip := begun(func(*trip) {})
	for _, tt := range []struct {
		d    Decision
		want bool
	}{
		{Decision{}, true},
		{Decision{Scope: []string{"openid"}}, true},
		{Decision{ClientID: "app"}, true},
		{Decision{ClientID: "other"}, false},
		{Decision{Scope: []string{"openid", "email"}}, false},
		{Decision{Scope: []string{""}}, false},
	} {
		if got := trip.asks(tt.d); got != tt.want {
			t.Errorf("%+v: %t", tt.d, got)
		}
	}
}
