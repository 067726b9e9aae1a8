package config

import (
	"os"
	"path/filepath"
	"strings"
)

// Load reads the file at path, puts the environment over it, reads the files they name and validates. An empty path
// is dev mode: a server for this machine alone, with no file at all. The error is a Problems with all that is wrong.
//
// This package knows no database driver: the checks are asked whether the URL of a PostgreSQL database can be used. A
// check connects to nothing, and its sentence shows no password.
func Load(path string, checks ...DatabaseCheck) (*Config, error) {
	return load(path, os.Environ(), checks...)
}

// DatabaseCheck tells what is wrong with the URL of a database.
type DatabaseCheck func(databaseURL string) error

func load(path string, env environ, checks ...DatabaseCheck) (*Config, error) {
	if path == "" {
		return finish(dev(), env, nil, checks)
	}
	src := source{file: display(path)}
	var problems Problems
	data := readUpTo(maxConfiguration, path, "", src, &problems)
	if problems != nil {
		problems[0].Remedy = "name your configuration with --config, or leave it out for dev mode"
		return nil, problems
	}
	src.lines, src.variables = map[string]int{}, map[string]string{}
	d := decoder{src: src}
	c := defaults()
	if !d.decode(data, c) {
		return nil, d.problems.asError()
	}
	c.src = d.src
	c.resolve(filepath.Dir(path))
	return finish(c, env, d.problems, checks)
}

// finish does what a file and dev mode have in common.
func finish(c *Config, env environ, problems Problems, checks []DatabaseCheck) (*Config, error) {
	env.apply(c, &problems)
	c.readFiles(&problems)
	c.validate(&problems)
	check{Config: c, problems: &problems}.databaseURL(checks)
	if err := problems.asError(); err != nil {
		return nil, err
	}
	return c, nil
}

func defaults() *Config {
	return &Config{
		Listen: "127.0.0.1:8080",
		Admin:  Admin{Listen: "127.0.0.1:8081"},
		Log:    Log{Format: "text", Level: "info"},
	}
}

// dev is what `countersign serve` without a file runs: everything in the working directory, nothing beyond loopback.
func dev() *Config {
	c := defaults()
	c.Dev = true
	c.Issuer = "http://localhost:8080"
	c.Database = "sqlite:./countersign-dev.db"
	c.MasterKeyFile = "./countersign-dev.key"
	c.src.variables = map[string]string{}
	return c
}

const sqliteScheme = "sqlite:"

// resolve makes relative paths relative to the folder of the configuration file.
func (c *Config) resolve(folder string) {
	paths := []*string{&c.TLS.CertFile, &c.TLS.KeyFile, &c.MTLS.CAFile, &c.MasterKeyFile, &c.Mail.PasswordFile, &c.Pages.Folder}
	for i := range c.Providers {
		paths = append(paths, &c.Providers[i].PrivateKeyFile, &c.Providers[i].ClientSecretFile)
	}
	for i := range c.Resources {
		paths = append(paths, &c.Resources[i].SecretFile)
	}
	for i := range c.Clients {
		cl := &c.Clients[i]
		paths = append(paths, &cl.SecretFile, &cl.OldSecretFile, &cl.JWKSFile, &cl.LogoFile)
	}
	for i := range c.Registration.Issuers {
		paths = append(paths, &c.Registration.Issuers[i].JWKSFile)
	}
	for _, p := range paths {
		*p = under(folder, *p)
	}
	if file, ok := strings.CutPrefix(c.Database, sqliteScheme); ok && file != "" && !strings.HasPrefix(file, ":") {
		c.Database = sqliteScheme + under(folder, file)
	}
}

func under(folder, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(folder, path)
}
