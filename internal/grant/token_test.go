package grant

import (
	"testing"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/internal/oauth"
)

func TestTheTypeOfAClientDecidesItsGrants(t *testing.T) { // rfc6749-2.1-01
	google := []domain.ClientProvider{{Name: "google", Audiences: []string{"web"}}}
	native := &domain.Client{Type: domain.ClientNative, AuthMethod: domain.AuthNone, Providers: google}
	browser := &domain.Client{Type: domain.ClientBrowser, AuthMethod: domain.AuthNone, Providers: google}
	web := &domain.Client{Type: domain.ClientWeb, AuthMethod: domain.AuthSecretBasic, Providers: google}
	bare := &domain.Client{Type: domain.ClientNative, AuthMethod: domain.AuthNone}
	pages := &domain.Client{
		Type: domain.ClientNative, AuthMethod: domain.AuthNone, RedirectURIs: []string{"com.example.app:/cb"},
		Providers: []domain.ClientProvider{{Name: "google"}}, DeviceGrant: true,
	}
	service := &domain.Client{Type: domain.ClientService, AuthMethod: domain.AuthSecretBasic, Providers: google}
	open := &domain.Client{Type: domain.ClientService, AuthMethod: domain.AuthNone}

	for _, c := range []struct {
		name   string
		client *domain.Client
		grant  string
		want   oauth.Code
	}{
		{"native signs in", native, oauth.GrantTokenExchange, ""},
		{"native refreshes", native, oauth.GrantRefreshToken, ""},
		{"native asks for itself", native, oauth.GrantClientCredentials, oauth.UnauthorizedClient},
		{"browser signs in", browser, oauth.GrantTokenExchange, ""},
		{"browser refreshes", browser, oauth.GrantRefreshToken, ""},
		{"browser asks for itself", browser, oauth.GrantClientCredentials, oauth.UnauthorizedClient},
		{"web signs in", web, oauth.GrantTokenExchange, ""},
		{"web refreshes", web, oauth.GrantRefreshToken, ""},
		{"web asks for itself", web, oauth.GrantClientCredentials, oauth.UnauthorizedClient},
		{"a client without providers has nothing to exchange", bare, oauth.GrantTokenExchange, oauth.UnauthorizedClient},
		{"nor one whose providers have no audiences", pages, oauth.GrantTokenExchange, oauth.UnauthorizedClient},
		{"but it redeems codes", pages, oauth.GrantCode, ""},
		{"and may be a device", pages, oauth.GrantDeviceCode, ""},
		{"without redirect URIs there is no code", native, oauth.GrantCode, oauth.UnauthorizedClient},
		{"nor is everything a device", native, oauth.GrantDeviceCode, oauth.UnauthorizedClient},
		{"but may refresh", bare, oauth.GrantRefreshToken, ""},
		{"a service asks for itself", service, oauth.GrantClientCredentials, ""},
		{"a service signs nobody in", service, oauth.GrantTokenExchange, oauth.UnauthorizedClient},
		{"a service has no session", service, oauth.GrantRefreshToken, oauth.UnauthorizedClient},
		{"rfc6749-4.4-01 only a confidential one", open, oauth.GrantClientCredentials, oauth.UnauthorizedClient},
		{"rfc9700-2.4-01 the password grant is not there", native, "password", oauth.UnsupportedGrantType},
		{"rfc6749-5.2-06 an unknown grant", native, "urn:example:magic", oauth.UnsupportedGrantType},
		{"another case", native, "Refresh_Token", oauth.UnsupportedGrantType},
		{"rfc6749-5.2-02 none", native, "", oauth.InvalidRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := mayUse(c.client, c.grant)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || oauth.AsError(err).Code != c.want {
				t.Error(err)
			}
		})
	}
}

func TestWhatNativeSignInHasNoUseForIsRefused(t *testing.T) {
	good := Request{SubjectToken: "x", SubjectTokenType: oauth.TypeIDToken}
	for _, c := range []struct {
		name   string
		change func(*Request)
		want   oauth.Code
	}{
		{"an id_token alone", func(*Request) {}, ""},
		{"an access token asked for by name", func(r *Request) { r.RequestedTokenType = oauth.TypeAccessToken }, ""},
		{"rfc8693-2.1-02 no subject_token", func(r *Request) { r.SubjectToken = "" }, oauth.InvalidRequest},
		{"rfc8693-2.1-02 no subject_token_type", func(r *Request) { r.SubjectTokenType = "" }, oauth.InvalidRequest},
		{"TX01 TX04 rfc8693-3-01 an access token as subject", func(r *Request) { r.SubjectTokenType = oauth.TypeAccessToken }, oauth.InvalidRequest},
		{"TX04 a refresh token as subject", func(r *Request) { r.SubjectTokenType = "urn:ietf:params:oauth:token-type:refresh_token" }, oauth.InvalidRequest},
		{"TX04 any JWT as subject", func(r *Request) { r.SubjectTokenType = "urn:ietf:params:oauth:token-type:jwt" }, oauth.InvalidRequest},
		{"TX04 an actor", func(r *Request) { r.ActorToken, r.ActorTokenType = "y", oauth.TypeIDToken }, oauth.InvalidRequest},
		{"rfc8693-2.1-03 half an actor", func(r *Request) { r.ActorTokenType = oauth.TypeIDToken }, oauth.InvalidRequest},
		{"rfc8693-2.1-06 another token asked for", func(r *Request) { r.RequestedTokenType = oauth.TypeIDToken }, oauth.InvalidRequest},
		{"an audience", func(r *Request) { r.Audience = []string{"https://api.example.com"} }, oauth.InvalidTarget},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := good
			c.change(&r)
			err := checkExchange(r)
			if (err == nil) != (c.want == "") || err != nil && oauth.AsError(err).Code != c.want {
				t.Error(err)
			}
		})
	}
}

func TestTheTierDecidesWhichKeyAnAccessTokenGets(t *testing.T) {
	proof := &dpop.Proof{JKT: "of the request"}
	for _, c := range []struct {
		name  string
		tier  domain.Tier
		proof *dpop.Proof
		want  string
	}{
		{"a bound session its own", domain.TierBound, proof, "of the session"},
		{"RT12 a bearer session none, whatever comes", domain.TierBearer, proof, ""},
		{"rfc9449-5-05 a confidential client the one it sent", domain.TierStable, proof, "of the request"},
		{"or none", domain.TierStable, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ses := &domain.Session{Tier: c.tier}
			if c.tier == domain.TierBound {
				ses.JKT = "of the session"
			}
			if got := boundTo(ses, &call{proof: c.proof}); got != c.want {
				t.Errorf("%q", got)
			}
		})
	}
}
