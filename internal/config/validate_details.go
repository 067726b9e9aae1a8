package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/countersign/countersign/internal/oauth"
)

const (
	maxTitle = 100 // characters of a type's title, which is a headline
	maxField = 64
)

// resourceDetails: the types of authorization_details a resource declares (RFC 9396 §2.1). A type has one owner, as a
// scope has: that is how a request finds its audience.
func (v check) resourceDetails(i int, owners map[string]string) {
	r := &v.Resources[i]
	for j, d := range r.Details {
		where := fmt.Sprintf("%s[%d]", at("resources", i, "authorization_details_types"), j)
		owner, taken := owners[d.Type]
		switch {
		case d.Type == "":
			v.add(where+".type", "it is missing", "name the type, for example type: payment")
			continue
		case !plainID(d.Type):
			v.add(where+".type", fmt.Sprintf("%q has characters a type may not have, or more than %d", d.Type, maxID), "use letters, digits and . _ - ~ / : @, for example payment or https://api.example.com/payment")
		case taken:
			v.add(where+".type", fmt.Sprintf("%q belongs to the resource %q already", d.Type, owner), "a type has one owner: rename one, for example "+r.ID+"."+d.Type)
		}
		owners[d.Type] = r.ID
		v.detailTitle(where+".title", d.Title)
		v.detailFields(where, d)
	}
}

func (v check) detailTitle(where, title string) {
	hidden := strings.IndexFunc(title, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf) }) >= 0
	if hidden || len([]rune(title)) > maxTitle {
		v.add(where, fmt.Sprintf("it has characters nobody sees, or more than %d", maxTitle), "say in a few words what people agree to, for example title: Pay an invoice")
	}
}

func (v check) detailFields(where string, d DetailType) {
	for k, name := range d.Fields {
		at := fmt.Sprintf("%s.fields[%d]", where, k)
		switch {
		case !plainField(name):
			v.add(at, fmt.Sprintf("%q is no name of a member", name), fmt.Sprintf("use at most %d letters, digits and _ -, for example instructedAmount", maxField))
		case name == "type":
			v.add(at, "every entry has a type", "remove it")
		case oauth.CommonDetail(name):
			v.add(at, fmt.Sprintf("every type has %q", name), "remove it; where a request cannot do without, name it under required")
		case slices.Index(d.Fields, name) != k:
			v.add(at, fmt.Sprintf("%q stands twice", name), "keep one")
		}
	}
	for k, name := range d.Required {
		at := fmt.Sprintf("%s.required[%d]", where, k)
		switch {
		case name == "type":
			v.add(at, "no entry can do without its type", "remove it")
		case !oauth.CommonDetail(name) && !slices.Contains(d.Fields, name):
			v.add(at, fmt.Sprintf("the type %q has no member %q", d.Type, name), remedyFor(name, d.Fields, "add it to fields"))
		case slices.Index(d.Required, name) != k:
			v.add(at, fmt.Sprintf("%q stands twice", name), "keep one")
		}
	}
}

func plainField(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return s != "" && len(s) <= maxField
}

// clientDetails: a client asks for types of its own resources only.
func (v check) clientDetails(i int) {
	c := &v.Clients[i]
	for j, typ := range c.DetailTypes {
		where := fmt.Sprintf("%s[%d]", at("clients", i, "authorization_details_types"), j)
		if slices.Index(c.DetailTypes, typ) != j {
			v.add(where, fmt.Sprintf("%q stands twice", typ), "keep one")
			continue
		}
		owner := slices.IndexFunc(v.Resources, func(r Resource) bool { return declaresType(&r, typ) })
		switch {
		case owner < 0:
			v.add(where, fmt.Sprintf("no resource declares the type %q", typ), remedyFor(typ, v.detailTypes(), "declare it under authorization_details_types of a resource"))
		case !slices.Contains(c.Resources, v.Resources[owner].ID):
			id := v.Resources[owner].ID
			v.add(where, fmt.Sprintf("%q belongs to the resource %q, which the client does not list", typ, id), fmt.Sprintf("add %s to the client's resources, or remove the type", id))
		}
	}
}

func declaresType(r *Resource, typ string) bool {
	return slices.ContainsFunc(r.Details, func(d DetailType) bool { return d.Type == typ })
}

func (v check) detailTypes() []string {
	var known []string
	for _, r := range v.Resources {
		for _, d := range r.Details {
			known = append(known, d.Type)
		}
	}
	return known
}
