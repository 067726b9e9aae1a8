package assurance

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// alpha, beta and delta are of one sector, gamma of another; omega is public.
const pairwiseYAML = `  - id: alpha
    type: web
    secret_file: ./web.secret
    first_party: true
    providers: [{name: corp}]
    redirect_uris: ["https://shop.example/alpha"]
    post_logout_redirect_uris: ["https://shop.example/bye"]
    backchannel_logout_uri: "%s/logout"
    subject_type: pairwise
    resources: [todo-api]
    scopes: [openid, profile, offline_access, todos.read]
  - id: beta
    type: web
    secret_file: ./web.secret
    first_party: true
    providers: [{name: corp}]
    redirect_uris: ["https://shop.example/beta", "https://shop.example:8443/beta"]
    userinfo_signed_response_alg: ES256
    subject_type: pairwise
    resources: [todo-api]
    scopes: [openid, profile, offline_access, todos.read]
  - id: gamma
    type: web
    secret_file: ./web.secret
    first_party: true
    providers: [{name: corp}]
    redirect_uris: ["https://clinic.example/gamma"]
    subject_type: pairwise
    resources: [todo-api]
    scopes: [openid, profile, offline_access, todos.read]
  - id: delta
    type: web
    secret_file: ./web.secret
    first_party: true
    providers: [{name: corp}]
    redirect_uris: ["https://a.delta.example/cb", "https://b.delta.example/cb"]
    subject_type: pairwise
    sector_identifier: shop.example
    resources: [todo-api]
    scopes: [openid, profile, offline_access, todos.read]
  - id: omega
    type: web
    secret_file: ./web.secret
    first_party: true
    providers: [{name: corp}]
    redirect_uris: ["https://shop.example/omega"]
    resources: [todo-api]
    scopes: [openid, profile, offline_access, todos.read]
  - id: com.example.diary
    type: native
    providers: [{name: google, audiences: [web.example]}]
    subject_type: pairwise
    sector_identifier: diary.example
    resources: [todo-api]
    scopes: [openid, offline_access, todos.read, account.read, account.manage]
`

var pairwiseRedirects = map[string]string{
	"alpha": "https://shop.example/alpha", "beta": "https://shop.example/beta", "gamma": "https://clinic.example/gamma",
	"delta": "https://a.delta.example/cb", "omega": "https://shop.example/omega",
}

// sectors is a world of pairwise clients.
type sectors struct {
	*world
	logouts chan string // logout tokens that alpha was sent
}

func withSectors(t *testing.T, test func(*testing.T, *sectors)) {
	t.Helper()
	t.Parallel()
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		t.Parallel()
		s := &sectors{logouts: make(chan string, 10)}
		alpha := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { s.logouts <- r.PostFormValue("logout_token") }))
		t.Cleanup(alpha.Close)
		yaml := fmt.Sprintf(pairwiseYAML, alpha.URL)
		s.world = open(t, e, harness.Clients(yaml))
		if err := s.Corp.AddPerson(standin.Person{Username: "bob", Subject: "corp-bob", Email: "bob@corp.example", Name: "Bob"}); err != nil {
			t.Fatal(err)
		}
		test(t, s)
	})
}

func (s *sectors) trip(client string, more ...string) *harness.Trip {
	return harness.NewTrip(client, pairwiseRedirects[client], "openid offline_access todos.read", more...)
}

func (s *sectors) signIn(t *testing.T, b *harness.Web, client string, more ...string) harness.Answer {
	t.Helper()
	trip := s.trip(client, more...)
	s.walk(b, trip.Path())
	a := s.Post("/token", trip.Redeem(trip.Code(b)), harness.Basic(client, harness.WebSecret))
	if a.Status != http.StatusOK {
		t.Fatalf("%s: %d %s", client, a.Status, a.Body)
	}
	return a
}

