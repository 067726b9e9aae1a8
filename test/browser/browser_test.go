package browser_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/passkey"
	"github.com/countersign/countersign/test/browser"
)

const page = `<!doctype html><meta name=viewport content="width=device-width"><title>t</title>
<h1 id=page-title>Who are you?</h1><form action=/hello><input id=name name=name><button id=go>Go</button></form>`

// site serves one form and what was typed into it, under the name localhost, which may have passkeys.
func site(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, page) })
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, "<p id=greeting>Hello, %s</p>", r.FormValue("name"))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
}

func TestAPersonFillsInAForm(t *testing.T) {
	for name, size := range map[string]browser.Size{"phone": browser.Phone, "desktop": browser.Desktop} {
		t.Run(name, func(t *testing.T) {
			at := site(t)
			b := browser.New(t, size)
			b.Open(at)
			if got := b.Text("#page-title"); got != "Who are you?" {
				t.Errorf("title %q", got)
			}
			if width := b.Script("String(innerWidth)"); width != fmt.Sprint(size.Width) {
				t.Errorf("the page is %s wide", width)
			}
			b.Type("#name", "Someone")
			picture := b.Screenshot("form")
			b.Click("#go")
			if got := b.Text("#greeting"); got != "Hello, Someone" || b.Address() != at+"/hello?name=Someone" || b.Has("#name") {
				t.Errorf("%q at %s", got, b.Address())
			}
			checkPicture(t, picture, size)
		})
	}
}

func checkPicture(t *testing.T, path string, size browser.Size) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	seen, err := png.DecodeConfig(file)
	if err != nil || seen.Width < int(size.Width) {
		t.Errorf("%+v, %v", seen, err)
	}
}

// What a real browser answers is what internal/passkey takes: the same options, made into the same JSON by the browser.
func TestABrowsersPasskeyRegistersAndSignsIn(t *testing.T) {
	at, now := site(t), time.Now()
	verifier, err := passkey.New(at, "Example")
	if err != nil {
		t.Fatal(err)
	}
	b := browser.New(t, browser.Desktop)
	keys := b.Passkeys()
	b.Open(at)
	options, state, err := verifier.BeginRegistration(now, passkey.User{Handle: []byte("account"), Name: "someone"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	made, err := verifier.FinishRegistration(now, state, ceremony(b, "create", "parseCreationOptionsFromJSON", options))
	if err != nil {
		t.Fatal(err)
	}
	if keys.Count() != 1 {
		t.Errorf("%d passkeys", keys.Count())
	}
	options, state, err = verifier.BeginLogin(now)
	if err != nil {
		t.Fatal(err)
	}
	find := func(id, handle []byte) (json.RawMessage, []byte, error) {
		if string(id) != string(made.ID) || string(handle) != "account" {
			t.Errorf("credential %x of %q", id, handle)
		}
		return made.Record, handle, nil
	}
	got, err := verifier.FinishLogin(now, state, ceremony(b, "get", "parseRequestOptionsFromJSON", options), find)
	if err != nil {
		t.Fatal(err)
	}
	if got.SignCount <= made.SignCount || !got.UserVerified {
		t.Errorf("%+v after %+v", got, made)
	}
}

// ceremony runs navigator.credentials in the page.
func ceremony(b *browser.Browser, verb, parse string, options json.RawMessage) []byte {
	return []byte(b.Script(fmt.Sprintf(
		`navigator.credentials.%s({publicKey: PublicKeyCredential.%s(JSON.parse(atob(%q)))}).then(c => JSON.stringify(c))`,
		verb, parse, base64.StdEncoding.EncodeToString(options))))
}
