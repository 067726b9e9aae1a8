package chromium

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/pages"
	"github.com/countersign/countersign/test/browser"
	"github.com/countersign/countersign/test/harness"
)

// narrow is 1280 pixels at a zoom of 400 per cent (WCAG 2.2, SC 1.4.10).
var narrow = browser.Size{Width: 320, Height: 640, Scale: 1}

// pictures tells whether somebody will look at them: `go test -artifacts -outputdir DIR ./test/chromium -run Looks`.
func pictures() bool { return flag.Lookup("test.artifacts").Value.String() == "true" }

// examine looks at the page that is shown in every language, size and colour. The page must be one that can be reloaded.
func examine(t *testing.T, b *browser.Browser, name string) {
	t.Helper()
	for _, language := range []string{"de", "en"} {
		b.Languages(language)
		b.Reload()
		b.Wait("#page-title")
		if got := b.Script("document.documentElement.lang"); got != language {
			t.Errorf("%s: it is %s to who reads %s", name, got, language)
		}
		for called, size := range map[string]browser.Size{"narrow": narrow, "phone": browser.Phone, "desktop": browser.Desktop} {
			b.Resize(size)
			for _, dark := range []bool{true, false} {
				b.Dark(dark)
				as := fmt.Sprintf("%s-%s-%s-%s", name, language, called, map[bool]string{true: "dark", false: "light"}[dark])
				for _, fault := range b.Faults() {
					t.Errorf("%s: %s", as, fault)
				}
				if pictures() && size != narrow {
					b.Screenshot(as)
				}
			}
			if language != "en" || size == narrow { // the order is the same
				continue
			}
			for _, fault := range b.FocusFaults() {
				t.Errorf("%s, %s: %s", name, called, fault)
			}
		}
	}
	b.Resize(browser.Desktop)
}

func TestEveryPageOfATripLooksAsItShould(t *testing.T) {
	s := newSite(t)
	p := s.person(t, browser.Desktop)
	p.begins(s.trip(every))
	examine(t, p.Browser, "login")
	p.Type("#email", "ada@example.net")
	p.Click("#login-submit")
	p.Wait("#code")
	examine(t, p.Browser, "email_code")
	p.Type("#code", "1")
	p.Click("#code-submit")
	p.Wait("#code-error")
	examine(t, p.Browser, "email_code_wrong")
	p.Type("#code", p.mailedCode("ada@example.net"))
	p.Click("#code-submit")
	p.Wait("#consent-form")
	examine(t, p.Browser, "consent")
	p.Click("#consent-allow")
	p.Wait("#passkey-skip")
	examine(t, p.Browser, "passkey_offer")
	p.Click("#passkey-skip")
	p.Wait("#parameters")

	p.begins(s.trip(every, "prompt", "select_account"))
	examine(t, p.Browser, "continue")
	p.Click("#login-switch")
	p.Wait("#email")
	examine(t, p.Browser, "login_another")
	p.begins(s.trip(every, "prompt", "login"))
	p.Wait("#login-form")
	examine(t, p.Browser, "login_again")
}

func TestEveryPageBesideATripLooksAsItShould(t *testing.T) {
	s := newSite(t)
	p, _ := signedIn(t, s, browser.Desktop)
	d := s.device(t)
	p.Open(s.Issuer + "/device")
	examine(t, p.Browser, "device")
	p.Type("#user-code", d.UserCode)
	p.Click("#device-submit")
	p.Wait("#consent-form")
	examine(t, p.Browser, "device_consent")
	p.Click("#consent-allow")
	p.Wait("#device-done")
	examine(t, p.Browser, "device_done")
	p.begins(harness.NewTrip("nobody", s.app+"/cb", "openid"))
	examine(t, p.Browser, "error")
	p.Open(s.Issuer + "/logout")
	examine(t, p.Browser, "logout")
	p.Click("#logout-confirm")
	p.Wait("#logout-done")
	examine(t, p.Browser, "logout_done")
}

// The pages take what they are given: what operators and people come up with must not break them.
func TestNothingIsTooLongForAPage(t *testing.T) {
	at := gallery(t)
	b := browser.New(t, browser.Desktop)
	for name := range hard() {
		b.Open(at + "/page/" + name)
		examine(t, b, "hard_"+name)
	}
}

// RG06: what is said of a client that nobody answers for is read on a phone too, in the light and in the dark.
func TestWhatIsSaidOfAClientThatNobodyCheckedLooksAsItShould(t *testing.T) {
	at := gallery(t)
	b := browser.New(t, browser.Phone)
	for _, name := range []string{"stranger_login", "stranger_consent", "stranger_error"} {
		b.Open(at + "/page/" + name)
		examine(t, b, name)
		b.Resize(browser.Phone)
		if shown := b.Script(`String(document.querySelector("#client-unverified .badge").getBoundingClientRect().bottom <= innerHeight)`); shown != "true" {
			t.Errorf("%s: the badge is below what a phone shows at first", name)
		}
	}
}

