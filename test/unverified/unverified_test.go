// Package unverified tests over real sockets what clients that nobody answers for may do, and what people see of them.
package unverified

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/test/harness"
)

const (
	stranger   = "stranger"                             // registered by anybody
	guest      = "guest"                                // with a token of the operator's
	documented = "https://docs.example/app/client.json" // named by its document

	scope = "openid offline_access"
	logo  = `<svg xmlns="http://www.w3.org/2000/svg"/>`
)

// redirects is where each is answered.
var redirects = map[string]string{
	stranger: "https://harbour.example/cb", guest: "https://guest.example/cb", documented: "http://127.0.0.1/cb",
}

func onEngines(t *testing.T, test func(*testing.T, *harness.World)) {
	t.Helper()
	t.Parallel()
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		t.Parallel()
		w := harness.New(t, e, harness.YAML("registration: {mode: open, documents: true}"))
		register(t, w)
		test(t, w)
	})
}

// register puts the clients in as registration does, but for one who claims to be of whoever runs the server.
func register(t *testing.T, w *harness.World) {
	t.Helper()
	db := w.Store()
	for id, by := range map[string]domain.RegisteredBy{
		stranger: domain.RegisteredByAnybody, guest: domain.RegisteredByToken, documented: domain.RegisteredByDocument,
	} {
		c := domain.Client{
			ID: id, Name: "Harbour Helper", Type: domain.ClientBrowser, DPoP: domain.DPoPAllowed, AuthMethod: domain.AuthNone,
			Providers: []domain.ClientProvider{{Name: "google"}}, Scopes: strings.Fields(scope),
			RedirectURIs: []string{redirects[id]}, PostLogoutURIs: []string{redirects[id] + "/bye"},
			Logo: []byte(logo), LogoType: "image/svg+xml", FirstParty: true, Registered: by, RegisteredAt: db.Now(),
		}
		if by == domain.RegisteredByDocument {
			c.Type = domain.ClientNative
		}
		r := store.Registration{Client: c, Metadata: "{}", FetchedAt: db.Now(), FreshUntil: db.Now().Add(time.Hour)}
		add := func() (bool, error) { return db.AddRegistration(t.Context(), store.NewRegistration{Registration: r}) }
		if by == domain.RegisteredByDocument {
			add = func() (bool, error) { return db.PutDocument(t.Context(), r, domain.Event{}) }
		}
		if ok, err := add(); err != nil || !ok {
			t.Fatal(id, ok, err)
		}
	}
}

func trip(client string, more ...string) *harness.Trip {
	return harness.NewTrip(client, redirects[client], scope, more...)
}

// agreed is a trip to its end, as far as the person's part goes.
func agreed(b *harness.Web) *harness.Web {
	b.T.Helper()
	b.Want("consent-form").Submit("consent-allow", "action", "allow")
	if b.Has("passkey-skip") {
		b.Submit("passkey-skip", "action", "skip")
	}
	return b
}

// AZ36, RFC 9700 §4.11.2: whoever registers here unasked and makes a request that must fail would have us send people to
// them. Nobody is sent anywhere before they did something on our pages.
func TestAZ36AClientNobodyAnswersForSendsNobodyAnywhereByAnError(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		known := w.Browser().Open("/authorize?"+trip(guest).Query.Encode()).SignInWith(w.Google, "google", "ada")
		for name, more := range map[string][]string{
			"a scope it may not have":         {"scope", "openid admin"},
			"no response_type":                {"response_type", ""},
			"another response_type":           {"response_type", "token"},
			"another, by form":                {"response_type", "token", "response_mode", "form_post"},
			"another, signed":                 {"response_type", "token", "response_mode", "jwt"},
			"no PKCE":                         {"code_challenge", "", "code_challenge_method", ""},
			"a resource nobody has":           {"resource", "https://nobody.example"},
			"prompt none":                     {"prompt", "none"},
			"prompt none, by form":            {"prompt", "none", "response_mode", "form_post"},
			"prompt none and more":            {"prompt", "none login"},
			"an acr nobody can reach":         {"claims", `{"id_token":{"acr":{"essential":true,"values":["urn:nobody"]}}}`},
			"an acr it has no way to reach":   {"claims", `{"id_token":{"acr":{"essential":true,"value":"phr"}}}`},
			"a sign-in it cannot have proved": {"max_age", "0"},
			"a request object":                {"request", "e30.e30."},
			"a request_uri":                   {"request_uri", "https://evil.example/request"},
			"a request_uri like ours":         {"request_uri", "urn:ietf:params:oauth:request_uri:nothing"},
		} {
			t.Run(name, func(t *testing.T) {
				for who, b := range map[string]*harness.Web{"nobody signed in": w.Browser(), "somebody signed in": known.Copy()} {
					for _, client := range []string{stranger, documented} {
						b.T = t
						b.Open(trip(client, more...).Path())
						if b.Left != nil {
							t.Fatalf("%s, %s: sent to %s", client, who, b.Left)
						}
						if strings.Contains(b.Page, "<form") && strings.Contains(b.Page, `action="`+redirects[client]) {
							t.Errorf("%s, %s: posted to it:\n%s", client, who, b.Page)
						}
						if name != "a sign-in it cannot have proved" && (!b.Has("error-page") || !b.Has("client-unverified") || b.Status < 400) {
							t.Errorf("%s, %s: %d\n%s", client, who, b.Status, b.Page)
						}
					}
				}
			})
		}
	})
}

