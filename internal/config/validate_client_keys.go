package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/jose"
)

// fetchAllow: networks that clients' documents may come from beside the public Internet are on this machine, and nobody
// else can reach this server: to everybody else they would be a way in (RG01).
func (v check) fetchAllow() {
	for i, text := range v.FetchAllow {
		where := fmt.Sprintf("fetch_allow[%d]", i)
		prefix, err := netip.ParsePrefix(text)
		switch {
		case err != nil || prefix != prefix.Masked():
			v.add(where, fmt.Sprintf("%q is no network", text), "write 127.0.0.0/8 or ::1/128")
		case !ofThisMachine(prefix):
			v.add(where, text+" is not on this machine", "remove it: the documents of clients come from the public Internet or, for trying out, from 127.0.0.0/8 and ::1/128")
		case !v.loopbackOnly():
			v.add(where, "clients would have this server ask services of its own machine, and it can be reached from other machines",
				"remove the line, or put the issuer and every listener on loopback")
		}
	}
}

// document judges the address of a document that we fetch for a client.
func (v check) document(where, address string) {
	err := fetch.New(fetch.Options{Allow: v.FetchNetworks()}).CheckPublic(address)
	u, bad := httpAddress(address)
	switch {
	case bad != nil:
		v.add(where, fmt.Sprintf("%q is not an https address without user name and fragment", address), "write it like https://app.example.com/jwks.json")
	case err == nil:
	case loopbackHost(u.Hostname()):
		v.add(where, "it is on this machine", "write a public https address; to try it out here, add fetch_allow: [127.0.0.0/8]")
	default:
		v.add(where, err.Error(), "write an https address that everybody can reach, like https://app.example.com/jwks.json")
	}
}

// clientKeySet: the public keys of a client that signs something, from one place. Which key it uses for what is the
// client's business: assertions, requests, the certificate it made itself.
func (v check) clientKeySet(i int) {
	c := &v.Clients[i]
	file, uri := c.JWKSFile != "" || len(c.JWKS) > 0, c.JWKSURI != ""
	switch {
	case !c.confidential():
		if uri { // of jwks_file it was told
			v.add(at("clients", i, "jwks_uri"), fmt.Sprintf("a %s client has no key of its own: everybody who has the app has it", c.Type), "remove the line")
		}
		return
	case file && uri:
		v.add(at("clients", i, "jwks_uri"), "jwks_file is there as well", "keep one of the two: jwks_uri where the client changes its keys by itself")
		return
	case (file || uri) && c.keyUse() == "":
		v.add(at("clients", i, keyWord(uri)), "this client signs nothing", "set auth_method: private_key_jwt, or remove the line")
		return
	case !file && !uri:
		v.clientWithoutKeys(i)
		return
	}
	if uri {
		v.document(at("clients", i, "jwks_uri"), c.JWKSURI)
		return
	}
	if len(c.JWKS) > 0 { // else it could not be read, which was told
		v.clientKeys(i)
		v.requestKeyFits(i)
	}
}

func keyWord(uri bool) string {
	if uri {
		return "jwks_uri"
	}
	return "jwks_file"
}

// keyUse says what the client signs, or may sign whenever it likes; "": nothing.
func (c *Client) keyUse() string {
	switch {
	case c.signs():
		return "assertions"
	case c.AuthMethod == string(domain.AuthSelfSigned):
		return "its certificate"
	case c.Type == string(domain.ClientWeb):
		return "requests"
	}
	return ""
}

// clientWithoutKeys: whatever cannot be checked without keys is told where it was asked for.
func (v check) clientWithoutKeys(i int) {
	c := &v.Clients[i]
	remedy := "name a file with a JWK Set by jwks_file, or its address by jwks_uri"
	if c.signs() {
		v.add(at("clients", i, "jwks_file"), "a client that signs needs its public keys here", remedy)
		return
	}
	for _, f := range []struct {
		key   string
		there bool
	}{
		{"require_signed_request_object", c.RequireSignedRequest},
		{"request_object_signing_alg", c.RequestAlg != ""},
		{"request_uris", len(c.RequestURIs) > 0},
	} {
		if f.there && c.Type == string(domain.ClientWeb) {
			v.add(at("clients", i, f.key), "it needs the public keys of the client, and there are none", remedy)
			return
		}
	}
}