// gallery is a server that shows the hard pages.
func gallery(t *testing.T) string {
	t.Helper()
	look, err := pages.NewLook("")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, r := range look.Routes() {
		mux.HandleFunc(r.Method+" "+r.Path, r.Handler)
	}
	mux.HandleFunc("GET /page/{name}", func(w http.ResponseWriter, r *http.Request) {
		page := hard()[r.PathValue("name")]
		if page == nil {
			page = strangers()[r.PathValue("name")]
		}
		look.Render(w, r, http.StatusOK, page)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// hard are pages with more than anybody should put on one.
func hard() map[string]pages.Page {
	const (
		name    = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft & Söhne"
		host    = "0123456789.a-name-that-somebody-chose-to-be-as-long-as-a-name-can-be-in-dns.subdomain.example.org"
		address = "a.very.long.name.that.somebody.really.has.0123456789.0123456789@a-company-with-a-long-name.subdomain.example.org"
	)
	long := pages.Common{
		Client: pages.ClientView{Name: name, HomeURL: "https://a.example", PolicyURL: "https://a.example/p", TermsURL: "https://a.example/t"},
		FlowID: "fl_0123456789", Notice: "notice.provider_cancelled",
	}
	unknown := long
	unknown.Client.Unverified = &pages.Unverified{Server: "login." + host, Document: host, Returns: host}
	var providers []pages.ProviderButton
	for i, kind := range []string{"google", "apple", "microsoft", "github", "oidc", "oidc", "oidc", "oidc", "oidc", "oidc", "oidc", "oidc"} {
		providers = append(providers, pages.ProviderButton{Name: fmt.Sprintf("p%d", i), Type: kind, Label: strings.Repeat("Harbour", i%4) + " ID"})
	}
	var scopes []pages.ScopeLine
	var resources, clients []string
	for i := range 20 {
		scopes = append(scopes, pages.ScopeLine{Name: fmt.Sprintf("urn:example:warehouse:department:%d:read-and-write.everything", i), Required: i%5 == 0, Checked: true})
		resources = append(resources, fmt.Sprintf("https://a-resource-with-a-long-name-%d.internal.services.example.org/version/1", i))
		clients = append(clients, name)
	}
	return map[string]pages.Page{
		"login": pages.Login{
			Common: long, Providers: providers, Email: true, EmailValue: address, Passkeys: true, PasskeyOptions: `{"challenge":"AAAA"}`, SignedInAs: address,
		},
		"code":     pages.EmailCode{Common: long, Email: address, ResendIn: 30, Error: "notice.code_wrong"},
		"continue": pages.Continue{Common: long, Account: address},
		"consent":  pages.Consent{Common: long, Account: address, Scopes: scopes, Resources: resources},
		"device":   pages.DeviceCode{Common: long, UserCode: "WDJB-MJHT", Error: "notice.user_code_wrong"},
		"agree":    pages.Consent{Common: long, Account: address, Scopes: scopes[:3], Device: true, UserCode: "WDJB-MJHT"},
		"error": pages.Error{
			Common: long, Code: "temporarily_unavailable", Detail: strings.Repeat("Something-that-has-no-spaces ", 12), RequestID: strings.Repeat("R3QU3ST", 6),
			RestartURL: "/again", BackURL: "https://a.example",
		},
		"logout":  pages.LogoutConfirm{Common: long, Account: address, Clients: clients},
		"done":    pages.LogoutDone{Common: long, ReturnURL: "https://a.example/bye"},
		"denied":  pages.DeviceDone{Common: long},
		"unknown": pages.Consent{Common: unknown, Account: address, Scopes: scopes[:3]},
		"offer":   pages.PasskeyOffer{Common: long, Options: `{"challenge":"AAAA"}`},
	}
}

// strangers are pages of clients that nobody answers for.
func strangers() map[string]pages.Page {
	common := pages.Common{FlowID: "fl_0123456789", Client: pages.ClientView{
		Name: "Harbour Helper", HomeURL: "https://harbour.example",
		Unverified: &pages.Unverified{Server: "login.example.com", Document: "harbour.example", Returns: "harbour.example"},
	}}
	local := common
	local.Client.Unverified = &pages.Unverified{Server: "login.example.com", Returns: "127.0.0.1", App: true}
	return map[string]pages.Page{
		"stranger_login":   pages.Login{Common: common, Providers: []pages.ProviderButton{{Name: "google", Type: "google", Label: "Google"}}, Email: true},
		"stranger_consent": pages.Consent{Common: local, Account: "ada@example.net", Scopes: []pages.ScopeLine{{Name: "openid", Required: true}, {Name: "email", Checked: true}}},
		"stranger_error":   pages.Error{Common: common, Code: "invalid_scope", Detail: "The scope is not one of this client.", RequestID: "R3QU3ST", BackURL: "https://harbour.example"},
	}
}
