package clients_test

import (
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/countersign/countersign/test/harness"
)

func TestOAuth4WebAPISignsInOnAServerAndAnAppServerHearsOfTheRevocation(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		var got struct {
			outcome
			Before map[string]any `json:"before"`
			After  map[string]any `json:"after"`
		}
		w.node(t, "oauth4webapi/web.mjs", params(harness.WebID, webRedirect, todos, "secret", harness.WebSecret,
			"resource_id", harness.ResourceID, "resource_secret", harness.ResourceSecret), &got)
		if got.Before["active"] != true || got.Before["sub"] != got.Claims["sub"] || got.Before["client_id"] != harness.WebID {
			t.Errorf("introspected as %v", got.Before)
		}
		if len(got.After) != 1 || got.After["active"] != false {
			t.Errorf("once revoked, introspected as %v", got.After)
		}
		if w.Active(got.Tokens.AccessToken) || got.UserInfo["sub"] != got.Claims["sub"] {
			t.Errorf("userinfo %v of %v", got.UserInfo, got.Claims)
		}
	})
}

func TestOAuth4WebAPIAnswersTheServersNonces(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		for _, tt := range []struct {
			skew  int
			asked bool
		}{{0, false}, {-120, true}} {
			p := params(harness.ClientID, loopback, todos)
			p["skew"] = tt.skew
			var got struct {
				outcome
				Again map[string]bool `json:"again"`
			}
			w.node(t, "oauth4webapi/dpop.mjs", p, &got)
			w.check(t, got.outcome, expect{harness.ClientID, "DPoP", oidc.ES256, true})
			for _, step := range []string{"code", "refresh", "userinfo"} {
				if got.Again[step] != tt.asked {
					t.Errorf("with a clock %d s off, %s was asked for a nonce: %t", tt.skew, step, got.Again[step])
				}
			}
		}
	})
}

func TestOAuth4WebAPIExchangesAGoogleIDToken(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		var got outcome
		w.node(t, "oauth4webapi/signin.mjs", params(harness.ClientID, "", todos), &got)
		w.check(t, got, expect{harness.ClientID, "Bearer", oidc.ES256, true})
	})
}
