package clients_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/countersign/countersign/test/harness"
)

// x/oauth2 does not know how a client authenticates and tries Basic first, even for a public client: the probe must
// cost the client nothing.
func TestATokenSourceKeepsABearerSessionAlive(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		for name, style := range map[string]oauth2.AuthStyle{
			"finding out how to authenticate": oauth2.AuthStyleAutoDetect, "told how": oauth2.AuthStyleInParams,
		} {
			t.Run(name, func(t *testing.T) {
				first := w.native(t, "com.example.brief").RefreshToken
				config := oauth2.Config{ClientID: "com.example.brief", Endpoint: w.provider.Endpoint()}
				config.Endpoint.AuthStyle = style
				source := config.TokenSource(w.ctx, spent(first))
				seen := map[string]bool{first: true}
				for range 5 {
					token, err := source.Token()
					if err != nil {
						t.Fatal(err)
					}
					if seen[token.RefreshToken] || token.Type() != "Bearer" || !w.Active(token.AccessToken) {
						t.Fatalf("refresh token seen before: %t, type %s", seen[token.RefreshToken], token.Type())
					}
					seen[token.RefreshToken] = true
				}
			})
		}
	}, harness.Clients(brief("com.example.brief", "type: native")))
}

func TestATokenSourceKeepsAConfidentialClientsOneToken(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		signedIn, _ := w.web(t, "brief-web", tricky)
		first := signedIn.String("refresh_token")
		config := oauth2.Config{ClientID: "brief-web", ClientSecret: tricky, Endpoint: w.provider.Endpoint()}
		source := config.TokenSource(w.ctx, spent(first))
		access := map[string]bool{}
		for range 3 {
			token, err := source.Token()
			if err != nil {
				t.Fatal(err)
			}
			if token.RefreshToken != first || access[token.AccessToken] || !w.Active(token.AccessToken) {
				t.Fatalf("the same refresh token: %t, a fresh access token: %t", token.RefreshToken == first, !access[token.AccessToken])
			}
			access[token.AccessToken] = true
		}
		// two servers of the client, each with a copy of the token, do not disturb one another
		for _, server := range []oauth2.TokenSource{config.TokenSource(w.ctx, spent(first)), source} {
			if _, err := server.Token(); err != nil {
				t.Error(err)
			}
		}
	}, harness.Clients(brief("brief-web", "type: web, secret_file: "+secretFile(t))))
}

// tricky is a secret in which everything that RFC 6749 §2.3.1 has encoded occurs (CA09).
const tricky = "pa:ss%20+/=&?0123456789abcdefghijkl"

func secretFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tricky.secret")
	if err := os.WriteFile(path, []byte(tricky), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// An app built on x/oauth2 can tell the end of its session from everything else.
func TestATokenSourceHearsThatTheSessionIsOver(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		first := w.native(t, harness.ClientID).RefreshToken
		config := oauth2.Config{ClientID: harness.ClientID, Endpoint: w.provider.Endpoint()}
		if a := w.Post("/revoke", url.Values{"client_id": {harness.ClientID}, "token": {first}}); a.Status != http.StatusOK {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		_, err := config.TokenSource(w.ctx, spent(first)).Token()
		var refused *oauth2.RetrieveError
		if !errors.As(err, &refused) || refused.Response.StatusCode != http.StatusBadRequest ||
			refused.ErrorCode != "invalid_grant" || refused.ErrorDescription == "" {
			t.Errorf("%v", err)
		}
		mend := w.Break()
		defer mend()
		_, err = config.TokenSource(w.ctx, spent(first)).Token()
		if !errors.As(err, &refused) || refused.Response.StatusCode != http.StatusServiceUnavailable || // TK14
			refused.ErrorCode != "temporarily_unavailable" || refused.Response.Header.Get("Retry-After") == "" {
			t.Errorf("during an outage: %v", err)
		}
	})
}

func TestAServiceAsksForItsOwnToken(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		config := clientcredentials.Config{
			ClientID: harness.ServiceID, ClientSecret: harness.ServiceSecret, TokenURL: w.provider.Endpoint().TokenURL,
			Scopes: []string{"todos.read"}, EndpointParams: url.Values{"resource": {harness.Audience}},
		}
		token, err := config.Token(w.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if token.RefreshToken != "" || token.Type() != "Bearer" || time.Until(token.Expiry) <= 0 || !w.Active(token.AccessToken) { // TK12
			t.Errorf("%s until %v", token.Type(), token.Expiry)
		}
		wrong, greedy := config, config
		wrong.ClientSecret = "guess"
		greedy.Scopes = []string{"todos.write"}
		for _, tt := range []struct {
			config clientcredentials.Config
			status int
			code   string
		}{{wrong, http.StatusUnauthorized, "invalid_client"}, {greedy, http.StatusBadRequest, "invalid_scope"}} {
			_, err := tt.config.Token(w.ctx)
			var refused *oauth2.RetrieveError
			if !errors.As(err, &refused) || refused.Response.StatusCode != tt.status || refused.ErrorCode != tt.code {
				t.Errorf("want %s, got %v", tt.code, err)
			}
		}
	})
}
