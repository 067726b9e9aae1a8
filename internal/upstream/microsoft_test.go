package upstream

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/jose"
)

const (
	tenantA = "aaaaaaaa-0000-4000-8000-00000000000a"
	tenantB = "bbbbbbbb-0000-4000-8000-00000000000b"
	testOID = "00000000-0000-4000-8000-000000000042"
)

func newMicrosoft(t testing.TB, tenant string, listed ...string) *scene {
	t.Helper()
	return newScene(t, Settings{Type: "microsoft", Tenant: tenant, Tenants: listed}, testKeys["rsa"])
}

// microsoftClaims is a sound token's content of a tenant, as Microsoft writes it.
func (s *scene) microsoftClaims(tenant string, changes map[string]any) map[string]any {
	c := s.claims(map[string]any{"iss": tenantIssuer(tenant), "tid": tenant, "oid": testOID, "ver": "2.0", "email_verified": nil})
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// ID02: the token's tenant decides which issuer it may have, and the settings which tenant may sign in.
func TestATenantsPeopleSignInWhereTheTenantIsAdmitted(t *testing.T) {
	for name, tc := range map[string]struct {
		tenant  string
		listed  []string
		of      string
		refused bool
	}{
		"common, an organisation":                {"common", nil, tenantA, false},
		"common, a personal account":             {"common", nil, personalTenant, false},
		"organizations, an organisation":         {"organizations", nil, tenantA, false},
		"organizations, a personal account":      {"organizations", nil, personalTenant, true},
		"consumers, a personal account":          {"consumers", nil, personalTenant, false},
		"consumers, an organisation":             {"consumers", nil, tenantA, true},
		"one tenant, its own":                    {tenantA, nil, tenantA, false},
		"one tenant, another":                    {tenantA, nil, tenantB, true},
		"a list, one of it":                      {"common", []string{tenantA, personalTenant}, tenantA, false},
		"a list, the personal accounts in it":    {"common", []string{tenantA, personalTenant}, personalTenant, false},
		"a list, none of it":                     {"organizations", []string{tenantA}, tenantB, true},
		"a list without the personal accounts":   {"common", []string{tenantA}, personalTenant, true},
		"no tenant at all but the template's":    {"common", nil, "{tenantid}", true},
		"a tenant that is no id":                 {"common", nil, "contoso.example", true},
		"an id in upper case, which is not sent": {"common", nil, "AAAAAAAA-0000-4000-8000-00000000000A", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newMicrosoft(t, tc.tenant, tc.listed...)
			got, err := s.Verify(t.Context(), sign(t, testKeys["rsa"], s.microsoftClaims(tc.of, nil)), s.expect())
			if tc.refused {
				wantRefusal(t, err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := Subject{
				Provider: "microsoft", Issuer: tenantIssuer(tc.of), Subject: testOID, Audience: testAudience,
				Email: "someone@example.com", Name: "Some One", IssuedAt: s.clock.now().Add(-5 * time.Second),
			}
			if *got != want {
				t.Errorf("%+v, want %+v", *got, want)
			}
		})
	}
}

func TestMicrosoftsTokensThatAreRefused(t *testing.T) {
	s := newMicrosoft(t, "common")
	for name, change := range map[string]map[string]any{
		"no oid":                          {"oid": nil},
		"oid empty":                       {"oid": ""},
		"oid a number":                    {"oid": 7},
		"no tid":                          {"tid": nil},
		"tid empty":                       {"tid": ""},
		"tid a list":                      {"tid": []string{tenantA}},
		"another tenant's tid (ID02)":     {"tid": tenantB},
		"another tenant's issuer (ID02)":  {"iss": tenantIssuer(tenantB)},
		"an issuer with a slash (ID02)":   {"iss": tenantIssuer(tenantA) + "/"},
		"version 1's issuer (ID02)":       {"iss": "https://sts.windows.net/" + tenantA + "/"},
		"another host (ID01)":             {"iss": "https://login.evil.example/" + tenantA + "/v2.0"},
		"the host in the user info":       {"iss": "https://login.microsoftonline.com@evil.example/" + tenantA + "/v2.0"},
		"a path before the tenant (ID01)": {"iss": "https://login.microsoftonline.com/evil/" + tenantA + "/v2.0"},
		"another audience":                {"aud": "another app"},
		"another nonce (ID08)":            {"nonce": "another"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Verify(t.Context(), sign(t, testKeys["rsa"], s.microsoftClaims(tenantA, change)), s.expect())
			wantRefusal(t, err)
		})
	}
}

// Keys of all tenants stand in one set, which says whose each is: a key of personal accounts must not sign for work.
func TestAKeyOfOneTenantSignsForNoOther(t *testing.T) {
	s := newMicrosoft(t, "common")
	set, err := jose.MarshalSet([]jose.PublicKey{testKeys["rsa"].Public(), testKeys["rsa2"].Public()})
	if err != nil {
		t.Fatal(err)
	}
	document := string(set)
	for kid, of := range map[string]string{"rsa": tenantIssuer(personalTenant), "rsa2": microsoftTemplate} {
		document = strings.Replace(document, `"kid":"`+kid+`"`, `"kid":"`+kid+`","issuer":"`+of+`"`, 1)
	}
	s.server.set(func(i *issuer) {
		i.misbehave = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(document)) }
	})
	for _, tc := range []struct {
		key, tenant string
		refused     bool
	}{
		{"rsa", personalTenant, false}, {"rsa", tenantA, true}, {"rsa2", tenantA, false}, {"rsa2", tenantB, false}, {"rsa2", personalTenant, false},
	} {
		_, err := s.Verify(t.Context(), sign(t, testKeys[tc.key], s.microsoftClaims(tc.tenant, nil)), s.expect())
		if tc.refused {
			wantRefusal(t, err)
		} else if err != nil {
			t.Errorf("%s for %s: %v", tc.key, tc.tenant, err)
		}
	}
	nameless := newSigner(jose.RS256, "")
	one := newScene(t, Settings{Type: "microsoft", Tenant: "common"}, nameless)
	_, err = one.Verify(t.Context(), sign(t, nameless, one.microsoftClaims(tenantA, nil)), one.expect())
	wantRefusal(t, err)
}

