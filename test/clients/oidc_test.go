package clients_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// KL06: the published keys are what a stranger's library verifies with, and each client gets the algorithm it is
// registered for.
func TestGoOIDCVerifiesTheIDTokensOfEveryKindOfClient(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		native := w.native(t, harness.ClientID)
		web, nonce := w.web(t, harness.WebID, harness.WebSecret)
		for _, tt := range []struct {
			name, token, client, alg, other, nonce string
		}{
			{"a native client's is ES256", native.IDToken, harness.ClientID, oidc.ES256, oidc.RS256, ""},
			{"a web client's is RS256", web.String("id_token"), harness.WebID, oidc.RS256, oidc.ES256, nonce},
		} {
			t.Run(tt.name, func(t *testing.T) {
				id, err := w.provider.VerifierContext(w.ctx, &oidc.Config{ClientID: tt.client}).Verify(w.ctx, tt.token)
				if err != nil {
					t.Fatal(err)
				}
				if id.Issuer != w.Issuer || !strings.HasPrefix(id.Subject, "acc_") || id.IssuedAt.IsZero() ||
					tt.nonce != "" && id.Nonce != tt.nonce {
					t.Errorf("%+v", id)
				}
				var claims struct {
					SID string `json:"sid"`
				}
				if err := id.Claims(&claims); err != nil || !strings.HasPrefix(claims.SID, "ses_") {
					t.Errorf("%+v, %v", claims, err)
				}
				pinned := oidc.Config{ClientID: tt.client, SupportedSigningAlgs: []string{tt.other}}
				if _, err := w.provider.Verifier(&pinned).Verify(w.ctx, tt.token); err == nil {
					t.Errorf("it verifies as %s too", tt.other)
				}
			})
		}
	})
}

// What go-oidc is there to refuse, it refuses of ours too.
func TestGoOIDCRefusesWhatIsNoIDTokenForThisClient(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		tokens := w.native(t, harness.ClientID)
		elsewhere := func(c *oidc.Config) { c.ClientID = harness.WebID }
		later := func(c *oidc.Config) { c.Now = func() time.Time { return time.Now().Add(11 * time.Minute) } }
		for _, tt := range []struct {
			name, token string
			change      func(*oidc.Config)
		}{
			{"by another client", tokens.IDToken, elsewhere},
			{"after its ten minutes", tokens.IDToken, later},
			{"an access token in its place", tokens.AccessToken, func(*oidc.Config) {}},
			{"with a bit changed", flip(tokens.IDToken), func(*oidc.Config) {}},
		} {
			c := oidc.Config{ClientID: harness.ClientID}
			tt.change(&c)
			if _, err := w.provider.Verifier(&c).Verify(w.ctx, tt.token); err == nil {
				t.Errorf("%s: accepted", tt.name)
			}
		}
	})
}

// flip changes one character in the middle of a JWT's signature.
func flip(jwt string) string {
	at := len(jwt) - 20
	changed := byte('A')
	if jwt[at] == changed {
		changed = 'B'
	}
	return jwt[:at] + string(changed) + jwt[at+1:]
}

func TestGoOIDCFollowsADroppedKey(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		before := w.native(t, harness.ClientID).IDToken
		verifier := w.provider.VerifierContext(w.ctx, &oidc.Config{ClientID: harness.ClientID})
		if _, err := verifier.Verify(w.ctx, before); err != nil {
			t.Fatal(err)
		}
		if err := w.Admin().DropKey(t.Context(), kid(t, before)); err != nil {
			t.Fatal(err)
		}
		after := w.native(t, harness.ClientID).IDToken
		if _, err := verifier.Verify(w.ctx, after); err != nil {
			t.Errorf("what it knew before keeps it from the new key: %v", err)
		}
		fresh, err := oidc.NewProvider(w.ctx, w.Issuer)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fresh.Verifier(&oidc.Config{ClientID: harness.ClientID}).Verify(w.ctx, before); err == nil {
			t.Error("a token of the dropped key still verifies with the published ones")
		}
	})
}

func TestGoOIDCAsksForUserInfo(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		tokens := w.native(t, harness.ClientID)
		id, err := w.provider.Verifier(&oidc.Config{ClientID: harness.ClientID}).Verify(w.ctx, tokens.IDToken)
		if err != nil {
			t.Fatal(err)
		}
		info, err := w.provider.UserInfo(w.ctx, oauth2.StaticTokenSource(&oauth2.Token{AccessToken: tokens.AccessToken}))
		if err != nil {
			t.Fatal(err)
		}
		if info.Subject != id.Subject || info.Email != "ada@gmail.com" || !info.EmailVerified {
			t.Errorf("%+v", info)
		}
		if _, err := w.provider.UserInfo(w.ctx, oauth2.StaticTokenSource(&oauth2.Token{AccessToken: tokens.IDToken})); err == nil {
			t.Error("an ID token was taken for an access token")
		}
		bound := w.SignedIn("bound", "ada", func(c *standin.PhoneConfig) { harness.As(harness.ClientID, todos, harness.Audience)(c) })
		stolen, err := bound.Refresh(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.provider.UserInfo(w.ctx, oauth2.StaticTokenSource(&oauth2.Token{AccessToken: stolen.AccessToken})); err == nil {
			t.Error("a bound access token was taken without its key")
		}
	})
}

// What go-oidc checks of the document is that its issuer is the one that was asked.
func TestGoOIDCDoesNotTakeTheIssuerUnderAnotherName(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		for _, name := range []string{w.Nodes[0].Public, w.Issuer + "/"} {
			if _, err := oidc.NewProvider(w.ctx, name); err == nil {
				t.Errorf("discovered as %s", name)
			}
		}
	})
}

// kid names the key that signed it.
func kid(t *testing.T, jwt string) string {
	t.Helper()
	head, _, _ := strings.Cut(jwt, ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	var header struct {
		KID string `json:"kid"`
	}
	if err := errors.Join(err, json.Unmarshal(text, &header)); err != nil {
		t.Fatal(err)
	}
	return header.KID
}
