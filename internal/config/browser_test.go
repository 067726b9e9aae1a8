package config

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/clientmeta"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/upstream"
)

// What the browser flows need of a configuration: clients with keys, pages, mail, providers by redirect.

func browser(t *testing.T, env ...string) *Config {
	t.Helper()
	c, err := load("testdata/accepted/browser.yaml", env)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// with loads a file put together here, beside the accepted ones.
func with(t *testing.T, text string, env ...string) (*Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "c.yaml")
	key, err := filepath.Abs("testdata/accepted/master.key")
	if err != nil {
		t.Fatal(err)
	}
	text = "database: sqlite:./x.db\nmaster_key_file: " + key + "\n" + text
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return load(file, env)
}

func TestAClientOfThePagesIsReadAsWritten(t *testing.T) {
	cat := browser(t).Catalog()
	got := cat.Clients[0]
	if len(got.SecretHash) != 32 || len(got.OldSecret) != 32 || bytes.Equal(got.SecretHash, got.OldSecret) || len(got.Logo) == 0 {
		t.Errorf("%+v", got)
	}
	got.SecretHash, got.OldSecret, got.Logo = nil, nil, nil
	want := domain.Client{
		ID: "web", Type: domain.ClientWeb, DPoP: domain.DPoPAllowed, AuthMethod: domain.AuthSecretBasic,
		Providers:    []domain.ClientProvider{{Name: "google"}, {Name: "github"}, {Name: "corp", Audiences: []string{"mobile"}}},
		Scopes:       []string{"openid", "profile", "email", "offline_access"},
		RedirectURIs: []string{"https://app.example.com/callback", "https://app.example.com/other"},
		Email:        true, Passkeys: true, FirstParty: true, DeviceGrant: true, WithoutPKCE: true,
		PostLogoutURIs: []string{"https://app.example.com/bye"}, BackchannelLogout: "https://app.example.com/logout?tenant=1",
		HomeURI: "https://app.example.com", PolicyURI: "https://app.example.com/privacy", TermsURI: "https://app.example.com/terms",
		LogoType: "image/png", UserInfoAlg: domain.RS256,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	plain := cat.Clients[2]
	if plain.WithoutPKCE || plain.FirstParty || plain.LegacyAssertionAudience || plain.JWKS != nil || plain.OldSecret != nil {
		t.Errorf("a client that asks for nothing special: %+v", plain)
	}
}

func TestAClientThatSignsHasItsPublicKeysInTheCatalog(t *testing.T) {
	signer := browser(t).Catalog().Clients[1]
	if signer.AuthMethod != domain.AuthPrivateKey || signer.SecretHash != nil || !signer.LegacyAssertionAudience {
		t.Errorf("%+v", signer)
	}
	keys, err := jose.ParseSet(signer.JWKS)
	if err != nil || len(keys) != 3 || keys[0].Kid != "2026-11" || keys[1].Alg != jose.PS256 {
		t.Errorf("%+v, %v", keys, err)
	}
	if strings.Contains(string(signer.JWKS), "not kept") {
		t.Errorf("it holds more than the keys: %s", signer.JWKS)
	}
}

func TestProvidersByRedirectAreReadAsWritten(t *testing.T) {
	list := browser(t).Upstream()
	want := []upstream.Settings{
		{Name: "google", Type: "google", ClientID: "web.example", ClientSecret: "provider-secret-3"},
		{Name: "apple", Type: "apple"},
		{
			Name: "entra", Type: "microsoft", ClientID: "entra-client", ClientSecret: "provider-secret-3",
			Tenant: "organizations", Tenants: []string{"8eaef023-2b34-4da1-9baa-8bc8c9d6a490"},
		},
		{Name: "any-entra-person", Type: "microsoft", Tenant: "consumers"},
		{Name: "github", Type: "github", ClientID: "Iv1.0", ClientSecret: "provider-secret-3", Scopes: []string{"read:user", "user:email"}},
		{
			Name: "corp", Type: "oidc", Issuer: "https://login.corp.example", ClientID: "countersign", ClientSecret: "provider-secret-3",
			AuthorizeURL: "https://login.corp.example/authorize", TokenURL: "https://login.corp.example/token",
			UserInfoURL: "https://login.corp.example/userinfo",
		},
		{
			Name: "old-sso", Type: "oauth2", Issuer: "https://sso.example.com", ClientID: "countersign", ClientSecret: "provider-secret-3",
			AuthorizeURL: "https://sso.example.com/authorize", TokenURL: "https://sso.example.com/token", UserInfoURL: "https://sso.example.com/me",
			SubjectClaim: "id", EmailClaim: "mail", EmailVerifiedClaim: "mail_checked", NameClaim: "display_name", WithoutPKCE: true,
		},
	}
	for i := range list {
		if len(list[i].PrivateKeyPEM) == 0 {
			list[i].PrivateKeyPEM = nil
		}
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	bare, err := with(t, "issuer: https://login.example.com\nproviders: [{name: entra, type: microsoft}]\n")
	if err != nil || bare.Upstream()[0].Tenant != "common" {
		t.Errorf("without a tenant: %v", err)
	}
}

func TestMailPagesAndLimitsAreReadAsWritten(t *testing.T) {
	c := browser(t)
	want := Mail{
		Host: "smtp.example.com", Username: "login", PasswordFile: "testdata/accepted/mail.password",
		From: "Example <login@example.com>", Password: "mail-password-of-tests",
	}
	if diff := cmp.Diff(want, c.Mail); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if c.Pages != (Pages{Folder: "testdata/accepted/pages", Name: "Example"}) {
		t.Errorf("%+v", c.Pages)
	}
	if c.Limits.EmailCodesPerHour != 5 || c.Limits.DeviceGuessesPerHour != -1 {
		t.Errorf("%+v", c.Limits)
	}
	for m, want := range map[Mail]string{
		{Host: "h"}: "h:587", {Host: "h", TLS: MailImplicit}: "h:465", {Host: "h", TLS: MailPlain}: "h:25",
		{Host: "h", Port: 2525}: "h:2525", {Host: "::1", TLS: MailPlain}: "[::1]:25",
	} {
		if got := m.Address(); got != want {
			t.Errorf("%+v: %s, want %s", m, got, want)
		}
	}
}

func TestNoSecretOfTheBrowserFlowsIsShown(t *testing.T) {
	c := browser(t)
	secrets := []string{"provider-secret-3", "mail-password-of-tests", string(c.Clients[0].Secret), string(c.Clients[0].OldSecret)}
	text := c.String() + c.GoString() + c.LogValue().String()
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("it shows %q", s)
		}
	}
	if back, err := with(t, "issuer: https://login.example.com\n"); err != nil || back.Mail.On() {
		t.Errorf("%+v, %v", back, err)
	}
}

