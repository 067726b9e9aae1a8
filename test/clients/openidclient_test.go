package clients_test

import (
	"slices"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/countersign/countersign/test/harness"
)

func TestOpenIDClientSignsIntoANativeApp(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		var got struct {
			outcome
			Mixups []string `json:"mixups"`
		}
		w.node(t, "openid-client/code.mjs", params(harness.ClientID, loopback, todos), &got)
		w.check(t, got.outcome, expect{harness.ClientID, "Bearer", oidc.ES256, true})
		// it refuses an answer without iss, one with another iss, and one to another request
		if want := []string{"OAUTH_INVALID_RESPONSE", "OAUTH_INVALID_RESPONSE", "OAUTH_INVALID_RESPONSE"}; !slices.Equal(got.Mixups, want) {
			t.Errorf("%v", got.Mixups)
		}
	})
}

func TestOpenIDClientSignsInOnAServerHoweverItAuthenticates(t *testing.T) {
	jwks, key := signer(t)
	onEngines(t, func(t *testing.T, w *world) {
		for _, tt := range []struct{ client, auth string }{
			{"basic-web", "client_secret_basic"}, {"post-web", "client_secret_post"}, {"signed-web", "private_key_jwt"},
		} {
			p := params(tt.client, webRedirect, todos, "auth", tt.auth, "secret", tricky)
			p["key"] = key
			var got outcome
			w.node(t, "openid-client/code.mjs", p, &got)
			w.check(t, got, expect{tt.client, "Bearer", oidc.RS256, false})
		}
	}, confidential("basic-web", "secret_file: "+secretFile(t)),
		confidential("post-web", "auth_method: client_secret_post, secret_file: "+secretFile(t)),
		confidential("signed-web", "auth_method: private_key_jwt, jwks_file: "+jwks))
}

func TestOpenIDClientTakesAPostedResponseAndLogsOut(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		var got struct {
			outcome
			Logout string `json:"logout"`
		}
		s := w.start(t, params(harness.WebID, webRedirect, todos, "auth", "client_secret_basic",
			"secret", harness.WebSecret, "response_mode", "form_post", "logout", "https://todo.example/bye"), nil, "openid-client/code.mjs")
		s.finish(&got)
		w.check(t, got.outcome, expect{harness.WebID, "Bearer", oidc.RS256, false})
		w.logOut(t, s.browser, got.Logout, got.Refreshed.AccessToken)
	})
}

func TestOpenIDClientBindsItsTokensToAKey(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		for skew, asked := range map[int][]string{0: nil, -120: {"/token"}} {
			p := params(harness.ClientID, loopback, todos)
			p["skew"] = skew
			var got struct {
				outcome
				Stolen string   `json:"stolen"`
				Asked  []string `json:"asked"`
			}
			w.node(t, "openid-client/dpop.mjs", p, &got)
			w.check(t, got.outcome, expect{harness.ClientID, "DPoP", oidc.ES256, true})
			if got.Stolen != "invalid_dpop_proof" && got.Stolen != "invalid_grant" {
				t.Errorf("without the key: %s", got.Stolen)
			}
			if !slices.Equal(got.Asked, asked) {
				t.Errorf("with a clock %d s off, asked for nonces at %v", skew, got.Asked)
			}
		}
	})
}

func TestOpenIDClientGetsTokensForATV(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		var got struct {
			outcome
			Polls []string `json:"polls"`
		}
		w.node(t, "openid-client/device.mjs", params(harness.TVID, "", "openid offline_access todos.read"), &got)
		w.check(t, got.outcome, expect{harness.TVID, "Bearer", oidc.ES256, true})
		if !slices.Equal(got.Polls, []string{"authorization_pending", "tokens"}) {
			t.Errorf("%v", got.Polls)
		}
	})
}

func TestOpenIDClientAsksForAServicesToken(t *testing.T) {
	jwks, key := signer(t)
	onEngines(t, func(t *testing.T, w *world) {
		for _, p := range []map[string]any{
			params(harness.ServiceID, "", "todos.read", "auth", "client_secret_basic", "secret", harness.ServiceSecret),
			params("signed-service", "", "todos.read", "auth", "private_key_jwt"),
		} {
			p["key"] = key
			var got struct {
				Tokens tokenSet `json:"tokens"`
				Greedy string   `json:"greedy"`
			}
			w.node(t, "openid-client/service.mjs", p, &got)
			if !w.Active(got.Tokens.AccessToken) || got.Tokens.RefreshToken != "" || got.Greedy != "invalid_scope" {
				t.Errorf("%v: %+v", p["client_id"], got)
			}
		}
	}, harness.Clients("  - {id: signed-service, type: service, auth_method: private_key_jwt, jwks_file: "+jwks+
		", resources: [todo-api], scopes: [todos.read]}\n"))
}

func TestOpenIDClientExchangesAGoogleIDToken(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		var got outcome
		w.node(t, "openid-client/signin.mjs", params(harness.ClientID, "", todos), &got)
		w.check(t, got, expect{harness.ClientID, "DPoP", oidc.ES256, true})
	})
}
