package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

func (v check) clients() {
	ids := map[string]int{}
	for i := range v.Clients {
		c := &v.Clients[i]
		v.id("clients", i, c.ID, ids)
		if strings.HasPrefix(c.ID, "acc_") {
			v.add(at("clients", i, "id"), `ids that start with "acc_" are accounts`, "choose another: a token's sub must never be mistaken (RFC 9700 §4.15)")
		}
		if c.Type == "" {
			v.add(at("clients", i, "type"), "it is missing", "write native, browser, web or service")
			continue
		}
		if !v.oneOf(at("clients", i, "type"), c.Type, "native", "browser", "web", "service") {
			continue
		}
		if c.DPoP != "" {
			v.oneOf(at("clients", i, "dpop"), c.DPoP, "allowed", "required")
		}
		v.clientSecret(i)
		v.clientProviders(i)
		v.clientResources(i)
		v.clientScopes(i)
		v.clientURIs(i)
		v.clientLifetimes(i)
		v.clientAlgorithms(i)
	}
}

// confidential tells whether the client runs where a secret stays secret.
func (c *Client) confidential() bool {
	return c.Type == string(domain.ClientWeb) || c.Type == string(domain.ClientService)
}

func (v check) clientSecret(i int) {
	c := &v.Clients[i]
	file, method := at("clients", i, "secret_file"), at("clients", i, "auth_method")
	if !c.confidential() {
		if c.SecretFile != "" || c.Secret != "" {
			v.add(file, fmt.Sprintf("a %s client cannot keep a secret: everybody who has the app has it", c.Type), "remove the line; DPoP guards its tokens instead")
		}
		if c.AuthMethod != "" && c.AuthMethod != string(domain.AuthNone) {
			v.add(method, fmt.Sprintf("a %s client authenticates with nothing", c.Type), "remove the line")
		}
		return
	}
	if c.AuthMethod != "" {
		v.oneOf(method, c.AuthMethod, string(domain.AuthSecretBasic), string(domain.AuthSecretPost))
	}
	if c.SecretFile == "" && c.Secret == "" {
		v.add(file, fmt.Sprintf("a %s client needs a secret", c.Type), fmt.Sprintf(secretFileExample, "client", "client"))
	}
	v.secretStrength(file, c.Secret)
}

func (v check) clientProviders(i int) {
	c := &v.Clients[i]
	list := at("clients", i, "providers")
	if c.Type == string(domain.ClientService) && len(c.Providers) > 0 {
		v.add(list, "a service signs nobody in", "remove the line, or give the client another type")
		return
	}
	seen := map[string]bool{}
	for j, p := range c.Providers {
		where := fmt.Sprintf("%s[%d]", list, j)
		known := slices.ContainsFunc(v.Providers, func(k Provider) bool { return k.Name == p.Name })
		switch {
		case !known:
			v.add(where+".name", fmt.Sprintf("there is no provider %q", p.Name), remedyFor(p.Name, v.providerNames(), "declare it under providers"))
		case seen[p.Name]:
			v.add(where+".name", fmt.Sprintf("%q stands twice", p.Name), "put all its audiences into one entry")
		}
		seen[p.Name] = true
		if len(p.Audiences) == 0 {
			v.add(where+".audiences", "it is missing", "list the client ids this app has at the provider: the aud of its id_tokens")
		}
		for k, a := range slices.Concat(p.Audiences, p.AZP) {
			if strings.TrimSpace(a) != a || a == "" {
				v.add(where, fmt.Sprintf("value %d of audiences and azp is empty or has spaces around it", k+1), "remove it")
			}
		}
	}
}

func (v check) providerNames() []string {
	var names []string
	for _, p := range v.Providers {
		names = append(names, p.Name)
	}
	return names
}

func (v check) clientResources(i int) {
	var ids []string
	for _, r := range v.Resources {
		ids = append(ids, r.ID)
	}
	for j, id := range v.Clients[i].Resources {
		where := fmt.Sprintf("%s[%d]", at("clients", i, "resources"), j)
		if !slices.Contains(ids, id) {
			v.add(where, fmt.Sprintf("there is no resource %q", id), remedyFor(id, ids, "declare it under resources"))
		}
		if slices.Index(v.Clients[i].Resources, id) != j {
			v.add(where, fmt.Sprintf("%q stands twice", id), "keep one")
		}
	}
}

