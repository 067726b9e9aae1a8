package domain

import (
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// attribute is one part of a distinguished name: what it is, as the digits of its object identifier, and what it says.
type attribute struct {
	kind string
	text string // of values that are text
	der  string // the encoding: all there is of others, and what a value written as #hex is compared with
	hex  bool   // the value was written as #hex
}

// attributeNames are the short names we take in a distinguished name, in lower case: those of RFC 4514 §3, and what
// openssl writes of the others that certificates of clients have.
var attributeNames = map[string]string{
	"cn": "2.5.4.3", "l": "2.5.4.7", "st": "2.5.4.8", "o": "2.5.4.10", "ou": "2.5.4.11", "c": "2.5.4.6", "street": "2.5.4.9",
	"dc": "0.9.2342.19200300.100.1.25", "uid": "0.9.2342.19200300.100.1.1",
	"serialnumber": "2.5.4.5", "sn": "2.5.4.4", "gn": "2.5.4.42", "title": "2.5.4.12", "postalcode": "2.5.4.17",
	"businesscategory": "2.5.4.15", "organizationidentifier": "2.5.4.97", "emailaddress": "1.2.840.113549.1.9.1",
	"jurisdictionl": "1.3.6.1.4.1.311.60.2.1.1", "jurisdictionst": "1.3.6.1.4.1.311.60.2.1.2", "jurisdictionc": "1.3.6.1.4.1.311.60.2.1.3",
}

var numericOID = regexp.MustCompile(`^(0|[1-9]\d*)(\.(0|[1-9]\d*))+$`)

// parseDN reads the string form of a distinguished name (RFC 4514 §3) into its sets, in the order of a certificate, which
// is the reverse of the string's.
func parseDN(text string) (sets [][]attribute, err error) {
	var set []attribute
	for {
		var a attribute
		if a, text, err = parseAttribute(text); err != nil {
			return nil, err
		}
		set = append(set, a)
		switch {
		case text == "":
			sets = append(sets, set)
			slices.Reverse(sets)
			return sets, nil
		case text[0] == ',':
			sets, set = append(sets, set), nil
		}
		text = text[1:]
	}
}

func parseAttribute(text string) (a attribute, rest string, err error) {
	name, value, found := strings.Cut(text, "=")
	if !found {
		return a, "", fmt.Errorf("%q is no NAME=value", text)
	}
	var known bool
	if a.kind, known = attributeNames[strings.ToLower(name)]; !known {
		if name != strings.TrimSpace(name) {
			return a, "", fmt.Errorf("there is a space beside %q; it has none after a comma or before an equals sign", strings.TrimSpace(name))
		}
		if !numericOID.MatchString(name) {
			return a, "", fmt.Errorf("%q is no attribute we know; write its object identifier in digits", name)
		}
		a.kind = name
	}
	if strings.HasPrefix(value, "#") {
		a.hex = true
		end := strings.IndexAny(value, ",+")
		if end < 0 {
			end = len(value)
		}
		der, err := hex.DecodeString(value[1:end])
		if err != nil || len(der) == 0 {
			return a, "", fmt.Errorf("the value of %s is no #hex", name)
		}
		a.der = string(der)
		return a, value[end:], nil
	}
	if a.text, rest, err = parseValue(value); err != nil {
		return a, "", fmt.Errorf("the value of %s: %w", name, err)
	}
	return a, rest, nil
}

var errDNValue = errors.New(`it is empty, begins or ends with a space, or has one of " + , ; < > \ unescaped`)

// parseValue reads a value up to the next comma or plus and takes its escapes away.
func parseValue(s string) (value, rest string, err error) {
	var b strings.Builder
	spaceAtEnd, i := false, 0
	for ; i < len(s) && s[i] != ',' && s[i] != '+'; i++ {
		c := s[i]
		spaceAtEnd = c == ' '
		switch {
		case c == ' ' && i == 0, c == 0, strings.IndexByte(`";<>`, c) >= 0:
			return "", "", errDNValue
		case c != '\\':
			b.WriteByte(c)
			continue
		}
		escaped := s[i+1:]
		switch pair, err := hex.DecodeString(escaped[:min(2, len(escaped))]); {
		case err == nil && len(pair) == 1:
			b.WriteByte(pair[0])
			i += 2
		case escaped != "" && strings.IndexByte(`\"+,;<>#= `, escaped[0]) >= 0:
			b.WriteByte(escaped[0])
			i++
		default:
			return "", "", errDNValue
		}
	}
	if spaceAtEnd || b.Len() == 0 || !utf8.ValidString(b.String()) {
		return "", "", errDNValue
	}
	return b.String(), s[i:], nil
}

// nameSET is one set of a name as certificates have it (RFC 5280 §4.1.2.4). The letters at the end of its name tell
// encoding/asn1 that it is a set.
type nameSET []struct {
	Kind  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// readName reads the name of a certificate.
func readName(der []byte) ([][]attribute, error) {
	var name []nameSET
	if rest, err := asn1.Unmarshal(der, &name); err != nil || len(rest) > 0 {
		return nil, errors.New("the certificate's subject cannot be read")
	}
	sets := make([][]attribute, len(name))
	for i, set := range name {
		for _, v := range set {
			a := attribute{kind: v.Kind.String(), der: string(v.Value.FullBytes)}
			var value any
			if _, err := asn1.Unmarshal(v.Value.FullBytes, &value); err == nil {
				a.text, _ = value.(string)
			}
			sets[i] = append(sets[i], a)
		}
	}
	return sets, nil
}

// sameName compares what was registered with a certificate's name: the same sets in the same order, each with the same
// attributes in any order. Values are compared letter by letter. That is stricter than the matching rules of a directory,
// which do not know capitals; a name is registered as it stands in the certificate.
func sameName(registered, shown [][]attribute) bool {
	return slices.EqualFunc(registered, shown, func(want, got []attribute) bool {
		if len(want) != len(got) {
			return false
		}
		for _, w := range want {
			if !slices.ContainsFunc(got, w.is) {
				return false
			}
		}
		for _, g := range got {
			if !slices.ContainsFunc(want, func(w attribute) bool { return w.is(g) }) {
				return false
			}
		}
		return true
	})
}

func (a attribute) is(shown attribute) bool {
	if a.hex {
		return a.kind == shown.kind && a.der == shown.der
	}
	return a.kind == shown.kind && a.text == shown.text
}
