package mutual

import (
	"crypto"
	"crypto/tls"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/test/harness"
)

func signer(c *tls.Certificate) crypto.Signer { return c.PrivateKey.(crypto.Signer) }

// rfc8705-3.3-01, rfc8705-5-01, rfc8705-2.1.1-01
func TestMetadataNamesTheAliases(t *testing.T) {
	w := newWorld(t, harness.SQLite)
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		m := w.Do(w.Request(http.MethodGet, path, "")).JSON
		aliases, _ := m["mtls_endpoint_aliases"].(map[string]any)
		for _, name := range []string{
			"token_endpoint", "revocation_endpoint", "introspection_endpoint", "userinfo_endpoint", "device_authorization_endpoint",
			"pushed_authorization_request_endpoint",
		} {
			home, _ := m[name].(string)
			if alias, _ := aliases[name].(string); home == "" || alias != w.Mutual+strings.TrimPrefix(home, w.Issuer) {
				t.Errorf("%s: %q for %q", name, alias, home)
			}
		}
		if len(aliases) != 6 || m["tls_client_certificate_bound_access_tokens"] != true || m["issuer"] != w.Issuer {
			t.Errorf("%v", m)
		}
		for _, list := range []string{"token_endpoint_auth_methods_supported", "revocation_endpoint_auth_methods_supported"} {
			methods, _ := m[list].([]any)
			if !slices.Contains(methods, any("tls_client_auth")) || !slices.Contains(methods, any("self_signed_tls_client_auth")) {
				t.Errorf("%s: %v", list, methods)
			}
		}
	}
	// Without an authority there is one method less.
	own := harness.SelfSigned(t)
	bare := harness.New(t, harness.SQLite, harness.MutualTLS(nil), harness.File("own.jwks", keySet(t, own)))
	methods, _ := bare.Do(bare.Request(http.MethodGet, "/.well-known/openid-configuration", "")).JSON["token_endpoint_auth_methods_supported"].([]any)
	if slices.Contains(methods, any("tls_client_auth")) || !slices.Contains(methods, any("self_signed_tls_client_auth")) {
		t.Errorf("%v", methods)
	}
	// And without the listener there is nothing of it.
	plain := harness.New(t, harness.SQLite)
	m := plain.Do(plain.Request(http.MethodGet, "/.well-known/openid-configuration", ""))
	if text := string(m.Body); strings.Contains(text, "mtls") || strings.Contains(text, "tls_client") {
		t.Error(text)
	}
}

// CA23, rfc8705-7.3-01: both listeners speak TLS 1.3, and in 1.2 only what keeps yesterday's traffic from today's thief.
func TestCA23OnlySoundTLSIsSpoken(t *testing.T) {
	ec := newWorld(t, harness.SQLite)
	rsa := &world{pki: ec.pki, World: harness.New(t, harness.SQLite, harness.MutualTLS(ec.authority), harness.WithRSA)}
	const v10, v11, v12, v13 = tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13
	for _, c := range []struct {
		name     string
		world    *world
		min, max uint16
		suites   []uint16
		version  uint16 // zero: refused
	}{
		{"whatever there is", ec, v10, 0, nil, v13},
		{"1.3 alone", ec, v13, v13, nil, v13},
		{"1.2 as Go speaks it", ec, v12, v12, nil, v12},
		{"1.2, AES-128-GCM", ec, v12, v12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}, v12},
		{"1.2, AES-256-GCM", ec, v12, v12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}, v12},
		{"1.2, AES-128-GCM, RSA", rsa, v12, v12, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}, v12},
		{"1.2, AES-256-GCM, RSA", rsa, v12, v12, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384}, v12},
		{"1.2, CBC", ec, v12, v12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA}, 0},
		{"1.2, CBC, RSA", rsa, v12, v12, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA}, 0},
		{"1.2, CBC with SHA-256", ec, v12, v12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256}, 0},
		{"1.2, ChaCha20", ec, v12, v12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256}, 0},
		{"1.2, 3DES", rsa, v12, v12, []uint16{tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA}, 0},
		{"1.2, the secret encrypted to the key of the certificate", rsa, v12, v12, []uint16{
			tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_128_CBC_SHA,
		}, 0},
		{"1.1", ec, v11, v11, nil, 0},
		{"1.0", rsa, v10, v10, nil, 0},
	} {
		for _, address := range []string{c.world.Issuer, c.world.Mutual} {
			way := c.world.Showing(c.world.pki, func(t *tls.Config) { t.MinVersion, t.MaxVersion, t.CipherSuites = c.min, c.max, c.suites })
			res, err := way.Get(address + "/jwks")
			switch {
			case err != nil && c.version != 0:
				t.Errorf("%s at %s: %v", c.name, address, err)
			case err == nil:
				_ = res.Body.Close()
				if res.TLS.Version != c.version || c.version == 0 {
					t.Errorf("%s at %s: version %x, suite %s", c.name, address, res.TLS.Version, tls.CipherSuiteName(res.TLS.CipherSuite))
				}
			}
		}
	}
}

// rfc8705-6.1-01: people's browsers, at the issuer, are never asked for a certificate; at the alias everybody is, and TLS
// takes whoever has none.
func TestOnlyTheAliasAsksForACertificate(t *testing.T) {
	w := newWorld(t, harness.SQLite)
	for address, want := range map[string]bool{w.Issuer: false, w.Mutual: true} {
		asked := false
		way := w.Showing(nil, func(c *tls.Config) {
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				asked = true
				return &tls.Certificate{}, nil
			}
		})
		res, err := way.Get(address + "/health")
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != 200 || asked != want {
			t.Errorf("%s: %d, asked: %v", address, res.StatusCode, asked)
		}
	}
}

// A connection that is resumed is that of the same client: its certificate counts, and its renewal is a new connection.
func TestAResumedConnectionKeepsItsCertificate(t *testing.T) {
	w := newWorld(t, harness.SQLite)
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"pki"}}
	cache := tls.NewLRUClientSessionCache(4)
	var resumed bool
	for range 2 {
		way := w.Showing(w.pki, func(c *tls.Config) {
			c.ClientSessionCache = cache
			c.VerifyConnection = func(s tls.ConnectionState) error { resumed = s.DidResume; return nil }
		})
		a := w.ask(t, way, w.Mutual+"/token", form)
		if cnf := w.confirmed(a.String("access_token")); a.Status != 200 || cnf["x5t#S256"] != thumbprint(w.pki) {
			t.Errorf("%d %s %v", a.Status, a.Body, cnf)
		}
	}
	if !resumed {
		t.Error("nothing was resumed, so nothing was tested")
	}
}

func TestTheListenerComesBackAfterARestart(t *testing.T) {
	w := newWorld(t, harness.SQLite)
	w.Restart()
	if a := w.token(t, "pki", w.pki); a.Status != 200 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if !strings.Contains(w.Log.String(), `"mtls":"https://127.0.0.1`) {
		t.Error("the log does not say where it listens")
	}
}
