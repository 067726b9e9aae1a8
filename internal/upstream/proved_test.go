package upstream

import (
	"encoding/json"
	"maps"
	"testing"
	"time"
)

// ID13, ID16: an address joins accounts only where the provider is its authority, and then in one spelling.
func TestAnAddressIsProvedOnlyByItsAuthority(t *testing.T) {
	google, apple := newScene(t, Settings{Type: "google"}, testKeys["rsa"]), newScene(t, Settings{Type: "apple"}, testKeys["rsa"])
	corp := newScene(t, Settings{Type: "oidc", Name: "corp"}, testKeys["rsa"])
	for name, tc := range map[string]struct {
		s       *scene
		changes map[string]any
		want    string
	}{
		"Google's own mail":                     {google, map[string]any{"email": "some.one@gmail.com"}, "some.one@gmail.com"},
		"Google's other domain":                 {google, map[string]any{"email": "some.one@GoogleMail.com"}, "some.one@googlemail.com"},
		"a domain Google hosts (ID16)":          {google, map[string]any{"hd": "example.com"}, "someone@example.com"},
		"the local part is kept (ID13)":         {google, map[string]any{"email": "Some.One+tag@gmail.com"}, "Some.One+tag@gmail.com"},
		"a foreign domain without hd (ID16)":    {google, nil, ""},
		"hd that is empty (ID16)":               {google, map[string]any{"hd": ""}, ""},
		"hd that is no text (ID16)":             {google, map[string]any{"hd": true}, ""},
		"Gmail, unverified":                     {google, map[string]any{"email": "some.one@gmail.com", "email_verified": false}, ""},
		"Gmail, nothing said of verification":   {google, map[string]any{"email": "some.one@gmail.com", "email_verified": nil}, ""},
		"a domain that ends like Gmail (ID13)":  {google, map[string]any{"email": "some.one@notgmail.com"}, ""},
		"Gmail with a trailing dot (ID13)":      {google, map[string]any{"email": "some.one@gmail.com."}, ""},
		"a Kelvin sign (ID13)":                  {google, map[string]any{"email": "\u212aim@gmail.com"}, ""},
		"no address":                            {google, map[string]any{"email": nil, "hd": "example.com"}, ""},
		"Apple, a real address":                 {apple, map[string]any{"email": "someone@icloud.com", "email_verified": "true"}, ""},
		"Apple, a relay":                        {apple, map[string]any{"email": "x@privaterelay.appleid.com", "is_private_email": true}, ""},
		"a generic provider that calls it so":   {corp, map[string]any{"email": "someone@gmail.com", "hd": "gmail.com"}, ""},
		"a generic provider with Microsoft's":   {corp, map[string]any{"xms_edov": true}, ""},
		"Google with Microsoft's claim for one": {google, map[string]any{"xms_edov": true}, ""},
	} {
		got, err := tc.s.Verify(t.Context(), sign(t, testKeys["rsa"], tc.s.claims(tc.changes)), tc.s.expect())
		if err != nil || got.ProvedEmail != tc.want {
			t.Errorf("%s: %+v, %v, want %q", name, got, err, tc.want)
		}
	}
}

