package pages

import (
	"bytes"
	"flag"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/httpd"
)

var update = flag.Bool("update", false, "write the golden files anew")

func newLook(t *testing.T, override string) *Look {
	t.Helper()
	l, err := NewLook(override)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// answer is what remains of a response whose body was read.
type answer struct {
	StatusCode int
	Header     http.Header
}

// shown is a page as a browser gets it: through the middleware and over a socket.
func shown(t *testing.T, l *Look, status int, p Page, headers ...string) (answer, string) {
	t.Helper()
	table := []httpd.Route{{Method: http.MethodGet, Path: "/page", Handler: func(w http.ResponseWriter, r *http.Request) { l.Render(w, r, status, p) }}}
	return fetched(t, l, table, "/page", headers...)
}

func fetched(t *testing.T, l *Look, table []httpd.Route, path string, headers ...string) (answer, string) {
	t.Helper()
	srv := httptest.NewServer(httpd.Handler(httpd.Options{}, append(table, l.Routes()...)))
	t.Cleanup(srv.Close)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	return answer{StatusCode: res.StatusCode, Header: res.Header}, body.String()
}

var (
	anyHash    = regexp.MustCompile(`(/assets/[a-z0-9_-]+)-[0-9a-f]{16}\.`)
	anyRequest = regexp.MustCompile(`(id="error-request">)[A-Z2-7]{26}<`)
)

func TestEveryPageIsItsGoldenFile(t *testing.T) {
	l := newLook(t, "")
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			res, got := shown(t, l, http.StatusOK, s.page)
			if ct := res.Header.Get("Content-Type"); ct != "text/html; charset=utf-8" {
				t.Errorf("Content-Type %q", ct)
			}
			got = anyRequest.ReplaceAllString(anyHash.ReplaceAllString(got, "$1-HASH."), "${1}REQUEST<")
			golden := filepath.Join("testdata", s.name+".html")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("differs from %s: run the test with -update, look at the difference and at the page\n%s", golden, diff)
			}
		})
	}
}

// The ids are what tests of apps hold on to, and stay (DESIGN section 5).
func TestPagesCarryTheirStableIDs(t *testing.T) {
	want := map[string]string{
		"login":              `h1#page-title #client-name img#client-logo a#client-policy a#client-tos form#login-form input#email button#login-submit button#provider-google button#provider-harbour button#login-cancel button#passkey form#passkey-form`,
		"email_code":         `h1#page-title form#code-form input#code button#code-submit button#code-resend button#code-back`,
		"continue":           `h1#page-title button#login-continue button#login-switch button#login-cancel`,
		"consent":            `h1#page-title form#consent-form button#consent-allow button#consent-deny #client-name`,
		"login_unverified":   `div#client-unverified img#client-logo`,
		"consent_unverified": `div#client-unverified`,
		"device_code":        `h1#page-title input#user-code button#device-submit`,
		"device_allowed":     `h1#page-title #device-done`,
		"error":              `h1#page-title #error-page #error-code #error-description #error-request a#error-restart a#error-back`,
		"logout_confirm":     `h1#page-title button#logout-confirm button#logout-cancel`,
		"logout_done":        `h1#page-title #logout-done a#logout-return`,
		"form_post":          `h1#page-title form#post-form button#post-submit`,
		"passkey_offer":      `h1#page-title form#passkey-form button#passkey button#passkey-skip`,
	}
	l := newLook(t, "")
	for _, s := range samples() {
		_, body := shown(t, l, http.StatusOK, s.page)
		for selector := range strings.FieldsSeq(want[s.name]) {
			tag, id, _ := strings.Cut(selector, "#")
			found := regexp.MustCompile(`<`+tag+`[a-z0-9]* (?:[^>]* )?id="`+id+`"|<`+tag+`[a-z0-9]* id="`+id+`"`).FindAllString(body, -1)
			if len(found) != 1 {
				t.Errorf("%s: %s is there %d times", s.name, selector, len(found))
			}
		}
		seen := map[string]bool{}
		for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(body, -1) {
			if seen[m[1]] {
				t.Errorf("%s: two elements have the id %s", s.name, m[1])
			}
			seen[m[1]] = true
		}
		delete(want, s.name)
	}
	for name := range want {
		t.Errorf("there is no sample %s", name)
	}
}

