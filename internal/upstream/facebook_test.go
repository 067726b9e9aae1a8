package upstream

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/standin"
)

// other-providers.md section 4: people who signed up with a telephone have no address, and of nobody's is said that it was
// verified.
func TestFacebooksPersonIsAnIDOfThisAppAndItsAddressIsNeverVerified(t *testing.T) {
	j := newJourney(t, standin.Facebook, nil)
	for name, tc := range map[string]struct {
		who    standin.Person
		claims func(map[string]any)
	}{
		"with an address":            {standin.Person{Username: "a", Subject: "10158269402512345", Email: "a@gmail.com", Picture: "https://cdn.example/a.jpg"}, nil},
		"without an address":         {standin.Person{Username: "b", Subject: "10158269402512346"}, nil},
		"a flag that nobody defined": {standin.Person{Username: "c", Subject: "10158269402512347", Email: "c@gmail.com"}, func(c map[string]any) { c["email_verified"], c["verified"] = true, true }},
		"a picture of another shape": {standin.Person{Username: "d", Subject: "10158269402512348"}, func(c map[string]any) { c["picture"] = "https://x.example" }},
	} {
		if err := j.there.AddPerson(tc.who); err != nil {
			t.Fatal(err)
		}
		j.there.Misbehave(standin.Mischief{User: tc.claims})
		got, err := newBrowser(t, j).trip(t, tc.who.Username)
		if err != nil || got.Subject.Subject != tc.who.Subject || got.Subject.Email != tc.who.Email || got.Subject.EmailVerified ||
			got.Subject.ProvedEmail != "" || got.Subject.Picture != tc.who.Picture || got.Subject.Issuer != standin.FacebookIssuer {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func newBrowser(t testing.TB, j *journey) *journey {
	t.Helper()
	fresh := *j
	b := *j.browser
	b.Jar = nil
	fresh.browser = &b
	return &fresh
}

// The stand-in asks for the proof as an app does that has "Require app secret" on: an answer that came says it was sent.
func TestFacebookIsAskedWithAProofOfTheAppSecret(t *testing.T) {
	j := newJourney(t, standin.Facebook, nil)
	trip := newTrip()
	back := j.comeBack(t, trip, "alice")
	at, err := j.directory.look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	body, err := j.exchange(t.Context(), at, trip, back.Code)
	if err != nil {
		t.Fatal(err)
	}
	token, err := accessToken(body)
	if err != nil {
		t.Fatal(err)
	}
	if _, status, err := j.ask(t.Context(), at.userInfo+"?fields=id", token); err == nil || status != 400 {
		t.Errorf("without a proof: %d, %v", status, err)
	}
	if who, err := j.askFacebook(t.Context(), at, token); err != nil || !who.Has("id") {
		t.Errorf("with it: %v", err)
	}
	j.client.secret = strings.ToUpper(ourSecret)
	if _, err := j.askFacebook(t.Context(), at, token); err == nil {
		t.Error("a proof under another secret is taken")
	}
}

func TestWhatFacebookMayAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		a       answering
		refused bool // and unavailable otherwise
	}{
		"a code that was used":         {answering{token: `{"error":{"message":"evil","type":"OAuthException","code":100,"error_subcode":36009}}`}, true},
		"a wrong secret":               {answering{token: `{"error":{"message":"evil","code":1}}`}, false},
		"an app that is not there":     {answering{token: `{"error":{"code":101}}`}, false},
		"an error of RFC 6749":         {answering{token: `{"error":"invalid_grant"}`}, false},
		"an error without a number":    {answering{token: `{"error":{}}`}, false},
		"a form, as it once was":       {answering{token: `access_token=a&expires=5183944`}, false},
		"an id_token and no token":     {answering{token: `{"id_token":"a.b.c"}`}, false},
		"an id that is a number":       {answering{token: bearer, user: `{"id":10158269402512345}`}, true},
		"an id with letters":           {answering{token: bearer, user: `{"id":"10x"}`}, true},
		"an id of nobody":              {answering{token: bearer, user: `{"id":"0"}`}, true},
		"an id of 21 digits":           {answering{token: bearer, user: `{"id":"123456789012345678901"}`}, true},
		"no id":                        {answering{token: bearer, user: `{"name":"x"}`}, true},
		"two ids":                      {answering{token: bearer, user: `{"id":"7","id":"8"}`}, false},
		"a token that breaks a header": {answering{token: `{"access_token":"a\r\nX: y","token_type":"bearer"}`}, false},
	} {
		t.Run(name, func(t *testing.T) {
			tc.a.me = tc.a.user
			got, err := tc.a.start(t, Settings{Type: "facebook"}).Redeem(t.Context(), newTrip(), Returned{Code: "c"})
			if tc.refused {
				wantNo(t, got, err)
			} else {
				wantDown(t, got, err)
			}
		})
	}
}

// Limited Login: issuer and keys are on different hosts, and both are pinned.
func TestLimitedLoginIsAnIDTokenAndTheClassicAccessTokenIsNone(t *testing.T) {
	s := newScene(t, Settings{Type: "facebook"}, testKeys["rsa"])
	raw := sign(t, testKeys["rsa"], s.claims(map[string]any{"sub": "10158269402512345"}))
	got, err := s.Verify(t.Context(), raw, s.expect())
	if err != nil || got.Issuer != "https://www.facebook.com" || got.Subject != "10158269402512345" || got.EmailVerified || got.ProvedEmail != "" {
		t.Fatalf("%+v, %v", got, err) // though the claims say email_verified
	}
	for name, change := range map[string]map[string]any{
		"another app's (ID01)":    {"aud": "999"},
		"another issuer (ID01)":   {"iss": "https://limited.facebook.com"},
		"the issuer with a slash": {"iss": "https://www.facebook.com/"},
		"no nonce (ID08)":         {"nonce": nil},
		"a foreign nonce (ID08)":  {"nonce": "another"},
		"older than ten minutes":  {"iat": s.clock.now().Unix() - 601},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Verify(t.Context(), sign(t, testKeys["rsa"], s.claims(change)), s.expect())
			wantRefusal(t, err)
		})
	}
	for _, raw := range []string{"EAAGm0PX4ZCpsBA", "EAAG.m0PX4.ZCpsBA", ""} {
		_, err := s.Verify(t.Context(), raw, s.expect())
		wantRefusal(t, err)
	}
	_, err = s.Verify(t.Context(), sign(t, testKeys["ec"], s.claims(nil)), s.expect())
	wantRefusal(t, err) // RS256 alone
}

