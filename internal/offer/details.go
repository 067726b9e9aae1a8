package offer

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/oauth"
)

// What one authorization_details may be. People read all of it before they agree, and app servers get it in a token.
const (
	maxDetails = 8 << 10 // bytes, as it came and as we write it: a token with them must fit into a header
	maxEntries = 16
	maxNesting = 6 // objects and arrays in one another, below an entry
)

// entry is one object of authorization_details (RFC 9396 §2).
type entry struct {
	typ       string
	locations []string
	members   map[string]any
	text      string // canonical: sorted members, no spaces. Two entries are one where their texts are
}

const memberType = "type"

// parseDetails reads the parameter strictly. What its entries mean is not looked at, beyond their type and locations.
func parseDetails(param string) ([]entry, error) {
	if len(param) > maxDetails {
		return nil, errDetails("authorization_details has more than %d bytes.", maxDetails)
	}
	list, err := jose.ParseArray([]byte(param))
	if err != nil {
		return nil, errDetails("authorization_details must be a JSON array of objects, without a member twice (RFC 9396 section 2).").Because(err)
	}
	if len(list) == 0 || len(list) > maxEntries {
		return nil, errDetails("authorization_details has %d entries; it may have 1 to %d.", len(list), maxEntries)
	}
	entries, whole := make([]entry, len(list)), 0
	for i, v := range list {
		if entries[i], err = parseEntry(nth(i), v); err != nil {
			return nil, err
		}
		if whole += len(entries[i].text) + 1; whole >= maxDetails {
			return nil, errDetails("authorization_details has more than %d bytes when it is written out.", maxDetails)
		}
		for j := range i {
			if entries[j].text == entries[i].text {
				return nil, errDetails("%s is the same as %s: one of them is enough, and two are not twice as much.", nth(i), nth(j))
			}
		}
	}
	return entries, nil
}

func parseEntry(where string, v any) (entry, error) {
	members, isObject := v.(map[string]any)
	if !isObject {
		return entry{}, errDetails("%s is not an object.", where)
	}
	e := entry{members: members}
	if e.typ, _ = members[memberType].(string); e.typ == "" {
		return entry{}, errDetails("%s has no type, which is a string.", where)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		at := where + "." + plain(name)
		if !legible(name) {
			return entry{}, errDetails("%s has a name with a character that people cannot see.", at)
		}
		if err := sound(at, members[name], maxNesting); err != nil {
			return entry{}, err
		}
	}
	for _, name := range oauth.CommonDetails() {
		if err := commonShape(where, name, members); err != nil {
			return entry{}, err
		}
	}
	e.locations, _ = texts(members["locations"])
	text, err := json.Marshal(members)
	if err != nil {
		return entry{}, errDetails("%s cannot be written.", where).Because(err)
	}
	e.text = string(text)
	return e, nil
}

// commonShape holds a common member against its type in RFC 9396 §2.2.
func commonShape(where, name string, members map[string]any) error {
	v, has := members[name]
	if !has {
		return nil
	}
	if name == "identifier" {
		if _, ok := v.(string); !ok {
			return errDetails("%s.identifier must be a string.", where)
		}
		return nil
	}
	if _, ok := texts(v); !ok {
		return errDetails("%s.%s must be an array of strings.", where, name)
	}
	return nil
}

func texts(v any) ([]string, bool) {
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	out := make([]string, len(list))
	for i := range list {
		if out[i], ok = list[i].(string); !ok {
			return nil, false
		}
	}
	return out, true
}

// sound refuses what a person who is to agree could not be shown for what it is.
func sound(at string, v any, deeper int) error {
	if deeper < 0 {
		return errDetails("%s is nested deeper than %d levels.", at, maxNesting)
	}
	switch v := v.(type) {
	case nil:
		return errDetails("%s is null: leave a member out that says nothing.", at)
	case string:
		if !legible(v) {
			return errDetails("%s has a character that people cannot see, or that turns what they read.", at)
		}
	case []any:
		for _, item := range v {
			if err := sound(at, item, deeper-1); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if !legible(name) {
				return errDetails("%s has a name with a character that people cannot see.", at)
			}
			if err := sound(at, v[name], deeper-1); err != nil {
				return err
			}
		}
	}
	return nil
}

// legible tells whether a text reads as what it is: no controls but a line's end, nothing that turns the direction of
// writing or takes no room (ATTACKS RG06). The joiners that scripts and emoji are written with are letters here.
func legible(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		switch r {
		case '\n', '\u200c', '\u200d':
			return false
		}
		return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) || unicode.Is(unicode.Noncharacter_Code_Point, r)
	}) < 0
}

