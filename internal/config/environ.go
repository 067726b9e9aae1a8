package config

import (
	"fmt"
	"regexp"
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
	EnvMailPassword  = prefix + "MAIL_PASSWORD"
	EnvMailFile      = prefix + "MAIL_PASSWORD_FILE"
	EnvLogFormat     = prefix + "LOG_FORMAT"
	EnvLogLevel      = prefix + "LOG_LEVEL"

	// Read by the command line alone.
	EnvConfig = prefix + "CONFIG"
	EnvServer = prefix + "SERVER"
	EnvAPIKey = prefix + "API_KEY"
)

// variables lists all that an operator can set. Another name with our prefix is refused.
func variables() []string {
	return []string{
		EnvIssuer, EnvListen, EnvAdminListen, EnvTLSCertFile, EnvTLSKeyFile, EnvDatabase, EnvDatabaseFile,
		EnvMasterKey, EnvMasterKeyFile, EnvMailPassword, EnvMailFile, EnvLogFormat, EnvLogLevel, EnvConfig, EnvServer, EnvAPIKey,
	}
}

// testVariables are read by the test suites, which pass them on to the servers they start.
func testVariables() []string {
	return []string{prefix + "TEST_POSTGRES", prefix + "TEST_LONG", prefix + "FAULTS_SEED"}
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
	secrets := providerVariables(c)
	e.refuseTwins(append(secrets, EnvDatabase, EnvMasterKey, EnvMailPassword), ps)
	e.refuseUnknown(secrets, ps)
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
		{EnvMailFile, "mail.password_file", &c.Mail.PasswordFile},
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
	if password := e.get(EnvMailPassword); password != "" {
		c.Mail.Password, c.Mail.PasswordFile = Secret(password), ""
		c.src.variables["mail.password_file"] = EnvMailPassword
	}
	e.applyProviders(c)
}

// applyProviders: the client secret at each provider has a variable with the provider's name in it.
func (e environ) applyProviders(c *Config) {
	for i := range c.Providers {
		p, where := &c.Providers[i], at("providers", i, "client_secret_file")
		name := providerVariable(p.Name)
		if file := e.get(name + "_FILE"); file != "" {
			p.ClientSecretFile = file
			c.src.variables[where] = name + "_FILE"
		}
		if secret := e.get(name); secret != "" {
			p.ClientSecret, p.ClientSecretFile = Secret(secret), ""
			c.src.variables[where] = name
		}
	}
}

// providerVariable is COUNTERSIGN_PROVIDER_GOOGLE_CLIENT_SECRET for the provider named google.
func providerVariable(name string) string {
	return prefix + "PROVIDER_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_")) + "_CLIENT_SECRET"
}

func providerVariables(c *Config) []string {
	var names []string
	for _, p := range c.Providers {
		if name := providerVariable(p.Name); p.Name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (e environ) refuseTwins(names []string, ps *Problems) {
	for _, name := range names {
		if e.get(name) != "" && e.get(name+"_FILE") != "" {
			ps.add(source{}, name, "it is set, and so is "+name+"_FILE", "unset one of the two")
		}
	}
}

// refuseUnknown refuses a variable with our prefix that nothing reads: whoever set it believes that it counts.
func (e environ) refuseUnknown(secrets []string, ps *Problems) {
	known := slices.Concat(variables(), testVariables())
	for _, name := range secrets {
		known = append(known, name, name+"_FILE")
	}
	for _, line := range e {
		name, value, _ := strings.Cut(line, "=")
		word, ours := strings.CutPrefix(name, prefix)
		if value == "" || !ours || slices.Contains(known, name) || serviceLink(word, value) {
			continue
		}
		ps.add(source{}, name, "there is no such variable", unknownVariableRemedy(word, secrets))
	}
}

func unknownVariableRemedy(word string, secrets []string) string {
	var words []string
	for _, name := range slices.Concat(variables(), secrets) {
		words = append(words, strings.TrimPrefix(name, prefix))
	}
	if near := nearest(word, words); near != "" {
		return fmt.Sprintf("did you mean %s?", prefix+near)
	}
	return "unset it; known are: " + strings.Join(variables(), ", ")
}

var (
	serviceWord = regexp.MustCompile(`^(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)
	portWord    = regexp.MustCompile(`^(\w+_)?PORT$`)
)

// serviceLink tells whether a variable is one that Kubernetes makes up, in every pod beside it, for a service named
// countersign or countersign-something: COUNTERSIGN_SERVICE_HOST, COUNTERSIGN_PORT=tcp://10.0.0.1:80 and their like.
func serviceLink(word, value string) bool {
	return serviceWord.MatchString(word) || (portWord.MatchString(word) && strings.Contains(value, "://"))
}
