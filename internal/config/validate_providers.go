package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/upstream"
)

const (
	typeGoogle    = "google"
	typeApple     = "apple"
	typeMicrosoft = "microsoft"
	typeGitHub    = "github"
	typeFacebook  = "facebook"
	typeLINE      = "line"
	typeDiscord   = "discord"
	typeGitLab    = "gitlab"
	typeOIDC      = "oidc"
	typeOAuth2    = "oauth2"
)

// withoutIDToken tells whether people can only be sent to the provider: what it gives out is for nobody but the client
// that asked.
func (p *Provider) withoutIDToken() bool {
	return p.Type == typeGitHub || p.Type == typeDiscord || p.Type == typeOAuth2
}

// types are all there are.
var types = []string{
	typeGoogle, typeApple, typeMicrosoft, typeGitHub, typeFacebook, typeLINE, typeDiscord, typeGitLab, typeOIDC, typeOAuth2,
}

func (v check) providers() {
	names, issuers := map[string]int{}, map[string]int{}
	var usable []*upstream.Provider
	for i := range v.Providers {
		before := len(*v.problems)
		v.providerName(i, names)
		v.providerIssuer(i, issuers)
		v.provider(i)
		if len(*v.problems) == before && v.Providers[i].complete() {
			usable = append(usable, v.askUpstream(i)...)
		}
	}
	if len(usable) < len(v.Providers) {
		return // something was told
	}
	if _, err := upstream.NewSet(usable...); err != nil {
		v.add("providers", "they cannot be used together: "+err.Error(), "a person signs in at one place in one way: keep one of the two")
	}
}

const maxLabel = 64 // bytes; a button has one line

func (v check) providerName(i int, first map[string]int) {
	if label := v.Providers[i].Label; len(label) > maxLabel || strings.TrimSpace(label) != label {
		v.add(at("providers", i, "label"), "it is longer than 64 bytes, or has spaces around it", "write what people call the provider, such as label: Example Inc.")
	}
	name, where := v.Providers[i].Name, at("providers", i, "name")
	earlier, dup := first[name]
	switch {
	case name == "":
		v.add(where, "it is missing", "give the provider a name that clients list, for example name: google")
		return
	case !plainName(name):
		v.add(where, fmt.Sprintf("%q has characters a name may not have", name), "use a-z, 0-9, - and _: it becomes part of addresses")
	case dup:
		v.add(where, fmt.Sprintf("%q is providers[%d] already", name, earlier), "give each provider a name of its own")
	}
	first[name] = i
}

// providerIssuer: a token's iss decides which provider judges it, so each issuer has one.
func (v check) providerIssuer(i int, first map[string]int) {
	p := &v.Providers[i]
	speaksFor := p.Type + p.Issuer + p.BaseURL
	if p.Type == typeMicrosoft || (p.Issuer == "" && (p.Type == typeOIDC || p.Type == typeOAuth2)) {
		return // each tenant is an issuer; and that one is missing is told elsewhere
	}
	if earlier, dup := first[speaksFor]; dup {
		v.add(fmt.Sprintf("providers[%d]", i), fmt.Sprintf("providers[%d] is the same provider", earlier),
			"keep one: each client lists its own audiences under it")
	}
	first[speaksFor] = i
}

func (v check) provider(i int) {
	p := &v.Providers[i]
	if !v.oneOf(at("providers", i, "type"), p.Type, types...) {
		return
	}
	v.pinned(i)
	v.providerClient(i)
	switch p.Type {
	case typeApple:
		v.appleKey(i)
	case typeOIDC:
		v.oidc(i)
	case typeOAuth2:
		v.oauth2(i)
	case typeGitHub, typeGitLab:
		v.upstreamAddresses(i)
	}
	if p.Standin != "" {
		v.standin(i)
	}
}

