package clientmeta

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/countersign/countersign/internal/domain"
)

const maxNameRunes = 100

// tidyName makes one spelling of a name that looks like one (NFC, single spaces), and refuses what turns the text around
// it, hides in it or cannot be shown (ATTACKS RG06). What looks like HTML stays: it is text to the templates.
func tidyName(name string) (string, error) {
	name = norm.NFC.String(name)
	if !utf8.ValidString(name) || strings.ContainsFunc(name, hidden) {
		return "", invalid("client_name has control characters, or such that turn or hide text.")
	}
	name = strings.Join(strings.Fields(name), " ")
	if utf8.RuneCountInString(name) > maxNameRunes {
		return "", invalid("client_name is longer than 100 characters.")
	}
	return name, nil
}

// hidden finds what nobody sees. Joiners stay, for some scripts need them.
func hidden(r rune) bool {
	switch {
	case r == '\u00ad', r == '\u061c', r == '\u180e', r == '\u200b', r == '\u200e', r == '\u200f', r == '\ufeff':
		return true
	case r >= '\u2060' && r <= '\u2064', r >= '\ufff9' && r <= '\ufffb', r >= 0xe0000 && r <= 0xe0fff:
		return true
	}
	return !domain.Printable(r)
}
