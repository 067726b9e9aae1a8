package jose

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Why our own reader: encoding/json matches names case-insensitively, lets the last of two equal names win, mends
// invalid UTF-8 and lone surrogates. Each of these has made two parties read one token differently (ATTACKS ID22).

const maxJSONDepth = 32

var errJSON = errors.New("not strict JSON")

// ParseObject reads one JSON object strictly: no duplicate names, valid UTF-8, no BOM, no trailing data, depth 32 at
// most. Two names that differ only in case are duplicates too: other readers confuse them. Numbers are kept as
// json.Number.
func ParseObject(data []byte) (Claims, error) {
	v, err := parseOnly(data, '{')
	if err != nil {
		return Claims{}, err
	}
	m, _ := v.(map[string]any) // what begins with a brace is nothing else
	return Claims{m}, nil
}

// ParseArray reads one JSON array as strictly: map[string]any, []any, string, json.Number, bool and nil are what it holds.
func ParseArray(data []byte) ([]any, error) {
	v, err := parseOnly(data, '[')
	if err != nil {
		return nil, err
	}
	list, _ := v.([]any) // the same
	return list, nil
}

// parseOnly reads the one value that begins so, and nothing else.
func parseOnly(data []byte, first byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("%w: invalid UTF-8", errJSON)
	}
	r := &reader{data: string(data)}
	r.space()
	if r.peek() != first {
		return nil, r.fail("no " + map[byte]string{'{': "object", '[': "array"}[first])
	}
	v, err := r.value(0)
	if err != nil {
		return nil, err
	}
	r.space()
	if r.at != len(r.data) {
		return nil, r.fail("something follows the value")
	}
	return v, nil
}

// reader walks valid UTF-8; it is always at the next unread byte.
type reader struct {
	data string
	at   int
}

func (r *reader) fail(why string) error { return fmt.Errorf("%w: %s at byte %d", errJSON, why, r.at) }

// peek returns the next byte, 0 at the end. A NUL byte starts nothing, so the two need not be told apart.
func (r *reader) peek() byte {
	if r.at < len(r.data) {
		return r.data[r.at]
	}
	return 0
}

func (r *reader) take(c byte) bool {
	if r.peek() != c {
		return false
	}
	r.at++
	return true
}

func (r *reader) space() {
	for r.at < len(r.data) {
		switch r.data[r.at] {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return
		}
	}
}

func (r *reader) value(depth int) (any, error) {
	switch c := r.peek(); {
	case c == '{':
		return r.object(depth + 1)
	case c == '[':
		return r.array(depth + 1)
	case c == '"':
		return r.text()
	case c == '-' || c >= '0' && c <= '9':
		return r.number()
	}
	switch {
	case r.word("true"):
		return true, nil
	case r.word("false"):
		return false, nil
	case r.word("null"):
		return nil, nil
	}
	return nil, r.fail("no value")
}

func (r *reader) word(w string) bool {
	if !strings.HasPrefix(r.data[r.at:], w) {
		return false
	}
	r.at += len(w)
	return true
}

func (r *reader) object(depth int) (map[string]any, error) {
	if depth > maxJSONDepth {
		return nil, r.fail("too deep")
	}
	m := make(map[string]any)
	r.at++ // '{'
	r.space()
	if r.take('}') {
		return m, nil
	}
	for {
		if err := r.member(m, depth); err != nil {
			return nil, err
		}
		if r.take('}') {
			break
		}
		if !r.take(',') {
			return nil, r.fail("no comma or end of object")
		}
		r.space()
	}
	if name, found := confusable(m); found {
		return nil, fmt.Errorf("%w: two spellings of %q in one object", errJSON, name)
	}
	return m, nil
}

func (r *reader) member(m map[string]any, depth int) error {
	if r.peek() != '"' {
		return r.fail("no name")
	}
	name, err := r.text()
	if err != nil {
		return err
	}
	if _, twice := m[name]; twice {
		return r.fail("a name comes twice")
	}
	r.space()
	if !r.take(':') {
		return r.fail("no colon")
	}
	r.space()
	if m[name], err = r.value(depth); err != nil {
		return err
	}
	r.space()
	return nil
}