// pinned refuses settings that the type brings with it, and those of other types.
func (v check) pinned(i int) {
	p := &v.Providers[i]
	generic := []string{typeOIDC, typeOAuth2}
	secret := slices.DeleteFunc(slices.Clone(types), func(t string) bool { return t == typeApple })
	for _, f := range []struct {
		key, value string
		owners     []string
	}{
		{"issuer", p.Issuer, []string{typeGitLab, typeOIDC, typeOAuth2}},
		{"base_url", p.BaseURL, []string{typeGitHub}},
		{"graph_version", p.GraphVersion, []string{typeFacebook}},
		{"jwks_uri", p.JWKSURI, []string{typeOIDC}},
		{"algorithms", strings.Join(p.Algorithms, " "), []string{typeOIDC}},
		{"team_id", p.TeamID, []string{typeApple}},
		{"key_id", p.KeyID, []string{typeApple}},
		{"private_key_file", p.PrivateKeyFile, []string{typeApple}},
		{"client_secret_file", p.ClientSecretFile + string(p.ClientSecret), secret},
		{"tenant", p.Tenant, []string{typeMicrosoft}},
		{"tenants", strings.Join(p.Tenants, " "), []string{typeMicrosoft}},
		{"authorize_url", p.AuthorizeURL, generic},
		{"token_url", p.TokenURL, generic},
		{"userinfo_url", p.UserInfoURL, generic},
		{"subject_claim", p.SubjectClaim, []string{typeOAuth2}},
		{"email_claim", p.EmailClaim, []string{typeOAuth2}},
		{"email_verified_claim", p.EmailVerifiedClaim, []string{typeOAuth2}},
		{"name_claim", p.NameClaim, []string{typeOAuth2}},
		{"pkce", p.PKCE, []string{typeOAuth2}},
	} {
		if f.value != "" && !slices.Contains(f.owners, p.Type) {
			v.add(at("providers", i, f.key), fmt.Sprintf("it belongs to type %s; for %s it is built in or not used", strings.Join(f.owners, ", "), p.Type), "remove the line")
		}
	}
}

// providerClient: sign-in on our pages needs a client of ours at the provider, and that a secret. Apple's is made from
// its key.
func (v check) providerClient(i int) {
	p := &v.Providers[i]
	id, secret := at("providers", i, "client_id"), at("providers", i, "client_secret_file")
	hasSecret := p.ClientSecretFile != "" || p.ClientSecret != ""
	switch {
	case p.ClientID == "" && p.withoutIDToken():
		v.add(id, "it is missing", "register this server at the provider, with "+v.Issuer+"/federation/"+p.Name+"/callback as redirect URI, and write the client id it gives you")
	case p.ClientID == "" && hasSecret && p.Type != typeApple:
		v.add(id, "client_secret_file is there, client_id is missing", "write the client id the provider gave you with the secret")
	case p.ClientID == "" && len(p.Scopes) > 0:
		v.add(at("providers", i, "scopes"), "they are asked for on our pages only, which need client_id", "add client_id, or remove the line")
	case p.ClientID == "":
	case strings.TrimSpace(p.ClientID) != p.ClientID:
		v.add(id, "it has spaces around it", "remove them")
	case p.Type == typeApple && p.PrivateKeyFile == "" && p.PrivateKeyPEM == "":
		v.add(at("providers", i, "private_key_file"), "sign-in on our pages needs Apple's key", "set team_id, key_id and private_key_file")
	case p.Type != typeApple && !hasSecret:
		v.add(secret, "client_id is there, client_secret_file is missing", clientSecretRemedy+", or set "+providerVariable(p.Name))
	}
	if p.ClientSecret != "" && strings.ContainsFunc(string(p.ClientSecret), func(r rune) bool { return r <= ' ' || r > '~' }) {
		v.add(secret, "the secret has a space, a line break or a letter beyond ASCII", clientSecretRemedy+", alone on one line")
	}
	if n := len(p.ClientSecret); p.Type == typeLINE && n > 0 && n < jose.MinSecret { // it is also the key of LINE's id_tokens
		v.add(secret, fmt.Sprintf("LINE's channel secrets have %d characters, this one has %d", jose.MinSecret, n),
			"copy the whole channel secret from the channel's basic settings, not the channel id or an access token")
	}
}

// appleKey: the three go together. Without them sign-in works, but nothing can be revoked at Apple.
func (v check) appleKey(i int) {
	p := &v.Providers[i]
	parts := []struct{ key, value string }{{"team_id", p.TeamID}, {"key_id", p.KeyID}, {"private_key_file", p.PrivateKeyFile}}
	var missing []string
	for _, part := range parts {
		if part.value == "" {
			missing = append(missing, part.key)
		}
	}
	if len(missing) > 0 && len(missing) < len(parts) {
		v.add(at("providers", i, missing[0]), "team_id, key_id and private_key_file go together; missing: "+strings.Join(missing, ", "),
			"take all three from Apple's developer pages, or remove them all")
	}
}

