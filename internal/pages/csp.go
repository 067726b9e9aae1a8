package pages

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/oauth"
)

var (
	scheme = regexp.MustCompile(`^[a-z][a-z0-9+.-]*$`)
	host   = regexp.MustCompile(`^(?i:[a-z0-9]([a-z0-9-]*[a-z0-9])?)(\.(?i:[a-z0-9]([a-z0-9-]*[a-z0-9])?))*(:([0-9]{1,5}|\*))?$`)
)

// policy is the Content-Security-Policy of a page: nothing but our own files, nobody frames it (AZ34), and forms lead
// to the sources and where the page was told they may. Browsers hold every redirect after a form's POST to form-action,
// also those of the client's own callback, so a page whose form leads on to a client names schemes and no hosts.
func policy(sources []string, targets ...string) string {
	for _, t := range targets {
		if s := source(t); s != "" && !slices.Contains(sources, s) {
			sources = append(sources, s)
		}
	}
	if len(sources) == 0 {
		sources = []string{"'none'"}
	}
	return "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; " +
		"form-action " + strings.Join(sources, " ") + "; base-uri 'none'; frame-ancestors 'none'"
}

// source reduces an address to what a policy may say of it: an origin, or a scheme with its colon. What is neither
// is left out; a policy cannot be extended by what stands in an address.
func source(target string) string {
	name, rest, found := strings.Cut(target, ":")
	name = strings.ToLower(name)
	if !found || !scheme.MatchString(name) || oauth.ScriptScheme(name) {
		return ""
	}
	if (name != "http" && name != "https") || rest == "" {
		return name + ":"
	}
	authority, isURL := strings.CutPrefix(rest, "//")
	if !isURL {
		return ""
	}
	authority = authority[:min(len(authority), prefixUntil(authority, "/?#"))]
	if strings.HasPrefix(authority, "[") && name == "http" {
		return "http:" // a policy has no words for an IPv6 address, and plain http is for this machine only
	}
	if !host.MatchString(authority) {
		return ""
	}
	return name + "://" + strings.ToLower(authority)
}

func prefixUntil(s, chars string) int {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return i
	}
	return len(s)
}

// harmless tells whether a link or a form may lead to an address: our own paths, the web, and the schemes of apps,
// which have a dot in them (RFC 8252 §7.1).
func harmless(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	switch u.Scheme {
	case "http", "https":
		return u.Host != ""
	case "":
		return strings.HasPrefix(address, "/") && !strings.HasPrefix(address, "//") && !strings.Contains(address, `\`)
	}
	return strings.Contains(u.Scheme, ".") && !oauth.ScriptScheme(u.Scheme)
}