// xms_edov of a tenant anybody may own, of a personal account or of a guest says that the address was verified once.
func TestMicrosoftProvesAnAddressOnlyOfMembersOfATenantTheOperatorNamed(t *testing.T) {
	common, organizations, consumers := newMicrosoft(t, "common"), newMicrosoft(t, "organizations"), newMicrosoft(t, "consumers")
	one, listed := newMicrosoft(t, tenantA), newMicrosoft(t, "common", tenantA, tenantB, personalTenant)
	personal := newMicrosoft(t, personalTenant)
	for name, tc := range map[string]struct {
		s       *scene
		tenant  string
		changes map[string]any
		proved  bool
	}{
		"the one tenant":                           {one, tenantA, nil, true},
		"a tenant of the list":                     {listed, tenantB, nil, true},
		"any tenant":                               {common, tenantA, nil, false},
		"any organisation":                         {organizations, tenantA, nil, false},
		"a personal account":                       {common, personalTenant, nil, false},
		"a personal account, of consumers":         {consumers, personalTenant, nil, false},
		"a personal account, listed":               {listed, personalTenant, nil, false},
		"a personal account, their tenant named":   {personal, personalTenant, nil, false},
		"a member":                                 {one, tenantA, map[string]any{"acct": 0}, true},
		"a member, as text":                        {one, tenantA, map[string]any{"acct": "0"}, true},
		"a guest":                                  {one, tenantA, map[string]any{"acct": 1}, false},
		"a guest, as text":                         {listed, tenantA, map[string]any{"acct": "1"}, false},
		"acct of another kind":                     {one, tenantA, map[string]any{"acct": false}, false},
		"acct of nothing":                          {one, tenantA, map[string]any{"acct": json.RawMessage("null")}, false},
		"acct empty":                               {one, tenantA, map[string]any{"acct": ""}, false},
		"known to the tenant":                      {one, tenantA, map[string]any{"idp": tenantIssuer(tenantA)}, true},
		"known to the tenant, version 1":           {one, tenantA, map[string]any{"idp": "https://sts.windows.net/" + tenantA + "/"}, true},
		"known to another tenant":                  {listed, tenantA, map[string]any{"idp": tenantIssuer(tenantB)}, false},
		"known to another tenant, version 1":       {listed, tenantA, map[string]any{"idp": "https://sts.windows.net/" + tenantB + "/"}, false},
		"a guest with a personal account":          {one, tenantA, map[string]any{"idp": "live.com"}, false},
		"a guest of the personal tenant":           {one, tenantA, map[string]any{"idp": tenantIssuer(personalTenant)}, false},
		"a guest with Google's":                    {one, tenantA, map[string]any{"idp": "google.com"}, false},
		"a guest with a code by mail":              {one, tenantA, map[string]any{"idp": "mail"}, false},
		"idp empty":                                {one, tenantA, map[string]any{"idp": ""}, false},
		"idp of another kind":                      {one, tenantA, map[string]any{"idp": []string{tenantIssuer(tenantA)}}, false},
		"idp of nothing":                           {one, tenantA, map[string]any{"idp": json.RawMessage("null")}, false},
		"a guest whose idp is said to be here":     {one, tenantA, map[string]any{"acct": 1, "idp": tenantIssuer(tenantA)}, false},
		"a guest by idp that acct calls a member":  {one, tenantA, map[string]any{"acct": 0, "idp": "live.com"}, false},
		"the issuer of a tenant that has no slash": {one, tenantA, map[string]any{"idp": "https://sts.windows.net/" + tenantA}, false},
	} {
		claims := tc.s.microsoftClaims(tc.tenant, map[string]any{"email": "bob@corp.example", "xms_edov": true})
		maps.Copy(claims, tc.changes)
		got, err := tc.s.Verify(t.Context(), sign(t, testKeys["rsa"], claims), tc.s.expect())
		if err != nil || !got.EmailVerified || got.ProvedEmail != map[bool]string{true: "bob@corp.example"}[tc.proved] {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// The "nOAuth" takeover: without xms_edov any tenant's administrator may write any address.
func TestMicrosoftsAddressIsProvedByTheOwnerOfItsDomain(t *testing.T) {
	s := newMicrosoft(t, tenantA)
	for edov, proved := range map[string]bool{
		`1`: true, `"1"`: true, `true`: true, `"true"`: true,
		`0`: false, `"0"`: false, `false`: false, `"false"`: false, `2`: false, `1.0`: false, `"yes"`: false, `null`: false, `[1]`: false, `{}`: false,
	} {
		raw := sign(t, testKeys["rsa"], s.microsoftClaims(tenantA, map[string]any{"email": "Someone@EXAMPLE.com", "xms_edov": json.RawMessage(edov)}))
		got, err := s.Verify(t.Context(), raw, s.expect())
		want := ""
		if proved {
			want = "Someone@example.com"
		}
		if err != nil || got.EmailVerified != proved || got.ProvedEmail != want {
			t.Errorf("xms_edov %s: %+v, %v", edov, got, err)
		}
	}
	for name, changes := range map[string]map[string]any{
		"email_verified instead":    {"email_verified": true},
		"preferred_username is one": {"email": nil, "preferred_username": "someone@example.com", "xms_edov": true},
	} {
		got, err := s.Verify(t.Context(), sign(t, testKeys["rsa"], s.microsoftClaims(tenantA, changes)), s.expect())
		if err != nil || got.EmailVerified || got.ProvedEmail != "" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestWhatIsSaidOfAPersonIsTakenOverOrLeftOut(t *testing.T) {
	s := newScene(t, Settings{Type: "google"}, testKeys["rsa"])
	raw := sign(t, testKeys["rsa"], s.claims(map[string]any{
		"given_name": "Some", "family_name": "One", "locale": "pt-BR", "picture": "https://pictures.example/1",
	}))
	got, err := s.Verify(t.Context(), raw, s.expect())
	if err != nil || got.GivenName != "Some" || got.FamilyName != "One" || got.Locale != "pt-BR" || got.Picture != "https://pictures.example/1" {
		t.Errorf("%+v, %v", got, err)
	}
	raw = sign(t, testKeys["rsa"], s.claims(map[string]any{
		"given_name": 7, "family_name": "a\x00b", "locale": []string{"pt"}, "picture": "javascript:alert(1)", "auth_time": nil,
	}))
	got, err = s.Verify(t.Context(), raw, s.expect())
	want := Subject{
		Provider: "google", Issuer: "https://accounts.google.com", Subject: "000123.subject.0456", Audience: testAudience,
		Email: "someone@example.com", EmailVerified: true, Name: "Some One", IssuedAt: s.clock.now().Add(-5 * time.Second),
	}
	if err != nil || *got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}
