package clients_test

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/pkg/client/rp"
	zhttp "github.com/zitadel/oidc/v3/pkg/http"
	zoidc "github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"

	"github.com/countersign/countersign/test/harness"
)

type zitadelTokens = zoidc.Tokens[*zoidc.IDTokenClaims]

// relyingParty is zitadel's, which discovers by the issuer too. It has a connection pool of its own: EndSession changes
// the client it is given.
func (w *world) relyingParty(t *testing.T, client, secret, redirect, scope string) rp.RelyingParty {
	t.Helper()
	var hash, block [32]byte
	_, _ = rand.Read(hash[:])
	_, _ = rand.Read(block[:])
	party, err := rp.NewRelyingPartyOIDC(w.ctx, w.Issuer, client, secret, redirect, strings.Fields(scope),
		rp.WithHTTPClient(&http.Client{Transport: w.http.Transport, Timeout: w.http.Timeout}),
		rp.WithPKCE(zhttp.NewCookieHandler(hash[:], block[:], zhttp.WithUnsecure())), // the test's app is http on loopback
		rp.WithAuthStyle(oauth2.AuthStyleInParams), rp.WithSigningAlgsFromDiscovery())
	if err != nil {
		t.Fatal(err)
	}
	return party
}

// A small website built of the library's own handlers: it sends the person away, and shows who came back.
func TestZitadelsHandlersSignInToAnAppOnLoopback(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		mux := http.NewServeMux()
		site := httptest.NewServer(mux)
		t.Cleanup(site.Close)
		party := w.relyingParty(t, harness.ClientID, "", site.URL+"/cb", todos)
		var got *zitadelTokens
		var info *zoidc.UserInfo
		mux.Handle("/login", rp.AuthURLHandler(oauth2.GenerateVerifier, party))
		mux.Handle("/cb", rp.CodeExchangeHandler(rp.UserinfoCallback(func(
			_ http.ResponseWriter, _ *http.Request, tokens *zitadelTokens, _ string, _ rp.RelyingParty, u *zoidc.UserInfo,
		) {
			got, info = tokens, u
		}), party))

		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		person := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		_, away := visit(t, person, site.URL+"/login")
		status, _ := visit(t, person, w.walk(w.Browser(), away).URL)
		if status != http.StatusOK || got == nil || info.Subject != got.IDTokenClaims.Subject || info.Email != w.Google.PersonNamed("ada").Email {
			t.Fatalf("%d, %+v", status, info)
		}
		w.refreshAndRevoke(t, party, got)
	})
}

// visit opens an address of the website and tells what it answered and where it sends on to.
func visit(t *testing.T, person *http.Client, address string) (status int, location string) {
	t.Helper()
	status, _, location = see(t, person, address)
	return status, location
}

// see is visit with the page that is shown.
func see(t *testing.T, person *http.Client, address string) (status int, page, location string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := person.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body), res.Header.Get("Location")
}

func (w *world) refreshAndRevoke(t *testing.T, party rp.RelyingParty, first *zitadelTokens) {
	t.Helper()
	fresh, err := rp.RefreshTokens[*zoidc.IDTokenClaims](w.ctx, party, first.RefreshToken, "", "")
	if err != nil {
		t.Fatal(err)
	}
	if fresh.AccessToken == first.AccessToken || !w.Active(fresh.AccessToken) {
		t.Error("not refreshed")
	}
	if err := rp.RevokeToken(w.ctx, party, fresh.RefreshToken, "refresh_token"); err != nil {
		t.Error(err)
	}
	if w.Active(fresh.AccessToken) {
		t.Error("the access token outlived its session")
	}
}

// The library sends a secret in the form, whatever the style it was told: RefreshTokens knows no other way.
func TestZitadelSignsInOnAServerAndLogsOut(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		party := w.relyingParty(t, "post-web", tricky, webRedirect, todos)
		verifier, state := oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
		browser := w.Browser()
		q := query(t, w.walk(browser, rp.AuthURL(state, party, rp.WithCodeChallenge(oauth2.S256ChallengeFromVerifier(verifier)))).URL)
		if q.Get("state") != state {
			t.Fatalf("%v", q)
		}
		got, err := rp.CodeExchange[*zoidc.IDTokenClaims](w.ctx, q.Get("code"), party, rp.WithCodeVerifier(verifier))
		if err != nil {
			t.Fatal(err)
		}
		if got.IDTokenClaims.SignatureAlg != "RS256" {
			t.Errorf("%s", got.IDTokenClaims.SignatureAlg)
		}
		fresh, err := rp.RefreshTokens[*zoidc.IDTokenClaims](w.ctx, party, got.RefreshToken, "", "")
		if err != nil {
			t.Fatal(err)
		}
		to, err := rp.EndSession(w.ctx, party, got.IDToken, "https://todo.example/bye", "so long", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		// the library asks by POST where to send the browser, and that is to us: only the browser has the person's cookies
		w.logOut(t, browser, to.String(), fresh.AccessToken)
	}, confidential("post-web", "auth_method: client_secret_post, post_logout_redirect_uris: [\"https://todo.example/bye\"], secret_file: "+secretFile(t)))
}

func TestZitadelGetsTokensForATV(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		party := w.relyingParty(t, harness.TVID, "", "", "openid offline_access todos.read")
		shown, err := rp.DeviceAuthorization(w.ctx, party.OAuthConfig().Scopes, party, nil)
		if err != nil {
			t.Fatal(err)
		}
		w.agree(shown.VerificationURIComplete)
		ctx, cancel := context.WithTimeout(w.ctx, 20*time.Second)
		defer cancel()
		got, err := rp.DeviceAccessToken(ctx, shown.DeviceCode, time.Duration(shown.Interval)*time.Second, party)
		if err != nil {
			t.Fatal(err)
		}
		if !w.Active(got.AccessToken) || got.RefreshToken == "" || got.IDToken == "" {
			t.Errorf("%+v", got)
		}
	})
}
