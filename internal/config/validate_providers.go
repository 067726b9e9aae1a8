package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/upstream"
)

const (
	typeGoogle = "google"
	typeApple  = "apple"
	typeOIDC   = "oidc"
)

func (v check) providers() {
	names, issuers := map[string]int{}, map[string]int{}
	for i := range v.Providers {
		before := len(*v.problems)
		v.providerName(i, names)
		v.providerIssuer(i, issuers)
		v.provider(i)
		if len(*v.problems) == before && v.Providers[i].complete() {
			v.askUpstream(i)
		}
	}
}

func (v check) providerName(i int, first map[string]int) {
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
	speaksFor := v.Providers[i].Type + v.Providers[i].Issuer
	if earlier, dup := first[speaksFor]; dup && speaksFor != typeOIDC {
		v.add(fmt.Sprintf("providers[%d]", i), fmt.Sprintf("providers[%d] is the same provider", earlier),
			"keep one: each client lists its own audiences under it")
	}
	first[speaksFor] = i
}

func (v check) provider(i int) {
	p := &v.Providers[i]
	if !v.oneOf(at("providers", i, "type"), p.Type, typeGoogle, typeApple, typeOIDC) {
		return
	}
	v.pinned(i)
	switch p.Type {
	case typeApple:
		v.appleKey(i)
	case typeOIDC:
		v.oidc(i)
	}
	if p.Standin != "" {
		v.standin(i)
	}
}

// pinned refuses settings that the type brings with it, and those of other types.
func (v check) pinned(i int) {
	p := &v.Providers[i]
	foreign := []struct{ key, value, owner string }{
		{"issuer", p.Issuer, typeOIDC},
		{"jwks_uri", p.JWKSURI, typeOIDC},
		{"algorithms", strings.Join(p.Algorithms, " "), typeOIDC},
		{"team_id", p.TeamID, typeApple},
		{"key_id", p.KeyID, typeApple},
		{"private_key_file", p.PrivateKeyFile, typeApple},
	}
	for _, f := range foreign {
		if f.value != "" && p.Type != f.owner {
			v.add(at("providers", i, f.key), fmt.Sprintf("it belongs to type %s; for %s it is built in or not used", f.owner, p.Type), "remove the line")
		}
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

func (v check) oidc(i int) {
	p := &v.Providers[i]
	if p.Issuer == "" {
		v.add(at("providers", i, "issuer"), "it is missing", "write the provider's issuer exactly as its tokens spell it in iss")
	}
	for _, f := range []struct{ key, value string }{{"issuer", p.Issuer}, {"jwks_uri", p.JWKSURI}} {
		if f.value != "" {
			v.upstreamAddress(at("providers", i, f.key), f.value)
		}
	}
	for j, alg := range p.Algorithms {
		v.oneOf(fmt.Sprintf("%s[%d]", at("providers", i, "algorithms"), j), alg, "RS256", "ES256", "PS256", "EdDSA")
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
func (p *Provider) complete() bool { return p.PrivateKeyFile == "" || p.PrivateKeyPEM != "" }

// askUpstream lets the room that will use the settings judge them: what it refuses is refused here, with the line.
func (v check) askUpstream(i int) {
	if _, err := upstream.New(v.Providers[i].settings(), fetch.New(fetch.Options{AllowLoopback: v.loopbackOnly()}), time.Now); err != nil {
		v.add(fmt.Sprintf("providers[%d]", i), "it cannot be used: "+err.Error(), "correct the provider's settings")
	}
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