// subs are all subjects a client learns from an answer of /token, with its userinfo and introspection.
func (s *sectors) subs(t *testing.T, client string, tokens harness.Answer) map[string]string {
	t.Helper()
	access := tokens.String("access_token")
	info := s.Do(s.Request("GET", "/userinfo", "", harness.Set("Authorization", "Bearer "+access)))
	sub := info.String("sub")
	if client == "beta" {
		sub = text(s.verified(t, string(info.Body), "JWT"), "sub")
	}
	return map[string]string{
		"ID token":      text(s.verified(t, tokens.String("id_token"), "JWT"), "sub"),
		"access token":  text(s.verified(t, access, "at+jwt"), "sub"),
		"userinfo":      sub,
		"introspection": s.Introspect(access, harness.ResourceID, harness.ResourceSecret).String("sub"),
	}
}

// sub is the one subject a client learns, wherever it looks.
func (s *sectors) sub(t *testing.T, client string, tokens harness.Answer) string {
	t.Helper()
	all := s.subs(t, client, tokens)
	for where, sub := range all {
		if sub == "" || sub != all["ID token"] {
			t.Errorf("%s: %q in %s, %q in the ID token", client, sub, where, all["ID token"])
		}
	}
	return all["ID token"]
}

// oidc-core-8-01, oidc-core-8.1-01, oidc-core-8.1-02
func TestClientsOfOneSectorSeeOneSubjectAndOthersSeeAnother(t *testing.T) {
	withSectors(t, func(t *testing.T, s *sectors) {
		b, got := s.Browser(), map[string]string{}
		for client := range pairwiseRedirects {
			tokens := s.signIn(t, b, client)
			got[client] = s.sub(t, client, tokens)
			again := s.Post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens.String("refresh_token")}}, harness.Basic(client, harness.WebSecret))
			if sub := text(s.verified(t, again.String("access_token"), "at+jwt"), "sub"); sub != got[client] {
				t.Errorf("%s: %q after a refresh, %q before", client, sub, got[client])
			}
		}
		if !strings.HasPrefix(got["omega"], "acc_") {
			t.Errorf("a public client: %q", got["omega"])
		}
		for _, client := range []string{"alpha", "gamma"} {
			if sub := got[client]; !strings.HasPrefix(sub, domain.PairwisePrefix) || len(sub) != len(domain.PairwisePrefix)+43 {
				t.Errorf("%s: %q", client, sub)
			}
		}
		if got["alpha"] != got["beta"] || got["alpha"] != got["delta"] || got["alpha"] == got["gamma"] {
			t.Errorf("%v", got)
		}
		other := s.Browser()
		trip := s.trip("alpha")
		other.Open(trip.Path()).SignInWith(s.Corp, "corp", "bob")
		tokens := s.Post("/token", trip.Redeem(trip.Code(other)), harness.Basic("alpha", harness.WebSecret))
		if s.sub(t, "alpha", tokens) == got["alpha"] {
			t.Error("two people are one")
		}
	})
}

// oidc-core-8.1-03: nothing an operator does to keys or servers gives people new subjects.
func TestAPairwiseSubjectOutlivesRotationsAndRestarts(t *testing.T) {
	withSectors(t, func(t *testing.T, s *sectors) {
		before := s.sub(t, "alpha", s.signIn(t, s.Browser(), "alpha"))
		for range 2 {
			if _, err := s.Admin().RotateKeys(t.Context(), true); err != nil {
				t.Fatal(err)
			}
			s.Clock.Step(time.Hour)
			s.Restart()
		}
		s.Clock.Step(401 * 24 * time.Hour) // longer than a retired data key is accepted for anything that ends
		s.Restart()
		if after := s.sub(t, "alpha", s.signIn(t, s.Browser(), "alpha")); after != before {
			t.Errorf("%q, before %q", after, before)
		}
	})
}

