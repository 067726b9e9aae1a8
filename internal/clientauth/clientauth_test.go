package clientauth_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/clientauth"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

const (
	secret = "correct horse"
	tricky = "pa:ss%20+/=" // a colon, what looks like an escape, and what needs one
)

func hash(s string) []byte {
	h := sha256.Sum256([]byte(s))
	return h[:]
}

func catalog() *domain.Catalog {
	return &domain.Catalog{
		Clients: []domain.Client{
			{ID: "phone", Type: domain.ClientNative, AuthMethod: domain.AuthNone},
			{ID: "spa", Type: domain.ClientBrowser, AuthMethod: domain.AuthNone, Origins: []string{"https://app.example"}},
			{ID: "web", Type: domain.ClientWeb, AuthMethod: domain.AuthSecretBasic, SecretHash: hash(secret), Origins: []string{"https://web.example"}},
			{ID: "post", Type: domain.ClientWeb, AuthMethod: domain.AuthSecretPost, SecretHash: hash(secret)},
			{ID: "tricky id", Type: domain.ClientService, AuthMethod: domain.AuthSecretBasic, SecretHash: hash(tricky)},
			{ID: "hollow", Type: domain.ClientService, AuthMethod: domain.AuthSecretBasic},
		},
		Resources: []domain.Resource{
			{ID: "todo-api", Audience: "https://api.example.com", SecretHash: hash(secret)},
			{ID: "mute-api", Audience: "https://mute.example.com"},
		},
	}
}

func service(perMinute int) *clientauth.Service {
	c := catalog()
	now := time.Unix(1_800_000_000, 0)
	return &clientauth.Service{
		Catalog:  func() *domain.Catalog { return c },
		Failures: clientauth.NewLimiter(perMinute),
		Now:      func() time.Time { return now },
	}
}

// basic is what a client of RFC 6749 §2.3.1 sends; raw is what sloppy ones do.
func basic(id, secret string) []string {
	return raw(url.QueryEscape(id) + ":" + url.QueryEscape(secret))
}

func raw(pair string) []string {
	return []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(pair))}
}

func post(id, secret string) clientauth.Credentials {
	return clientauth.Credentials{ClientID: id, ClientSecret: secret, HasSecret: true}
}

func header(h ...string) clientauth.Credentials { return clientauth.Credentials{Authorization: h} }