func (r *reader) array(depth int) ([]any, error) {
	if depth > maxJSONDepth {
		return nil, r.fail("too deep")
	}
	list := []any{}
	r.at++ // '['
	r.space()
	if r.take(']') {
		return list, nil
	}
	for {
		v, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		r.space()
		if r.take(']') {
			return list, nil
		}
		if !r.take(',') {
			return nil, r.fail("no comma or end of array")
		}
		r.space()
	}
}

// number reads RFC 8259 §6 and keeps the spelling.
func (r *reader) number() (json.Number, error) {
	start := r.at
	r.take('-')
	if !r.take('0') && !r.digits() {
		return "", r.fail("no number")
	}
	if r.take('.') && !r.digits() {
		return "", r.fail("no number")
	}
	if r.take('e') || r.take('E') {
		if !r.take('+') {
			r.take('-')
		}
		if !r.digits() {
			return "", r.fail("no number")
		}
	}
	return json.Number(r.data[start:r.at]), nil
}

func (r *reader) digits() bool {
	start := r.at
	for c := r.peek(); c >= '0' && c <= '9'; c = r.peek() {
		r.at++
	}
	return r.at > start
}

// text reads RFC 8259 §7. Without an escape the string is a slice of the input.
func (r *reader) text() (string, error) {
	r.at++ // '"'
	start := r.at
	for r.at < len(r.data) {
		switch c := r.data[r.at]; {
		case c == '"':
			r.at++
			return r.data[start : r.at-1], nil
		case c == '\\':
			return r.escapedText(start)
		case c < 0x20:
			return "", r.fail("a control character in a string")
		}
		r.at++
	}
	return "", r.fail("a string without end")
}

func (r *reader) escapedText(start int) (string, error) {
	var b strings.Builder
	b.WriteString(r.data[start:r.at])
	for r.at < len(r.data) {
		switch c := r.data[r.at]; {
		case c == '"':
			r.at++
			return b.String(), nil
		case c < 0x20:
			return "", r.fail("a control character in a string")
		case c != '\\':
			b.WriteByte(c)
			r.at++
		default:
			char, ok := r.escape()
			if !ok {
				return "", r.fail("a bad escape in a string")
			}
			b.WriteRune(char)
		}
	}
	return "", r.fail("a string without end")
}

// escape reads one escape sequence; half a surrogate pair is none.
func (r *reader) escape() (rune, bool) {
	r.at++ // '\'
	c := r.peek()
	r.at++
	switch c {
	case '"', '\\', '/':
		return rune(c), true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	case 'u':
		return r.unicodeEscape()
	}
	return 0, false
}

func (r *reader) unicodeEscape() (rune, bool) {
	first, ok := r.hex4()
	if !ok || !utf16.IsSurrogate(first) {
		return first, ok
	}
	if !r.take('\\') || !r.take('u') {
		return 0, false
	}
	second, ok := r.hex4()
	pair := utf16.DecodeRune(first, second)
	return pair, ok && pair != unicode.ReplacementChar
}

func (r *reader) hex4() (rune, bool) {
	var v rune
	for range 4 {
		c := r.peek()
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			v = v<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
		r.at++
	}
	return v, true
}

// confusable finds two names that a case-insensitive reader takes for one.
func confusable(m map[string]any) (string, bool) {
	var folded map[string]bool
	for name := range m {
		plain := foldName(name)
		if plain == name {
			continue
		}
		if _, ok := m[plain]; ok || folded[plain] {
			return name, true
		}
		if folded == nil {
			folded = make(map[string]bool)
		}
		folded[plain] = true
	}
	return "", false
}

// foldName maps all spellings that are equal under simple case folding to one; names in plain lower case, which is
// nearly all there are, stay as they are.
func foldName(name string) string {
	plain := func(r rune) bool { return r < utf8.RuneSelf && (r < 'A' || r > 'Z') }
	if strings.IndexFunc(name, func(r rune) bool { return !plain(r) }) < 0 {
		return name
	}
	return strings.Map(func(r rune) rune {
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		if least < utf8.RuneSelf {
			return unicode.ToLower(least)
		}
		return least
	}, name)
}