// One that an operator let in is told as any client is: somebody answers for it.
func TestAZ36AClientWithATokenIsToldOfErrors(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		for want, more := range map[string][]string{
			"invalid_scope":  {"scope", "openid admin"},
			"login_required": {"prompt", "none"},
		} {
			bad := trip(guest, more...)
			if got := bad.Response(w.Browser().Open(bad.Path())).Get("error"); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
	})
}

// What a person decides goes back, whoever the client is (RFC 6749 §4.1.2.1).
func TestAZ36WhatAPersonDecidesGoesBack(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		for _, client := range []string{stranger, documented} {
			turned := trip(client)
			b := w.Browser().Open(turned.Path()).Want("client-unverified").Submit("login-form", "action", "cancel")
			if got := turned.Response(b).Get("error"); got != "access_denied" {
				t.Errorf("%s: turned back: %s", client, got)
			}
			denied := trip(client)
			b = w.Browser().Open(denied.Path()).SignInWith(w.Google, "google", "ada").Want("consent-form").Submit("consent-deny", "action", "deny")
			if got := denied.Response(b).Get("error"); got != "access_denied" {
				t.Errorf("%s: denied: %s", client, got)
			}
			allowed := trip(client)
			b = agreed(w.Browser().Open(allowed.Path()).SignInWith(w.Google, "google", "ada"))
			if a := w.Post("/token", allowed.Redeem(allowed.Code(b), "client_id", client)); a.Status != http.StatusOK {
				t.Errorf("%s: %d %s", client, a.Status, a.Body)
			}
			// Who has agreed once is known to the client: silent renewal works.
			silent := trip(client, "prompt", "none")
			if client == stranger {
				silent.Code(b.Open(silent.Path()))
			}
		}
	})
}

// AZ36: the other way out of our pages. Anybody has an ID token of their own, and so a hint that holds.
func TestAZ36ALogoutSendsNobodyOnUnasked(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		for client, sent := range map[string]bool{stranger: false, guest: true} {
			own := trip(client)
			b := agreed(w.Browser().Open(own.Path()).SignInWith(w.Google, "google", "ada"))
			a := w.Post("/token", own.Redeem(own.Code(b), "client_id", client))
			q := url.Values{"id_token_hint": {a.String("id_token")}, "post_logout_redirect_uri": {redirects[client] + "/bye"}}
			other := w.Browser().Open("/logout?" + q.Encode())
			if got := other.Left != nil; got != sent {
				t.Errorf("%s: sent to %v\n%s", client, other.Left, other.Page)
			}
			if !sent && !strings.Contains(other.Page, redirects[client]+"/bye") {
				t.Errorf("no link leads back:\n%s", other.Page)
			}
			if b.Open("/logout?" + q.Encode()); b.Left == nil { // the person of the hint, in their own browser
				t.Errorf("%s: not sent back: %s", client, b.Page)
			}
		}
	})
}

// RG06: people are told that nobody checked it, where it is from and where it leads; its picture is ours to serve.
func TestRG06PeopleAreToldOfAClientThatNobodyChecked(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		issuer, err := url.Parse(w.Issuer)
		if err != nil {
			t.Fatal(err)
		}
		for client, hosts := range map[string][]string{
			stranger:   {"From here it takes you to harbour.example."},
			documented: {"Its description comes from docs.example.", "From here it takes you to an app on this device (127.0.0.1)."},
		} {
			b := w.Browser().Open(trip(client).Path()).Want("login-form")
			told := func(page string) {
				t.Helper()
				for _, sentence := range append(hosts, "Not checked", "This app registered itself. Whoever runs "+issuer.Hostname()+" has not checked it.") {
					if !strings.Contains(b.Page, sentence) {
						t.Errorf("%s, %s: %q is not said:\n%s", client, page, sentence, b.Page)
					}
				}
				if policy := b.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "img-src 'self' data:;") {
					t.Errorf("pictures from elsewhere: %s", policy)
				}
			}
			told("login")
			_, from, _ := strings.Cut(b.Page, `id="client-logo" src="`)
			src, _, _ := strings.Cut(from, `"`)
			if picture := w.Browser().Open(src); !strings.HasPrefix(src, "/logo/") || picture.Status != http.StatusOK || picture.Page != logo {
				t.Errorf("%s: the logo at %q: %d %s", client, src, picture.Status, picture.Page)
			}
			b.SignInWith(w.Google, "google", "ada").Want("consent-form") // its row says first_party: nobody believes it
			told("consent")
		}
		if b := w.Browser().Open(trip(guest).Path()).Want("login-form"); b.Has("client-unverified") {
			t.Error("a client that the operator let in is called unchecked")
		}
	})
}

