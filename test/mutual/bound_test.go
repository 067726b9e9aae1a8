package mutual

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/resource"
	"github.com/countersign/countersign/test/harness"
)

// CA18, rfc8705-3-02, rfc8705-3.1-01, rfc8705-3.2-01, rfc8705-3.4-01
func TestCA18ATokenIsBoundToTheCertificateItWasAskedWith(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		first := w.token(t, "pki", w.pki)
		cnf := w.confirmed(first.String("access_token"))
		if len(cnf) != 1 || cnf["x5t#S256"] != thumbprint(w.pki) || first.String("token_type") != "Bearer" {
			t.Errorf("%v, %s", cnf, first.Body)
		}
		// Another certificate of the same client: another binding.
		renewed := w.authority.Issue(t, ofTheBank)
		second := w.token(t, "pki", renewed)
		if cnf := w.confirmed(second.String("access_token")); cnf["x5t#S256"] != thumbprint(renewed) {
			t.Errorf("%v", cnf)
		}
		// Not asked for, not bound (RFC 8705 §3.4).
		if cnf := w.confirmed(w.token(t, "unbound", w.pki).String("access_token")); cnf != nil {
			t.Errorf("bound without being registered for it: %v", cnf)
		}
		// Registered for it and authenticated otherwise: no certificate, no token, and nothing was spent.
		form := url.Values{"grant_type": {"client_credentials"}}
		for _, address := range []string{w.Issuer, w.Mutual} {
			refused(t, "no certificate at "+address, w.ask(t, w.Showing(nil), address+"/token", form, asSecret("secret")), 400, oauth.InvalidRequest)
		}
		refused(t, "one that the issuer's listener never sees", w.ask(t, w.Showing(w.pki), w.Issuer+"/token", form, asSecret("secret")), 400, oauth.InvalidRequest)
		if cnf := w.confirmed(w.ask(t, w.Showing(w.own), w.Mutual+"/token", form, asSecret("secret")).String("access_token")); cnf["x5t#S256"] != thumbprint(w.own) {
			t.Errorf("%v", cnf)
		}
	})
}

// signedIn signs ada in with the client "own" and redeems the code over a way.
func (w *world) signedIn(t testing.TB, way *http.Client, mods ...func(*http.Request)) harness.Answer {
	t.Helper()
	trip := harness.NewTrip("own", "https://own.bank.example/cb", "openid offline_access todos.read")
	b := w.Browser()
	if b.Open(trip.Path()); b.Left == nil {
		b.SignInWith(w.Corp, "corp", "ada")
	}
	return w.ask(t, way, w.Mutual+"/token", trip.Redeem(trip.Code(b), "client_id", "own"), mods...)
}

// CA19, rfc8705-3-03, rfc8705-7.1-01
func TestCA19CodesAndRefreshTokensGiveBoundTokens(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		way := w.Showing(w.own)
		got := w.signedIn(t, way)
		if cnf := w.confirmed(got.String("access_token")); got.Status != 200 || cnf["x5t#S256"] != thumbprint(w.own) {
			t.Fatalf("%d %s %v", got.Status, got.Body, cnf)
		}
		refresh := url.Values{"grant_type": {"refresh_token"}, "client_id": {"own"}, "refresh_token": {got.String("refresh_token")}}
		again := w.ask(t, way, w.Mutual+"/token", refresh)
		if cnf := w.confirmed(again.String("access_token")); again.Status != 200 || cnf["x5t#S256"] != thumbprint(w.own) {
			t.Errorf("%d %s %v", again.Status, again.Body, cnf)
		}
		if again.String("refresh_token") != got.String("refresh_token") {
			t.Error("the refresh token of a confidential client changed")
		}
		// It is tied to the client and to none of its certificates: a renewed one goes on with it.
		renewed := harness.SelfSignedBy(t, signer(w.own))
		later := w.ask(t, w.Showing(renewed), w.Mutual+"/token", refresh)
		if cnf := w.confirmed(later.String("access_token")); later.Status != 200 || cnf["x5t#S256"] != thumbprint(renewed) {
			t.Errorf("%d %s %v", later.Status, later.Body, cnf)
		}
		// A thief of it is not the client.
		for name, cert := range map[string]*tls.Certificate{"nobody": nil, "another client": w.pki, "a stranger": harness.SelfSigned(t)} {
			refused(t, name, w.ask(t, w.Showing(cert), w.Mutual+"/token", refresh), 401, oauth.InvalidClient)
		}
		if a := w.ask(t, way, w.Mutual+"/token", refresh); a.Status != 200 {
			t.Errorf("after the thieves: %d %s", a.Status, a.Body)
		}
	})
}

