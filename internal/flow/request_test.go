package flow

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
)

// form is what a browser carries.
func form(t *testing.T, query string) httpd.Form {
	t.Helper()
	f, err := httpd.DecodeParameters(httptest.NewRequestWithContext(t.Context(), "GET", "/authorize?"+query, nil))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var challengeOfSomething = oauth.Challenge(strings.Repeat("a", 43))

func TestTheShapeOfARequest(t *testing.T) { // AZ13 AZ14 AZ30
	tests := []struct {
		query string
		want  oauth.Code
	}{
		{"response_type=code", ""},
		{"response_type=code&response_mode=query&unknown=x", ""},
		{"response_type=code&response_mode=form_post", ""},
		{"response_type=code&resource=a&resource=b", ""},
		{"response_type=code&request=&request_uri=&registration=", ""},
		{"response_type=code&response_mode=fragment", oauth.InvalidRequest},
		{"response_type=code&response_mode=web_message", oauth.InvalidRequest},
		{"", oauth.InvalidRequest},
		{"response_type=", oauth.InvalidRequest},
		{"response_type=token", oauth.UnsupportedResponseType},
		{"response_type=Code", oauth.UnsupportedResponseType},
		{"response_type=code+", oauth.UnsupportedResponseType},
		{"response_type=code+id_token", oauth.UnsupportedResponseType},
		{"response_type=code&scope=a&scope=a", oauth.InvalidRequest},
		{"response_type=code&unknown=a&unknown=b", oauth.InvalidRequest},
		{"response_type=code&state=a&state=b", oauth.InvalidRequest},
		{"response_type=code&response_mode=jwt", ""},
		{"response_type=code&response_mode=form_post.jwt", ""},
		{"response_type=code&response_mode=fragment.jwt", oauth.InvalidRequest},
		{"response_type=code&registration=x", oauth.RegistrationNotSupported},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			r := domain.AuthRequest{State: "a"}
			wantCode(t, (&Service{}).readShape(t.Context(), &domain.Client{}, &r, form(t, tt.query)), tt.want)
			if twice := strings.Contains(tt.query, "state=a&state=b"); (r.State == "") != twice {
				t.Errorf("state %q", r.State)
			}
		})
	}
}

// wantCode holds an error against the code the client is told; empty: none.
func wantCode(t *testing.T, err error, want oauth.Code) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Error(err)
	case want != "" && (err == nil || oauth.AsError(err).Code != want):
		t.Errorf("%v instead of %s", err, want)
	}
}

func TestWhoMayDoWithoutPKCE(t *testing.T) { // AZ17 AZ18
	secret := domain.Client{Type: domain.ClientWeb, AuthMethod: domain.AuthSecretBasic}
	optional, public := secret, domain.Client{Type: domain.ClientNative, AuthMethod: domain.AuthNone, WithoutPKCE: true}
	optional.WithoutPKCE = true
	good := "code_challenge_method=S256&code_challenge=" + challengeOfSomething
	tests := []struct {
		name   string
		client domain.Client
		query  string
		want   oauth.Code
	}{
		{"with", secret, good, ""},
		{"without", secret, "", oauth.InvalidRequest},
		{"without, as registered", optional, "", ""},
		{"with, though registered without", optional, good, ""},
		{"a bad one, though registered without", optional, "code_challenge=x&code_challenge_method=S256", oauth.InvalidRequest},
		{"a method alone, though registered without", optional, "code_challenge_method=S256", oauth.InvalidRequest},
		{"plain, though registered without", optional, "code_challenge=" + challengeOfSomething, oauth.InvalidRequest},
		{"without, and nothing else proves who it is", public, "", oauth.InvalidRequest},
		{"s256", secret, strings.Replace(good, "S256", "s256", 1), oauth.InvalidRequest},
		{"padded", secret, good + "%3D", oauth.InvalidRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r domain.AuthRequest
			wantCode(t, (&Service{}).readPKCE(t.Context(), &tt.client, &r, form(t, tt.query)), tt.want)
			if tt.query == good && r.Challenge != challengeOfSomething {
				t.Errorf("kept %q", r.Challenge)
			}
		})
	}
}

