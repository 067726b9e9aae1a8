package oauthhttp_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauthhttp"
)

var update = flag.Bool("update", false, "write the golden files anew")

const goldenMetadata = "testdata/metadata.json"

// published fetches both documents of a server with the given issuer.
func published(t *testing.T, issuer string, headers ...string) (openID, oauth answer) {
	t.Helper()
	door := &oauthhttp.Door{Issuer: issuer, Locales: []string{"de", "en"}}
	srv := httptest.NewServer(httpd.Handler(httpd.Options{}, door.Routes()))
	t.Cleanup(srv.Close)
	return get(t, srv.URL+"/.well-known/openid-configuration", headers...), get(t, srv.URL+"/.well-known/oauth-authorization-server", headers...)
}

// rfc8414-3-01, rfc8414-3.1-01, rfc8414-3.2-01, rfc9700-2.6-01
func TestTheMetadataIsTheGoldenFile(t *testing.T) {
	openID, oauth := published(t, "https://login.example")
	if *update {
		if err := os.WriteFile(goldenMetadata, []byte(openID.body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenMetadata)
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]answer{"openid-configuration": openID, "oauth-authorization-server": oauth} {
		if got.StatusCode != http.StatusOK || got.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.Header.Get("Content-Type"))
		}
		if got.Header.Get("Cache-Control") != "public, max-age=300" {
			t.Errorf("%s: Cache-Control %q", name, got.Header.Get("Cache-Control"))
		}
		if got.body != string(want) {
			t.Errorf("%s differs from the golden file: run the test with -update and look at the difference\n%s", name, got.body)
		}
	}
}

// rfc8414-2-02, rfc8414-2-03, rfc8414-2-04, rfc8414-2-05, rfc8414-2-06, rfc8414-2-07, rfc8414-2-08, rfc8414-3.2-02, rfc9449-5.1-01,
// oidc-rpinitiated-2.1-01, oidc-backchannel-2.1-01
func TestTheMetadataSaysWhatWorks(t *testing.T) {
	doc := func() map[string]any { a, _ := published(t, "https://login.example"); return a.json(t) }()
	for _, member := range []string{
		"issuer", "authorization_endpoint", "end_session_endpoint", "device_authorization_endpoint", "response_types_supported",
		"claims_supported", "token_endpoint_auth_signing_alg_values_supported", "token_endpoint", "jwks_uri", "userinfo_endpoint", "introspection_endpoint", "revocation_endpoint",
		"challenge_endpoint", "scopes_supported", "grant_types_supported", "token_endpoint_auth_methods_supported",
		"introspection_endpoint_auth_methods_supported", "revocation_endpoint_auth_methods_supported",
		"introspection_signing_alg_values_supported",
		"dpop_signing_alg_values_supported", "request_object_signing_alg_values_supported",
	} {
		if doc[member] == nil {
			t.Errorf("%s is missing", member)
		}
	}
	for name, value := range doc {
		list, ok := value.([]any)
		if !ok {
			continue
		}
		if len(list) == 0 {
			t.Errorf("%s has no elements: it would be left out", name)
		}
		if strings.Contains(name, "_alg_values_") && slices.Contains(list, any("none")) {
			t.Errorf("%s lists none", name)
		}
	}
}

// rfc8414-3.3-01, rfc8414-6.2-01
func TestEveryURLIsBuiltFromTheIssuerWhateverTheRequestSays(t *testing.T) { // PX01
	a, _ := published(t, "https://login.example", "Host", "evil.example", "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "gopher")
	doc := a.json(t)
	if doc["issuer"] != "https://login.example" {
		t.Errorf("issuer %v", doc["issuer"])
	}
	for name, value := range doc {
		if url, ok := value.(string); ok && !strings.HasPrefix(url, "https://login.example") {
			t.Errorf("%s: %s", name, url)
		}
	}
	if strings.Contains(a.body, "evil") {
		t.Errorf("%s", a.body)
	}
}

func TestAKnownDocumentIsNotSentAgain(t *testing.T) {
	first, _ := published(t, "https://login.example")
	etag := first.Header.Get("ETag")
	for sent, want := range map[string]int{
		etag: 304, "W/" + etag: 304, `"other", ` + etag: 304, `"other"`: 200, "": 200,
	} {
		a, _ := published(t, "https://login.example", "If-None-Match", sent)
		if a.StatusCode != want || (want == 304) != (a.body == "") {
			t.Errorf("If-None-Match %s: %d", sent, a.StatusCode)
		}
	}
	if other, _ := published(t, "https://other.example"); other.Header.Get("ETag") == etag {
		t.Error("two documents, one ETag")
	}
}

func TestHealth(t *testing.T) {
	door := &oauthhttp.Door{Issuer: "https://login.example"}
	srv := httptest.NewServer(httpd.Handler(httpd.Options{}, door.Routes()))
	defer srv.Close()
	if a := get(t, srv.URL+"/health"); a.StatusCode != 200 || a.body != `{"status":"ok"}` || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

// The golden file is JSON, whatever else it is.
func TestTheGoldenFileIsJSON(t *testing.T) {
	data, err := os.ReadFile(goldenMetadata)
	if err != nil || !json.Valid(data) {
		t.Error(err)
	}
}

// rfc9728-2-01 rfc9728-2-02 rfc9728-3-02
func TestTheIssuerIsAResourceTooAndSaysSo(t *testing.T) {
	ask := func(door *oauthhttp.Door) answer {
		srv := httptest.NewServer(httpd.Handler(httpd.Options{}, door.Routes()))
		t.Cleanup(srv.Close)
		return get(t, srv.URL+"/.well-known/oauth-protected-resource")
	}
	a := ask(&oauthhttp.Door{Issuer: "https://login.example"})
	bound := ask(&oauthhttp.Door{Issuer: "https://login.example", MTLS: oauthhttp.MutualTLS{URL: "https://mtls.login.example"}})
	if bound.json(t)["tls_client_certificate_bound_access_tokens"] != true {
		t.Error("with a listener for certificates it takes tokens bound to them")
	}
	want := map[string]any{
		"resource": "https://login.example", "authorization_servers": []any{"https://login.example"},
		"scopes_supported":                  []any{"openid", "profile", "email", "phone", "address", "account.read", "account.manage"},
		"bearer_methods_supported":          []any{"header"},
		"dpop_signing_alg_values_supported": []any{"ES256", "RS256", "PS256", "EdDSA", "Ed25519"},
	}
	if diff := cmp.Diff(want, a.json(t)); diff != "" || a.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%v %s", a.Header, diff)
	}
}