// CA20, rfc8705-3-04: a token that was stolen is worth nothing on another connection.
func TestCA20AStolenTokenIsRefusedOnAnotherConnection(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		way := w.Showing(w.own)
		token := w.signedIn(t, way).String("access_token")
		info := func(way *http.Client, base string, mods ...func(*http.Request)) harness.Answer {
			r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/userinfo", nil))
			r.Header.Set("Authorization", "Bearer "+token)
			for _, m := range mods {
				m(r)
			}
			return w.DoBy(way, r)
		}
		if a := info(way, w.Mutual); a.Status != 200 || a.String("sub") == "" {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		for name, a := range map[string]harness.Answer{
			"no certificate":                     info(w.Showing(nil), w.Mutual),
			"another certificate":                info(w.Showing(harness.SelfSigned(t)), w.Mutual),
			"another of the same key":            info(w.Showing(harness.SelfSignedBy(t, signer(w.own))), w.Mutual),
			"its own as the issuer of another":   info(w.Showing(&tls.Certificate{Certificate: [][]byte{w.pki.Certificate[0], w.own.Certificate[0]}, PrivateKey: w.pki.PrivateKey}), w.Mutual),
			"where nobody asks for certificates": info(way, w.Issuer),
			"in a header":                        info(w.Showing(nil), w.Mutual, harness.Set("X-SSL-Client-Cert", url.QueryEscape(string(w.own.Certificate[0])))),
		} {
			refused(t, name, a, 401, oauth.InvalidToken)
			if !strings.Contains(a.Header.Get("WWW-Authenticate"), "certificate") {
				t.Errorf("%s: %q does not say why", name, a.Header.Get("WWW-Authenticate"))
			}
		}
		form := w.ask(t, w.Showing(nil), w.Mutual+"/userinfo", url.Values{"access_token": {token}})
		refused(t, "in a form", form, 401, oauth.InvalidToken)
	})
}

// CA20, at the account API: both doors have one road.
func TestCA20TheAccountAPIWantsTheCertificateToo(t *testing.T) {
	w := newWorld(t, harness.SQLite)
	way := w.Showing(w.own)
	trip := harness.NewTrip("own", "https://own.bank.example/cb", "openid account.read", "resource", w.Issuer)
	b := w.Browser()
	b.Open(trip.Path()).SignInWith(w.Corp, "corp", "ada")
	token := w.ask(t, way, w.Mutual+"/token", trip.Redeem(trip.Code(b), "client_id", "own")).String("access_token")
	for _, c := range []struct {
		name   string
		way    *http.Client
		base   string
		status int
	}{{"with it", way, w.Mutual, 200}, {"without", w.Showing(nil), w.Mutual, 401}, {"at the issuer", way, w.Issuer, 401}} {
		r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, c.base+"/account/v1/sessions", nil))
		r.Header.Set("Authorization", "Bearer "+token)
		if a := w.DoBy(c.way, r); a.Status != c.status {
			t.Errorf("%s: %d %s", c.name, a.Status, a.Body)
		}
	}
}

// CA21, rfc8705-5-03: proofs name the address they are sent to, and a token that is bound twice needs both.
func TestCA21ProofsNameTheAliasAndBothBindingsCount(t *testing.T) {
	w := newWorld(t, harness.SQLite)
	key, way := must(dpop.NewProver()), w.Showing(w.pki)
	form := url.Values{"grant_type": {"client_credentials"}}
	alias, home := w.Mutual+"/token", w.Issuer+"/token"
	got := w.ask(t, way, alias, form, asSecret("both"), proof(t, w, key, "POST", alias, ""))
	cnf := w.confirmed(got.String("access_token"))
	if got.Status != 200 || got.String("token_type") != "DPoP" || cnf["jkt"] != key.JKT() || cnf["x5t#S256"] != thumbprint(w.pki) {
		t.Fatalf("%d %s %v", got.Status, got.Body, cnf)
	}
	refused(t, "a proof for the issuer's address at the alias",
		w.ask(t, way, alias, form, asSecret("both"), proof(t, w, key, "POST", home, "")), 400, oauth.InvalidDPoPProof)
	refused(t, "a proof for the alias at the issuer's address",
		w.ask(t, way, home, form, asSecret("both"), proof(t, w, key, "POST", alias, "")), 400, oauth.InvalidDPoPProof)
	refused(t, "a Host that says so",
		w.ask(t, way, alias, form, asSecret("both"), proof(t, w, key, "POST", home, ""), func(r *http.Request) { r.Host = strings.TrimPrefix(w.Issuer, "https://") }),
		400, oauth.InvalidDPoPProof)
	refused(t, "no proof", w.ask(t, way, alias, form, asSecret("both")), 400, oauth.InvalidDPoPProof)
	// One memory of proofs for both ways in.
	once := proof(t, w, key, "POST", alias, "")
	if a := w.ask(t, way, alias, form, asSecret("both"), once); a.Status != 200 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	refused(t, "a proof twice", w.ask(t, w.Showing(w.pki), alias, form, asSecret("both"), once), 400, oauth.InvalidDPoPProof)
}

