package pages

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestEveryLanguageHasEveryText(t *testing.T) {
	ours, _, err := files("locales", "")
	if err != nil {
		t.Fatal(err)
	}
	english, err := parseLocale(ours["en.json"])
	if err != nil {
		t.Fatal(err)
	}
	placeholders := func(text string) []string { return slices.Sorted(slices.Values(placeholder.FindAllString(text, -1))) }
	for name, f := range ours {
		texts, err := readLocale(name, f, english)
		if err != nil {
			t.Fatal(err)
		}
		for key, original := range english {
			switch text, has := texts[key]; {
			case !has || strings.TrimSpace(text) == "":
				t.Errorf("%s: %s is missing", name, key)
			case !slices.Equal(placeholders(text), placeholders(original)):
				t.Errorf("%s: %s has the placeholders %v, English has %v", name, key, placeholders(text), placeholders(original))
			}
		}
		for key := range texts {
			if _, has := english[key]; !has {
				t.Errorf("%s: %s is no text of ours", name, key)
			}
		}
	}
}

// A text that no page says would be translated for nothing. Texts that handlers choose are left out.
func TestEveryTextIsUsed(t *testing.T) {
	l := newLook(t, "")
	sources, _, err := files("templates", "")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{"lang.name": true}
	for _, f := range sources {
		for _, m := range saidTexts.FindAllStringSubmatch(string(f.data), -1) {
			used[m[1]] = true
		}
	}
	for key := range l.locales["en"].texts {
		if !used[key] && !regexp.MustCompile(`^(scope|error|notice|mail|details)\.`).MatchString(key) {
			t.Errorf("no page says %s", key)
		}
	}
}

