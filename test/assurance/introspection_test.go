package assurance

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/resource"
	"github.com/countersign/countersign/test/harness"
)

const introspectionType = "application/token-introspection+jwt"

// rfc9701-4-01 rfc9701-5-01 rfc9701-5-02 rfc9701-5-06 rfc9701-8.1-01 IR08: whoever gets hold of a signed answer about a live
// token has nothing to call us with.
func TestIR08ASignedIntrospectionAnswerIsNoAccessToken(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		phone := w.SignedIn("phone", "ada", harness.Bearer)
		token, err := phone.AccessToken(t.Context(), harness.Audience)
		if err != nil {
			t.Fatal(err)
		}
		form := map[string][]string{"token": {token.AccessToken}}
		a := w.Post("/introspect", form, harness.Basic(harness.ResourceID, harness.ResourceSecret), harness.Set("Accept", introspectionType))
		if a.Status != http.StatusOK || a.Header.Get("Content-Type") != introspectionType {
			t.Fatalf("%d %v %s", a.Status, a.Header, a.Body)
		}
		answer := string(a.Body)
		c := w.verified(t, answer, "token-introspection+jwt")
		if text(c, "iss") != w.Issuer || text(c, "aud") != harness.ResourceID || c.Has("sub") || c.Has("exp") {
			t.Errorf("%+v", c)
		}
		for _, path := range []string{"/userinfo", "/account/v1/sessions", "/account/v1/identities"} {
			for _, scheme := range []string{"Bearer ", "DPoP "} {
				got := w.Do(w.Request("GET", path, "", harness.Set("Authorization", scheme+answer)))
				if got.Status != http.StatusUnauthorized || !strings.Contains(got.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
					t.Errorf("%s %s: %d %v", scheme, path, got.Status, got.Header)
				}
			}
		}
		if got := w.Introspect(answer, harness.ResourceID, harness.ResourceSecret); string(got.Body) != `{"active":false}` {
			t.Errorf("introspected: %s", got.Body)
		}
		w.atAppServer(t, token.AccessToken, http.StatusOK)
		w.atAppServer(t, answer, http.StatusUnauthorized)
	})
}

// atAppServer calls an app server that checks tokens with package resource.
func (w *world) atAppServer(t *testing.T, token string, want int) {
	t.Helper()
	v, err := resource.New(resource.Config{Issuer: w.Issuer, Audience: harness.Audience, Now: w.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+token)
	got := httptest.NewRecorder()
	v.Middleware()(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(got, r)
	if got.Code != want {
		t.Errorf("an app server answers %d, want %d: %s", got.Code, want, got.Body)
	}
}

// rfc9701-5-04 rfc9701-5-08 rfc9701-8.2-01 fapi2-ms-6.2-01: a client is no resource, however it authenticates, and a
// resource is told of its own tokens alone.
func TestWhoGetsNoSignedAnswer(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		trip, code := w.grant(t, "bank")
		in := w.Post("/token", w.as(t, "bank", trip.Redeem(code)), w.proof(t, prover(t), "/token"))
		token := map[string][]string{"token": {in.String("access_token")}}
		accept := harness.Set("Accept", introspectionType)
		refused(t, "a client that signs", w.Post("/introspect", w.as(t, "bank", token), accept), 401, oauth.InvalidClient)
		refused(t, "a client with a secret", w.Post("/introspect", token, harness.Basic("pusher", harness.WebSecret), accept), 401, oauth.InvalidClient)
		refused(t, "nobody", w.Post("/introspect", token, accept), 401, oauth.InvalidClient)
		other := w.Post("/introspect", token, harness.Basic(harness.OtherResource, harness.OtherSecret), accept)
		c := w.verified(t, string(other.Body), "token-introspection+jwt")
		if said, _ := c.JSON("token_introspection"); said != `{"active":false}` {
			t.Errorf("another resource learns %s", said)
		}
	})
}