// address is a setting that names one.
type address struct{ key, value string }

// addresses are those the provider is reached at.
func (p *Provider) addresses() []address {
	return []address{
		{"issuer", p.Issuer}, {"base_url", p.BaseURL}, {"jwks_uri", p.JWKSURI},
		{"authorize_url", p.AuthorizeURL}, {"token_url", p.TokenURL}, {"userinfo_url", p.UserInfoURL},
	}
}

func (v check) upstreamAddresses(i int) {
	for _, a := range v.Providers[i].addresses() {
		if a.value != "" {
			v.upstreamAddress(at("providers", i, a.key), a.value)
		}
	}
}

func (v check) oidc(i int) {
	p := &v.Providers[i]
	if p.Issuer == "" {
		v.add(at("providers", i, "issuer"), "it is missing", "write the provider's issuer exactly as its tokens spell it in iss")
	}
	v.upstreamAddresses(i)
	for j, alg := range p.Algorithms {
		v.oneOf(fmt.Sprintf("%s[%d]", at("providers", i, "algorithms"), j), alg, "RS256", "ES256", "PS256", "EdDSA")
	}
}

// oauth2: there is no discovery, so all is said here.
func (v check) oauth2(i int) {
	p := &v.Providers[i]
	for _, f := range []struct{ key, value, remedy string }{
		{"issuer", p.Issuer, "write an https address of the provider's by which its accounts are told from others', for example https://sso.example.com; it must never change"},
		{"authorize_url", p.AuthorizeURL, "write where people are sent to"},
		{"token_url", p.TokenURL, "write where codes are redeemed"},
		{"userinfo_url", p.UserInfoURL, "write where an access token gets what there is to know of its person"},
	} {
		if f.value == "" {
			v.add(at("providers", i, f.key), "it is missing", f.remedy)
		}
	}
	v.upstreamAddresses(i)
	if p.PKCE != "" {
		v.oneOf(at("providers", i, "pkce"), p.PKCE, "true", "false")
	}
	if p.EmailVerifiedClaim != "" && p.EmailClaim == "" {
		v.add(at("providers", i, "email_claim"), "email_verified_claim is there, email_claim is missing", "name the member that holds the address")
	}
}

// upstreamAddress: https, or http between loopback and loopback (KL04).
func (v check) upstreamAddress(where, address string) {
	u, err := httpAddress(address)
	switch {
	case err != nil:
		v.add(where, fmt.Sprintf("%q is not an https address", address), "write it like https://login.example.com")
	case u.Scheme == "https":
	case !loopbackHost(u.Hostname()):
		v.add(where, "it is plain http, and not on this machine", "write https://"+u.Host+u.Path)
	case !v.loopbackOnly():
		v.add(where, "plain http is for trying out, but this server can be reached from other machines",
			"use https, or put the issuer and both listeners on loopback")
	}
}

func (v check) standin(i int) {
	where := at("providers", i, "standin")
	u, err := httpAddress(v.Providers[i].Standin)
	switch {
	case err != nil || !loopbackHost(u.Hostname()):
		v.add(where, "a stand-in runs on this machine", "write its address on loopback, for example http://127.0.0.1:9090")
	case !v.loopbackOnly():
		v.add(where, "a stand-in signs in anybody as anybody, but this server can be reached from other machines",
			"remove the line, or put the issuer and both listeners on loopback")
	}
}

// complete tells whether all files of the provider were read; what is missing has been told.
func (p *Provider) complete() bool {
	return (p.PrivateKeyFile == "" || p.PrivateKeyPEM != "") && (p.ClientSecretFile == "" || p.ClientSecret != "")
}

// askUpstream lets the room that will use the settings judge them: what it refuses is refused here, with the line.
func (v check) askUpstream(i int) []*upstream.Provider {
	p, err := upstream.New(v.Providers[i].settings(), fetch.New(fetch.Options{AllowLoopback: v.loopbackOnly()}), time.Now)
	if err != nil {
		v.add(fmt.Sprintf("providers[%d]", i), "it cannot be used: "+err.Error(), "correct the provider's settings")
		return nil
	}
	return []*upstream.Provider{p}
}

func plainName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return len(s) <= 64
}