// AZ16, SE06: what clients, people and providers write is text on every page, never markup or script.
func TestHostileTextIsOnlyText(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>'{{.}}`
	common := Common{
		Client: ClientView{Name: evil, LogoURL: "javascript:alert(1)", HomeURL: "javascript:alert(1)", PolicyURL: "data:text/html,<script>", TermsURL: "//evil.example",
			Unverified: &Unverified{Server: evil, Document: evil, Returns: evil}},
		FlowID: evil, Notice: evil, Lang: evil,
	}
	all := []Page{
		Login{Common: common, Providers: []ProviderButton{{Name: evil, Label: evil, Type: evil, URL: "javascript:alert(1)"}}, Email: true, EmailValue: evil, Passkeys: true, PasskeyOptions: evil, SignedInAs: evil},
		EmailCode{Common: common, Email: evil, Error: evil},
		Continue{Common: common, Account: evil},
		Consent{Common: common, Account: evil, Scopes: []ScopeLine{{Name: evil}, {Name: evil, Text: evil, Required: true}}, Resources: []string{evil}, UserCode: evil},
		DeviceCode{Common: common, UserCode: evil, Error: evil},
		Error{Common: common, Code: evil, Description: evil, RequestID: evil, RestartURL: "javascript:alert(1)", BackURL: "JaVaScRiPt:alert(1)", BackLabel: evil},
		LogoutConfirm{Common: common, Account: evil, Clients: []string{evil}},
		LogoutDone{Common: common, ReturnURL: "vbscript:x"},
		FormPost{Common: common, Action: "javascript:alert(1)", Fields: []Field{{Name: evil, Value: evil}}},
		PasskeyOffer{Common: common, Options: evil},
	}
	l := newLook(t, "")
	for _, p := range all {
		res, body := shown(t, l, http.StatusOK, p)
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%T: status %d: %s", p, res.StatusCode, body)
		}
		for _, raw := range []string{"<script>", "<img src=x", `"><script`, "'{{.}}"} {
			if strings.Contains(body, raw) {
				t.Errorf("%T: %s came through", p, raw)
			}
		}
		for _, m := range regexp.MustCompile(`(?:href|src|action)="([^"]*)"`).FindAllStringSubmatch(body, -1) {
			if address := html.UnescapeString(m[1]); strings.Contains(strings.ToLower(address), "script:") || strings.HasPrefix(address, "data:") || strings.HasPrefix(address, "//") {
				t.Errorf("%T: leads to %s", p, address)
			}
		}
		if tags := regexp.MustCompile(`<script[^>]*>[^<]+|<[^>]*\s(?:on[a-z]+|style)=`).FindString(withoutValues(body)); tags != "" {
			t.Errorf("%T: script or style in the page: %s", p, tags)
		}
		if said := res.Header.Get("Content-Security-Policy") + res.Header.Get("Refresh"); strings.Contains(said, "alert") {
			t.Errorf("%T: headers %s", p, said)
		}
	}
}

// withoutValues empties quoted attribute values, in which everything is text.
func withoutValues(body string) string {
	return regexp.MustCompile(`="[^"]*"`).ReplaceAllString(body, `=""`)
}

func TestTheFormThatPostsTheAnswerKeepsItsValuesByteForByte(t *testing.T) {
	state := "a+b/c=\"'<>&\u00e9\u202e\t{{x}}"
	_, body := shown(t, newLook(t, ""), http.StatusOK, FormPost{Action: "https://app.example/cb?a=1&b=2", Fields: []Field{{"state", state}}})
	m := regexp.MustCompile(`name="state" value="([^"]*)"`).FindStringSubmatch(body)
	if len(m) == 0 || html.UnescapeString(m[1]) != state {
		t.Errorf("state became %q", m)
	}
	if !strings.Contains(body, `action="https://app.example/cb?a=1&amp;b=2"`) {
		t.Error("the action was changed")
	}
}

// RG06: a name cannot turn the sentence it stands in.
func TestNamesDoNotTurnTheTextAroundThem(t *testing.T) {
	_, body := shown(t, newLook(t, ""), http.StatusOK, Login{Common: Common{Client: ClientView{Name: "evil\u202eknab"}}})
	if !strings.Contains(body, "to continue to evilknab<") || !strings.Contains(body, "<bdi id=\"client-name\">") {
		t.Error("the override stands in a sentence, or the name is not isolated")
	}
	if got := isolated("عربي", "ltr"); got != "\u2068عربي\u2069" {
		t.Errorf("%q is not isolated", got)
	}
}

// AZ34: nobody frames a page, errors included; and nothing is kept.
func TestEveryPageHasItsHeaders(t *testing.T) {
	const rest = "; base-uri 'none'; frame-ancestors 'none'"
	const begins = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action "
	l := newLook(t, "")
	for _, s := range samples() {
		forms := "'self'"
		switch {
		case s.name == "form_post":
			forms = "https: https://bluebird.example com.example.bluebird:"
		case len(s.page.common().FormTargets) > 0:
			forms = "'self' https://bluebird.example com.example.bluebird:"
		}
		res, _ := shown(t, l, http.StatusBadRequest, s.page)
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: status %d", s.name, res.StatusCode)
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": begins + forms + rest,
			"X-Frame-Options":         "DENY",
			"Referrer-Policy":         "no-referrer",
			"X-Content-Type-Options":  "nosniff",
			"Cache-Control":           "no-store",
			"Content-Language":        "en",
		} {
			if got := res.Header.Values(name); len(got) != 1 || got[0] != want {
				t.Errorf("%s: %s is %q, want %q", s.name, name, got, want)
			}
		}
	}
}

