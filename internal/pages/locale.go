package pages

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// fallback is the language whose texts are complete by definition.
const fallback = "en"

// locale is the texts of one language.
type locale struct {
	tag   string // as the file is called, "pt-BR"
	texts map[string]string
}

var (
	localeName  = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}\.json$`)
	placeholder = regexp.MustCompile(`\{[a-z_]+\}`)
	// Keys under these may be added by an operator; any other unknown one is a slip of the pen.
	openKeys = regexp.MustCompile(`^(scope|detail|error|notice|custom)\.[^\s]+$`)
)

// loadLocales lays the operator's texts over ours and ours over the English ones, so that a language that lacks a
// sentence still shows one.
func loadLocales(override string) (map[string]*locale, error) {
	ours, theirs, err := files("locales", override)
	if err != nil {
		return nil, err
	}
	english, err := parseLocale(ours[fallback+".json"])
	if err != nil {
		return nil, err
	}
	list := map[string]*locale{fallback: {tag: fallback, texts: english}}
	for _, from := range []map[string]file{ours, theirs} {
		for name, f := range from {
			texts, err := readLocale(name, f, english)
			if err != nil {
				return nil, err
			}
			tag := strings.TrimSuffix(name, ".json")
			if list[tag] == nil {
				list[tag] = &locale{tag: tag, texts: map[string]string{}}
			}
			maps.Copy(list[tag].texts, texts)
		}
	}
	for key, text := range list[fallback].texts { // with what the operator changed in it
		for _, l := range list {
			if _, has := l.texts[key]; !has {
				l.texts[key] = text
			}
		}
	}
	return list, nil
}

// readLocale parses one file and checks it against our English one.
func readLocale(name string, f file, english map[string]string) (map[string]string, error) {
	if !localeName.MatchString(name) {
		return nil, fmt.Errorf("pages: %s: a locale is called by its language tag, for example it.json or pt-BR.json", f.where)
	}
	texts, err := parseLocale(f)
	if err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		original, known := english[key]
		if !known {
			if !openKeys.MatchString(key) {
				return nil, fmt.Errorf("pages: %s: no page has a text %q (texts of your own begin with \"custom.\")", f.where, key)
			}
			continue
		}
		for _, p := range placeholder.FindAllString(texts[key], -1) {
			if !strings.Contains(original, p) {
				return nil, fmt.Errorf("pages: %s: %q has a placeholder %s that this text does not get", f.where, key, p)
			}
		}
	}
	if dir, has := texts["lang.dir"]; has && dir != "ltr" && dir != "rtl" {
		return nil, fmt.Errorf("pages: %s: lang.dir is ltr or rtl", f.where)
	}
	return texts, nil
}

// parseLocale reads one flat object of texts; a key that stands twice is an error, for one of the two is not shown.
func parseLocale(f file) (map[string]string, error) {
	dec := json.NewDecoder(strings.NewReader(string(f.data)))
	texts := map[string]string{}
	fail := func(err error) (map[string]string, error) {
		line := 1 + strings.Count(string(f.data[:min(int(dec.InputOffset()), len(f.data))]), "\n")
		return nil, fmt.Errorf("pages: %s: line %d: %w", f.where, line, err)
	}
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return fail(errors.New("a locale is one JSON object of texts"))
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return fail(err)
		}
		var text string
		if err := dec.Decode(&text); err != nil {
			return fail(fmt.Errorf("%q: %w", key, err))
		}
		name, _ := key.(string) // the decoder lets nothing else be a key
		if _, twice := texts[name]; twice {
			return fail(fmt.Errorf("%q stands here twice", name))
		}
		texts[name] = text
	}
	if _, err := dec.Token(); err != nil {
		return fail(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fail(errors.New("something follows the object"))
	}
	return texts, nil
}

// text is a sentence with its placeholders filled in: pairs are name, value, name, value.
func (l *locale) text(key string, pairs ...any) (string, error) {
	text, known := l.texts[key]
	if !known {
		return "", fmt.Errorf("no locale has a text %q", key)
	}
	if len(pairs)%2 != 0 {
		return "", fmt.Errorf("text %q: a placeholder without a value", key)
	}
	var swaps []string
	for pair := range slices.Chunk(pairs, 2) {
		swaps = append(swaps, "{"+fmt.Sprint(pair[0])+"}", isolated(fmt.Sprint(pair[1]), l.texts["lang.dir"]))
	}
	return strings.NewReplacer(swaps...).Replace(text), nil // one pass: a value is never searched for placeholders
}

// say is the sentence of a key, or what it was given where no key is called so: plain text.
func (l *locale) say(keyOrText string) string {
	if text, known := l.texts[keyOrText]; known {
		return text
	}
	return keyOrText
}

// scope says what a scope lets a client do.
func (l *locale) scope(line ScopeLine) string {
	if line.Text != "" {
		return line.Text
	}
	if text, known := l.texts["scope."+line.Name]; known {
		return text
	}
	text, _ := l.text("scope.other", "scope", line.Name)
	return text
}

// isolated keeps a foreign name from turning the sentence around it (RG06): the controls that do are left out, and
// a value whose direction may differ from the sentence's stands between isolates (UAX #9 §2.4).
func isolated(value, dir string) string {
	turns := dir == "rtl"
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0x061c:
			return -1
		}
		turns = turns || (r >= 0x590 && r <= 0x8ff) || (r >= 0xfb1d && r <= 0xfeff) ||
			(r >= 0x10800 && r <= 0x10fff) || (r >= 0x1e800 && r <= 0x1efff)
		return r
	}, value)
	if turns {
		return "\u2068" + clean + "\u2069"
	}
	return clean
}

// Language returns the best of the languages there are: what the client asked for, in its order (OIDC Core §3.1.2.1),
// then what the browser prefers (RFC 9110 §12.5.4), then English.
func (l *Look) Language(uiLocales []string, acceptLanguage string) string {
	for _, wanted := range slices.Concat(uiLocales[:min(len(uiLocales), 16)], byQuality(acceptLanguage)) {
		if tag := l.lookup(wanted); tag != "" {
			return tag
		}
	}
	return fallback
}

// Tags lists the languages there are, in order.
func (l *Look) Tags() []string { return slices.Sorted(maps.Keys(l.locales)) }

// lookup takes subtags off the end until a language matches (RFC 4647 §3.4), and at last takes any of its regions.
func (l *Look) lookup(wanted string) string {
	wanted = strings.ToLower(strings.ReplaceAll(wanted, "_", "-"))
	for t := wanted; t != ""; t = t[:max(strings.LastIndexByte(t, '-'), 0)] {
		if tag, has := l.tags[t]; has {
			return tag
		}
	}
	primary, _, _ := strings.Cut(wanted, "-")
	for _, t := range slices.Sorted(maps.Keys(l.tags)) {
		if strings.HasPrefix(t, primary+"-") && primary != "" {
			return l.tags[t]
		}
	}
	return ""
}

// byQuality lists the languages of an Accept-Language header, best first; one beyond all bounds is as good as none.
func byQuality(header string) []string {
	type choice struct {
		tag string
		q   float64
	}
	var choices []choice
	if len(header) > 512 {
		return nil
	}
	for part := range strings.SplitSeq(header, ",") {
		tag, params, _ := strings.Cut(part, ";")
		c := choice{tag: strings.TrimSpace(tag), q: 1}
		if q, has := strings.CutPrefix(strings.TrimSpace(params), "q="); has {
			c.q, _ = strconv.ParseFloat(q, 64) // not a number: zero, and left out
		}
		if c.tag != "" && c.tag != "*" && c.q > 0 {
			choices = append(choices, c)
		}
	}
	slices.SortStableFunc(choices, func(a, b choice) int {
		switch {
		case a.q > b.q:
			return -1
		case a.q < b.q:
			return 1
		}
		return 0
	})
	tags := make([]string, len(choices))
	for i, c := range choices {
		tags[i] = c.tag
	}
	return tags
}