// requestKeyFits: an algorithm that none of the client's keys is for would refuse every request of its. Under a profile
// that is told with the rest of it.
func (v check) requestKeyFits(i int) {
	c := &v.Clients[i]
	if c.RequestAlg == "" || c.Profile != "" {
		return
	}
	keys, err := jose.ParseSet(c.JWKS)
	if err == nil && len(keys) > 0 && !slices.ContainsFunc(keys, func(k jose.PublicKey) bool { return k.Fits(jose.Alg(c.RequestAlg)) }) {
		v.add(at("clients", i, "request_object_signing_alg"), "no key of the client is for "+c.RequestAlg, "add one, or change the line")
	}
}

const (
	maxRequestURIs = 20
	maxRequestURI  = 512 // RFC 9101 §5.2
)

// clientRequests: how a client may send its authorization requests, and get its answers.
func (v check) clientRequests(i int) {
	c := &v.Clients[i]
	if c.RequestAlg != "" {
		v.oneOf(at("clients", i, "request_object_signing_alg"), c.RequestAlg,
			string(domain.ES256), string(domain.PS256), string(domain.EdDSA), string(domain.RS256))
	}
	if c.ResponseAlg != "" {
		v.oneOf(at("clients", i, "authorization_signed_response_alg"), c.ResponseAlg, string(domain.ES256), string(domain.RS256))
	}
	for _, f := range []struct {
		key   string
		there bool
		keyed bool // it needs a key of the client's own
	}{
		{"require_pushed_authorization_requests", c.RequirePushed, false},
		{"require_signed_request_object", c.RequireSignedRequest, true},
		{"request_object_signing_alg", c.RequestAlg != "", true},
		{"request_uris", len(c.RequestURIs) > 0, true},
		{"authorization_signed_response_alg", c.ResponseAlg != "", false},
	} {
		switch where := at("clients", i, f.key); {
		case !f.there:
		case c.Type == string(domain.ClientService):
			v.add(where, "a service sends nobody to sign in", "remove the line")
		case f.keyed && !c.confidential():
			v.add(where, fmt.Sprintf("a %s client has no key of its own to sign with: everybody who has the app has it", c.Type), "remove the line; it may push its requests instead")
		}
	}
	v.requestURIs(i)
}

func (v check) requestURIs(i int) {
	uris, list := v.Clients[i].RequestURIs, at("clients", i, "request_uris")
	if len(uris) > maxRequestURIs {
		v.add(list, fmt.Sprintf("there are more than %d", maxRequestURIs), "remove those nobody uses; a request that differs each time is pushed to /par")
	}
	for j, uri := range uris {
		where := fmt.Sprintf("%s[%d]", list, j)
		switch {
		case len(uri) > maxRequestURI:
			v.add(where, fmt.Sprintf("it has more than %d characters", maxRequestURI), "shorten it (RFC 9101 §5.2)")
		case slices.Index(uris, uri) != j:
			v.add(where, fmt.Sprintf("%q stands twice", uri), "keep one")
		default:
			v.document(where, uri)
		}
	}
}

// clientSubject: a pairwise client is of one sector (OIDC Core §8.1).
func (v check) clientSubject(i int) {
	c := &v.Clients[i]
	kind, sector := at("clients", i, "subject_type"), at("clients", i, "sector_identifier")
	if c.SubjectType != "" && !v.oneOf(kind, c.SubjectType, "public", subjectPairwise) {
		return
	}
	pairwise := c.SubjectType == subjectPairwise
	_, one := (&domain.Client{Sector: c.Sector, RedirectURIs: c.RedirectURIs}).SectorID()
	switch {
	case pairwise && c.Type == string(domain.ClientService):
		v.add(kind, "a service has no user", "remove the line")
	case !pairwise && c.Sector != "":
		v.add(sector, "it belongs to subject_type: pairwise", "set that, or remove the line")
	case c.Sector != "" && !hostName(c.Sector):
		v.add(sector, fmt.Sprintf("%q is not a host name", c.Sector), "write it like example.com: lower case, no scheme, port or path")
	case pairwise && !one:
		v.add(kind, "its redirect_uris do not all lie on one https host, so that the client has no sector by itself",
			"add sector_identifier: the host name that all clients of its owner share, for example example.com")
	}
}

// hostName tells whether it is the plain name of a host.
func hostName(s string) bool {
	return s == strings.ToLower(s) && fetch.New(fetch.Options{}).CheckPublic("https://"+s+"/") == nil && !strings.ContainsAny(s, ":/?#@[]")
}
