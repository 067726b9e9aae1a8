package offer

import (
	"slices"

	"github.com/countersign/countersign/internal/oauth"
)

// Granted is the ceiling of a session; its first resource is the default audience.
type Granted struct {
	Scope     []string
	Resources []string
}

// SignIn decides what a new session is granted.
func (o Offer) SignIn(scopeParam string, resources []string) (Granted, error) {
	scope, err := o.scopeOrDefault(scopeParam)
	if err != nil {
		return Granted{}, err
	}
	owners := o.owners(scope)
	if len(resources) == 0 {
		switch len(owners) {
		case 0:
			return Granted{scope, []string{o.issuer}}, nil
		case 1:
			return Granted{scope, owners}, nil
		}
		return Granted{}, oauth.E(oauth.InvalidTarget,
			"The scopes belong to more than one resource. Name each with resource, which may be repeated; the first is where the access token goes.")
	}
	resources = distinct(resources)
	for _, audience := range resources {
		if !o.May(audience) {
			return Granted{}, errTarget
		}
	}
	for _, scope := range scope {
		if owned(scope) && !slices.ContainsFunc(resources, func(audience string) bool { return o.owns(audience, scope) }) {
			return Granted{}, oauth.E(oauth.InvalidScope, "The scope "+scope+" belongs to a resource that was not named.")
		}
	}
	return Granted{scope, resources}, nil
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

// Service decides audience and scope of a client that asks for itself. Nothing about a person is on offer.
func (o Offer) Service(scopeParam string, named []string) (audience string, scope []string, err error) {
	if scope, err = parse(scopeParam); err != nil {
		return "", nil, err
	}
	for _, s := range scope {
		if !owned(s) || oauth.AccountScope(s) || !o.knows(s) {
			return "", nil, errScope(s)
		}
	}
	if audience, err = o.serviceAudience(scope, distinct(named)); err != nil {
		return "", nil, err
	}
	if scopeParam == "" {
		return audience, o.ownScopes(audience), nil
	}
	for _, s := range scope {
		if !o.owns(audience, s) {
			return "", nil, oauth.E(oauth.InvalidScope, "The scope "+s+" belongs to another resource than the one named.")
		}
	}
	return audience, scope, nil
}

func (o Offer) serviceAudience(scope, named []string) (string, error) {
	candidates := named
	if len(named) == 0 {
		candidates = o.owners(scope)
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
