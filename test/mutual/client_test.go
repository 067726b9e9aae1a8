package mutual

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/test/harness"
)

// rfc8705-2-01, rfc8705-2.1-01, rfc8705-2.1.2-01, rfc8705-3-01
func TestAClientIsWhoeverItsAuthoritySaysItIs(t *testing.T) {
	w := newWorld(t, harness.SQLite)
	for _, client := range []string{"pki", "by-dns", "by-uri", "by-ip", "by-email"} {
		if a := w.token(t, client, w.pki); a.Status != 200 || a.String("token_type") != "Bearer" {
			t.Errorf("%s: %d %s", client, a.Status, a.Body)
		}
	}
	// An authority between, which the client sends along and the server has never seen.
	between := w.authority.Below(t, "An authority between").Issue(t, ofTheBank)
	if a := w.token(t, "pki", between); a.Status != 200 {
		t.Errorf("through an authority between: %d %s", a.Status, a.Body)
	}
	between.Certificate = between.Certificate[:1]
	refused(t, "without the authority between", w.token(t, "pki", between), 401, oauth.InvalidClient)
}

// CA15, rfc8705-2.1-02, rfc8705-2.1.2-01
func TestCA15ACertificateOfSomebodyElseAuthenticatesNobody(t *testing.T) {
	w := newWorld(t, harness.SQLite)
	stranger := harness.NewAuthority(t, "An authority of clients") // of the same name
	change := func(mods ...func(*x509.Certificate)) *tls.Certificate {
		return w.authority.Issue(t, append([]func(*x509.Certificate){ofTheBank}, mods...)...)
	}
	for name, cert := range map[string]*tls.Certificate{
		"none":                    nil,
		"of another authority":    stranger.Issue(t, ofTheBank),
		"by its own key":          harness.SelfSigned(t, ofTheBank),
		"that has ended":          change(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }),
		"that is still to begin":  change(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }),
		"for servers":             change(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
		"of another subject":      w.authority.Issue(t, func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "other"} }),
		"with the name in a name": w.authority.Issue(t, func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "pki,O=Bank"} }),
		"of another client":       w.own,
	} {
		for _, client := range []string{"pki", "by-dns", "by-uri", "by-ip", "by-email"} {
			a := w.token(t, client, cert)
			refused(t, name+", "+client, a, 401, oauth.InvalidClient)
			if said := oauth.UnknownClient(nil).Description; a.Description() != said { // CA10
				t.Errorf("%s tells more than others: %s", name, a.Description())
			}
		}
	}
	if a := w.token(t, "pki", w.pki); a.Status != 200 {
		t.Errorf("the right one: %d %s", a.Status, a.Body)
	}
	// By our clock, for every request, on a connection that is open already.
	way := w.Showing(w.pki)
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"pki"}}
	if a := w.ask(t, way, w.Mutual+"/token", form); a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	w.Clock.Step(2 * time.Hour)
	refused(t, "it ended meanwhile", w.ask(t, way, w.Mutual+"/token", form), 401, oauth.InvalidClient)
}

// CA16, rfc8705-2.2-01, rfc8705-2.2-02
func TestCA16ASelfSignedCertificateIsWorthItsKey(t *testing.T) {
	w := newWorld(t, harness.SQLite)
	key := w.own.PrivateKey.(crypto.Signer)
	for name, cert := range map[string]*tls.Certificate{
		"the first":               w.own,
		"another by the same key": harness.SelfSignedBy(t, key, func(c *x509.Certificate) { c.Subject.CommonName = "anything" }),
		"one that has ended by its dates": harness.SelfSignedBy(t, key, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		}),
	} {
		refused(t, name, w.redeemNothing(t, cert), 400, oauth.InvalidGrant) // who it is was no question
	}
	for name, cert := range map[string]*tls.Certificate{
		"none": nil, "another key": harness.SelfSigned(t), "one that an authority signed": w.pki,
		"the right one as the issuer of another": {
			Certificate: [][]byte{w.pki.Certificate[0], w.own.Certificate[0]}, PrivateKey: w.pki.PrivateKey,
		},
	} {
		refused(t, name, w.redeemNothing(t, cert), 401, oauth.InvalidClient)
	}
}

// redeemNothing sends a code that is none as the client with a certificate of its own.
func (w *world) redeemNothing(t testing.TB, cert *tls.Certificate) harness.Answer {
	t.Helper()
	return w.ask(t, w.Showing(cert), w.Mutual+"/token", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"own"}, "code": {"cs_ac_none"}, "redirect_uri": {"https://own.bank.example/cb"},
	})
}

