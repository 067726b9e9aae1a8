package upstream

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/standin"
)

func nonceHexOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestGitHubsPersonIsANumberAndItsAddressTheVerifiedPrimaryOne(t *testing.T) {
	for name, tc := range map[string]struct {
		who    standin.Person
		scopes []string
		email  string
	}{
		"verified":               {standin.Person{Username: "x", Subject: "583231", Email: "x@corp.example"}, nil, "x@corp.example"},
		"unverified":             {standin.Person{Username: "x", Subject: "583231", Email: "x@corp.example", UnverifiedEmail: true}, nil, ""},
		"none that is primary":   {standin.Person{Username: "x", Subject: "583231"}, nil, ""},
		"not allowed to be told": {standin.Person{Username: "x", Subject: "583231", Email: "x@corp.example"}, []string{"read:user"}, ""},
	} {
		j := newJourney(t, standin.GitHub, func(s *Settings) { s.Scopes = tc.scopes })
		if err := j.there.AddPerson(tc.who); err != nil {
			t.Fatal(err)
		}
		got, err := j.trip(t, "x")
		if err != nil || got.Subject.Subject != "583231" || got.Subject.Email != tc.email || got.Subject.EmailVerified != (tc.email != "") ||
			got.Subject.ProvedEmail != "" || got.Subject.Issuer != "https://github.com/login/oauth" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestAProviderWithoutIDTokensSignsInNoApp(t *testing.T) {
	j := newJourney(t, standin.GitHub, nil)
	_, err := j.Verify(t.Context(), "a.b.c", Expect{Audiences: []string{ourID}, Nonce: "n", Now: time.Now()})
	wantRefusal(t, err)
}

// answering is a provider that says what a test wants it to.
type answering struct {
	token, user, emails string
	me                  string // Facebook's and Discord's user
	emailsStatus        int
}

func (a answering) start(t testing.TB, s Settings) *Provider {
	t.Helper()
	mux := http.NewServeMux()
	say := func(body string, status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if status != 0 {
				w.WriteHeader(status)
			}
			_, _ = w.Write([]byte(body))
		}
	}
	mux.HandleFunc("POST /token", say(a.token, 0))
	mux.HandleFunc("GET /user", say(a.user, 0))
	mux.HandleFunc("GET /userinfo", say(a.user, 0))
	mux.HandleFunc("GET /me", say(a.me, 0))
	mux.HandleFunc("GET /users/@me", say(a.me, 0))
	mux.HandleFunc("GET /user/emails", say(a.emails, a.emailsStatus))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.Name, s.Standin, s.ClientID, s.ClientSecret = "p", server.URL, ourID, ourSecret
	p, err := New(s, fetch.New(fetch.Options{AllowLoopback: true, Timeout: time.Second}), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const bearer = `{"access_token":"a","token_type":"bearer"}`

func TestWhatGitHubMayAnswer(t *testing.T) {
	const user, emails = `{"id":7,"login":"x"}`, `[]`
	for name, tc := range map[string]struct {
		a       answering
		refused bool // and unavailable otherwise
	}{
		"an error with status 200":       {answering{token: `{"error":"bad_verification_code"}`}, true},
		"another error with status 200":  {answering{token: `{"error":"redirect_uri_mismatch"}`}, false},
		"an error that is no text":       {answering{token: `{"error":7,"access_token":"a","token_type":"bearer"}`}, false},
		"a form instead of JSON":         {answering{token: `access_token=a&token_type=bearer`}, false},
		"no token":                       {answering{token: `{"token_type":"bearer"}`}, false},
		"a token that breaks a header":   {answering{token: `{"access_token":"a\r\nX: y","token_type":"bearer"}`}, false},
		"a token of another type":        {answering{token: `{"access_token":"a","token_type":"mac"}`}, false},
		"an id that is text":             {answering{token: bearer, user: `{"id":"7"}`, emails: emails}, true},
		"an id with a fraction":          {answering{token: bearer, user: `{"id":7.0}`, emails: emails}, true},
		"an id below zero":               {answering{token: bearer, user: `{"id":-7}`, emails: emails}, true},
		"an id of nobody":                {answering{token: bearer, user: `{"id":0}`, emails: emails}, true},
		"two ids":                        {answering{token: bearer, user: `{"id":7,"id":8}`, emails: emails}, false},
		"no id":                          {answering{token: bearer, user: `{"login":"x"}`, emails: emails}, true},
		"a page instead of a person":     {answering{token: bearer, user: `<html>`, emails: emails}, false},
		"addresses that are no list":     {answering{token: bearer, user: user, emails: `{"email":"x@y.example"}`}, false},
		"addresses out of the list":      {answering{token: bearer, user: user, emails: `[],"primary":true}`}, false},
		"addresses that cannot be asked": {answering{token: bearer, user: user, emails: `[]`, emailsStatus: 503}, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := tc.a.start(t, Settings{Type: "github"})
			got, err := p.Redeem(t.Context(), newTrip(), Returned{Code: "c"})
			if tc.refused {
				wantNo(t, got, err)
			} else {
				wantDown(t, got, err)
			}
		})
	}
	p := answering{token: bearer, user: user, emails: `[{"email":"a@b.example","primary":true,"verified":"perhaps"},{"email":"c@d.example","primary":true,"verified":true}]`}.
		start(t, Settings{Type: "github"})
	if got, err := p.Redeem(t.Context(), newTrip(), Returned{Code: "c"}); err != nil || got.Subject.Email != "c@d.example" || got.Subject.Name != "x" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestMembersOfAGenericProviderAreReadAsConfigured(t *testing.T) {
	s := Settings{
		Type: "oauth2", Issuer: "https://chat.example", AuthorizeURL: "https://chat.example/a", TokenURL: "https://chat.example/t", UserInfoURL: "https://chat.example/u",
		SubjectClaim: "id", EmailClaim: "mail", EmailVerifiedClaim: "mail_ok", NameClaim: "nick",
	}
	for user, want := range map[string]Subject{
		`{"id":90071992547409931,"sub":"x","mail":"a@b.example","mail_ok":true,"nick":"N","email":"evil@x.example"}`: {Subject: "90071992547409931", Email: "a@b.example", EmailVerified: true, Name: "N"},
		`{"id":"80351110224678912","mail":null,"mail_ok":true}`:                                                      {Subject: "80351110224678912"},
		`{"id":"x","mail":"a@b.example","mail_ok":"false"}`:                                                          {Subject: "x", Email: "a@b.example"},
		`{"id":"x","mail":"a@b.example","mail_ok":1}`:                                                                {Subject: "x", Email: "a@b.example"},
	} {
		p := answering{token: bearer, user: user}.start(t, s)
		got, err := p.Redeem(t.Context(), newTrip(), Returned{Code: "c"})
		if err != nil {
			t.Errorf("%s: %v", user, err)
			continue
		}
		want.Provider, want.Issuer, want.Audience, want.IssuedAt = "p", "https://chat.example", ourID, got.Subject.IssuedAt
		if *got.Subject != want {
			t.Errorf("%s: %+v, want %+v", user, got.Subject, want)
		}
	}
	for _, user := range []string{`{"sub":"x"}`, `{"id":""}`, `{"id":null}`, `{"id":7.5}`, `{"id":true}`, `{"id":"a\u0000b"}`, `{"id":["x"]}`, `{"id":"` + strings.Repeat("x", 256) + `"}`} {
		got, err := answering{token: bearer, user: user}.start(t, s).Redeem(t.Context(), newTrip(), Returned{Code: "c"})
		wantNo(t, got, err)
	}
}

// A member may lie in an object, as Kakao's do, or be called by a URL.
func TestMembersInsideOfObjectsAreReadByTheirPath(t *testing.T) {
	s := Settings{
		Type: "oauth2", Issuer: "https://kauth.example", AuthorizeURL: "https://kauth.example/a", TokenURL: "https://kauth.example/t", UserInfoURL: "https://kauth.example/u",
		SubjectClaim: "id", EmailClaim: "account.email", EmailVerifiedClaim: "account.is_email_valid account.is_email_verified", NameClaim: "account.profile.nickname",
	}
	for user, want := range map[string]Subject{
		`{"id":7,"account":{"email":"a@b.example","is_email_valid":true,"is_email_verified":true,"profile":{"nickname":"N"}}}`: {Email: "a@b.example", EmailVerified: true, Name: "N"},
		`{"id":7,"account":{"email":"a@b.example","is_email_valid":false,"is_email_verified":true}}`:                           {Email: "a@b.example"},
		`{"id":7,"account":{"email":"a@b.example","is_email_verified":true}}`:                                                  {Email: "a@b.example"},
		`{"id":7,"account":{"is_email_valid":true,"is_email_verified":true}}`:                                                  {},
		`{"id":7,"account":"x","email":"a@b.example","profile":{"nickname":"N"}}`:                                              {},
		`{"id":7,"account":[{"email":"a@b.example"}]}`:                                                                         {},
		`{"id":7,"account.email":"a@b.example","account":{"email":"c@d.example"}}`:                                             {Email: "a@b.example"},
	} {
		got, err := answering{token: bearer, user: user}.start(t, s).Redeem(t.Context(), newTrip(), Returned{Code: "c"})
		if err != nil {
			t.Errorf("%s: %v", user, err)
			continue
		}
		if got.Subject.Subject != "7" || got.Subject.Email != want.Email || got.Subject.EmailVerified != want.EmailVerified || got.Subject.Name != want.Name {
			t.Errorf("%s: %+v", user, got.Subject)
		}
	}
	s.SubjectClaim = "response.id"
	for user, want := range map[string]string{`{"response":{"id":"x"}}`: "x", `{"response":{"sub":"x"},"id":"y"}`: "", `{"response":7}`: "", `{"id":"y"}`: ""} {
		got, err := answering{token: bearer, user: user}.start(t, s).Redeem(t.Context(), newTrip(), Returned{Code: "c"})
		if want == "" {
			wantNo(t, got, err)
		} else if err != nil || got.Subject.Subject != want {
			t.Errorf("%s: %+v, %v", user, got, err)
		}
	}
}

// OIDC Core §5.3.4: what the id_token leaves out is asked for, and never believed of somebody else.
func TestUserInfoFillsInWhatTheTokenLeavesOut(t *testing.T) {
	thin := func(claims map[string]any) {
		for _, name := range []string{"email", "email_verified", "name", "given_name", "family_name"} {
			delete(claims, name)
		}
	}
	j := newJourney(t, standin.OIDC, nil)
	if _, err := j.trip(t, "alice"); err != nil || j.there.Requests("/userinfo") != 0 {
		t.Errorf("a full token: %v, asked %d times", err, j.there.Requests("/userinfo"))
	}
	j.there.Misbehave(standin.Mischief{Claims: thin})
	got, err := j.trip(t, "alice")
	if err != nil || got.Subject.Email != "alice@example.com" || !got.Subject.EmailVerified || got.Subject.Name != "Alice Example" || got.Subject.ProvedEmail != "" {
		t.Errorf("%+v, %v", got, err)
	}
	j.there.Misbehave(standin.Mischief{Claims: thin, UserSubject: "somebody else"})
	got, err = j.trip(t, "alice")
	wantNo(t, got, err)

	gone := newJourney(t, standin.OIDC, func(s *Settings) { s.UserInfoURL = s.Issuer + "/gone" })
	gone.there.Misbehave(standin.Mischief{Claims: thin})
	if got, err := gone.trip(t, "alice"); err != nil || got.Subject.Subject == "" || got.Subject.Email != "" {
		t.Errorf("nobody is kept out for it: %+v, %v", got, err)
	}
}

// FuzzProfile: whoever a provider without id_tokens is believed to have named, an ordinary JSON reader finds named there
// too, in the very digits.
func FuzzProfile(f *testing.F) {
	f.Add(`{"id":7,"email":"a@b.example","email_verified":true,"name":"N"}`)
	f.Add(`{"id":90071992547409931}`)
	f.Add(`{"id":7e3,"ID":8}`)
	f.Add(`{"id":"a\u0000b"}`)
	m := newMembers(Settings{SubjectClaim: "id", EmailClaim: "email", EmailVerifiedClaim: "email_verified", NameClaim: "name"})
	f.Fuzz(func(t *testing.T, body string) {
		who, err := jose.ParseObject([]byte(body))
		if err != nil {
			return
		}
		s := Subject{}
		if m.read(who, &s) != nil {
			return
		}
		var theirs map[string]json.RawMessage
		if err := json.Unmarshal([]byte(body), &theirs); err != nil {
			t.Fatal(err)
		}
		var text string
		if json.Unmarshal(theirs["id"], &text) != nil {
			text = string(theirs["id"])
		}
		if text != s.Subject || !soundSubject(s.Subject) || s.EmailVerified && s.Email == "" || s.ProvedEmail != "" {
			t.Fatalf("%s read as %+v", body, s)
		}
	})
}
