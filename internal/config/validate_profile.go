package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/clientmeta"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
)

// clientProfile: a profile is all or nothing. What a client still lacks for it is told line by line; what the profile
// switches on by itself needs no line, and may have none that says otherwise. Sections are those of FAPI 2.0.
func (v check) clientProfile(i int) {
	c := &v.Clients[i]
	if c.Profile == "" || !v.oneOf(at("clients", i, "profile"), c.Profile, string(domain.ProfileFAPI), string(domain.ProfileMessage)) {
		return
	}
	if !c.confidential() { // §5.3.2.1, 3
		v.add(at("clients", i, "type"), fmt.Sprintf("%s is for clients that can keep a key: not for a %s client", c.Profile, c.Type),
			"put a backend before the app and make that the client, of type web; or remove profile")
		return
	}
	v.profileAuth(i)
	v.profileURIs(i)
	v.profileAlgorithms(i)
	v.profileSwitches(i)
	v.profileKeys(i)
}

// strongMethods are the ways to authenticate under a profile (§5.3.2.1, 6).
var strongMethods = []string{string(domain.AuthPrivateKey), string(domain.AuthTLS), string(domain.AuthSelfSigned)}

func (v check) profileAuth(i int) {
	c := &v.Clients[i]
	if !slices.Contains(strongMethods, c.AuthMethod) {
		have := c.AuthMethod
		if have == "" {
			have = string(domain.AuthSecretBasic)
		}
		v.add(at("clients", i, "auth_method"), fmt.Sprintf("%s takes no shared secret, and this client authenticates by %s", c.Profile, have),
			"write auth_method: private_key_jwt and name the client's public keys by jwks_file or jwks_uri; or "+strings.Join(strongMethods[1:], ", "))
	}
	if c.AssertionAud == audienceLegacy { // §5.3.2.1, 8
		v.add(at("clients", i, "assertion_audience"), fmt.Sprintf("under %s an assertion is for the issuer alone", c.Profile),
			"remove the line, and let the client write the issuer into aud")
	}
	if c.PKCE == pkceOptional { // §5.3.2.2, 5
		v.add(at("clients", i, "pkce"), c.Profile+" needs PKCE", "remove the line, and let the client send code_challenge with S256")
	}
}

// profileURIs: answers never travel in the clear (§5.3.2.2, 8), and every request is pushed, so nothing is fetched.
func (v check) profileURIs(i int) {
	c := &v.Clients[i]
	for j, uri := range c.RedirectURIs {
		if !strings.HasPrefix(strings.ToLower(uri), "https://") {
			v.add(fmt.Sprintf("%s[%d]", at("clients", i, "redirect_uris"), j), fmt.Sprintf("%s sends answers over https only, not to %q", c.Profile, uri),
				"write an https address of the client")
		}
	}
	if len(c.RequestURIs) > 0 {
		v.add(at("clients", i, "request_uris"), fmt.Sprintf("under %s every request is pushed to /par, and none is fetched", c.Profile), "remove the line")
	}
}

// profileAlgorithms: RS256 is no algorithm of the profile, on either side (§5.4.1, 1).
func (v check) profileAlgorithms(i int) {
	c := &v.Clients[i]
	for _, a := range []struct{ key, value, remedy string }{
		{"access_token_alg", c.AccessTokenAlg, "remove the line for ES256"},
		{"id_token_alg", c.IDTokenAlg, "remove the line for ES256"},
		{"userinfo_signed_response_alg", c.UserInfoAlg, "write ES256"},
		{"authorization_signed_response_alg", c.ResponseAlg, "remove the line for ES256"},
		{"request_object_signing_alg", c.RequestAlg, "write ES256, PS256 or EdDSA, or remove the line for any of them"},
	} {
		if a.value == string(domain.RS256) {
			v.add(at("clients", i, a.key), c.Profile+" does without RS256", a.remedy)
		}
	}
}