func TestMicrosoftsSettings(t *testing.T) {
	f := fetch.New(fetch.Options{})
	for name, s := range map[string]Settings{
		"no tenant":                     {},
		"a tenant by its domain":        {Tenant: "contoso.onmicrosoft.com"},
		"an id in upper case":           {Tenant: "AAAAAAAA-0000-4000-8000-00000000000A"},
		"a listed tenant that is none":  {Tenant: "common", Tenants: []string{"contoso"}},
		"a listed one of another":       {Tenant: tenantA, Tenants: []string{tenantB}},
		"personal accounts left out":    {Tenant: "organizations", Tenants: []string{personalTenant}},
		"an id without a secret":        {Tenant: "common", ClientID: "us"},
		"a secret without an id":        {Tenant: "common", ClientSecret: "s"},
		"scopes without openid":         {Tenant: "common", ClientID: "us", ClientSecret: "s", Scopes: []string{"email"}},
		"PKCE left out":                 {Tenant: "common", ClientID: "us", ClientSecret: "s", WithoutPKCE: true},
		"a scope that is two":           {Tenant: "common", ClientID: "us", ClientSecret: "s", Scopes: []string{"openid email"}},
		"a stand-in that is elsewhere":  {Tenant: "common", Standin: "https://standin.example"},
		"a tenant that would be a path": {Tenant: "../common"},
	} {
		s.Name, s.Type = "microsoft", "microsoft"
		if _, err := New(s, f, time.Now); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestNoTenantHasTwoProviders(t *testing.T) {
	f := fetch.New(fetch.Options{})
	provider := func(name, tenant string, listed ...string) *Provider {
		p, err := New(Settings{Name: name, Type: "microsoft", Tenant: tenant, Tenants: listed}, f, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for name, tc := range map[string]struct {
		a, b     *Provider
		overlaps bool
	}{
		"common and common":                        {provider("a", "common"), provider("b", "common"), true},
		"common and organizations":                 {provider("a", "common"), provider("b", "organizations"), true},
		"common and consumers":                     {provider("a", "common"), provider("b", "consumers"), true},
		"organizations and consumers":              {provider("a", "organizations"), provider("b", "consumers"), false},
		"organizations and one":                    {provider("a", "organizations"), provider("b", tenantA), true},
		"two tenants":                              {provider("a", tenantA), provider("b", tenantB), false},
		"one tenant twice":                         {provider("a", tenantA), provider("b", tenantA), true},
		"two lists":                                {provider("a", "common", tenantA), provider("b", "common", tenantB), false},
		"two lists with one in common":             {provider("a", "common", tenantA, tenantB), provider("b", "organizations", tenantB), true},
		"a list without them and personal ones":    {provider("a", "common", tenantA), provider("b", "consumers"), false},
		"organizations and a list of personal one": {provider("a", "organizations"), provider("b", "common", personalTenant), false},
	} {
		if _, err := NewSet(tc.a, tc.b); (err != nil) != tc.overlaps {
			t.Errorf("%s: %v", name, err)
		}
	}
	corp, err := New(Settings{Name: "corp", Type: "oidc", Issuer: tenantIssuer(tenantA)}, f, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewSet(corp, provider("a", "common")); err == nil {
		t.Error("a generic provider with a tenant's issuer beside Microsoft: accepted")
	}
	if _, err := NewSet(provider("a", tenantB), corp); err != nil {
		t.Errorf("beside another tenant: %v", err)
	}
}

func TestAProviderIsFoundByTheIssuerOfAnyTenant(t *testing.T) {
	f := fetch.New(fetch.Options{})
	orgs, err1 := New(Settings{Name: "work", Type: "microsoft", Tenant: "organizations"}, f, time.Now)
	home, err2 := New(Settings{Name: "home", Type: "microsoft", Tenant: "consumers"}, f, time.Now)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	set, err := NewSet(orgs, home)
	if err != nil {
		t.Fatal(err)
	}
	for iss, want := range map[string]*Provider{
		tenantIssuer(tenantA): orgs, tenantIssuer(tenantB): orgs, tenantIssuer(personalTenant): home,
		microsoftTemplate: nil, tenantIssuer("common"): nil, "https://login.microsoftonline.com/" + tenantA: nil, "": nil,
	} {
		if got, ok := set.ByIssuer(iss); got != want || ok != (want != nil) {
			t.Errorf("%s: %v", iss, got)
		}
	}
	if got, ok := orgs.Canonical(tenantIssuer(tenantA)); !ok || got != tenantIssuer(tenantA) {
		t.Errorf("canonical: %q, %v", got, ok)
	}
	if home.Issuers()[0] != tenantIssuer(personalTenant) || orgs.Issuers()[0] != microsoftTemplate {
		t.Errorf("issuers: %v, %v", home.Issuers(), orgs.Issuers())
	}
}
