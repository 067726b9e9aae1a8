package startup_test

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// issuerHost is the name that the plain configuration's issuer has.
const issuerHost = "localhost:8080"

// endpoints are the paths over which credentials, tokens or the names of endpoints travel, each with a question and the
// status of its answer over TLS.
var endpoints = []struct {
	method, path string
	form         url.Values
	status       int
}{
	{http.MethodPost, "/token", url.Values{"grant_type": {"client_credentials"}}, http.StatusOK},
	{http.MethodPost, "/challenge", nil, http.StatusBadRequest}, // by a service, which signs nobody in
	{http.MethodPost, "/revoke", url.Values{"token": {"unknown"}}, http.StatusOK},
	{http.MethodPost, "/introspect", url.Values{"token": {"unknown"}}, http.StatusUnauthorized}, // by no resource
	{http.MethodGet, "/userinfo", nil, http.StatusUnauthorized},
	{http.MethodGet, "/jwks", nil, http.StatusOK},
	{http.MethodGet, "/.well-known/oauth-authorization-server", nil, http.StatusOK},
	{http.MethodGet, "/.well-known/openid-configuration", nil, http.StatusOK},
	{http.MethodGet, "/.well-known/oauth-protected-resource", nil, http.StatusOK},
}

// rfc6749-3.2-01 rfc6749-10.3-02 rfc6749-10.4-03 rfc7009-2-03 rfc7662-4-09 rfc8414-6.1-01 fapi2-security-5.2.1-01
// fapi2-security-5.2.3-02 fapi2-security-5.4.2-01
func TestEveryEndpointSpeaksTLSAndNothingElse(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	p, _ := secured(t, a)
	for _, e := range endpoints {
		t.Run(e.path, func(t *testing.T) {
			send := func(c *http.Client, address string) (answer, error) {
				req, err := http.NewRequestWithContext(t.Context(), e.method, address+e.path, strings.NewReader(e.form.Encode()))
				if err != nil {
					t.Fatal(err)
				}
				req.Host = issuerHost
				if e.method == http.MethodPost {
					req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
					req.SetBasicAuth("nightly", secret)
				}
				res, err := c.Do(req)
				if err != nil {
					return answer{}, err
				}
				defer func() { _ = res.Body.Close() }()
				body, err := io.ReadAll(res.Body)
				return answer{res.StatusCode, res.Header, string(body)}, err
			}
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				if got, err := send(a.trusting(t, version), p.public); err != nil || got.status != e.status {
					t.Errorf("%s: %d %s %v", tls.VersionName(version), got.status, got.body, err)
				} else if got.header.Get("Strict-Transport-Security") != "max-age=31536000" {
					t.Errorf("browsers are not told to come over https alone: %v", got.header)
				}
			}
			if got, err := send(a.trusting(t, tls.VersionTLS11), p.public); err == nil {
				t.Errorf("TLS 1.1: %d %s", got.status, got.body)
			}
			bare, err := send(&http.Client{Timeout: 10 * time.Second}, "http://"+strings.TrimPrefix(p.public, "https://"))
			if err != nil || bare.status != http.StatusBadRequest || strings.Contains(bare.body, "{") {
				t.Errorf("without TLS: %d %s %v", bare.status, bare.body, err)
			}
		})
	}
}

// rfc7009-2-03 rfc8414-6.2-01
func TestEveryPublishedURLIsHTTPS(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	p, _ := secured(t, a)
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.public+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = issuerHost
		res, err := a.trusting(t, tls.VersionTLS13).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var doc map[string]any
		err = json.NewDecoder(res.Body).Decode(&doc)
		_ = res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		var urls int
		for name, value := range doc {
			text, isText := value.(string)
			if !isText {
				continue
			}
			urls++
			if text != "https://"+issuerHost && !strings.HasPrefix(text, "https://"+issuerHost+"/") {
				t.Errorf("%s: %s is %s", path, name, text)
			}
		}
		if urls < 7 {
			t.Errorf("%s: %d URLs", path, urls)
		}
	}
}
