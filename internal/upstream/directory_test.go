package upstream

import (
	"errors"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/standin"
)

const documentPath = "/.well-known/openid-configuration"

func TestEndpointsAreDiscoveredOnceWhenTheFirstTripNeedsThem(t *testing.T) {
	j := newJourney(t, standin.OIDC, func(s *Settings) { s.JWKSURI = s.Issuer + "/jwks" })
	if n := j.there.Requests(documentPath); n != 0 {
		t.Errorf("%d discoveries before any trip", n)
	}
	for range 3 {
		if _, err := j.trip(t, "alice"); err != nil {
			t.Fatal(err)
		}
	}
	if n := j.there.Requests(documentPath); n != 1 {
		t.Errorf("%d discoveries, want 1", n)
	}
	j.clock.advance(rediscoverAfter)
	if _, err := j.AuthorizeURL(t.Context(), newTrip()); err != nil || j.there.Requests(documentPath) != 2 {
		t.Errorf("a day later: %v, %d discoveries", err, j.there.Requests(documentPath))
	}
	j.clock.advance(rediscoverAfter)
	j.there.Behave(standin.Behaviour{Status: http.StatusServiceUnavailable})
	for range 3 {
		if _, err := j.AuthorizeURL(t.Context(), newTrip()); err != nil {
			t.Errorf("while the document is gone: %v", err)
		}
	}
	if n := j.there.Requests(documentPath); n != 3 {
		t.Errorf("%d discoveries: they are not throttled", n)
	}
}

// A provider that falls silent when its document is to be read anew holds up the one who asks, and nobody else.
func TestWhileADocumentIsReadAnewTheOneBeforeServes(t *testing.T) {
	j := newJourney(t, standin.OIDC, nil)
	if j.Known() {
		t.Error("known before anybody asked")
	}
	before, err := j.AuthorizeURL(t.Context(), newTrip())
	if err != nil || !j.Known() {
		t.Fatal(err)
	}
	silence, asked := make(chan struct{}), make(chan error, 1)
	j.there.Behave(standin.Behaviour{Until: silence})
	j.clock.advance(rediscoverAfter)
	go func() {
		_, err := j.AuthorizeURL(t.Context(), newTrip())
		asked <- err
	}()
	for j.there.Requests(documentPath) < 2 {
		runtime.Gosched()
	}
	after, err := j.AuthorizeURL(t.Context(), newTrip())
	j.directory.mu.Lock()
	waits := j.directory.asked
	j.directory.mu.Unlock()
	if err != nil || !waits {
		t.Errorf("%v; somebody still waits for the document: %t", err, waits)
	}
	if endOf(before) != endOf(after) {
		t.Errorf("%s, not %s", after, before)
	}
	close(silence)
	if err := <-asked; err != nil {
		t.Error(err)
	}
}

// endOf is an address without its query.
func endOf(address string) string {
	address, _, _ = strings.Cut(address, "?")
	return address
}

func TestAProviderThatIsDownAtTheFirstTripIsNotAskedWithEveryVisitor(t *testing.T) {
	j := newJourney(t, standin.OIDC, nil)
	j.there.Behave(standin.Behaviour{Status: http.StatusServiceUnavailable})
	for range 3 {
		if address, err := j.AuthorizeURL(t.Context(), newTrip()); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("%s, %v", address, err)
		}
	}
	if n := j.there.Requests(documentPath); n != 1 {
		t.Errorf("%d discoveries, want 1", n)
	}
	j.there.Behave(standin.Behaviour{})
	j.clock.advance(discoverRetry)
	if _, err := j.trip(t, "alice"); err != nil {
		t.Error(err)
	}
}

// OIDC Discovery §4.3, ID01: the document must be the configured issuer's, and lead nowhere less safe.
func TestDocumentsThatAreRefused(t *testing.T) {
	for name, change := range map[string]func(map[string]any){
		"another issuer":               func(d map[string]any) { d["issuer"] = "https://evil.example" },
		"the issuer with a slash":      func(d map[string]any) { d["issuer"] = d["issuer"].(string) + "/" },
		"no issuer":                    func(d map[string]any) { delete(d, "issuer") },
		"nowhere to authorize":         func(d map[string]any) { delete(d, "authorization_endpoint") },
		"no token endpoint":            func(d map[string]any) { delete(d, "token_endpoint") },
		"a script to authorize":        func(d map[string]any) { d["authorization_endpoint"] = "javascript:alert(1)" },
		"a token endpoint as a list":   func(d map[string]any) { d["token_endpoint"] = []string{"https://x.example"} },
		"somebody in the address":      func(d map[string]any) { d["token_endpoint"] = "https://u:p@x.example/" },
		"a fragment":                   func(d map[string]any) { d["authorization_endpoint"] = "https://x.example/#a" },
		"userinfo that is no address":  func(d map[string]any) { d["userinfo_endpoint"] = "/userinfo" },
		"methods that are no list":     func(d map[string]any) { d["token_endpoint_auth_methods_supported"] = 7 },
		"a promise of iss that is odd": func(d map[string]any) { d["authorization_response_iss_parameter_supported"] = "perhaps" },
	} {
		j := newJourney(t, standin.OIDC, nil)
		j.there.Misbehave(standin.Mischief{Discovery: change})
		if address, err := j.AuthorizeURL(t.Context(), newTrip()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %s, %v", name, address, err)
		}
	}
	if _, err := endpointOf(mustObject(t, `{"e":"http://127.0.0.1/a"}`), "e", "https://corp.example"); err == nil {
		t.Error("an https issuer leads to plain http")
	}
}

