package config

import (
	"fmt"
	"slices"
	"strings"
)

// The environment overrides the file. A variable that is set but empty counts as not set. Secrets have a twin with
// _FILE that names a file holding the value, the way container platforms hand them out.
const (
	prefix = "COUNTERSIGN_"

	EnvIssuer        = prefix + "ISSUER"
	EnvListen        = prefix + "LISTEN"
	EnvAdminListen   = prefix + "ADMIN_LISTEN"
	EnvTLSCertFile   = prefix + "TLS_CERT_FILE"
	EnvTLSKeyFile    = prefix + "TLS_KEY_FILE"
	EnvDatabase      = prefix + "DATABASE"
	EnvDatabaseFile  = prefix + "DATABASE_FILE"
	EnvMasterKey     = prefix + "MASTER_KEY"
	EnvMasterKeyFile = prefix + "MASTER_KEY_FILE"
	EnvLogFormat     = prefix + "LOG_FORMAT"
	EnvLogLevel      = prefix + "LOG_LEVEL"

	// Read by the command line alone.
	EnvConfig = prefix + "CONFIG"
	EnvServer = prefix + "SERVER"
	EnvAPIKey = prefix + "API_KEY"
)

func variables() []string {
	return []string{
		EnvIssuer, EnvListen, EnvAdminListen, EnvTLSCertFile, EnvTLSKeyFile, EnvDatabase, EnvDatabaseFile,
		EnvMasterKey, EnvMasterKeyFile, EnvLogFormat, EnvLogLevel, EnvConfig, EnvServer, EnvAPIKey,
	}
}

// environ is the environment as name=value lines.
type environ []string

func (e environ) get(name string) string {
	for _, line := range e {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return value
		}
	}
	return ""
}

// apply puts the environment over what the file said. Paths in it are relative to the working directory.
func (e environ) apply(c *Config, ps *Problems) {
	e.refuseTwins(ps)
	e.refuseMisspelt(ps)
	plain := []struct {
		name, key string
		into      *string
	}{
		{EnvIssuer, "issuer", &c.Issuer},
		{EnvListen, "listen", &c.Listen},
		{EnvAdminListen, "admin.listen", &c.Admin.Listen},
		{EnvTLSCertFile, "tls.cert_file", &c.TLS.CertFile},
		{EnvTLSKeyFile, "tls.key_file", &c.TLS.KeyFile},
		{EnvDatabase, "database", &c.Database},
		{EnvMasterKeyFile, "master_key_file", &c.MasterKeyFile},
		{EnvLogFormat, "log.format", &c.Log.Format},
		{EnvLogLevel, "log.level", &c.Log.Level},
	}
	for _, v := range plain {
		if value := e.get(v.name); value != "" {
			*v.into = value
			c.src.variables[v.key] = v.name
		}
	}
	if file := e.get(EnvDatabaseFile); file != "" {
		c.src.variables["database"] = EnvDatabaseFile
		c.Database = string(readSecret(file, "database", c.src, ps))
	}
	if key := e.get(EnvMasterKey); key != "" {
		c.MasterKey, c.MasterKeyFile = Secret(key), ""
		c.src.variables["master_key_file"] = EnvMasterKey
	}
}

func (e environ) refuseTwins(ps *Problems) {
	for _, name := range []string{EnvDatabase, EnvMasterKey} {
		if e.get(name) != "" && e.get(name+"_FILE") != "" {
			ps.add(source{}, name, "it is set, and so is "+name+"_FILE", "unset one of the two")
		}
	}
}

// refuseMisspelt refuses a variable that is nearly one of ours. Others with our prefix are let through: container
// platforms make some up for a service of that name (COUNTERSIGN_PORT, COUNTERSIGN_SERVICE_HOST).
func (e environ) refuseMisspelt(ps *Problems) {
	for _, line := range e {
		name, value, _ := strings.Cut(line, "=")
		if value == "" || !strings.HasPrefix(name, prefix) || slices.Contains(variables(), name) {
			continue
		}
		for _, known := range variables() {
			if distance(name, known) <= 2 {
				ps.add(source{}, name, "there is no such variable", fmt.Sprintf("did you mean %s?", known))
			}
		}
	}
}