func TestPromptsAndAges(t *testing.T) { // AZ22 AZ24
	tests := []struct {
		query  string
		want   oauth.Code
		prompt []string
		maxAge int64 // -1: none
	}{
		{"", "", nil, -1},
		{"prompt=none", "", []string{"none"}, -1},
		{"prompt=login+consent++select_account", "", []string{"login", "consent", "select_account"}, -1},
		{"max_age=0", "", nil, 0},
		{"max_age=3600&prompt=login", "", []string{"login"}, 3600},
		{"prompt=none+login", oauth.InvalidRequest, nil, -1},
		{"prompt=None", oauth.InvalidRequest, nil, -1},
		{"prompt=create", oauth.InvalidRequest, nil, -1},
		{"max_age=-1", oauth.InvalidRequest, nil, -1},
		{"max_age=%2B1", oauth.InvalidRequest, nil, -1},
		{"max_age=1.0", oauth.InvalidRequest, nil, -1},
		{"max_age=1e3", oauth.InvalidRequest, nil, -1},
		{"max_age=0x1", oauth.InvalidRequest, nil, -1},
		{"max_age=+1", oauth.InvalidRequest, nil, -1},
		{"max_age=99999999999999999999", oauth.InvalidRequest, nil, -1},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			var r domain.AuthRequest
			wantCode(t, (&Service{}).readPrompt(t.Context(), &domain.Client{}, &r, form(t, tt.query)), tt.want)
			if tt.want != "" {
				return
			}
			if !slices.Equal(r.Prompt, tt.prompt) || (r.MaxAge == nil) != (tt.maxAge < 0) || (r.MaxAge != nil && *r.MaxAge != tt.maxAge) {
				t.Errorf("%q %v", r.Prompt, r.MaxAge)
			}
		})
	}
}

var mayAskAll = domain.Client{Scopes: []string{"openid", "profile", "email"}}

func TestTheClaimsParameter(t *testing.T) { // AZ25 AZ26 oidc-core-5.5.1.1-01
	known := domain.AuthRequest{HintedSubject: "acc_x"}
	tests := []struct {
		name, claims string
		before       domain.AuthRequest
		want         oauth.Code
		after        domain.AuthRequest
	}{
		{"none", "", known, "", known},
		{"names", `{"userinfo":{"email":null,"a":{"essential":true}},"id_token":{"b":null},"other":7}`, domain.AuthRequest{}, "",
			domain.AuthRequest{Claims: domain.Claims{IDToken: []string{"b"}, UserInfo: []string{"a", "email"}}}},
		{"who it must be", `{"id_token":{"sub":{"value":"acc_x"}}}`, domain.AuthRequest{}, "",
			domain.AuthRequest{HintedSubject: "acc_x", Claims: domain.Claims{IDToken: []string{"sub"}}}},
		{"the same as the hint", `{"userinfo":{"sub":{"value":"acc_x"}}}`, known, "",
			domain.AuthRequest{HintedSubject: "acc_x", Claims: domain.Claims{UserInfo: []string{"sub"}}}},
		{"another than the hint", `{"id_token":{"sub":{"value":"acc_y"}}}`, known, oauth.InvalidRequest, known},
		{"two people", `{"id_token":{"sub":{"value":"acc_x"}},"userinfo":{"sub":{"value":"acc_y"}}}`, domain.AuthRequest{}, oauth.InvalidRequest, domain.AuthRequest{}},
		{"a person who is a number", `{"id_token":{"sub":{"value":7}}}`, domain.AuthRequest{}, oauth.InvalidRequest, domain.AuthRequest{}},
		{"a passkey", `{"id_token":{"acr":{"essential":true,"values":["x","phr"]}}}`, domain.AuthRequest{}, "",
			domain.AuthRequest{ACR: []string{"phr"}, Claims: domain.Claims{IDToken: []string{"acr"}}}},
		{"a passkey, as a wish", `{"id_token":{"acr":{"values":["phr"]}}}`, domain.AuthRequest{}, "",
			domain.AuthRequest{Claims: domain.Claims{IDToken: []string{"acr"}}}},
		{"a passkey, as a wish beside a demand", `{"id_token":{"acr":{"value":"urn:countersign:acr:1"}}}`, domain.AuthRequest{ACR: []string{"phr"}}, "",
			domain.AuthRequest{ACR: []string{"phr"}, Claims: domain.Claims{IDToken: []string{"acr"}}}},
		{"what nobody reaches", `{"id_token":{"acr":{"essential":true,"value":"x"}}}`, domain.AuthRequest{}, oauth.UnmetAuthentication, domain.AuthRequest{}},
		{"what nobody reaches, as a wish", `{"id_token":{"acr":{"value":"x"}}}`, domain.AuthRequest{}, "",
			domain.AuthRequest{Claims: domain.Claims{IDToken: []string{"acr"}}}},
		{"no JSON", `{`, domain.AuthRequest{}, oauth.InvalidRequest, domain.AuthRequest{}},
		{"two documents", `{}{}`, domain.AuthRequest{}, oauth.InvalidRequest, domain.AuthRequest{}},
		{"a list", `[]`, domain.AuthRequest{}, oauth.InvalidRequest, domain.AuthRequest{}},
		{"too long", `{"x":"` + strings.Repeat("x", maxClaims) + `"}`, domain.AuthRequest{}, oauth.InvalidRequest, domain.AuthRequest{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := tt.before
			wantCode(t, (&Service{}).readClaims(t.Context(), &mayAskAll, &r, form(t, url.Values{"claims": {tt.claims}}.Encode())), tt.want)
			if tt.want != "" {
				return
			}
			if r.HintedSubject != tt.after.HintedSubject || !slices.Equal(r.ACR, tt.after.ACR) ||
				!slices.Equal(r.Claims.IDToken, tt.after.Claims.IDToken) || !slices.Equal(r.Claims.UserInfo, tt.after.Claims.UserInfo) {
				t.Errorf("%+v instead of %+v", r, tt.after)
			}
		})
	}
}