func (v check) clientScopes(i int) {
	c := &v.Clients[i]
	for j, scope := range c.Scopes {
		where := fmt.Sprintf("%s[%d]", at("clients", i, "scopes"), j)
		own := oauth.IdentityScope(scope) || oauth.AccountScope(scope)
		switch {
		case slices.Index(c.Scopes, scope) != j:
			v.add(where, fmt.Sprintf("%q stands twice", scope), "keep one")
		case own && c.Type == string(domain.ClientService):
			v.add(where, fmt.Sprintf("a service has no user, so no %q", scope), "remove it")
		case !own:
			v.ownedScope(where, c, scope)
		}
	}
}

// ownedScope: every scope beyond Countersign's own belongs to a resource, and the client must list that one.
func (v check) ownedScope(where string, c *Client, scope string) {
	owner := slices.IndexFunc(v.Resources, func(r Resource) bool { return slices.Contains(r.Scopes, scope) })
	if owner < 0 {
		v.add(where, fmt.Sprintf("nothing owns the scope %q", scope), remedyFor(scope, v.knownScopes(), "add it to the scopes of a resource"))
		return
	}
	if id := v.Resources[owner].ID; !slices.Contains(c.Resources, id) {
		v.add(where, fmt.Sprintf("%q belongs to the resource %q, which the client does not list", scope, id), fmt.Sprintf("add %s to the client's resources, or remove the scope", id))
	}
}

func (v check) knownScopes() []string {
	known := []string{
		oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail, oauth.ScopeOfflineAccess, oauth.ScopeAccountRead, oauth.ScopeAccountManage,
	}
	for _, r := range v.Resources {
		known = append(known, r.Scopes...)
	}
	return known
}

func remedyFor(word string, known []string, otherwise string) string {
	if near := nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return otherwise
}

func (v check) clientURIs(i int) {
	c := &v.Clients[i]
	if c.Type == string(domain.ClientService) && len(c.RedirectURIs) > 0 {
		v.add(at("clients", i, "redirect_uris"), "a service has no browser to send back", "remove the line")
		return
	}
	for j, uri := range c.RedirectURIs {
		if text, remedy := redirectURI(uri, c.Type == string(domain.ClientNative)); text != "" {
			v.add(fmt.Sprintf("%s[%d]", at("clients", i, "redirect_uris"), j), text, remedy)
		}
	}
	if c.Type != string(domain.ClientBrowser) && len(c.Origins) > 0 {
		v.add(at("clients", i, "origins"), "only a browser client has origins", "remove the line, or give the client type: browser")
		return
	}
	for j, o := range c.Origins {
		if text, remedy := origin(o); text != "" {
			v.add(fmt.Sprintf("%s[%d]", at("clients", i, "origins"), j), text, remedy)
		}
	}
}

const (
	maxAccessTTL = 24 * time.Hour // an access token cannot be called back where it is checked locally
	maxGrace     = 30 * 24 * time.Hour
	// maxTokenLife is how long one refresh token can be good at most: the keys that made it are kept for 400 days.
	maxTokenLife = 365 * 24 * time.Hour
	maxSession   = maxDays * 24 * time.Hour
)

// clientLifetimes: what is set is more than nothing, since nothing would mean the default.
func (v check) clientLifetimes(i int) {
	c := &v.Clients[i]
	absolute := maxSession
	if c.confidential() { // its one token lives as long as the session
		absolute = maxTokenLife
	}
	for _, l := range []struct {
		key   string
		value time.Duration
		limit time.Duration
	}{
		{"access_token_ttl", c.AccessTokenTTL, maxAccessTTL},
		{"session_idle", c.SessionIdle, maxTokenLife},
		{"session_absolute", c.SessionAbsolute, absolute},
		{"bearer_grace", c.BearerGrace, maxGrace},
	} {
		where := at("clients", i, l.key)
		_, written := v.src.lines[where]
		switch {
		case l.value < 0 || (written && l.value == 0):
			v.add(where, "it is not more than zero", "remove the line for the default")
		case l.value > 0 && l.value < time.Second:
			v.add(where, "it is less than a second", "remove the line for the default")
		case l.value > l.limit:
			v.add(where, fmt.Sprintf("it is more than %s", days(l.limit)), "choose less, or remove the line for the default")
		}
	}
}

func days(d time.Duration) string {
	if n := int(d / (24 * time.Hour)); n > 1 {
		return fmt.Sprintf("%d days", n)
	}
	return "a day"
}

func (v check) clientAlgorithms(i int) {
	c := &v.Clients[i]
	if c.AccessTokenAlg != "" {
		v.oneOf(at("clients", i, "access_token_alg"), c.AccessTokenAlg, string(domain.ES256), string(domain.RS256))
	}
	if c.IDTokenAlg != "" {
		v.oneOf(at("clients", i, "id_token_alg"), c.IDTokenAlg, string(domain.ES256), string(domain.RS256))
	}
}