// CA17, rfc8705-2-02: one pinned method, with a certificate as without.
func TestCA17ACertificateIsNoSecondMethod(t *testing.T) {
	w := newWorld(t, harness.SQLite)
	form := url.Values{"grant_type": {"client_credentials"}}
	way := w.Showing(w.pki)
	if a := w.ask(t, way, w.Mutual+"/token", form, asSecret("secret")); a.Status != 200 {
		t.Errorf("a secret, and a certificate to bind to: %d %s", a.Status, a.Body)
	}
	if a := w.ask(t, way, w.Mutual+"/token", form, asSecret(harness.ServiceID)); a.Status != 200 {
		t.Errorf("a secret, and a certificate for nothing: %d %s", a.Status, a.Body)
	} else if cnf := w.confirmed(a.String("access_token")); cnf != nil {
		t.Errorf("bound though nobody asked for it: %v", cnf)
	}
	for name, a := range map[string]harness.Answer{
		"a certificate for a client with a secret": w.token(t, harness.ServiceID, w.pki),
		"a secret for a client with a certificate": w.ask(t, way, w.Mutual+"/token", form, asSecret("pki")),
		"a secret in the form, beside the right certificate": w.ask(t, way, w.Mutual+"/token", url.Values{
			"grant_type": {"client_credentials"}, "client_id": {"pki"}, "client_secret": {"x"},
		}),
		"an assertion, beside the right certificate": w.ask(t, way, w.Mutual+"/token", url.Values{
			"grant_type": {"client_credentials"}, "client_id": {"pki"}, "client_assertion": {"e30.e30.e30"},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		}),
		"no client_id": w.ask(t, way, w.Mutual+"/token", form),
		"the certificate of the one for the other": w.token(t, "own", w.pki),
	} {
		refused(t, name, a, 401, oauth.InvalidClient)
	}
}

// CA12, rfc8705-6.5-01: whatever a header says of a certificate, on either listener, nobody reads it.
func TestCA12AHeaderIsNoCertificateWithMutualTLS(t *testing.T) {
	w := newWorld(t, harness.SQLite)
	text := url.QueryEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.pki.Certificate[0]})))
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"pki"}}
	for _, name := range []string{"X-SSL-Client-Cert", "X-Client-Cert", "Client-Cert", "X-Forwarded-Client-Cert", "X-SSL-Client-Verify"} {
		for _, address := range []string{w.Issuer, w.Mutual} {
			refused(t, name+" at "+address, w.ask(t, w.Showing(nil), address+"/token", form, harness.Set(name, text)), 401, oauth.InvalidClient)
		}
	}
	// Nor does the issuer's own listener ask for one.
	refused(t, "a certificate at the issuer", w.ask(t, w.Showing(w.pki), w.Issuer+"/token", form), 401, oauth.InvalidClient)
}

// CA10: nobody guesses a certificate, so strangers at the same address do not hold up who has it. Secrets are guessed here
// as anywhere, and no header makes them come from many addresses.
func TestFailuresAreLimitedWhereThereIsSomethingToGuess(t *testing.T) {
	w := newWorld(t, harness.SQLite, harness.YAML("trusted_proxies: [127.0.0.1]"))
	wrong, form := w.Showing(harness.SelfSigned(t)), url.Values{"grant_type": {"client_credentials"}, "client_id": {"pki"}}
	for range 25 {
		refused(t, "a wrong one", w.ask(t, wrong, w.Mutual+"/token", form), 401, oauth.InvalidClient)
	}
	if a := w.token(t, "pki", w.pki); a.Status != 200 {
		t.Errorf("the right one: %d %s", a.Status, a.Body)
	}
	form.Del("client_id")
	for i := range 21 {
		a := w.ask(t, wrong, w.Mutual+"/token", form, harness.Basic("secret", "guess"), harness.Set("X-Forwarded-For", fmt.Sprintf("192.0.2.%d", i)))
		if i < 20 && a.Status != 401 || i == 20 && a.Status != http.StatusTooManyRequests {
			t.Errorf("guess %d: %d %s", i, a.Status, a.Body)
		}
	}
}

// rfc8705-5-02: the other endpoints that authenticate clients take the certificate as well.
func TestEveryEndpointTakesTheCertificate(t *testing.T) {
	w := newWorld(t, harness.SQLite)
	way, bare := w.Showing(w.own), w.Showing(nil)
	for path, form := range map[string]url.Values{
		"/revoke": {"client_id": {"own"}, "token": {"x"}},
		"/par": {
			"client_id": {"own"}, "response_type": {"code"}, "redirect_uri": {"https://own.bank.example/cb"}, "scope": {"openid"},
			"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
		},
	} {
		if a := w.ask(t, way, w.Mutual+path, form); a.Status >= 400 {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
		refused(t, path+" without", w.ask(t, bare, w.Mutual+path, form), 401, oauth.InvalidClient)
	}
}