// Asking once more asks for no less: every member of the request is in the link, and reads as it did.
func TestTheSameTripAnewIsTheSameRequest(t *testing.T) {
	age := int64(0)
	want := domain.AuthRequest{
		ClientID: "app", RedirectURI: "https://app.example/cb?a=b&c=d", ResponseMode: oauth.ResponseFormPost, State: "s &=#\r\n", Nonce: "ü",
		Challenge: challengeOfSomething, Scope: []string{"openid", "email"}, Resources: []string{"https://a.example", "https://b.example"},
		Prompt: []string{"login", "consent"}, MaxAge: &age, ACR: []string{"phr"}, LoginHint: "a@b.example",
		HintedSubject: "acc_x", Locales: []string{"de", "en"}, DPoPJKT: challengeOfSomething,
		ClaimsText: `{"id_token":{"acr":{"essential":true,"value":"phr"},"email":null},"userinfo":{"name":null},"x":[1]}`,
		Details:    json.RawMessage(`[{"identifier":"a&b=c+ü","type":"note"}]`),
	}
	path, query, _ := strings.Cut(restartPath(want), "?")
	if path != "/authorize" {
		t.Fatal(path)
	}
	f, s := form(t, query), &Service{}
	got := domain.AuthRequest{ClientID: f.Get("client_id"), RedirectURI: f.Get("redirect_uri"), State: f.Get("state"), Nonce: f.Get("nonce")}
	client := &mayAskAll
	for _, read := range []error{
		s.readShape(t.Context(), client, &got, f), s.readPKCE(t.Context(), client, &got, f), s.readPrompt(t.Context(), client, &got, f),
		s.readPerson(t.Context(), client, &got, f), s.readClaims(t.Context(), client, &got, f),
	} {
		if read != nil {
			t.Fatal(read)
		}
	}
	if got.State != want.State || got.Nonce != want.Nonce || got.RedirectURI != want.RedirectURI || got.Challenge != want.Challenge ||
		got.HintedSubject != want.HintedSubject || got.LoginHint != want.LoginHint || *got.MaxAge != age {
		t.Errorf("%+v", got)
	}
	for what, pair := range map[string][2][]string{
		"prompt": {got.Prompt, want.Prompt}, "acr": {got.ACR, want.ACR}, "locales": {got.Locales, want.Locales},
		"resources": {f.All("resource"), want.Resources}, "scope": {strings.Fields(f.Get("scope")), want.Scope},
		"userinfo": {got.Claims.UserInfo, []string{"name"}}, "id_token": {got.Claims.IDToken, []string{"acr", "email", "sub"}},
		"modes":   {{f.Get("response_mode"), f.Get("dpop_jkt")}, {oauth.ResponseFormPost, challengeOfSomething}},
		"details": {{f.Get("authorization_details")}, {string(want.Details)}},
	} {
		if !slices.Equal(pair[0], pair[1]) {
			t.Errorf("%s: %q instead of %q", what, pair[0], pair[1])
		}
	}
	for text, hint := range map[string]string{"": "", `{"id_token":null}`: "acc_x", `{"userinfo":{}}`: "acc_x"} {
		again := claimsAgain(domain.AuthRequest{ClaimsText: text, HintedSubject: hint})
		if hint != "" && !strings.Contains(again, `"sub":{"value":"acc_x"}`) || hint == "" && again != text {
			t.Errorf("%q with %q: %s", text, hint, again)
		}
	}
}

