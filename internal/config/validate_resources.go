package config

import (
	"fmt"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

const (
	minSecret         = 32 // characters: 128 bits even in hex
	minSecretVariety  = 8  // different ones: a repeated or keyboard-row secret is none
	maxID             = 128
	secretFileExample = "make one: (umask 077; openssl rand -hex 32 > ./%s.secret), then secret_file: ./%s.secret"
)

func (v check) resources() {
	ids, audiences, owners, types := map[string]int{}, map[string]int{}, map[string]string{}, map[string]string{}
	for i := range v.Resources {
		r := &v.Resources[i]
		v.id("resources", i, r.ID, ids)
		v.resourceAudience(i, audiences)
		v.resourceScopes(i, owners)
		v.resourceDetails(i, types)
		v.secretStrength(at("resources", i, "secret_file"), r.Secret)
		v.resourceAlgorithm(i)
	}
}

// resourceAlgorithm: what signs introspection answers means something only to a resource that may introspect.
func (v check) resourceAlgorithm(i int) {
	r, where := &v.Resources[i], at("resources", i, "introspection_signed_response_alg")
	switch {
	case r.IntrospectionAlg == "":
	case !v.oneOf(where, r.IntrospectionAlg, string(domain.ES256), string(domain.RS256)):
	case r.SecretFile == "" && r.Secret == "":
		v.add(where, "this resource may not introspect: it has no secret", fmt.Sprintf(secretFileExample, "resource", "resource")+", or remove the line")
	}
}

// id checks the id of a list entry and notes it.
func (v check) id(list string, i int, id string, first map[string]int) {
	where := at(list, i, "id")
	earlier, dup := first[id]
	switch {
	case id == "":
		v.add(where, "it is missing", "give it an id, for example id: com.example.todo")
		return
	case !plainID(id):
		v.add(where, fmt.Sprintf("%q has characters an id may not have, or more than %d", id, maxID), "use letters, digits and . _ - ~ / : @")
	case dup:
		v.add(where, fmt.Sprintf("%q is %s[%d] already", id, list, earlier), "give each an id of its own")
	}
	first[id] = i
}

func plainID(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == '_', c == '-', c == '~', c == '/', c == ':', c == '@':
		default:
			return false
		}
	}
	return len(s) <= maxID
}

func (v check) resourceAudience(i int, first map[string]int) {
	where, a := at("resources", i, "audience"), v.Resources[i].Audience
	if a == "" {
		v.add(where, "it is missing", "write the app server's address: its access tokens are for this audience and no other")
		return
	}
	if text, remedy := audience(a); text != "" {
		v.add(where, text, remedy)
	}
	if a == v.Issuer {
		v.add(where, "that is the issuer, which is the audience of the account API", "write the app server's own address")
	}
	if earlier, dup := first[a]; dup {
		v.add(where, fmt.Sprintf("it is the audience of resources[%d] already", earlier), "make one resource of the two, or give each an audience of its own")
	}
	first[a] = i
}

func (v check) resourceScopes(i int, owners map[string]string) {
	for j, scope := range v.Resources[i].Scopes {
		where := fmt.Sprintf("%s[%d]", at("resources", i, "scopes"), j)
		owner, taken := owners[scope]
		switch {
		case !validScope(scope):
			v.add(where, fmt.Sprintf("%q is not a scope", scope), "use letters, digits and . _ - : without spaces, for example todos.read")
		case oauth.IdentityScope(scope) || oauth.AccountScope(scope):
			v.add(where, fmt.Sprintf("%q belongs to Countersign itself", scope), "remove it here; clients list it directly")
		case taken:
			v.add(where, fmt.Sprintf("%q belongs to the resource %q already", scope, owner), "a scope has one owner: rename one, for example "+v.Resources[i].ID+"."+scope)
		}
		owners[scope] = v.Resources[i].ID
	}
}

func validScope(s string) bool {
	list, ok := oauth.ParseScope(s)
	return ok && len(list) == 1
}

// secretStrength judges a secret that was read; where one is needed is its owner's matter.
func (v check) secretStrength(where string, s Secret) {
	if s == "" {
		return
	}
	seen := map[byte]bool{}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			v.add(where, "the secret has a space, a line break or a letter beyond ASCII", "put one line of printable ASCII into the file")
			return
		}
		seen[s[i]] = true
	}
	switch {
	case len(s) < minSecret:
		v.add(where, fmt.Sprintf("the secret has %d characters; it needs %d", len(s), minSecret), "make one: openssl rand -hex 32")
	case len(seen) < minSecretVariety:
		v.add(where, "the secret repeats itself, so it can be guessed", "make one: openssl rand -hex 32")
	}
}