// oidc-core-3.1.2.1-04: a client names the person by the subject it knows, and nobody else comes back.
func TestAPairwiseSubjectNamesThePersonWhoMayComeBack(t *testing.T) {
	withSectors(t, func(t *testing.T, s *sectors) {
		ada := s.Browser()
		alpha, gamma := s.signIn(t, ada, "alpha"), s.signIn(t, ada, "gamma")
		own, foreign := alpha.String("id_token"), gamma.String("id_token")
		claimed := func(sub string) string { return asJSON(claims{"id_token": claims{"sub": claims{"value": sub}}}) }
		mine, theirs := text(s.verified(t, own, "JWT"), "sub"), text(s.verified(t, foreign, "JWT"), "sub")
		omega := text(s.verified(t, s.signIn(t, ada, "omega").String("id_token"), "JWT"), "sub")
		for name, tt := range map[string]struct{ key, value, want string }{
			"its own hint":                  {"id_token_hint", own, ""},
			"the hint of another sector":    {"id_token_hint", foreign, "login_required"},
			"its own subject":               {"claims", claimed(mine), ""},
			"the subject of another sector": {"claims", claimed(theirs), "login_required"},
			"the account itself":            {"claims", claimed(omega), "login_required"},
		} {
			trip := s.trip("alpha", "prompt", "none", tt.key, tt.value)
			ada.Open(trip.Path())
			if got := trip.Response(ada).Get("error"); got != tt.want {
				t.Errorf("%s: %q, want %q", name, got, tt.want)
			}
		}
		trip := s.trip("alpha", "id_token_hint", own)
		bob := s.Browser()
		bob.Open(trip.Path()).SignInWith(s.Corp, "corp", "bob")
		if bob.Left != nil {
			t.Errorf("somebody else came back: %s", bob.Left)
		}
		bob.SignInWith(s.Corp, "corp", "ada")
		if again := s.Post("/token", trip.Redeem(trip.Code(bob)), harness.Basic("alpha", harness.WebSecret)); s.sub(t, "alpha", again) != mine {
			t.Errorf("%s", again.Body)
		}
	})
}

// oidc-core-8.1-01: who leaves is named to a client as it knows them, and a hint of its is as good as any.
func TestALogoutNamesThePersonAsTheClientKnowsThem(t *testing.T) {
	withSectors(t, func(t *testing.T, s *sectors) {
		b := s.Browser()
		tokens := s.signIn(t, b, "alpha")
		gamma := s.signIn(t, b, "gamma")
		sub := s.sub(t, "alpha", tokens)
		b.Open("/logout?" + url.Values{"id_token_hint": {tokens.String("id_token")}, "post_logout_redirect_uri": {"https://shop.example/bye"}}.Encode())
		if b.Left == nil || b.Left.String() != "https://shop.example/bye" {
			t.Fatalf("asked, or sent to %v: %s", b.Left, b.Page)
		}
		select {
		case token := <-s.logouts:
			if told := text(s.verified(t, token, "logout+jwt"), "sub"); told != sub {
				t.Errorf("told about %q, knows %q", told, sub)
			}
		case <-time.After(20 * time.Second):
			t.Error("alpha was told nothing")
		}
		for name, a := range map[string]harness.Answer{"alpha": tokens, "gamma": gamma} {
			if s.Active(a.String("access_token")) {
				t.Errorf("%s is still signed in", name)
			}
		}
	})
}

// An app on a phone manages the account whose id it never learns.
func TestANativeAppThatIsPairwiseManagesItsAccount(t *testing.T) {
	withSectors(t, func(t *testing.T, s *sectors) {
		diary := harness.As("com.example.diary", "openid offline_access todos.read account.read account.manage", s.Issuer, harness.Audience)
		phone, ctx := s.SignedIn("phone", "ada", diary), t.Context()
		second := s.SignedIn("tablet", "ada", diary)
		me, err := phone.Account(ctx)
		if err != nil || !strings.HasPrefix(me.ID, domain.PairwisePrefix) {
			t.Fatalf("%+v, %v", me, err)
		}
		if list, err := phone.Sessions(ctx); err != nil || len(list) != 2 {
			t.Errorf("%+v, %v", list, err)
		}
		if n, err := phone.EndOtherSessions(ctx, s.GooglePrompt("ada")); err != nil || n != 1 {
			t.Errorf("ended %d, %v", n, err)
		}
		if _, err := second.Refresh(ctx); err == nil {
			t.Error("the other phone is still signed in")
		}
		token, err := phone.AccessToken(ctx, harness.Audience)
		if err != nil {
			t.Fatal(err)
		}
		if sub := text(s.verified(t, token.AccessToken, "at+jwt"), "sub"); sub != me.ID || !s.Active(token.AccessToken) {
			t.Errorf("%q, %q", sub, me.ID)
		}
		if err := phone.SignOut(ctx); err != nil || s.Active(token.AccessToken) {
			t.Errorf("signed out: %v", err)
		}
	})
}