// What String writes is a configuration again, but for the database of this one.
func TestWhatIsShownReadsBack(t *testing.T) {
	c := browser(t)
	d := decoder{src: source{lines: map[string]int{}}}
	back := defaults()
	if !d.decode([]byte(c.String()), back) || d.problems != nil {
		t.Fatalf("%v\n%s", d.problems, c)
	}
	if diff := cmp.Diff(c.String(), back.String()); diff != "" {
		t.Error(diff)
	}
}

func TestSecretsOfProvidersAndMailComeFromTheEnvironment(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("from-a-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := browser(t, "COUNTERSIGN_PROVIDER_OLD_SSO_CLIENT_SECRET=from-the-environment", "COUNTERSIGN_PROVIDER_GOOGLE_CLIENT_SECRET_FILE="+file,
		"COUNTERSIGN_MAIL_PASSWORD=hush")
	list := c.Upstream()
	if list[6].ClientSecret != "from-the-environment" || list[0].ClientSecret != "from-a-file" || c.Mail.Password != "hush" || c.Mail.PasswordFile != "" {
		t.Errorf("%q, %q, %+v", list[6].ClientSecret, list[0].ClientSecret, c.Mail)
	}
	if c := browser(t, "COUNTERSIGN_MAIL_PASSWORD_FILE="+file); c.Mail.Password != "from-a-file" {
		t.Errorf("%+v", c.Mail)
	}
	alone, err := with(t, "issuer: https://login.example.com\nproviders: [{name: gh, type: github, client_id: x}]\n", "COUNTERSIGN_PROVIDER_GH_CLIENT_SECRET=s3cret")
	if err != nil || alone.Upstream()[0].ClientSecret != "s3cret" {
		t.Errorf("without a line in the file: %v", err)
	}
	for name, tt := range map[string]struct {
		env  environ
		want string
	}{
		"both twins":         {environ{"COUNTERSIGN_PROVIDER_GOOGLE_CLIENT_SECRET=x", "COUNTERSIGN_PROVIDER_GOOGLE_CLIENT_SECRET_FILE=" + file}, "COUNTERSIGN_PROVIDER_GOOGLE_CLIENT_SECRET: it is set, and so is"},
		"no such provider":   {environ{"COUNTERSIGN_PROVIDER_GOGLE_CLIENT_SECRET=x"}, "there is no such variable\n    -> did you mean COUNTERSIGN_PROVIDER_GOOGLE_CLIENT_SECRET?"},
		"it belongs to none": {environ{"COUNTERSIGN_PROVIDER_APPLE_CLIENT_SECRET=x"}, "COUNTERSIGN_PROVIDER_APPLE_CLIENT_SECRET: it belongs to type"},
		"a missing file":     {environ{"COUNTERSIGN_MAIL_PASSWORD_FILE=/nowhere/x"}, "COUNTERSIGN_MAIL_PASSWORD_FILE: there is no file /nowhere/x"},
		"both of mail":       {environ{"COUNTERSIGN_MAIL_PASSWORD=x", "COUNTERSIGN_MAIL_PASSWORD_FILE=" + file}, "COUNTERSIGN_MAIL_PASSWORD: it is set, and so is"},
	} {
		if _, err := load("testdata/accepted/browser.yaml", tt.env); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

const loopback = "issuer: http://localhost:8080\n"

// AZ09, oidc-backchannel-2.2-01, and what else is accepted while nobody beyond this machine is served.
func TestPlainHTTPIsForThisMachineAlone(t *testing.T) {
	secret, err := filepath.Abs("testdata/accepted/web_secret")
	if err != nil {
		t.Fatal(err)
	}
	for key, line := range map[string]string{
		"redirect_uris":             `redirect_uris: ["http://localhost:3000/cb"]`,
		"post_logout_redirect_uris": `post_logout_redirect_uris: ["http://127.0.0.1:3000/bye"]`,
		"backchannel_logout_uri":    "backchannel_logout_uri: http://localhost:3000/logout",
		"client_uri":                "client_uri: http://localhost:3000",
	} {
		text := "clients:\n  - id: web\n    type: web\n    passkeys: true\n    secret_file: " + secret + "\n    " + line + "\n"
		if key != "redirect_uris" {
			text += "    redirect_uris: [\"https://app.example.com/cb\"]\n"
		}
		if _, err := with(t, loopback+text); err != nil {
			t.Errorf("on loopback, %s: %v", line, err)
		}
		if _, err := with(t, "issuer: https://login.example.com\n"+text); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("in public, %s: %v", line, err)
		}
	}
}

func TestCodesMayGoToTheLogOnThisMachineAlone(t *testing.T) {
	const client = "clients: [{id: spa, type: browser, redirect_uris: [\"https://b.example/cb\"], email: true}]\n"
	toLog := func(w string) bool { return strings.HasPrefix(w, "there is no mail server") }
	c, err := with(t, loopback+client)
	if err != nil || !slices.ContainsFunc(c.Warnings(), toLog) {
		t.Errorf("on loopback: %v", err)
	}
	if _, err := with(t, "issuer: https://login.example.com\n"+client); err == nil || !strings.Contains(err.Error(), "clients[0].email: codes are sent by e-mail") {
		t.Errorf("in public: %v", err)
	}
	for host, want := range map[string]bool{"127.0.0.1": true, "localhost": true, "relay.internal": false} {
		_, err = with(t, "issuer: https://login.example.com\nmail: {host: "+host+", from: login@example.com, tls: none}\n"+client)
		if (err == nil) != want || (err != nil && !strings.Contains(err.Error(), "mail.tls: codes and passwords would travel in plain text")) {
			t.Errorf("in plain text to %s: %v", host, err)
		}
	}
}

func TestALogoIsAnImageThatOnlyShows(t *testing.T) {
	svg := func(inside string) []byte {
		return []byte(`<?xml version="1.0" encoding="UTF-8"?><svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">` + inside + "</svg>")
	}
	png := []byte("\x89PNG\r\n\x1a\n and so on")
	for name, tt := range map[string]struct {
		image []byte
		kind  string
		good  bool
	}{
		"PNG":                  {png, "image/png", true},
		"JPEG":                 {[]byte("\xff\xd8\xff\xe0 and so on"), "image/jpeg", true},
		"WebP":                 {[]byte("RIFF\x10\x00\x00\x00WEBPVP8 "), "image/webp", true},
		"SVG":                  {svg(`<defs><path id="a" d="M0 0"/></defs><use xlink:href="#a"/>`), "image/svg+xml", true},
		"GIF":                  {[]byte("GIF89a"), "", false},
		"a page":               {[]byte("<!doctype html><html></html>"), "", false},
		"another namespace":    {[]byte(`<svg xmlns="urn:x"/>`), "", false},
		"a script":             {svg("<script>alert(1)</script>"), "image/svg+xml", false},
		"a script in capitals": {svg("<SCRIPT>alert(1)</SCRIPT>"), "image/svg+xml", false},
		"an event handler":     {svg(`<path onload="alert(1)"/>`), "image/svg+xml", false},
		"a link with script":   {svg(`<a xlink:href=" javascript:alert(1)"/>`), "image/svg+xml", false},
		"a link elsewhere":     {svg(`<image href="https://evil.example/pixel"/>`), "image/svg+xml", false},
		"HTML inside":          {svg(`<foreignObject/>`), "image/svg+xml", false},
		"an entity":            {[]byte(`<!DOCTYPE svg [<!ENTITY x "y">]>` + string(svg("&x;"))), "", false},
		"broken":               {svg("<path>"), "image/svg+xml", false},
		"too large":            {append(slices.Clone(png), make([]byte, clientmeta.MaxLogo)...), "image/png", false},
	} {
		if kind := clientmeta.LogoType(tt.image); kind != tt.kind && name != "an entity" {
			t.Errorf("%s is taken for %q", name, kind)
		}
		var ps Problems
		check{Config: &Config{Clients: []Client{{Logo: tt.image}}}, problems: &ps}.clientLogo(0)
		if (len(ps) == 0) != tt.good {
			t.Errorf("%s: %v", name, ps)
		}
	}
}
