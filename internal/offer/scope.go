package offer

import (
	"encoding/json"
	"slices"

	"github.com/countersign/countersign/internal/oauth"
)

// Wish is what a request asks for, as it came.
type Wish struct {
	Scope     string
	Resources []string
	Details   string // authorization_details (RFC 9396)
}

// Granted is the ceiling of a session; its first resource is the default audience.
type Granted struct {
	Scope     []string
	Resources []string
	Details   json.RawMessage // authorization_details, checked: a JSON array; empty: none
}

// SignIn decides what a new session is granted.
func (o Offer) SignIn(scopeParam string, resources []string) (Granted, error) {
	return o.Grant(Wish{Scope: scopeParam, Resources: resources})
}

// Grant decides what a new session is granted, authorization_details with it. They are for the resources that declare
// their types, as scopes are for those that list them.
func (o Offer) Grant(w Wish) (Granted, error) {
	scope, err := o.scopeOrDefault(w.Scope)
	if err != nil {
		return Granted{}, err
	}
	entries, err := o.details(w.Details)
	if err != nil {
		return Granted{}, err
	}
	resources := distinct(w.Resources)
	if len(resources) == 0 {
		resources = o.ownersOf(o.owners(scope), entries)
		switch len(resources) {
		case 0:
			resources = []string{o.issuer}
		case 1:
		default:
			return Granted{}, oauth.E(oauth.InvalidTarget,
				"What is asked for belongs to more than one resource. Name each with resource, which may be repeated; the first is where the access token goes.")
		}
	} else if err := o.named(resources, scope, entries); err != nil {
		return Granted{}, err
	}
	return Granted{scope, resources, written(entries)}, nil
}

// named tells whether the client may ask for the resources it names, and whether each thing belongs to one of them.
func (o Offer) named(resources, scope []string, entries []entry) error {
	for _, audience := range resources {
		if !o.May(audience) {
			return errTarget
		}
	}
	for _, scope := range scope {
		if owned(scope) && !slices.ContainsFunc(resources, func(audience string) bool { return o.owns(audience, scope) }) {
			return oauth.E(oauth.InvalidScope, "The scope "+scope+" belongs to a resource that was not named.")
		}
	}
	for i := range entries {
		if !slices.ContainsFunc(resources, func(audience string) bool { return o.goesTo(audience, &entries[i]) }) {
			return errDetails("%s: the type %s belongs to a resource that was not named.", nth(i), entries[i].typ)
		}
	}
	return nil
}

// Carried is what one access token carries.
type Carried struct {
	Audience string
	Scope    []string
	Details  json.RawMessage
}

// Carry decides what one access token carries of what a session was granted: Narrow, with authorization_details. A token
// has those of its audience, by what client and resource declare today; a request may name fewer of them.
func (o Offer) Carry(ceiling Granted, w Wish) (Carried, error) {
	entries, named := stored(ceiling.Details), distinct(w.Resources)
	if w.Details != "" {
		picked, err := pick(entries, w.Details)
		if err != nil {
			return Carried{}, err
		}
		entries = picked
		if w.Scope == "" && len(named) == 0 {
			if owners := o.ownersOf(nil, entries); len(owners) == 1 {
				named = owners
			}
		}
	}
	audience, scope, err := o.Narrow(ceiling.Scope, ceiling.Resources, w.Scope, named)
	if err != nil {
		return Carried{}, err
	}
	c := Carried{audience, scope, o.detailsFor(audience, entries)}
	if w.Details != "" && c.Details == nil {
		return Carried{}, errDetails("None of these authorization_details belongs to the resource this access token is for.")
	}
	return c, nil
}