// The account's lists call a registered client by its name, and a person can withdraw what it was allowed.
func TestPeopleSeeWhichRegisteredClientsHaveAccess(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		phone := w.SignedIn("pixel", "ada")
		person := harness.Person("ada")
		person.Username = "lovelace"
		if err := w.Google.AddPerson(person); err != nil {
			t.Fatal(err)
		}
		for _, client := range []string{stranger, documented} {
			own := trip(client)
			b := agreed(w.Browser().Open(own.Path()).SignInWith(w.Google, "google", "lovelace"))
			if a := w.Post("/token", own.Redeem(own.Code(b), "client_id", client)); a.Status != http.StatusOK {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
		}
		sessions, err := phone.Sessions(t.Context())
		if err != nil || len(sessions) != 3 {
			t.Fatalf("%+v, %v", sessions, err)
		}
		for _, s := range sessions {
			if want := map[string]string{harness.ClientID: "Todo"}[s.ClientID]; s.ClientName != want && s.ClientName != "Harbour Helper" {
				t.Errorf("%+v", s)
			}
		}
		a, err := phone.CallResource(t.Context(), w.Issuer, http.MethodGet, w.Issuer+"/account/v1/consents", nil)
		if err != nil || strings.Count(string(a.Body), `"client_name":"Harbour Helper"`) != 2 {
			t.Errorf("%s, %v", a.Body, err)
		}
		nonce, err := phone.Challenge(t.Context(), "reauth")
		if err != nil {
			t.Fatal(err)
		}
		proof, err := w.GooglePrompt("ada")(t.Context(), nonce)
		if err != nil {
			t.Fatal(err)
		}
		path, body := w.Issuer+"/account/v1/consents/"+oauth.Segment(documented), map[string]string{"reauth_token": proof.IDToken, "reauth_nonce": nonce}
		if a, err = phone.CallResource(t.Context(), w.Issuer, http.MethodDelete, path, body); err != nil || a.Status != http.StatusNoContent {
			t.Errorf("%+v, %v", a, err)
		}
		if sessions, err = phone.Sessions(t.Context()); err != nil || len(sessions) != 2 {
			t.Errorf("%+v, %v", sessions, err)
		}
	})
}

// An operator who switches a registered client off ends what it has at once, and the list says so.
func TestDisablingARegisteredClientEndsItsRefreshesAtOnce(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		for _, client := range []string{stranger, documented} {
			own := trip(client)
			b := agreed(w.Browser().Open(own.Path()).SignInWith(w.Google, "google", "ada"))
			a := w.Post("/token", own.Redeem(own.Code(b), "client_id", client))
			if a = w.Refresh(client, a.String("refresh_token")); a.Status != http.StatusOK {
				t.Fatalf("%s: %d %s", client, a.Status, a.Body)
			}
			if err := w.Admin().DisableClient(t.Context(), client); err != nil {
				t.Fatal(err)
			}
			if off := w.Refresh(client, a.String("refresh_token")); off.Status != http.StatusBadRequest || off.String("error") != "invalid_grant" {
				t.Errorf("%s: %d %s", client, off.Status, off.Body)
			}
			if b.Open(trip(client).Path()); b.Left != nil || !b.Has("error-page") {
				t.Errorf("%s: %v\n%s", client, b.Left, b.Page)
			}
			if one, err := w.Admin().RegisteredClient(t.Context(), client); err != nil || one.State != "disabled" || one.LastUsedAt.IsZero() {
				t.Errorf("%+v, %v", one, err)
			}
			if err := w.Admin().DeleteRegisteredClient(t.Context(), client); err != nil {
				t.Fatal(err)
			}
			if gone := w.Refresh(client, a.String("refresh_token")); gone.Status/100 != 4 {
				t.Errorf("%s: %d %s", client, gone.Status, gone.Body)
			}
		}
	})
}