// OIDC Core §9, OIDC Discovery §3: the secret goes where the provider reads it.
func TestTheSecretIsSentAsTheProviderWantsIt(t *testing.T) {
	for name, tc := range map[string]struct {
		methods any // nil: absent
		basic   bool
	}{
		"both":       {[]string{"client_secret_basic", "client_secret_post"}, false},
		"post":       {[]string{"client_secret_post"}, false},
		"basic":      {[]string{"client_secret_basic"}, true},
		"no list":    {nil, true},
		"some other": {[]string{"private_key_jwt"}, false},
	} {
		j := newJourney(t, standin.OIDC, nil)
		j.there.Misbehave(standin.Mischief{Discovery: func(d map[string]any) {
			d["token_endpoint_auth_methods_supported"] = tc.methods
			if tc.methods == nil {
				delete(d, "token_endpoint_auth_methods_supported")
			}
		}})
		if _, err := j.trip(t, "alice"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		at, err := j.directory.look(t.Context())
		if err != nil || at.basic != tc.basic {
			t.Errorf("%s: %+v, %v", name, at, err)
		}
	}
}

func TestConfiguredEndpointsAreNotAskedFor(t *testing.T) {
	j := newJourney(t, standin.OIDC, func(s *Settings) {
		s.JWKSURI, s.AuthorizeURL, s.TokenURL = s.Issuer+"/jwks", s.Issuer+"/authorize", s.Issuer+"/token"
	})
	if _, err := j.trip(t, "alice"); err != nil || j.there.Requests(documentPath) != 0 {
		t.Errorf("%v, %d discoveries", err, j.there.Requests(documentPath))
	}
}

func TestSettingsOfARedirectThatAreRefused(t *testing.T) {
	const at = "https://corp.example"
	for name, s := range map[string]Settings{
		"github without a client":          {Type: "github"},
		"github without a secret":          {Type: "github", ClientID: "us"},
		"google, a secret without an id":   {Type: "google", ClientSecret: "s"},
		"apple without its key":            {Type: "apple", ClientID: "services.id"},
		"apple with a secret":              {Type: "apple", ClientID: "services.id", ClientSecret: "s"},
		"google with tenants":              {Type: "google", Tenant: "common"},
		"oidc, an endpoint that is none":   {Type: "oidc", Issuer: at, ClientID: "us", ClientSecret: "s", AuthorizeURL: "/a"},
		"oidc as GitHub":                   {Type: "oidc", Issuer: githubIssuer},
		"oidc without openid":              {Type: "oidc", Issuer: at, ClientID: "us", ClientSecret: "s", Scopes: []string{"profile"}},
		"oauth2 without userinfo":          {Type: "oauth2", Issuer: at, ClientID: "us", ClientSecret: "s", AuthorizeURL: at, TokenURL: at},
		"oauth2 without an issuer":         {Type: "oauth2", ClientID: "us", ClientSecret: "s", AuthorizeURL: at, TokenURL: at, UserInfoURL: at},
		"oauth2 in Google's name":          {Type: "oauth2", Issuer: "https://accounts.google.com", ClientID: "us", ClientSecret: "s", AuthorizeURL: at, TokenURL: at, UserInfoURL: at},
		"oauth2, verified but no address":  {Type: "oauth2", Issuer: at, ClientID: "us", ClientSecret: "s", AuthorizeURL: at, TokenURL: at, UserInfoURL: at, EmailVerifiedClaim: "ok"},
		"a type that nobody knows":         {Type: "saml"},
		"google, a scope with a line feed": {Type: "google", ClientID: "us", ClientSecret: "s", Scopes: []string{"openid", "a\nb"}},
	} {
		s.Name = "p"
		if _, err := New(s, nil, time.Now); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