func TestParametersAreAddedToAnAddressAsItIs(t *testing.T) {
	for uri, want := range map[string]string{
		"https://a.example/cb":       "https://a.example/cb?a=b+%26&c=d",
		"https://a.example/cb?":      "https://a.example/cb?a=b+%26&c=d",
		"https://a.example/cb?x=%7E": "https://a.example/cb?x=%7E&a=b+%26&c=d",
		"https://a.example/cb?x&":    "https://a.example/cb?x&a=b+%26&c=d",
		"com.ex.app:/cb":             "com.ex.app:/cb?a=b+%26&c=d",
	} {
		if got := AddToQuery(uri, Param{"a", "b &"}, Param{"c", "d"}); got != want {
			t.Errorf("%s: %s", uri, got)
		}
	}
	if got := AddToQuery("https://a.example/cb"); got != "https://a.example/cb" {
		t.Error(got)
	}
}

func TestTheStateAProviderGetsNamesTripAndErrand(t *testing.T) { // AZ38
	id := domain.NewID[domain.FlowID]()
	got, secret, ok := readState(stateOf(id, "secret.with.dots"))
	if !ok || got != id || secret != "secret.with.dots" {
		t.Error(got, secret, ok)
	}
	for _, bad := range []string{"", ".", "x.y", strings.Repeat("A", 22), strings.Repeat("A", 21) + "B.x", stateOf(id, "x")[1:], "=" + stateOf(id, "x")} {
		if _, _, ok := readState(bad); ok {
			t.Errorf("%q was read", bad)
		}
	}
	e := &errand{Provider: "corp", Secret: "s"}
	if !asked(e, "corp", "s") || asked(e, "other", "s") || asked(e, "corp", "S") || asked(e, "corp", "") || asked(nil, "corp", "s") {
		t.Error("an answer to another question")
	}
}

func TestAUserCodeIsReadAsPeopleTypeIt(t *testing.T) {
	for _, tt := range []struct{ typed, want string }{
		{"WDJB-MJHT", "WDJBMJHT"}, {" wdjb mjht ", "WDJBMJHT"}, {"w-d-j-b-m-j-h-t", "WDJBMJHT"},
		{"", ""}, {"WDJBMJH", ""}, {"WDJBMJHTT", ""}, {"WDJBMJHA", ""}, {"WDJBMJH0", ""}, {"ẄDJBMJH", ""},
	} {
		if got, ok := readUserCode(tt.typed); ok != (tt.want != "") || (ok && got != tt.want) {
			t.Errorf("%q: %q %t", tt.typed, got, ok)
		}
	}
}

// A link that would be refused is no help, and one that asks for less lets somebody else come back (AZ24).
func TestATripThatCannotBeAskedForOnceMoreHasNoLink(t *testing.T) {
	long := domain.AuthRequest{ClaimsText: `{"x":"` + strings.Repeat("x", maxClaims-8) + `"}`}
	if path := restartPath(long); len(long.ClaimsText) != maxClaims || !strings.HasPrefix(path, "/authorize?") {
		t.Fatalf("%d %q", len(long.ClaimsText), path)
	}
	long.HintedSubject = "acc_x"
	if path := restartPath(long); path != "" {
		t.Errorf("%.80s", path)
	}
}