// judge tells whether the client may ask for an entry, and whether it says what its type is declared to say
// (RFC 9396 §5).
func (o Offer) judge(where string, e *entry) error {
	declared := o.DetailType(e.typ)
	if declared == nil {
		return errDetails("%s: this client may ask for no such type, or no resource of it declares it.", where)
	}
	for _, name := range slices.Sorted(maps.Keys(e.members)) {
		if name != memberType && !oauth.CommonDetail(name) && !slices.Contains(declared.Fields, name) {
			return errDetails("%s.%s: the type %s has no such member.", where, plain(name), declared.Type)
		}
	}
	for _, name := range declared.Required {
		if _, has := e.members[name]; !has {
			return errDetails("%s: the type %s needs the member %s.", where, declared.Type, name)
		}
	}
	for _, location := range e.locations {
		if o.declares(location, e.typ) == nil {
			return errDetails("%s.locations names what is no audience of a resource that declares the type %s for this client.", where, declared.Type)
		}
	}
	return nil
}

// DetailType is a type as the client's first resource declares it that does; nil: the client may not ask for it.
func (o Offer) DetailType(typ string) *domain.DetailType {
	for _, r := range o.resources {
		if d := o.declares(r.Audience, typ); d != nil {
			return d
		}
	}
	return nil
}

// declares is a type as the resource of this audience declares it, if the client may ask for it.
func (o Offer) declares(audience, typ string) *domain.DetailType {
	r := o.resource(audience)
	if r == nil || !slices.Contains(o.client.DetailTypes, typ) {
		return nil
	}
	for i := range r.Details {
		if r.Details[i].Type == typ {
			return &r.Details[i]
		}
	}
	return nil
}

// goesTo tells whether an entry belongs into a token for the audience (RFC 9396 §9.1).
func (o Offer) goesTo(audience string, e *entry) bool {
	return o.declares(audience, e.typ) != nil && (len(e.locations) == 0 || slices.Contains(e.locations, audience))
}

// ownersOf adds the audiences the entries belong to: each to the client's first resource it may go to, as a scope does.
func (o Offer) ownersOf(owners []string, entries []entry) []string {
	for i := range entries {
		for _, r := range o.resources {
			if o.goesTo(r.Audience, &entries[i]) {
				owners = append(owners, r.Audience)
				break
			}
		}
	}
	return distinct(owners)
}

// details parses the parameter and judges every entry of it; "" has none.
func (o Offer) details(param string) ([]entry, error) {
	if param == "" {
		return nil, nil
	}
	entries, err := parseDetails(param)
	if err != nil {
		return nil, err
	}
	for i := range entries {
		if err := o.judge(nth(i), &entries[i]); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// detailsFor are the entries that go to an audience, as one array; nil: none do.
func (o Offer) detailsFor(audience string, entries []entry) json.RawMessage {
	return written(slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return !o.goesTo(audience, &e) }))
}

func written(entries []entry) json.RawMessage {
	if len(entries) == 0 {
		return nil
	}
	list := make([]string, len(entries))
	for i := range entries {
		list[i] = entries[i].text
	}
	return json.RawMessage("[" + strings.Join(list, ",") + "]")
}

// stored reads what a session was granted. We wrote it: what cannot be read gives nothing.
func stored(details json.RawMessage) []entry {
	if len(details) == 0 {
		return nil
	}
	entries, err := parseDetails(string(details))
	if err != nil {
		return nil
	}
	return entries
}

// pick is what of the granted entries a token request names. It can leave entries out and change none: what one entry
// contains of another only its type could tell (RFC 9396 §6.1).
func pick(granted []entry, param string) ([]entry, error) {
	named, err := parseDetails(param)
	if err != nil {
		return nil, err
	}
	for i := range named {
		if !slices.ContainsFunc(granted, func(e entry) bool { return e.text == named[i].text }) {
			return nil, errDetails("%s was not granted as it stands here: a token request can only leave out entries.", nth(i))
		}
	}
	return named, nil
}

func nth(i int) string { return fmt.Sprintf("authorization_details[%d]", i) }

// plain is a member's name as a sentence, and so the log, may repeat it.
func plain(name string) string {
	odd := func(r rune) bool {
		return r != '_' && r != '-' && r != '.' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}
	if name == "" || len(name) > 40 || strings.IndexFunc(name, odd) >= 0 {
		return "(a member)"
	}
	return name
}

func errDetails(format string, args ...any) *oauth.Error {
	return oauth.E(oauth.InvalidDetails, fmt.Sprintf(format, args...))
}