func TestAPolicyNamesOriginsAndSchemesOnly(t *testing.T) {
	for target, want := range map[string]string{
		"https://app.example":               "https://app.example",
		"https://App.Example:8443/cb?x=1":   "https://app.example:8443",
		"http://127.0.0.1:*":                "http://127.0.0.1:*",
		"http://[::1]:9000/cb":              "http:",
		"com.example.app:/cb":               "com.example.app:",
		"com.example.app:":                  "com.example.app:",
		"https://a.example; script-src *":   "",
		"https://a.example 'unsafe-inline'": "",
		"https://*.example":                 "",
		"https://user@evil.example":         "",
		"https:":                            "https:", // any host: for who knows that the answer is redirected on
		"http:":                             "http:",
		"javascript:":                       "",
		"view-source:https://app.example":   "",
		"WSS://app.example":                 "",
		"data:":                             "",
		"*":                                 "",
		"":                                  "",
		"https://a.example,https://b.example/path": "",
	} {
		if got := source(target); got != want {
			t.Errorf("%q: got %q, want %q", target, got, want)
		}
	}
	if got := policy(nil); !strings.Contains(got, "form-action 'none';") {
		t.Errorf("nothing to post to: %s", got)
	}
}

func TestAPageWithAllItLoadsIsSmall(t *testing.T) {
	l := newLook(t, "")
	for _, s := range samples() {
		_, body := shown(t, l, http.StatusOK, s.page)
		total := len(body)
		for _, m := range regexp.MustCompile(`(?:href|src)="(/assets/[^"]*)"`).FindAllStringSubmatch(body, -1) {
			res, text := fetched(t, l, nil, m[1])
			if res.StatusCode != http.StatusOK {
				t.Errorf("%s: %s is %d", s.name, m[1], res.StatusCode)
			}
			total += len(text)
		}
		if total > 50<<10 {
			t.Errorf("%s: %d bytes with everything it loads", s.name, total)
		}
		if m := regexp.MustCompile(`(?:src|<link[^>]*href)="(?:[a-z]+:|//)[^"]*"`).FindString(body); m != "" {
			t.Errorf("%s: loads from elsewhere: %s", s.name, m)
		}
	}
}

// Without script, labels and landmarks a page would be closed to some people.
func TestPagesCanBeReadAloud(t *testing.T) {
	l := newLook(t, "")
	for _, s := range samples() {
		_, body := shown(t, l, http.StatusOK, s.page)
		for _, m := range regexp.MustCompile(`<input (?:id="([^"]*)")?[^>]*>`).FindAllStringSubmatch(body, -1) {
			if !strings.Contains(m[0], `type="hidden"`) && (m[1] == "" || !strings.Contains(body, `<label for="`+m[1]+`"`)) {
				t.Errorf("%s: no label: %s", s.name, m[0])
			}
		}
		for _, m := range regexp.MustCompile(`<svg[^>]*>`).FindAllString(body, -1) {
			if !strings.Contains(m, `aria-hidden="true"`) {
				t.Errorf("%s: a picture without words is read: %s", s.name, m)
			}
		}
		if strings.Count(body, "<main>") != 1 || strings.Count(body, "<h1") != 1 || !strings.Contains(body, `<html lang="en" dir="ltr">`) {
			t.Errorf("%s: one main, one heading, one language", s.name)
		}
		if n := strings.Count(body, "<form "); n != strings.Count(body, `method="post"`) {
			t.Errorf("%s: a form that is no POST", s.name)
		}
	}
}

func TestEmailAndCodeAreFilledInByTheBrowser(t *testing.T) {
	l := newLook(t, "")
	with := map[string]Page{
		`autocomplete="username webauthn"`:                     Login{Email: true, Passkeys: true},
		`autocomplete="email"`:                                 Login{Email: true},
		`inputmode="numeric"`:                                  EmailCode{},
		`autocomplete="one-time-code"`:                         EmailCode{},
		`<input type="hidden" name="flow" value="fl_1">`:       DeviceCode{Common: Common{FlowID: "fl_1"}},
		`<button id="consent-allow" name="action"`:             Consent{Device: true}, // RFC 10027: no nudge
		`<button id="consent-deny" name="action"`:              Consent{Device: true},
		`<input type="hidden" name="scope" value="openid">`:    Consent{Scopes: []ScopeLine{{Name: "openid", Required: true}}},
		`Use the permission books:read`:                        Consent{Scopes: []ScopeLine{{Name: "books:read"}}},
		`href="com.example.app:/cb?error=x&amp;state=y"`:       Error{BackURL: "com.example.app:/cb?error=x&state=y"},
		`<p id="error-description" class="lead">Access was no`: Error{Code: "access_denied"},
	}
	for want, p := range with {
		if _, body := shown(t, l, http.StatusOK, p); !strings.Contains(body, want) {
			t.Errorf("%T: no %s in\n%s", p, want, body)
		}
	}
}

func TestAnErrorPageNamesItsRequest(t *testing.T) {
	res, body := shown(t, newLook(t, ""), http.StatusBadRequest, &Error{Code: "invalid_request"})
	if id := res.Header.Get("X-Request-Id"); id == "" || !strings.Contains(body, `id="error-request">`+id+`<`) {
		t.Errorf("request %q is not on the page", id)
	}
}