// CA22, rfc8705-3-04, rfc8705-6.2-01: an app server of package resource, over real TLS.
func TestCA22AnAppServerJudgesTheCertificateOfTheConnection(t *testing.T) {
	w := newWorld(t, harness.SQLite)
	tokens := must(resource.New(resource.Config{
		Issuer: w.Issuer, Audience: harness.Audience, BaseURL: "https://api.example.com", Now: w.Clock.Now, HTTPClient: w.Showing(nil),
	}))
	api := httptest.NewUnstartedServer(tokens.Middleware("todos.read")(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		token, _ := resource.FromContext(r.Context())
		_ = json.NewEncoder(rw).Encode(token)
	})))
	api.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	api.StartTLS()
	defer api.Close()
	deaf := httptest.NewTLSServer(api.Config.Handler) // asks for no certificate
	defer deaf.Close()
	key := must(dpop.NewProver())
	bound := w.token(t, "pki", w.pki).String("access_token")
	free := w.token(t, "unbound", w.pki).String("access_token")
	both := w.ask(t, w.Showing(w.pki), w.Mutual+"/token", url.Values{"grant_type": {"client_credentials"}}, asSecret("both"),
		proof(t, w, key, "POST", w.Mutual+"/token", "")).String("access_token")
	call := func(server *httptest.Server, cert *tls.Certificate, scheme, token string, proved bool) (int, string) {
		t.Helper()
		transport := server.Client().Transport.(*http.Transport).Clone()
		defer transport.CloseIdleConnections()
		transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if cert == nil {
				return &tls.Certificate{}, nil
			}
			return cert, nil
		}
		r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/todos", nil))
		r.Header.Set("Authorization", scheme+" "+token)
		r.Header.Set("X-SSL-Client-Cert", url.QueryEscape(string(w.pki.Certificate[0])))
		if proved {
			proof(t, w, key, "GET", "https://api.example.com/todos", token)(r)
		}
		res, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		var token2 resource.Token
		_ = json.NewDecoder(res.Body).Decode(&token2)
		return res.StatusCode, token2.X5T
	}
	other := w.authority.Issue(t, ofTheBank)
	for _, c := range []struct {
		name   string
		server *httptest.Server
		cert   *tls.Certificate
		scheme string
		token  string
		proved bool
		status int
	}{
		{"the certificate", api, w.pki, "Bearer", bound, false, 200},
		{"another certificate of the same client", api, other, "Bearer", bound, false, 401},
		{"no certificate", api, nil, "Bearer", bound, false, 401},
		{"a server that asks for none", deaf, w.pki, "Bearer", bound, false, 401},
		{"a token bound to none, with a certificate", api, w.pki, "Bearer", free, false, 200},
		{"a token bound to none, without", deaf, nil, "Bearer", free, false, 200},
		{"bound twice, both shown", api, w.pki, "DPoP", both, true, 200},
		{"bound twice, the certificate alone", api, w.pki, "Bearer", both, false, 401},
		{"bound twice, the key alone", api, nil, "DPoP", both, true, 401},
		{"bound twice, another certificate", api, other, "DPoP", both, true, 401},
	} {
		status, x5t := call(c.server, c.cert, c.scheme, c.token, c.proved)
		if status != c.status || (status == 200 && c.token != free) != (x5t == thumbprint(w.pki)) {
			t.Errorf("%s: %d, %q", c.name, status, x5t)
		}
	}
}
