package clientmeta

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/oauth"
)

// terms are those of an operator who lets people sign in by one provider, to one resource.
func terms() *Terms {
	return &Terms{
		Scopes: []string{"openid", "email", "offline_access", "todos.read"}, Resources: []string{"todo-api"},
		Providers: []string{"corp"}, Passkeys: true, DetailTypes: []string{"payment"}, TLS: true, Public: fetch.New(fetch.Options{}).CheckPublic,
	}
}

const (
	ecKey     = `{"kty":"EC","crv":"P-256","kid":"a","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	ecPrivate = `{"kty":"EC","crv":"P-256","kid":"a","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}`
)

// judged reads and judges a document of these members, on top of one redirect URI.
func judged(t *testing.T, by domain.RegisteredBy, text string) (*domain.Client, *Metadata, error) {
	t.Helper()
	doc, err := Parse([]byte(text))
	if err != nil {
		return nil, nil, err
	}
	c, err := terms().Judge(&doc.Metadata, by)
	return c, &doc.Metadata, err
}

const (
	web  = `"redirect_uris":["https://app.example/cb"]`
	none = `"token_endpoint_auth_method":"none"`
)

func TestMetadataBecomesAClientOfTheTypeItDescribes(t *testing.T) {
	for _, c := range []struct {
		name, text string
		kind       domain.ClientType
		method     domain.AuthMethod
	}{
		{"rfc7591-2-02 nothing but where to return", `{` + web + `}`, domain.ClientWeb, domain.AuthSecretBasic},
		{"a secret in the body", `{` + web + `,"token_endpoint_auth_method":"client_secret_post"}`, domain.ClientWeb, domain.AuthSecretPost},
		{"keys", `{` + web + `,"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[` + ecKey + `]}}`, domain.ClientWeb, domain.AuthPrivateKey},
		{"keys elsewhere", `{` + web + `,"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://app.example/jwks"}`, domain.ClientWeb, domain.AuthPrivateKey},
		{"a certificate", `{` + web + `,"token_endpoint_auth_method":"tls_client_auth","tls_client_auth_san_dns":"app.example"}`, domain.ClientWeb, domain.AuthTLS},
		{"a page in a browser", `{` + web + `,` + none + `}`, domain.ClientBrowser, domain.AuthNone},
		{"a native app with a claimed link", `{` + web + `,` + none + `,"application_type":"native"}`, domain.ClientNative, domain.AuthNone},
		{"a native app with a scheme", `{"redirect_uris":["com.example.app:/cb"],` + none + `}`, domain.ClientNative, domain.AuthNone},
		{"a native app on loopback", `{"redirect_uris":["http://127.0.0.1/cb"],` + none + `}`, domain.ClientNative, domain.AuthNone},
		{"by name", `{"redirect_uris":["http://localhost:8080/cb"],` + none + `}`, domain.ClientNative, domain.AuthNone},
		{"a device", `{"grant_types":["urn:ietf:params:oauth:grant-type:device_code","refresh_token"],` + none + `}`, domain.ClientNative, domain.AuthNone},
		{"what asks for itself", `{"grant_types":["client_credentials"]}`, domain.ClientService, domain.AuthSecretBasic},
	} {
		client, _, err := judged(t, domain.RegisteredByToken, c.text)
		if err != nil || client.Type != c.kind || client.AuthMethod != c.method || client.FirstParty || client.Registered != domain.RegisteredByToken {
			t.Errorf("%s: %+v %v", c.name, client, err)
		}
	}
}

// rfc7591-2-03, rfc7591-3.2.1-02, oidc-registration-2-03: what is registered is what the answer says.
func TestAClientGetsWhatTheOperatorLetsClientsHave(t *testing.T) {
	c, m, err := judged(t, domain.RegisteredByAnybody, `{`+web+`,"scope":"openid todos.read account.manage mail.read","unheard_of":[1],"client_name#de":"Notizen","dpop_bound_access_tokens":true,"contacts":null}`)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.Scopes, []string{"openid", "todos.read"}) || m.Scope != "openid todos.read" {
		t.Errorf("scopes %v, %q", c.Scopes, m.Scope)
	}
	if len(c.Providers) != 1 || c.Providers[0].Name != "corp" || len(c.Providers[0].Audiences) > 0 || !c.Passkeys || c.Email {
		t.Errorf("ways to sign in: %+v", c)
	}
	if !slices.Equal(c.Resources, []string{"todo-api"}) || c.DPoP != domain.DPoPRequired || !c.Unverified() || c.IDTokenAlg != domain.RS256 {
		t.Errorf("%+v", c)
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"unheard_of", "client_name", "contacts"} {
		if strings.Contains(string(text), name) {
			t.Errorf("%s is registered: %s", name, text)
		}
	}
	for _, want := range []string{`"token_endpoint_auth_method":"client_secret_basic"`, `"grant_types":["authorization_code"]`, `"response_types":["code"]`, `"application_type":"web"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is missing: %s", want, text)
		}
	}
	service, _, err := judged(t, domain.RegisteredByToken, `{"grant_types":["client_credentials"]}`)
	if err != nil || !slices.Equal(service.Scopes, []string{"todos.read"}) || len(service.Providers) > 0 || service.Passkeys {
		t.Errorf("a service: %+v %v", service, err)
	}
}

// rfc7591-2.1-01: the scope for refresh tokens and the grant go together.
func TestOfflineAccessIsForWhoRefreshes(t *testing.T) {
	const code = `"grant_types":["authorization_code"`
	for in, offline := range map[string]bool{
		`{` + web + `}`: true,
		`{` + web + `,"scope":"openid offline_access"}`:                true,
		`{` + web + `,"scope":"openid"}`:                               false,
		`{` + web + `,` + code + `]}`:                                  false,
		`{` + web + `,` + code + `],"scope":"openid offline_access"}`:  false,
		`{` + web + `,` + code + `,"refresh_token"]}`:                  true,
		`{` + web + `,` + code + `,"refresh_token"],"scope":"openid"}`: false,
	} {
		c, m, err := judged(t, domain.RegisteredByAnybody, in)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(c.Scopes, oauth.ScopeOfflineAccess) != offline || offline && !slices.Contains(m.GrantTypes, oauth.GrantRefreshToken) {
			t.Errorf("%s: %v %v", in, c.Scopes, m.GrantTypes)
		}
	}
}

// Whoever is refused reads what to do, in ASCII.
func TestARefusedRedirectURIComesWithItsRemedy(t *testing.T) {
	for uri, want := range map[string]string{
		"myapp:/cb":             "a domain of yours in reverse",
		"http://app.example/cb": "use https",
		"https://192.0.2.1/cb":  "use the name of a host",
	} {
		_, _, err := judged(t, domain.RegisteredByAnybody, `{"redirect_uris":["`+uri+`"],`+none+`}`)
		if said := oauth.AsError(err).Description; !strings.Contains(said, want) {
			t.Errorf("%s: %s", uri, said)
		}
	}
	_, _, err := judged(t, domain.RegisteredByAnybody, `{"redirect_uris":["com.example.app:/cb"]}`)
	if said := oauth.AsError(err).Description; !strings.Contains(said, "register application_type native with token_endpoint_auth_method none") {
		t.Error(said)
	}
}

// rfc7591-2-01, rfc7591-3.2.2-01, rfc7591-3.2.2-02
func TestMetadataThatIsRefused(t *testing.T) {
	long := strings.Repeat("x", 101)
	uris := `["https://app.example/0"`
	for i := range 20 {
		uris += fmt.Sprintf(`,"https://app.example/%d"`, i+1)
	}
	for _, c := range []struct {
		name, text string
		want       oauth.Code
	}{
		{"no object", `[]`, oauth.InvalidClientMetadata},
		{"null", `null`, oauth.InvalidClientMetadata},
		{"nothing", ``, oauth.InvalidClientMetadata},
		{"something after it", `{` + web + `} {}`, oauth.InvalidClientMetadata},
		{"a member twice", `{` + web + `,"scope":"a","scope":"b"}`, oauth.InvalidClientMetadata},
		{"a member in two spellings", `{` + web + `,"scope":"a","Scope":"b"}`, oauth.InvalidClientMetadata},
		{"a list as a text", `{"redirect_uris":"https://app.example/cb"}`, oauth.InvalidRedirectURI},
		{"a null in a list", `{"redirect_uris":["https://app.example/cb",null]}`, oauth.InvalidRedirectURI},
		{"a text as a number", `{` + web + `,"client_name":7}`, oauth.InvalidClientMetadata},
		{"a flag as a text", `{` + web + `,"dpop_bound_access_tokens":"true"}`, oauth.InvalidClientMetadata},
		{"too large", `{` + web + `,"x":"` + strings.Repeat("x", MaxBytes) + `"}`, oauth.InvalidClientMetadata},

		{"rfc7591-2-04 no redirect URI", `{}`, oauth.InvalidRedirectURI},
		{"RG04 a star", `{"redirect_uris":["https://*.app.example/cb"]}`, oauth.InvalidRedirectURI},
		{"RG04 a user name", `{"redirect_uris":["https://app.example@evil.example/cb"]}`, oauth.InvalidRedirectURI},
		{"RG04 a fragment", `{"redirect_uris":["https://app.example/cb#x"]}`, oauth.InvalidRedirectURI},
		{"RG04 an empty fragment", `{"redirect_uris":["https://app.example/cb#"]}`, oauth.InvalidRedirectURI},
		{"RG04 an address", `{"redirect_uris":["https://192.0.2.1/cb"]}`, oauth.InvalidRedirectURI},
		{"RG04 an address as a number", `{"redirect_uris":["https://3221225985/cb"]}`, oauth.InvalidRedirectURI},
		{"RG04 an address in hexadecimal", `{"redirect_uris":["https://0xc0000201/cb"]}`, oauth.InvalidRedirectURI},
		{"RG04 an address of IPv6", `{"redirect_uris":["https://[2001:db8::1]/cb"]}`, oauth.InvalidRedirectURI},
		{"RG04 more than 20", `{"redirect_uris":` + uris + `]}`, oauth.InvalidRedirectURI},
		{"one twice", `{"redirect_uris":["https://app.example/cb","https://app.example/cb"]}`, oauth.InvalidRedirectURI},
		{"a script", `{"redirect_uris":["javascript:alert(1)"],` + none + `}`, oauth.InvalidRedirectURI},
		{"plain http", `{"redirect_uris":["http://app.example/cb"]}`, oauth.InvalidRedirectURI},
		{"oidc-registration-2-01 loopback of what says it is a web app", `{"redirect_uris":["http://127.0.0.1/cb"],` + none + `,"application_type":"web"}`, oauth.InvalidRedirectURI},
		{"loopback of a server", `{"redirect_uris":["http://127.0.0.1/cb"]}`, oauth.InvalidRedirectURI},
		{"a scheme of a server", `{"redirect_uris":["com.example.app:/cb"]}`, oauth.InvalidRedirectURI},
		{"a scheme that could be anybody's", `{"redirect_uris":["app:/cb"],` + none + `}`, oauth.InvalidRedirectURI},
		{"redirect URIs of a device", `{` + web + `,"grant_types":["urn:ietf:params:oauth:grant-type:device_code"],` + none + `}`, oauth.InvalidRedirectURI},

		{"an unknown method", `{` + web + `,"token_endpoint_auth_method":"client_secret_jwt"}`, oauth.InvalidClientMetadata},
		{"a native app with a secret", `{` + web + `,"application_type":"native"}`, oauth.InvalidClientMetadata},
		{"another application type", `{` + web + `,"application_type":"tv"}`, oauth.InvalidClientMetadata},
		{"the implicit grant", `{` + web + `,"grant_types":["implicit"],"response_types":["token"]}`, oauth.InvalidClientMetadata},
		{"rfc7591-2.1-01 a grant and a response that do not fit", `{` + web + `,"grant_types":["refresh_token"],"response_types":["code"]}`, oauth.InvalidClientMetadata},
		{"rfc7591-2.1-01 the other way", `{` + web + `,"response_types":["token"]}`, oauth.InvalidClientMetadata},
		{"refresh tokens alone", `{"grant_types":["refresh_token"]}`, oauth.InvalidClientMetadata},
		{"a public client that asks for itself", `{"grant_types":["client_credentials"],` + none + `}`, oauth.InvalidClientMetadata},
		{"both for itself and for people", `{` + web + `,"grant_types":["client_credentials","authorization_code"]}`, oauth.InvalidClientMetadata},
		{"scopes that nobody may have", `{` + web + `,"scope":"account.manage"}`, oauth.InvalidClientMetadata},
		{"a scope with a quote", `{` + web + `,"scope":"a\"b"}`, oauth.InvalidClientMetadata},
		{"details of no resource", `{` + web + `,"authorization_details_types":["nuclear"]}`, oauth.InvalidClientMetadata},

		{"rfc7591-2-05 keys twice", `{` + web + `,"jwks":{"keys":[` + ecKey + `]},"jwks_uri":"https://app.example/jwks"}`, oauth.InvalidClientMetadata},
		{"no keys", `{` + web + `,"token_endpoint_auth_method":"private_key_jwt"}`, oauth.InvalidClientMetadata},
		{"no key in the set", `{` + web + `,"jwks":{"keys":[]}}`, oauth.InvalidClientMetadata},
		{"jwks as a text", `{` + web + `,"jwks":"{}"}`, oauth.InvalidClientMetadata},
		{"RG05 a private key", `{` + web + `,"jwks":{"keys":[` + ecPrivate + `]}}`, oauth.InvalidClientMetadata},
		{"RG05 a private key behind a public one", `{` + web + `,"jwks":{"keys":[` + ecKey + `,` + ecPrivate + `]}}`, oauth.InvalidClientMetadata},
		{"RG05 a symmetric key", `{` + web + `,"jwks":{"keys":[` + ecKey + `,{"kty":"oct","k":"c2VjcmV0"}]}}`, oauth.InvalidClientMetadata},
		{"rfc8705 no subject", `{` + web + `,"token_endpoint_auth_method":"tls_client_auth"}`, oauth.InvalidClientMetadata},
		{"rfc8705 two subjects", `{` + web + `,"token_endpoint_auth_method":"tls_client_auth","tls_client_auth_san_dns":"a.example","tls_client_auth_san_ip":"192.0.2.1"}`, oauth.InvalidClientMetadata},
		{"a subject without the method", `{` + web + `,"tls_client_auth_san_dns":"a.example"}`, oauth.InvalidClientMetadata},

		{"oidc-registration-2-03 unsigned ID tokens", `{` + web + `,"id_token_signed_response_alg":"none"}`, oauth.InvalidClientMetadata},
		{"ID tokens signed with the secret", `{` + web + `,"id_token_signed_response_alg":"HS256"}`, oauth.InvalidClientMetadata},
		{"unsigned requests", `{` + web + `,"request_object_signing_alg":"none"}`, oauth.InvalidClientMetadata},
		{"signed requests without keys", `{` + web + `,"require_signed_request_object":true}`, oauth.InvalidClientMetadata},
		{"an unknown subject type", `{` + web + `,"subject_type":"secret"}`, oauth.InvalidClientMetadata},
		{"RG07 a device in a sector of its choice", `{"grant_types":["urn:ietf:params:oauth:grant-type:device_code"],"token_endpoint_auth_method":"none","subject_type":"pairwise","sector_identifier_uri":"https://victim.example/any.json"}`, oauth.InvalidClientMetadata},
		{"a device in the sector of a redirect it never answers at", `{"redirect_uris":["https://victim.example/cb"],"grant_types":["authorization_code","urn:ietf:params:oauth:grant-type:device_code"],"subject_type":"pairwise"}`, oauth.InvalidClientMetadata},
		{"a device in a sector, and public so far", `{"redirect_uris":["https://a.example/cb"],"grant_types":["authorization_code","urn:ietf:params:oauth:grant-type:device_code"],"sector_identifier_uri":"https://a.example/any.json"}`, oauth.InvalidClientMetadata},
		{"RG07 a service in a sector", `{"grant_types":["client_credentials"],"sector_identifier_uri":"https://victim.example/any.json"}`, oauth.InvalidClientMetadata},
		{"oidc-registration-5-02 pairwise over two hosts", `{"redirect_uris":["https://a.example/cb","https://b.example/cb"],"subject_type":"pairwise"}`, oauth.InvalidClientMetadata},
		{"a negative age", `{` + web + `,"default_max_age":-1}`, oauth.InvalidClientMetadata},
		{"a fragment in an address", `{` + web + `,"backchannel_logout_uri":"https://app.example/x#y"}`, oauth.InvalidClientMetadata},

		{"RG06 a name that turns the text", `{` + web + `,"client_name":"Goog\u202ele"}`, oauth.InvalidClientMetadata},
		{"RG06 a name with a mark from right to left", `{` + web + `,"client_name":"a\u200fb"}`, oauth.InvalidClientMetadata},
		{"RG06 a name with a space nobody sees", `{` + web + `,"client_name":"Goo\u200bgle"}`, oauth.InvalidClientMetadata},
		{"RG06 a name with a control character", `{` + web + `,"client_name":"a\u0007b"}`, oauth.InvalidClientMetadata},
		{"RG06 a name that is too long", `{` + web + `,"client_name":"` + long + `"}`, oauth.InvalidClientMetadata},
	} {
		_, _, err := judged(t, domain.RegisteredByToken, c.text)
		var e *oauth.Error
		if !errors.As(err, &e) || e.Code != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// RG01: every address is judged by how it is written. Nothing here can open a socket.
func TestNoAddressOfOurOwnNetworkIsTaken(t *testing.T) {
	for _, host := range []string{
		"127.0.0.1", "localhost", "app.localhost", "169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "[::1]", "[fd00::1]",
		"[fe80::1]", "[::ffff:10.0.0.1]", "[::ffff:7f00:1]", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "printer", "vault.internal", "nas.local", "0.0.0.0",
	} {
		for _, name := range []string{"jwks_uri", "logo_uri", "sector_identifier_uri", "backchannel_logout_uri", "client_uri", "policy_uri", "tos_uri"} {
			_, _, err := judged(t, domain.RegisteredByAnybody, fmt.Sprintf(`{%s,%q:"https://%s/x"}`, web, name, host))
			if oauth.AsError(err).Code != oauth.InvalidClientMetadata || err == nil {
				t.Errorf("%s at %s: %v", name, host, err)
			}
		}
		if _, _, err := judged(t, domain.RegisteredByAnybody, fmt.Sprintf(`{%s,"request_uris":["https://%s/x#hash"]}`, web, host)); err == nil {
			t.Errorf("request_uris at %s", host)
		}
	}
	for _, address := range []string{"http://app.example/x", "ftp://app.example/x", "https://user@app.example/x", "javascript:alert(1)", "//app.example/x", "https://app.example/x y"} {
		if _, _, err := judged(t, domain.RegisteredByAnybody, fmt.Sprintf(`{%s,"jwks_uri":%q}`, web, address)); err == nil {
			t.Errorf("%s was taken", address)
		}
	}
}

func TestAStrangerIsNoService(t *testing.T) {
	for _, by := range []domain.RegisteredBy{domain.RegisteredByAnybody, domain.RegisteredByDocument} {
		text := `{"grant_types":["client_credentials"],"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[` + ecKey + `]}}`
		if _, _, err := judged(t, by, text); oauth.AsError(err).Code != oauth.InvalidClientMetadata || err == nil {
			t.Errorf("%s: %v", by, err)
		}
	}
}

