package pages_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/pages"
	"github.com/countersign/countersign/internal/passkey"
	"github.com/countersign/countersign/test/browser"
)

// desk is a server with the pages of passkeys and nothing behind them but the verifier.
type desk struct {
	t        *testing.T
	look     *pages.Look
	verifier *passkey.Verifier
	state    []byte
	made     *passkey.Credential
	email    bool // the sign-in page has an e-mail field, in which the browser may offer passkeys
	fields   []string
}

func open(t *testing.T, override string) (d *desk, at string) {
	t.Helper()
	look, err := pages.NewLook(override)
	if err != nil {
		t.Fatal(err)
	}
	d = &desk{t: t, look: look}
	srv := httptest.NewServer(httpd.Handler(httpd.Options{}, look.Routes(), []httpd.Route{
		{Method: http.MethodGet, Path: "/offer", Handler: d.offer},
		{Method: http.MethodGet, Path: "/sign-in", Handler: d.signIn},
		{Method: http.MethodGet, Path: "/answer", Handler: d.answer},
		{Method: http.MethodPost, Path: "/login", Handler: d.record},
		{Method: http.MethodPost, Path: "/login/add-passkey", Handler: d.added},
		{Method: http.MethodPost, Path: "/login/passkey", Handler: d.signedIn},
		{Method: http.MethodPost, Path: "/callback", Handler: d.record},
	}))
	t.Cleanup(srv.Close)
	at = strings.Replace(srv.URL, "127.0.0.1", "localhost", 1) // an IP address cannot have passkeys
	if d.verifier, err = passkey.New(at, "Bluebird Books"); err != nil {
		t.Fatal(err)
	}
	return d, at
}

func (d *desk) offer(w http.ResponseWriter, r *http.Request) {
	options, state, err := d.verifier.BeginRegistration(time.Now(), passkey.User{Handle: []byte("account"), Name: "ada"}, nil)
	if err != nil {
		d.t.Error(err)
	}
	d.state = state
	d.look.Render(w, r, http.StatusOK, pages.PasskeyOffer{Common: pages.Common{FlowID: "fl_1"}, Options: string(options)})
}

func (d *desk) signIn(w http.ResponseWriter, r *http.Request) {
	options, state, err := d.verifier.BeginLogin(time.Now())
	if err != nil {
		d.t.Error(err)
	}
	d.state = state
	d.look.Render(w, r, http.StatusOK, pages.Login{Common: pages.Common{FlowID: "fl_1"}, Email: d.email, Passkeys: true, PasskeyOptions: string(options)})
}

func (d *desk) answer(w http.ResponseWriter, r *http.Request) {
	d.look.Render(w, r, http.StatusOK, pages.FormPost{Action: "/callback", Common: pages.Common{FormTargets: []string{"http://" + r.Host}},
		Fields: []pages.Field{{Name: "code", Value: "c"}, {Name: "state", Value: `"><script>`}, {Name: "submit", Value: "x"}}})
}

func (d *desk) record(w http.ResponseWriter, r *http.Request) {
	for _, name := range []string{"code", "state", "flow", "action", "email"} {
		if r.PostFormValue(name) != "" {
			d.fields = append(d.fields, name+"="+r.PostFormValue(name))
		}
	}
	d.look.Render(w, r, http.StatusOK, pages.LogoutDone{})
}

func (d *desk) added(w http.ResponseWriter, r *http.Request) {
	var err error
	if d.made, err = d.verifier.FinishRegistration(time.Now(), d.state, []byte(r.PostFormValue("credential"))); err != nil || r.PostFormValue("flow") != "fl_1" {
		d.t.Errorf("%v: %s", err, r.PostForm)
	}
	d.look.Render(w, r, http.StatusOK, pages.LogoutDone{})
}

func (d *desk) signedIn(w http.ResponseWriter, r *http.Request) {
	find := func(_, handle []byte) (json.RawMessage, []byte, error) { return d.made.Record, handle, nil }
	if _, err := d.verifier.FinishLogin(time.Now(), d.state, []byte(r.PostFormValue("credential")), find); err != nil || r.PostFormValue("flow") != "fl_1" {
		d.t.Errorf("%v: %s", err, r.PostForm)
	}
	d.look.Render(w, r, http.StatusOK, pages.LogoutDone{})
}

// older puts a passkey.js into an override folder that finds a browser without the JSON methods of WebAuthn Level 3.
func older(t *testing.T) string {
	t.Helper()
	script, err := os.ReadFile("assets/passkey.js")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	const without = "delete PublicKeyCredential.parseCreationOptionsFromJSON; delete PublicKeyCredential.parseRequestOptionsFromJSON; delete PublicKeyCredential.prototype.toJSON;\n"
	if err := os.Mkdir(filepath.Join(dir, "assets"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "assets", "passkey.js"), append([]byte(without), script...), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTheScriptMakesAPasskeyAndSignsInWithIt(t *testing.T) {
	for name, override := range map[string]string{"a browser of today": "", "one without the JSON methods": older(t)} {
		t.Run(name, func(t *testing.T) {
			d, at := open(t, override)
			b := browser.New(t, browser.Phone)
			keys := b.Passkeys()
			b.Open(at + "/offer")
			b.Click("#passkey")
			b.Wait("#logout-done")
			if keys.Count() != 1 || d.made == nil {
				t.Fatalf("%d passkeys", keys.Count())
			}
			b.Open(at + "/sign-in")
			b.Click("#passkey")
			b.Wait("#logout-done")

			d.email = true // and now from the e-mail field, where this person takes what the browser offers
			b.Open(at + "/sign-in")
			b.Wait("#logout-done")
		})
	}
}

func TestAPersonWhoIsNotRecognisedIsToldSoAndCanGoOn(t *testing.T) {
	d, at := open(t, "")
	d.email = true
	b := browser.New(t, browser.Phone)
	b.Passkeys().Verify(false)
	b.Open(at + "/offer")
	b.Click("#passkey")
	b.Wait("#notice")
	if said := b.Text("#notice"); said != "No passkey was used. Try again, or choose another way." {
		t.Errorf("said %q", said)
	}
	b.Open(at + "/sign-in")
	b.Click("#passkey")
	b.Wait("#notice")
	b.Type("#email", "ada@example.com")
	b.Click("#login-submit")
	b.Wait("#logout-done")
	if got := strings.Join(d.fields, " "); got != "flow=fl_1 action=email email=ada@example.com" {
		t.Errorf("sent %s", got)
	}
}

func TestTheAnswerPostsItself(t *testing.T) {
	d, at := open(t, "")
	b := browser.New(t, browser.Desktop)
	b.Open(at + "/answer")
	b.Wait("#logout-done")
	if got := strings.Join(d.fields, " "); got != `code=c state="><script>` {
		t.Errorf("sent %s", got)
	}
}