func TestAClientAuthenticatesByItsOneMethod(t *testing.T) {
	for _, c := range []struct {
		name string
		came clientauth.Credentials
		want oauth.Code // empty: accepted
		id   string
	}{
		{"a public client names itself", clientauth.Credentials{ClientID: "phone"}, "", "phone"},
		{"rfc6749-2.3.1-01 Basic", header(basic("web", secret)...), "", "web"},
		{"the scheme has no case", header("bAsIc " + basic("web", secret)[0][6:]), "", "web"},
		{"Basic with the same client_id in the body", clientauth.Credentials{Authorization: basic("web", secret), ClientID: "web"}, "", "web"},
		{"rfc6749-2.3.1-05 a secret in the body, where registered", post("post", secret), "", "post"},

		{"CA02 Basic for a client registered for the body", header(basic("post", secret)...), oauth.InvalidClient, ""},
		{"CA02 rfc6749-2.3.1-05 the body for a client registered for Basic", post("web", secret), oauth.InvalidClient, ""},
		{"CA02 rfc6749-2.3-02 a public client with a secret", post("phone", "x"), oauth.InvalidClient, ""},
		{"CA02 a public client with an empty secret", post("phone", ""), oauth.InvalidClient, ""},
		{"CA02 a public client with Basic", header(basic("phone", "")...), oauth.InvalidClient, ""},
		{"CA02 an assertion", clientauth.Credentials{ClientID: "web", Assertion: "x"}, oauth.InvalidClient, ""},
		{"rfc6749-2.2-01 a confidential client without its secret", clientauth.Credentials{ClientID: "web"}, oauth.InvalidClient, ""},
		{"a confidential client with an empty secret", header(basic("web", "")...), oauth.InvalidClient, ""},
		{"a client whose secret was never set", header(basic("hollow", "")...), oauth.InvalidClient, ""},
		{"a wrong secret", header(basic("web", "wrong")...), oauth.InvalidClient, ""},
		{"an unknown client", header(basic("nobody", secret)...), oauth.InvalidClient, ""},
		{"an unknown public client", clientauth.Credentials{ClientID: "nobody"}, oauth.InvalidClient, ""},
		{"nothing at all", clientauth.Credentials{}, oauth.InvalidClient, ""},
		{"a Bearer token", header("Bearer x"), oauth.InvalidClient, ""},
		{"a DPoP token", clientauth.Credentials{Authorization: []string{"DPoP x"}, ClientID: "phone"}, oauth.InvalidClient, ""},
		{"an id of another case", clientauth.Credentials{ClientID: "PHONE"}, oauth.InvalidClient, ""},

		{"CA08 rfc6749-2.3-01 Basic and a secret in the body", clientauth.Credentials{Authorization: basic("web", secret), ClientID: "web", HasSecret: true}, oauth.InvalidRequest, ""},
		{"CA08 a secret and an assertion", clientauth.Credentials{ClientID: "post", ClientSecret: secret, HasSecret: true, Assertion: "x"}, oauth.InvalidRequest, ""},
		{"CA08 two Authorization headers", header(basic("web", secret)[0], basic("web", secret)[0]), oauth.InvalidRequest, ""},
		{"CA08 another client_id in the body", clientauth.Credentials{Authorization: basic("web", secret), ClientID: "phone"}, oauth.InvalidRequest, ""},

		{"CA09 rfc6749-2.3.1-02 id and secret are decoded once", header(basic("tricky id", tricky)...), "", "tricky id"},
		{"CA09 a colon in the secret, not encoded", header(raw("tricky+id:pa:ss%2520%2B%2F%3D")...), "", "tricky id"},
		{"CA09 not encoded at all", header(raw("tricky id:" + tricky)...), oauth.InvalidClient, ""},
		{"CA09 encoded twice", header(basic(url.QueryEscape("tricky id"), url.QueryEscape(tricky))...), oauth.InvalidClient, ""},
		{"CA09 a broken escape", header(raw("web:%zz")...), oauth.InvalidClient, ""},
		{"CA09 NUL after the secret", header(raw("web:" + secret + "\x00")...), oauth.InvalidClient, ""},
		{"CA09 an encoded NUL", header(raw("web:" + url.QueryEscape(secret) + "%00")...), oauth.InvalidClient, ""},
		{"CA09 no colon", header(raw("web")...), oauth.InvalidClient, ""},
		{"CA09 no id", header(raw(":" + secret)...), oauth.InvalidClient, ""},
		{"CA09 no base64", header("Basic !!!"), oauth.InvalidClient, ""},
		{"CA09 base64 with a space", header(basic("web", secret)[0] + " "), oauth.InvalidClient, ""},
		{"CA09 base64 without padding", header("Basic " + base64.RawStdEncoding.EncodeToString([]byte("web:secret1"))), oauth.InvalidClient, ""},
		{"CA09 base64 with loose bits", header("Basic d2ViOmF="), oauth.InvalidClient, ""},
		{"CA09 the URL alphabet", header("Basic d2ViOj__Pz8="), oauth.InvalidClient, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, err := service(0).Client(context.Background(), c.came)
			if c.want == "" {
				if err != nil || client.ID != c.id {
					t.Fatalf("%v %v", client, err)
				}
				return
			}
			if got := oauth.AsError(err).Code; err == nil || got != c.want || client != nil {
				t.Fatalf("%v %v", client, err)
			}
		})
	}
}

func TestAnUnknownClientCannotBeToldFromAWrongSecret(t *testing.T) { // CA10
	s := service(0)
	var said []string
	for _, came := range []clientauth.Credentials{
		header(basic("nobody", secret)...), header(basic("web", "wrong")...), header(basic("phone", "x")...),
		post("web", secret), {ClientID: "web"}, {ClientID: "nobody"}, {ClientID: "web", Assertion: "x"}, header("Bearer x"),
	} {
		_, err := s.Client(context.Background(), came)
		var e *oauth.Error
		if !errors.As(err, &e) || e.Code != oauth.InvalidClient {
			t.Fatal(err)
		}
		said = append(said, e.Description)
	}
	for _, description := range said {
		if description != said[0] {
			t.Errorf("%q and %q", said[0], description)
		}
	}
}