// cimd-4.1-03
func TestADocumentSharesNoSecret(t *testing.T) {
	for text, want := range map[string]bool{
		`{` + web + `}`: true,
		`{` + web + `,"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[` + ecKey + `]}}`: true,
		`{` + web + `,"token_endpoint_auth_method":"client_secret_basic"}`:                             false,
		`{` + web + `,"token_endpoint_auth_method":"client_secret_post"}`:                              false,
		`{` + web + `,"token_endpoint_auth_method":"client_secret_jwt"}`:                               false,
	} {
		if _, _, err := judged(t, domain.RegisteredByDocument, text); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// RG06
func TestANameHasOneSpelling(t *testing.T) {
	for given, want := range map[string]string{
		"Cafe\\u0301": "Caf\u00e9", "  Notes \\t of\\u00a0mine ": "", "<b>Notes</b>": "<b>Notes</b>", " Notes  2 ": "Notes 2", "\\u0646\\u0627\\u0645\\u200c\\u0647": "\u0646\u0627\u0645\u200c\u0647",
	} {
		c, _, err := judged(t, domain.RegisteredByAnybody, `{`+web+`,"client_name":"`+given+`"}`)
		if want == "" {
			if err == nil {
				t.Errorf("%q was taken as %q", given, c.Name)
			}
			continue
		}
		if err != nil || c.Name != want {
			t.Errorf("%q: %v %v", given, c, err)
		}
	}
}

// oidc-registration-5-01, oidc-registration-5-02
func TestASectorListsEveryRedirectURI(t *testing.T) {
	redirects := []string{"https://a.example/cb", "https://b.example/cb"}
	for text, want := range map[string]bool{
		`["https://b.example/cb","https://a.example/cb","https://c.example/cb"]`: true,
		`["https://a.example/cb"]`: false, `[]`: false, `null`: false, `{}`: false, `"https://a.example/cb"`: false, `[1]`: false,
		`["https://a.example/cb","https://b.example/cb"] []`: false, ``: false,
		`["https://a.example/cb"],"uris2":["https://b.example/cb"]`: false,
	} {
		if err := CheckSector([]byte(text), redirects); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
	c, _, err := judged(t, domain.RegisteredByToken, `{"redirect_uris":["https://a.example/cb","https://b.example/cb"],"subject_type":"pairwise","sector_identifier_uri":"https://Sector.example/list"}`)
	if err != nil || !c.Pairwise || c.Sector != "sector.example" {
		t.Errorf("%+v %v", c, err)
	}
	c, _, err = judged(t, domain.RegisteredByToken, `{"redirect_uris":["https://a.example/cb","https://a.example/2"],"subject_type":"pairwise"}`)
	if err != nil || !c.Pairwise || c.Sector != "a.example" {
		t.Errorf("%+v %v", c, err)
	}
	if CheckSector([]byte(`[]`), nil) == nil || CheckSector([]byte(`["https://victim.example/cb"]`), nil) == nil {
		t.Error("a list endorses who has no redirect URIs")
	}
}

// cimd-3-01
func TestWhatIsTheAddressOfADocument(t *testing.T) {
	for id, want := range map[string]bool{
		"https://app.example/client":                        true,
		"https://app.example/client.json":                   true,
		"https://app.example:8443/oauth/client":             true,
		"https://app.example/a%20b":                         true,
		"https://app.example/":                              false,
		"https://app.example":                               false,
		"http://app.example/client":                         false,
		"HTTPS://app.example/client":                        false,
		"https://App.example/client":                        false,
		"https://app.example/client#x":                      false,
		"https://app.example/client#":                       false,
		"https://app.example/client?x=1":                    false,
		"https://user@app.example/client":                   false,
		"https://user:pw@app.example/client":                false,
		"https://app.example/a/../client":                   false,
		"https://app.example/./client":                      false,
		"https://app.example/%2e%2E/client":                 false,
		"https://app.example/..":                            false,
		"https://app.example:443/client":                    false,
		"https://app.example:/client":                       false,
		"https://app.example:08443/client":                  false,
		"https:///client":                                   false,
		"https:app.example/client":                          false,
		"https://app.example\\client":                       false,
		"https://app.example/cl ient":                       false,
		"https://app.example/clïent":                        false,
		"https://app.example/" + strings.Repeat("x", 1<<10): false,
		"dyn_x": false, "": false,
	} {
		if IsDocumentID(id) != want {
			t.Errorf("%s: %v", id, !want)
		}
	}
}

// FuzzJudge asserts of whatever is taken that it stays within the terms, and that it reads the same when it is read again.
func FuzzJudge(f *testing.F) {
	for _, seed := range []string{
		`{` + web + `}`, `{` + web + `,` + none + `,"scope":"openid todos.read"}`, `{"grant_types":["client_credentials"]}`,
		`{` + web + `,"jwks":{"keys":[` + ecKey + `]},"token_endpoint_auth_method":"private_key_jwt"}`, `{"redirect_uris":["com.example:/x"],` + none + `}`,
		`{` + web + `,"subject_type":"pairwise","sector_identifier_uri":"https://s.example/"}`, `{` + web + `,"tls_client_auth_san_ip":"::1","token_endpoint_auth_method":"tls_client_auth"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := Parse(data)
		if err != nil {
			return
		}
		c, err := terms().Judge(&doc.Metadata, domain.RegisteredByAnybody)
		if err != nil {
			if oauth.AsError(err).Code == oauth.ServerError {
				t.Fatal(err)
			}
			return
		}
		if c.FirstParty || !c.Unverified() || c.Type == domain.ClientService || len(c.SecretHash) > 0 || c.WithoutPKCE || c.LegacyAssertionAudience {
			t.Fatalf("%+v", c)
		}
		for _, s := range c.Scopes {
			if !slices.Contains(terms().Scopes, s) {
				t.Fatalf("scope %s", s)
			}
		}
		for _, uri := range c.RedirectURIs {
			if text, _ := oauth.CheckRedirect(uri, c.Type == domain.ClientNative); text != "" {
				t.Fatalf("%s: %s", uri, text)
			}
		}
		text, err := json.Marshal(doc.Metadata)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(text)
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if _, err := terms().Judge(&again.Metadata, domain.RegisteredByAnybody); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	})
}