// profileSwitches: nobody should read a line that says the opposite of what holds.
func (v check) profileSwitches(i int) {
	c := &v.Clients[i]
	for _, s := range []struct {
		key    string
		on     bool
		belong bool
	}{
		{"require_pushed_authorization_requests", c.RequirePushed, true},
		{"require_signed_request_object", c.RequireSignedRequest, c.Profile == string(domain.ProfileMessage)},
	} {
		where := at("clients", i, s.key)
		if _, written := v.src.lines[where]; written && !s.on && s.belong {
			v.add(where, c.Profile+" switches it on", "remove the line")
		}
	}
}

// profileKeys: what the client signs, it signs with a key the profile knows. Keys behind jwks_uri are seen when they are
// fetched: then an unfit one is no key.
func (v check) profileKeys(i int) {
	c := &v.Clients[i]
	signs := c.signs() || c.Profile == string(domain.ProfileMessage)
	switch {
	case !signs:
	case len(c.JWKS) > 0:
		v.profileKeysFit(i)
	case c.JWKSFile == "" && c.JWKSURI == "" && !c.signs(): // else it is told as of every client that signs
		v.add(at("clients", i, "profile"), c.Profile+" needs the public keys of the client: it signs its requests to /par",
			"name them by jwks_file or jwks_uri")
	}
}

func (v check) profileKeysFit(i int) {
	c, where := &v.Clients[i], at("clients", i, "jwks_file")
	set, err := clientmeta.ReadKeys(c.JWKS)
	if err != nil {
		return // told where the keys are judged
	}
	keys := slices.DeleteFunc(set, func(k clientmeta.Key) bool { return k.PublicKey == nil })
	fits := func(algs ...jose.Alg) bool {
		return slices.ContainsFunc(keys, func(k clientmeta.Key) bool { return slices.ContainsFunc(algs, k.Fits) })
	}
	switch alg := jose.Alg(c.RequestAlg); {
	case len(keys) == 0: // told where they are judged
	case !fits(jose.ES256, jose.PS256, jose.EdDSA):
		v.add(where, fmt.Sprintf("no key in it is for ES256, PS256 or EdDSA, and %s knows no other", c.Profile),
			`add an EC P-256 or an Ed25519 key; an RSA key will do for PS256: write "alg": "PS256", or no alg`)
	case alg != "" && alg != jose.RS256 && !fits(alg):
		v.add(where, fmt.Sprintf("no key in it is for %s, which request_object_signing_alg says", alg), "add one, or change that line")
	}
}

// Profiles says of each client with a profile what that switches on, for `config check`: a line for the client, and
// indented ones for what holds.
func (c *Config) Profiles() []string {
	var lines []string
	for i := range c.Clients {
		client := c.Clients[i].domain()
		if !client.FAPI() {
			continue
		}
		lines = append(lines, fmt.Sprintf("client %s: profile %s", client.ID, client.Profile))
		for _, said := range switchedOn(&client) {
			lines = append(lines, "    "+said)
		}
	}
	return lines
}

// switchedOn asks what the rules ask, so that it cannot say anything else.
func switchedOn(c *domain.Client) (list []string) {
	if c.MustPush() && c.Type != domain.ClientService {
		list = append(list, "authorization requests: pushed to /par, and nothing else; PKCE with S256; redirects to https")
	}
	switch {
	case c.MustProve():
		list = append(list, "access tokens: bound to a DPoP key, so every token request needs a proof, signed with ES256, PS256 or EdDSA")
	case c.CertificateBound:
		list = append(list, "access tokens: bound to the client's certificate")
	}
	if c.AuthMethod == domain.AuthPrivateKey {
		list = append(list, "authentication: private_key_jwt, signed with ES256, PS256 or EdDSA; aud is the issuer, as a string")
	} else {
		list = append(list, fmt.Sprintf("authentication: %s", c.AuthMethod))
	}
	if c.Type == domain.ClientService {
		return list
	}
	bound := "DPoP key"
	if !c.MustProve() {
		bound = "certificate"
	}
	list = append(list, fmt.Sprintf("ID tokens: %s; refresh tokens: one that stays, good with any %s of the client", c.IDAlg(), bound))
	if c.MustSignRequest() {
		list = append(list, "requests: the client sends a signed request object to /par, with aud, nbf and exp")
	}
	if c.MustSignResponse() {
		list = append(list, fmt.Sprintf("answers: the client asks with response_mode jwt, and they are signed with %s", c.JARMAlg()))
	}
	return list
}
