// Package pages is the door of everything a person sees in a browser: sign-in, consent, devices, sign-out, errors.
// This file and its neighbours page, locale, assets and csp own how it looks: templates, texts, styles and the headers
// that keep a page from being framed or scripted. They refuse to know what a page means: they show what they are given,
// escaped. docs/pages.md says how an operator changes it.
package pages

import (
	"bytes"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/countersign/countersign/internal/event"
)

// Look is how the pages look. It is read once at the start and never changes.
type Look struct {
	locales map[string]*locale // by tag, as the file is called
	tags    map[string]string  // the tags by their small letters
	assets  map[string]*asset
	// A set of templates per language: what the functions say depends on it, and they are bound when a template is read.
	// It is read when somebody first wants the language, for it takes a megabyte.
	pages map[string]func() (map[string]*template.Template, error)
}

// NewLook reads the embedded files and, over them, those of the override folder; "" has none. An error names the file.
func NewLook(override string) (*Look, error) {
	if override != "" {
		if err := checkOverride(override); err != nil {
			return nil, err
		}
	}
	l := &Look{tags: map[string]string{}, pages: map[string]func() (map[string]*template.Template, error){}}
	var err error
	if l.locales, err = loadLocales(override); err != nil {
		return nil, err
	}
	if l.assets, err = loadAssets(override); err != nil {
		return nil, err
	}
	ours, theirs, err := files("templates", override)
	if err != nil {
		return nil, err
	}
	for name, f := range theirs {
		if _, known := ours[name]; !known {
			return nil, fmt.Errorf("pages: %s: no page has a template of this name", f.where)
		}
	}
	maps.Copy(ours, theirs)
	for tag, words := range l.locales {
		l.tags[strings.ToLower(tag)] = tag
		l.pages[tag] = sync.OnceValues(func() (map[string]*template.Template, error) { return l.parse(ours, words) })
		if override == "" && tag != fallback {
			continue // what is built in was tried by the tests, in every language
		}
		if _, err := l.pages[tag](); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// layout is the template around all others; every other file is a page that fills its blocks.
const layout = "layout.html"

// parse reads all templates for one language and tries each page once.
func (l *Look) parse(sources map[string]file, words *locale) (map[string]*template.Template, error) {
	base := template.New(layout).Funcs(l.functions(words))
	if err := l.parseInto(base, sources[layout], words); err != nil {
		return nil, err
	}
	set := map[string]*template.Template{}
	for _, p := range everyPage {
		f := sources[p.template()]
		page, err := base.Clone()
		if err != nil {
			return nil, fmt.Errorf("pages: %s: %w", f.where, err)
		}
		if err := l.parseInto(page, f, words); err != nil {
			return nil, err
		}
		if err := page.Execute(&bytes.Buffer{}, p); err != nil {
			return nil, fmt.Errorf("pages: %s: %w", f.where, err)
		}
		set[p.template()] = page
	}
	if err := showsDetails(set[Consent{}.template()]); err != nil {
		return nil, fmt.Errorf("pages: %s: %w", sources[Consent{}.template()].where, err)
	}
	return set, nil
}

var (
	saidTexts  = regexp.MustCompile(`\bt "([^"]*)"`)
	usedAssets = regexp.MustCompile(`\basset "([^"]*)"`)
)

// parseInto adds a file to a set. Texts and assets are looked up now: a branch that is rarely taken would tell too late.
func (l *Look) parseInto(set *template.Template, f file, words *locale) error {
	for _, m := range saidTexts.FindAllSubmatch(f.data, -1) {
		if _, known := words.texts[string(m[1])]; !known {
			return fmt.Errorf("pages: %s: no locale has a text %q", f.where, m[1])
		}
	}
	for _, m := range usedAssets.FindAllSubmatch(f.data, -1) {
		if l.assets[string(m[1])] == nil {
			return fmt.Errorf("pages: %s: there is no asset %q", f.where, m[1])
		}
	}
	if _, err := set.Parse(string(f.data)); err != nil {
		return fmt.Errorf("pages: %s: %w", f.where, err)
	}
	return nil
}

// functions are what templates can say beside their page's fields.
func (l *Look) functions(words *locale) template.FuncMap {
	return template.FuncMap{
		"t":       words.text,                         // t "key" "name" value: a text of this language
		"say":     words.say,                          // say x: the text of the key x, or x
		"scope":   words.scope,                        // scope line: what a scope lets a client do
		"detail":  words.detail,                       // detail box: what people call a type of authorization_details
		"member":  words.member,                       // member line: what people call a member of it
		"lang":    func() string { return words.tag }, // the tag of this language
		"asset":   l.assetURL,                         // asset "pages.css": its address
		"address": address,                            // address url: the address, or # where it could be script
		"initial": initial,                            // initial name: the first letter, for want of a picture
		"spoken":  func(code string) bool { return words.texts["error."+code] != "" },
	}
}

// address lets links of apps through, which html/template knows nothing of, and nothing that could be script.
func address(s string) template.URL {
	if !harmless(s) {
		return "#"
	}
	return template.URL(s) //nolint:gosec // G203: harmless has judged the scheme; the rest is escaped as an attribute
}

func initial(name string) string {
	for _, r := range name {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return string(unicode.ToUpper(r))
		}
	}
	return "?"
}

// Render writes a page with the headers that belong to it. Nothing is written before the whole page is there.
func (l *Look) Render(w http.ResponseWriter, r *http.Request, status int, p Page) {
	c := p.common()
	tag, known := l.tags[strings.ToLower(c.Lang)]
	if !known {
		tag = l.Language(nil, r.Header.Get("Accept-Language"))
	}
	p, csp := prepared(p, r)

	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", csp)
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")

	var body bytes.Buffer
	set, err := l.pages[tag]()
	if err == nil {
		err = set[p.template()].Execute(&body, p)
	}
	if err != nil {
		event.Add(r.Context(), "cause", "render "+p.template()+": "+err.Error())
		h.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte("server_error " + event.From(r.Context()).ID + "\n"))
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", tag)
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
}

// prepared fills in what a page may leave out, and says what its policy is.
func prepared(p Page, r *http.Request) (Page, string) {
	csp := policy([]string{"'self'"}, p.common().FormTargets...)
	switch v := p.(type) {
	case *Error:
		return prepared(*v, r)
	case Error:
		if v.RequestID == "" {
			v.RequestID = event.From(r.Context()).ID
		}
		return v, csp
	case *EmailCode:
		return prepared(*v, r)
	case EmailCode:
		if v.CodeLength == 0 {
			v.CodeLength = 6
		}
		return v, csp
	case *FormPost:
		return prepared(*v, r)
	case FormPost:
		name, _, _ := strings.Cut(v.Action, ":") // the client, which may send the browser on to another host of its
		return v, policy(nil, append([]string{name + ":"}, v.FormTargets...)...)
	}
	return p, csp
}

// Knows tells whether there is a text of that key: what came in an address may choose among ours, and say nothing else.
func (l *Look) Knows(key string) bool { return l.locales[fallback].texts[key] != "" }