func TestFailuresAreLimitedPerClientAndAddress(t *testing.T) { // CA10 rfc6749-2.3.1-04
	s := service(0)
	try := func(id, secret, ip string) oauth.Code {
		_, err := s.Client(context.Background(), clientauth.Credentials{Authorization: basic(id, secret), IP: ip})
		if err == nil {
			return ""
		}
		e := oauth.AsError(err)
		if e.Code == oauth.TooManyRequests && e.RetryAfter <= 0 {
			t.Error("429 without Retry-After")
		}
		return e.Code
	}
	for i := range 20 {
		if got := try("web", "wrong", "203.0.113.1/32"); got != oauth.InvalidClient {
			t.Fatalf("failure %d: %s", i, got)
		}
		if got := try("nobody", "wrong", "203.0.113.1/32"); got != oauth.InvalidClient {
			t.Fatalf("failure %d of an unknown client: %s", i, got)
		}
	}
	for _, c := range []struct {
		name, id, secret, ip string
		want                 oauth.Code
	}{
		{"the 21st failure", "web", "wrong", "203.0.113.1/32", oauth.TooManyRequests},
		{"the right secret meanwhile", "web", secret, "203.0.113.1/32", oauth.TooManyRequests},
		{"an unknown client is limited alike", "nobody", "wrong", "203.0.113.1/32", oauth.TooManyRequests},
		{"another address", "web", secret, "203.0.113.2/32", ""},
		{"another client of the address", "tricky id", tricky, "203.0.113.1/32", ""},
	} {
		if got := try(c.id, c.secret, c.ip); got != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

func TestSuccessesAreNotLimited(t *testing.T) {
	s := service(1)
	for range 100 {
		if _, err := s.Client(context.Background(), header(basic("web", secret)...)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestALiftedLimitLimitsNothing(t *testing.T) {
	s := service(-1)
	for range 100 {
		if _, err := s.Client(context.Background(), header(basic("web", "wrong")...)); oauth.AsError(err).Code != oauth.InvalidClient {
			t.Fatal(err)
		}
	}
}

func TestAResourceAuthenticatesWithBasicAlone(t *testing.T) { // IR01
	for _, c := range []struct {
		name string
		came clientauth.Credentials
		want oauth.Code
	}{
		{"its id and secret", header(basic("todo-api", secret)...), ""},
		{"a wrong secret", header(basic("todo-api", "wrong")...), oauth.InvalidClient},
		{"an unknown resource", header(basic("nobody", secret)...), oauth.InvalidClient},
		{"rfc7662-4-04 a resource without a secret", header(basic("mute-api", "")...), oauth.InvalidClient},
		{"a client is no resource", header(basic("web", secret)...), oauth.InvalidClient},
		{"its audience is not its id", header(basic("https://api.example.com", secret)...), oauth.InvalidClient},
		{"a secret in the body", post("todo-api", secret), oauth.InvalidClient},
		{"its id alone", clientauth.Credentials{ClientID: "todo-api"}, oauth.InvalidClient},
		{"a token", header("Bearer x"), oauth.InvalidClient},
		{"nothing", clientauth.Credentials{}, oauth.InvalidClient},
		{"Basic and a secret in the body", clientauth.Credentials{Authorization: basic("todo-api", secret), HasSecret: true}, oauth.InvalidRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := service(0).Resource(context.Background(), c.came)
			if c.want == "" {
				if err != nil || r.ID != "todo-api" {
					t.Fatalf("%v %v", r, err)
				}
				return
			}
			if err == nil || oauth.AsError(err).Code != c.want {
				t.Fatalf("%v %v", r, err)
			}
		})
	}
}

func TestAResourcesFailuresAreLimitedToo(t *testing.T) { // CA10 rfc6749-2.3.1-04
	s := service(0)
	for range 20 {
		_, _ = s.Resource(context.Background(), header(basic("todo-api", "wrong")...))
	}
	_, err := s.Resource(context.Background(), header(basic("todo-api", secret)...))
	if oauth.AsError(err).Code != oauth.TooManyRequests {
		t.Error(err)
	}
}

func TestANewCatalogCountsAtOnce(t *testing.T) {
	current := catalog()
	s := &clientauth.Service{Catalog: func() *domain.Catalog { return current }}
	if _, err := s.Client(context.Background(), clientauth.Credentials{ClientID: "phone"}); err != nil {
		t.Fatal(err)
	}
	current = &domain.Catalog{Version: 2}
	if _, err := s.Client(context.Background(), clientauth.Credentials{ClientID: "phone"}); err == nil {
		t.Error("a client that is no longer declared was let in")
	}
}

func TestOnlyOriginsOfBrowserClientsAreKnown(t *testing.T) {
	s := service(0)
	for origin, want := range map[string]bool{
		"https://app.example": true, "https://web.example": false, "https://app.example:443": false, "null": false, "": false,
	} {
		if s.KnowsOrigin(origin) != want {
			t.Errorf("%q", origin)
		}
	}
}

// FuzzBasic asserts that no header but the right one gets in.
func FuzzBasic(f *testing.F) {
	f.Add(basic("web", secret)[0])
	f.Add("Basic d2ViOg==")
	f.Add("Basic")
	f.Add("Bearer x")
	s := service(-1)
	f.Fuzz(func(t *testing.T, h string) {
		client, err := s.Client(context.Background(), header(h))
		if err != nil {
			return
		}
		if client.ID != "web" && client.ID != "tricky id" {
			t.Errorf("%q authenticated %s", h, client.ID)
		}
	})
}
