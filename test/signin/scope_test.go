package signin_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// What a sign-in is granted, and for whom its first access token is. An access token has one audience.
// rfc9068-3-01 rfc9068-3-03 rfc8725-3.9-01
func TestScopeAndResourceDecideTheAudience(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		const api, mail = harness.Audience, harness.OtherAudience
		for _, tt := range []struct {
			name     string
			scope    string
			resource []string
			error    string
			aud      string
			granted  string
		}{
			{"nothing asked", "", nil, "", w.Issuer, "openid offline_access"},
			{"scopes of one resource", "openid todos.read", nil, "", api, "openid todos.read"},
			{"scopes of the account", "openid account.read", nil, "", w.Issuer, "openid account.read"},
			{"scopes of two resources", "todos.read mail.read", nil, "invalid_target", "", ""},
			{"scopes of a resource and the account", "todos.read account.read", nil, "invalid_target", "", ""},
			{"two resources named", "openid todos.read mail.read", []string{mail, api}, "", mail, "openid mail.read"},
			{"a scope whose resource is not named", "todos.read mail.read", []string{api}, "invalid_scope", "", ""},
			{"a resource without its scopes", "openid", []string{api}, "", api, "openid"},
			{"an unknown resource", "openid", []string{"https://evil.example"}, "invalid_target", "", ""},
			{"a resource with a slash too many", "openid", []string{api + "/"}, "invalid_target", "", ""},
			{"an unknown scope", "openid root", nil, "invalid_scope", "", ""},
			{"a scope this client may not have", "admin", nil, "invalid_scope", "", ""},
			{"ten thousand scopes", strings.TrimSpace(strings.Repeat("a ", 10_000)), nil, "invalid_scope", "", ""},
			{"a scope that is none", "open\"id", nil, "invalid_scope", "", ""},
		} {
			t.Run(tt.name, func(t *testing.T) {
				p := w.phone()
				f := w.prepare(t, p, w.Google, google("ada"))
				f.Set("scope", tt.scope)
				f["resource"] = tt.resource
				a := send(t, p, f)
				if tt.error != "" {
					wantRefused(t, a, tt.error)
					return
				}
				got := wantIn(t, a)
				if claim(t, got.AccessToken, "aud") != tt.aud || got.Scope != tt.granted || claim(t, got.AccessToken, "scope") != tt.granted {
					t.Errorf("%+v for %s", got, claim(t, got.AccessToken, "aud"))
				}
				if (got.RefreshToken != "") != strings.Contains(tt.granted, "offline_access") || (got.IDToken != "") != strings.Contains(tt.granted, "openid") {
					t.Errorf("%+v", got)
				}
			})
		}
	}, unlimited)
}

// TK12: a service acts for itself. Its subject is its own id, which no account's can be.
func TestTK12AServiceIsNobody(t *testing.T) { // rfc7519-4.1.2-01
	onEngines(t, func(t *testing.T, w *world) {
		a := w.Post("/token", url.Values{"grant_type": {"client_credentials"}}, harness.Basic(harness.ServiceID, harness.ServiceSecret))
		token := a.String("access_token")
		if a.Status != 200 || a.JSON["refresh_token"] != nil || a.JSON["id_token"] != nil || claim(t, token, "sub") != harness.ServiceID {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		if sub := w.account(t, w.Google, google(harness.ServiceID)); !strings.HasPrefix(sub, "acc_") {
			t.Errorf("an account's subject is %s", sub)
		}
		a = w.Post("/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"todos.read offline_access"}}, harness.Basic(harness.ServiceID, harness.ServiceSecret))
		if a.Status != 400 || a.Error() != "invalid_scope" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
}

// A provider's SDK that cannot carry a nonce needs the client's explicit word for it, and then each token works once.
func TestWithoutANonce(t *testing.T) {
	const kiosk = `  - id: kiosk
    type: native
    providers: [{name: corp, audiences: [mobile], dangerously_accept_tokens_without_a_nonce: true}]
    resources: [todo-api]
    scopes: [openid, offline_access, todos.read]
`
	onEngines(t, func(t *testing.T, w *world) {
		bare := func(client string, spoil func(*standin.TokenRequest)) url.Values {
			r := corp("ada")
			if spoil != nil {
				spoil(&r)
			}
			c, err := w.Corp.Issue(r)
			if err != nil {
				t.Fatal(err)
			}
			f := form(client, "", c)
			f.Del("nonce")
			return f
		}
		p, other := w.phone(harness.As("kiosk", scope)), w.phone(harness.As("kiosk", scope))
		f := bare("kiosk", nil)
		wantIn(t, send(t, p, f))
		w.unchanged(t, func() {
			wantRefused(t, send(t, other, f), "invalid_request")
			wantRefused(t, send(t, p, bare("kiosk", func(r *standin.TokenRequest) { r.IssuedAt = w.Clock.Now().Add(-6 * time.Minute) })), "invalid_request")
			wantRefused(t, send(t, p, bare("kiosk", func(r *standin.TokenRequest) { r.Nonce = "theirs" })), "invalid_request")
			normal := w.phone()
			wantRefused(t, send(t, normal, bare(harness.ClientID, nil)), "invalid_request")
		})
		w.Clock.Step(time.Second)
		wantIn(t, send(t, other, bare("kiosk", nil)))
	}, unlimited, harness.Clients(kiosk))
}