// Rules and handlers choose what is said by its key.
func TestEveryNoticeThatIsGivenHasAText(t *testing.T) {
	l := newLook(t, "")
	var sources []string
	for _, pattern := range []string{"*.go", "../flow/*.go"} {
		list, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, list...)
	}
	for _, name := range sources {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`"(notice\.[a-z_]+)"`).FindAllSubmatch(text, -1) {
			if _, err := l.locales[fallback].text(string(m[1])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestTheBestLanguageIsChosen(t *testing.T) {
	dir := overrideWith(t, "locales/pt-BR.json", `{"login.title": "Entrar"}`)
	l := newLook(t, dir)
	tests := []struct {
		name      string
		uiLocales []string
		accept    string
		want      string
	}{
		{"nothing asked for", nil, "", "en"},
		{"the browser's", nil, "de", "de"},
		{"by quality, not by place", nil, "fr;q=0.3, de;q=0.8, en;q=0.5", "de"},
		{"equal quality keeps the order", nil, "es,de", "es"},
		{"a region we do not have", nil, "de-AT,en;q=0.5", "de"},
		{"script and region", nil, "es-Latn-MX", "es"},
		{"another region of the language", nil, "pt-PT", "pt-BR"},
		{"the language without region", nil, "pt", "pt-BR"},
		{"capitals do not matter", nil, "PT-br", "pt-BR"},
		{"quality zero is a refusal", nil, "de;q=0, es", "es"},
		{"a star means anything", nil, "*", "en"},
		{"the app's wish goes first", []string{"fr-CA", "en"}, "de", "fr"},
		{"the app's second wish", []string{"xx", "es"}, "de", "es"},
		{"an unknown wish leaves it to the browser", []string{"xx"}, "de", "de"},
		{"a tag is not a prefix", nil, "den", "en"},
		{"nonsense", []string{"", "-", "--", "../../etc"}, ";;,q=,-;q=x", "en"},
		{"far too long", nil, strings.Repeat("xx,", 1000) + "de", "en"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := l.Language(tt.uiLocales, tt.accept); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestAPageIsInTheLanguageItIsGivenOrTheBrowserPrefers(t *testing.T) {
	l := newLook(t, "")
	for _, tt := range []struct{ lang, accept, want string }{
		{"de", "es", `<html lang="de" dir="ltr">`},
		{"", "es", `<html lang="es" dir="ltr">`},
		{"xx", "", `<html lang="en" dir="ltr">`},
	} {
		if _, body := shown(t, l, http.StatusOK, Login{Common: Common{Lang: tt.lang}}, "Accept-Language", tt.accept); !strings.Contains(body, tt.want) {
			t.Errorf("%q, %q: no %s", tt.lang, tt.accept, tt.want)
		}
	}
}

// overrideWith makes an override folder of pairs of names and contents.
func overrideWith(t *testing.T, pairs ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(pairs); i += 2 {
		name := filepath.Join(dir, filepath.FromSlash(pairs[i]))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(pairs[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAnOperatorReplacesWhatTheyLike(t *testing.T) {
	dir := overrideWith(t,
		"locales/en.json", `{"login.title": "Welcome back", "scope.books:read": "See your shelves"}`,
		"locales/ar.json", `{"lang.dir": "rtl", "login.title": "تسجيل الدخول"}`,
		"templates/logout_done.html", `{{define "title"}}{{t "logout.done"}}{{end}}{{define "main"}}<h1 id="page-title">Bye</h1><p id="logout-done"><img src="{{asset "harbour.svg"}}" alt=""></p>{{end}}`,
		"assets/pages.css", `body { background: teal; }`,
		"assets/harbour.svg", `<svg xmlns="http://www.w3.org/2000/svg"/>`,
		".DS_Store", "", "locales/.en.json.swp", "x",
	)
	l := newLook(t, dir)
	for _, tt := range []struct {
		page Page
		want string
	}{
		{Login{}, `<h1 id="page-title">Welcome back</h1>`},
		{Login{Email: true}, "Send me a code"},
		{Consent{Scopes: []ScopeLine{{Name: "books:read"}}}, "See your shelves"},
		{LogoutDone{}, `<h1 id="page-title">Bye</h1>`},
		{Login{Common: Common{Lang: "ar"}}, `<html lang="ar" dir="rtl">`},
		{Login{Common: Common{Lang: "ar"}}, "تسجيل الدخول"},
		{Continue{Common: Common{Lang: "ar"}, Account: "ada"}, "Choose an account"}, // not translated: in English
		{Login{Common: Common{Lang: "de"}}, "Anmelden"},
	} {
		if _, body := shown(t, l, http.StatusOK, tt.page); !strings.Contains(body, tt.want) {
			t.Errorf("%T: no %s in\n%s", tt.page, tt.want, body)
		}
	}
	for name, want := range map[string]string{"pages.css": "teal", "harbour.svg": "<svg", "passkey.js": "webauthn"} {
		address, err := l.assetURL(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, body := fetched(t, l, nil, address); !strings.Contains(body, want) {
			t.Errorf("%s is not the right file", name)
		}
	}
}

func TestAnOverrideThatCannotWorkIsRefusedByName(t *testing.T) {
	tests := []struct{ name, file, content, want string }{
		{"a template nobody uses", "templates/logn.html", "x", "logn.html: no page has a template"},
		{"a template that does not parse", "templates/login.html", "{{if}}", "login.html: "},
		{"a field that is not there", "templates/login.html", `{{define "title"}}{{end}}{{define "main"}}{{.Colour}}{{end}}`, "login.html: "},
		{"a text that is not there", "templates/login.html", `{{define "title"}}{{end}}{{define "main"}}{{if .Email}}{{t "login.tilte"}}{{end}}{{end}}`, `login.html: no locale has a text "login.tilte"`},
		{"an asset that is not there", "templates/layout.html", `{{if .Notice}}{{asset "x.css"}}{{end}}`, `layout.html: there is no asset "x.css"`},
		{"a locale that is no JSON", "locales/de.json", "{\n\"a\"\n}", "de.json: line "},
		{"a text that is no text", "locales/de.json", `{"login.title": 5}`, "de.json: line 1"},
		{"a key that stands twice", "locales/de.json", `{"back": "a", "back": "b"}`, `"back" stands here twice`},
		{"something behind it", "locales/de.json", `{} {}`, "something follows"},
		{"a key no page has", "locales/de.json", `{"login.tilte": "Anmelden"}`, `no page has a text "login.tilte"`},
		{"a placeholder the text does not get", "locales/de.json", `{"login.lead": "bei {klient}"}`, "{klient}"},
		{"a direction that is none", "locales/ar.json", `{"lang.dir": "right"}`, "lang.dir is ltr or rtl"},
		{"a locale called by no tag", "locales/German.json", `{}`, "German.json: a locale is called by its language tag"},
		{"a file of another kind", "assets/logo.exe", "x", "logo.exe: files here end with"},
		{"an asset with a strange name", "assets/My Logo.png", "x", "My Logo.png: the name of an asset"},
		{"a folder nobody reads", "template/login.html", "x", "template: nothing is read from here"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := NewLook(overrideWith(t, tt.file, tt.content)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
	if _, err := NewLook(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a folder that is not there")
	}
}

func TestAssetsMayBeKeptForEver(t *testing.T) {
	l := newLook(t, "")
	for _, name := range slices.Sorted(maps.Keys(l.assets)) {
		address, err := l.assetURL(name)
		if err != nil {
			t.Fatal(err)
		}
		res, body := fetched(t, l, nil, address)
		etag := res.Header.Get("ETag")
		if res.StatusCode != http.StatusOK || body != string(l.assets[name].data) || etag == "" ||
			res.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || res.Header.Get("Content-Type") != l.assets[name].mediaType {
			t.Errorf("%s: %d %v", name, res.StatusCode, res.Header)
		}
		for header, want := range map[string]int{etag: http.StatusNotModified, `"x", W/` + etag: http.StatusNotModified, `"x"`: http.StatusOK} {
			if res, _ := fetched(t, l, nil, address, "If-None-Match", header); res.StatusCode != want {
				t.Errorf("%s, If-None-Match %s: %d", name, header, res.StatusCode)
			}
		}
	}
}

// Two releases side by side: the page of one asks the other for its style.
func TestAnAssetOfAnotherReleaseIsAnsweredButNotKept(t *testing.T) {
	l := newLook(t, "")
	res, body := fetched(t, l, nil, "/assets/pages-0123456789abcdef.css")
	if res.StatusCode != http.StatusOK || res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("ETag") != "" || !strings.Contains(body, "--accent") {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	for _, path := range []string{"/assets/pages.css", "/assets/other-0123456789abcdef.css", "/assets/pages-0123456789abcdef.js", "/assets/..%2flocales%2fen-0123456789abcdef.json"} {
		if res, _ := fetched(t, l, nil, path); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}
