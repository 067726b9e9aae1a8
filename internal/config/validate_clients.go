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
		if strings.HasPrefix(c.ID, domain.PairwisePrefix) {
			v.add(at("clients", i, "id"), fmt.Sprintf("ids that start with %q are accounts as pairwise clients know them", domain.PairwisePrefix),
				"choose another: a token's sub must never be mistaken (RFC 9700 §4.15)")
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
		v.clientAuth(i)
		v.clientKeySet(i)
		v.clientRequests(i)
		v.clientSubject(i)
		v.clientCertificate(i)
		v.clientPKCE(i)
		v.clientProviders(i)
		v.clientSignIn(i)
		v.clientResources(i)
		v.clientScopes(i)
		v.clientDetails(i)
		v.clientURIs(i)
		v.clientShown(i)
		v.clientLogo(i)
		v.clientLifetimes(i)
		v.clientAlgorithms(i)
		v.clientProfile(i)
	}
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
	for _, a := range []struct{ key, value string }{
		{"access_token_alg", c.AccessTokenAlg}, {"id_token_alg", c.IDTokenAlg}, {"userinfo_signed_response_alg", c.UserInfoAlg},
	} {
		if a.value != "" {
			v.oneOf(at("clients", i, a.key), a.value, string(domain.ES256), string(domain.RS256))
		}
	}
}