// Narrow decides audience and scope of one access token within what a session was granted, at refresh.
func (o Offer) Narrow(ceiling, resources []string, scopeParam string, named []string) (audience string, scope []string, err error) {
	scope = ceiling
	if scopeParam != "" {
		if scope, err = parse(scopeParam); err != nil {
			return "", nil, err
		}
		for _, s := range scope {
			if !slices.Contains(ceiling, s) {
				return "", nil, oauth.E(oauth.InvalidScope, "The scope "+spoken(s)+" was not granted at sign-in. A refresh can only narrow.")
			}
		}
	}
	switch named = distinct(named); len(named) {
	case 0:
		audience = o.defaultAudience(resources, scopeParam, scope)
	case 1:
		audience = named[0]
	default:
		return "", nil, oauth.E(oauth.InvalidTarget, "An access token has one audience. Name one resource and refresh again for the next.")
	}
	if !slices.Contains(resources, audience) {
		return "", nil, oauth.E(oauth.InvalidTarget, "This resource was not granted at sign-in.")
	}
	if !o.May(audience) {
		return "", nil, errTarget
	}
	carried := o.Within(scope, audience)
	if scopeParam != "" && len(carried) == 0 {
		// An answer without scope would mean all that was asked for (RFC 6749 §5.1).
		return "", nil, oauth.E(oauth.InvalidScope, "None of these scopes belongs to the resource this access token is for.")
	}
	return audience, carried, nil
}

// defaultAudience is the session's first resource, unless the scopes asked for all belong to another one of it.
func (o Offer) defaultAudience(resources []string, scopeParam string, scope []string) string {
	if scopeParam != "" {
		if owners := o.owners(scope); len(owners) == 1 {
			return owners[0]
		}
	}
	return resources[0]
}

// Service decides what the access token of a client carries that asks for itself. Nothing about a person is on offer.
func (o Offer) Service(w Wish) (Carried, error) {
	scope, err := parse(w.Scope)
	if err != nil {
		return Carried{}, err
	}
	for _, s := range scope {
		if !owned(s) || oauth.AccountScope(s) || !o.knows(s) {
			return Carried{}, errScope(s)
		}
	}
	entries, err := o.details(w.Details)
	if err != nil {
		return Carried{}, err
	}
	audience, err := o.serviceAudience(o.ownersOf(o.owners(scope), entries), distinct(w.Resources))
	if err != nil {
		return Carried{}, err
	}
	if err := o.named([]string{audience}, scope, entries); err != nil {
		return Carried{}, err
	}
	if w.Scope == "" {
		scope = o.ownScopes(audience)
	}
	return Carried{audience, scope, written(entries)}, nil
}

func (o Offer) serviceAudience(owners, named []string) (string, error) {
	candidates := named
	if len(named) == 0 {
		candidates = owners
	}
	if len(candidates) == 0 {
		for _, r := range o.resources {
			candidates = append(candidates, r.Audience)
		}
	}
	if len(candidates) != 1 {
		return "", oauth.E(oauth.InvalidTarget, "An access token has one audience. Name it with one resource.")
	}
	if candidates[0] == o.issuer || !o.May(candidates[0]) {
		return "", errTarget
	}
	return candidates[0], nil
}

// scopeOrDefault parses a sign-in's scope. Omitted it is openid offline_access as far as the client may, never more.
func (o Offer) scopeOrDefault(param string) ([]string, error) {
	if param == "" {
		return only([]string{oauth.ScopeOpenID, oauth.ScopeOfflineAccess}, o.allows), nil
	}
	scope, err := parse(param)
	if err != nil {
		return nil, err
	}
	for _, s := range scope {
		if !o.knows(s) {
			return nil, errScope(s)
		}
	}
	return scope, nil
}

var errTarget = oauth.E(oauth.InvalidTarget,
	"This client may not ask for tokens for this resource, or it does not exist. resource is an audience, spelt exactly.")

func errScope(scope string) error {
	return oauth.E(oauth.InvalidScope, "The scope "+spoken(scope)+" does not exist or this client may not ask for it.")
}

// spoken is an unknown scope as a sentence, and so the log, may repeat it: what is longer than a name may be a token
// that somebody put into the wrong parameter.
func spoken(scope string) string {
	if len(scope) > 40 {
		return "in question"
	}
	return scope
}

func parse(param string) ([]string, error) {
	scope, ok := oauth.ParseScope(param)
	if !ok {
		return nil, oauth.E(oauth.InvalidScope, "scope must be at most 64 names, separated by single spaces.")
	}
	return scope, nil
}
