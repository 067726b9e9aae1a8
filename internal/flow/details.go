package flow

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/offer"
)

// Detail is one entry of authorization_details as people read it (RFC 9396 §2). It shows all that the entry says, for
// that and nothing else is what they agree to.
type Detail struct {
	Type    string
	Title   string // of the type, as its resource declares it; empty: it has none
	Members []DetailMember
}

// DetailMember is a member of an object, or an item of a list, which has no name.
type DetailMember struct {
	Name  string
	Text  string         // a text or a number; what follows is empty then
	Word  Word           // what has no text of its own
	Items []DetailMember // of an object or a list
}

// Word is a value that each language has a word of its own for.
type Word string

// The words.
const (
	WordYes   Word = "yes"
	WordNo    Word = "no"
	WordEmpty Word = "empty"
)

// readable takes a checked request apart for the page that asks about it.
func (s *Service) readable(c *domain.Client, details json.RawMessage) ([]Detail, error) {
	if len(details) == 0 {
		return nil, nil
	}
	entries, err := jose.ParseArray(details)
	if err != nil { // never ask about what cannot be shown
		return nil, fmt.Errorf("authorization_details of the trip: %w", err)
	}
	may, list := offer.Of(s.Catalog(), c, s.Issuer), make([]Detail, len(entries))
	for i := range entries {
		members, _ := entries[i].(map[string]any) // offer let nothing else through
		list[i].Type, _ = members["type"].(string)
		var own []string
		if declared := may.DetailType(list[i].Type); declared != nil {
			list[i].Title, own = declared.Title, declared.Fields
		}
		for _, name := range readingOrder(members, own) {
			list[i].Members = append(list[i].Members, readableValue(name, members[name]))
		}
	}
	return list, nil
}

// readingOrder lists every member but the type: those of the type's own as they are declared, the common ones, and
// whatever else there is, should the declaration have changed meanwhile.
func readingOrder(members map[string]any, own []string) []string {
	var order []string
	for _, name := range slices.Concat(own, oauth.CommonDetails(), slices.Sorted(maps.Keys(members))) {
		if _, has := members[name]; has && name != "type" && !slices.Contains(order, name) {
			order = append(order, name)
		}
	}
	return order
}

func readableValue(name string, v any) DetailMember {
	m := DetailMember{Name: name}
	switch v := v.(type) {
	case string:
		m.Text = v
	case json.Number:
		m.Text = v.String()
	case bool:
		m.Word = WordNo
		if v {
			m.Word = WordYes
		}
	case []any:
		for _, item := range v {
			m.Items = append(m.Items, readableValue("", item))
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			m.Items = append(m.Items, readableValue(name, v[name]))
		}
	}
	if m.Text == "" && m.Word == "" && len(m.Items) == 0 {
		m.Word = WordEmpty
	}
	return m
}