func TestFacebooksAddressesAreThoseOfTheVersion(t *testing.T) {
	p, err := New(Settings{Name: "f", Type: "facebook", GraphVersion: "v25.0"}, fetch.New(fetch.Options{}), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	at := p.directory.pinned
	if at.token != "https://graph.facebook.com/v25.0/oauth/access_token" || at.userInfo != "https://graph.facebook.com/v25.0/me" ||
		p.source.uri != "https://limited.facebook.com/.well-known/oauth/openid/jwks/" {
		t.Errorf("%+v %s", at, p.source.uri)
	}
	for _, version := range []string{"24", "24.0", "v", "v24", "v.0", "v24.", "V24.0", "v24.0/..", "v24.0?", "v2400000.0", "v-1.0"} {
		if _, err := New(Settings{Name: "f", Type: "facebook", GraphVersion: version}, fetch.New(fetch.Options{}), time.Now); err == nil {
			t.Errorf("%q is taken", version)
		}
	}
}

// FuzzIDs: whoever Facebook or Discord is believed to have named has an id of digits that an ordinary JSON reader finds
// there too, as a text.
func FuzzIDs(f *testing.F) {
	f.Add(`{"id":"80351110224678912","username":"n","global_name":"N","email":"a@b.example","verified":true,"avatar":"a_0f"}`)
	f.Add(`{"id":80351110224678912}`)
	f.Add(`{"id":"1","avatar":"../x","picture":{"data":{"url":"https://x.example/y"}}}`)
	f.Fuzz(func(t *testing.T, body string) {
		who, err := jose.ParseObject([]byte(body))
		if err != nil {
			return
		}
		for kind, read := range map[string]func(jose.Claims, *Subject) error{"facebook": fromFacebook, "discord": fromDiscord} {
			s := Subject{}
			if read(who, &s) != nil {
				continue
			}
			var theirs map[string]json.RawMessage
			var id string
			if err := json.Unmarshal([]byte(body), &theirs); err != nil || json.Unmarshal(theirs["id"], &id) != nil {
				t.Fatalf("%s: %s", kind, body)
			}
			u, err := url.Parse(s.Picture)
			if id != s.Subject || !isID(id) || s.ProvedEmail != "" || s.EmailVerified && (s.Email == "" || kind == "facebook") ||
				err != nil || s.Picture != "" && u.Scheme != "https" || strings.Contains(s.Picture, "..") && kind == "discord" {
				t.Fatalf("%s read %s as %+v", kind, body, s)
			}
		}
	})
}
