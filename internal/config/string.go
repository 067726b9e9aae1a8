package config

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"go.yaml.in/yaml/v3"
)

// String is the configuration as YAML with no secret shown. Zero and empty are the default.
func (c Config) String() string {
	c.Database = c.RedactedDatabase()
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(c); err != nil {
		return fmt.Sprintf("configuration that cannot be shown: %v", err)
	}
	return b.String()
}

// GoString hides the secrets from %#v.
func (c Config) GoString() string { return c.String() }

// LogValue hides the secrets from logs.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// RedactedDatabase is the database's address without its password, be that in the URL or among its parameters.
func (c *Config) RedactedDatabase() string {
	if strings.HasPrefix(c.Database, sqliteScheme) || c.Database == "" {
		return c.Database
	}
	u, err := url.Parse(c.Database)
	if err != nil {
		return hidden
	}
	if query := u.Query(); query.Has("password") || query.Has("sslpassword") {
		u.RawQuery = ""
	}
	return u.Redacted()
}

// Warnings are sentences to log at every start: the configuration is valid, but only fit for trying out, or it
// leaves a risk that somebody chose.
func (c *Config) Warnings() []string {
	var list []string
	if plainHTTP(c.Issuer) {
		list = append(list, "the issuer is plain http on this machine: fit for trying out, not for real people")
	}
	if c.masterKeyExposed {
		list = append(list, fmt.Sprintf("others than its owner may read %s, the key that seals everything in the database: chmod 600 (in a mounted secret: defaultMode 0400)", display(c.MasterKeyFile)))
	}
	if len(c.FetchAllow) > 0 {
		list = append(list, fmt.Sprintf("documents of clients may come from %s, on this machine: fit for trying out", strings.Join(c.FetchAllow, ", ")))
	}
	for _, p := range c.Providers {
		if p.Standin != "" {
			list = append(list, fmt.Sprintf("the provider %s is a stand-in at %s: it signs in anybody as anybody", p.Name, p.Standin))
		}
	}
	if !plainHTTP(c.Issuer) && !c.TLS.On() && len(c.TrustedProxies) == 0 {
		list = append(list, "trusted_proxies is empty, so all clients seem to come from the proxy that speaks TLS, and the failures of one hold up all: name it")
	}
	list = append(list, c.mailWarnings()...)
	if !loopbackListener(c.Admin.Listen) {
		list = append(list, fmt.Sprintf("the admin API listens on %s without TLS: keep it on a private network", c.Admin.Listen))
	}
	for _, cl := range c.Clients {
		for _, p := range cl.Providers {
			if p.DangerouslyAcceptTokensWithoutANonce {
				list = append(list, fmt.Sprintf("the client %s accepts id_tokens of %s without a nonce: a stolen one works once within five minutes", cl.ID, p.Name))
			}
		}
	}
	return list
}

func plainHTTP(address string) bool { return strings.HasPrefix(address, "http://") }
