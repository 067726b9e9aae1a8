package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// How much is read of a file: what is named may be a device that never ends.
const (
	maxFile          = 64 << 10 // keys, secrets, certificates
	maxConfiguration = 1 << 20
)

// readFiles reads what the configuration keeps out of itself: secrets and private keys.
func (c *Config) readFiles(ps *Problems) {
	if c.MasterKeyFile != "" && !c.devKeyToBeMade() {
		c.MasterKey = Secret(readFilled(c.MasterKeyFile, "master_key_file", c.src, ps))
		c.masterKeyExposed = exposed(c.MasterKeyFile)
	}
	for i := range c.Registration.Issuers {
		if s := &c.Registration.Issuers[i]; s.JWKSFile != "" {
			s.JWKS = readFilled(s.JWKSFile, fmt.Sprintf("registration.software_statements[%d].jwks_file", i), c.src, ps)
		}
	}
	if c.MTLS.CAFile != "" {
		c.MTLS.CA = readFilled(c.MTLS.CAFile, "mtls.ca_file", c.src, ps)
	}
	if c.Mail.PasswordFile != "" {
		c.Mail.Password = readSecret(c.Mail.PasswordFile, "mail.password_file", c.src, ps)
	}
	for i := range c.Providers {
		p := &c.Providers[i]
		if p.PrivateKeyFile != "" {
			p.PrivateKeyPEM = Secret(readFilled(p.PrivateKeyFile, at("providers", i, "private_key_file"), c.src, ps))
		}
		if p.ClientSecretFile != "" {
			p.ClientSecret = readSecret(p.ClientSecretFile, at("providers", i, "client_secret_file"), c.src, ps)
		}
	}
	for i := range c.Resources {
		if r := &c.Resources[i]; r.SecretFile != "" {
			r.Secret = readSecret(r.SecretFile, at("resources", i, "secret_file"), c.src, ps)
		}
	}
	for i := range c.Clients {
		c.Clients[i].readFiles(i, c.src, ps)
	}
}

func (c *Client) readFiles(i int, src source, ps *Problems) {
	if c.SecretFile != "" {
		c.Secret = readSecret(c.SecretFile, at("clients", i, "secret_file"), src, ps)
	}
	if c.OldSecretFile != "" {
		c.OldSecret = readSecret(c.OldSecretFile, at("clients", i, "previous_secret_file"), src, ps)
	}
	if c.JWKSFile != "" {
		c.JWKS = readFilled(c.JWKSFile, at("clients", i, "jwks_file"), src, ps)
	}
	if c.LogoFile != "" {
		c.Logo = readFilled(c.LogoFile, at("clients", i, "logo_file"), src, ps)
	}
}

// devKeyToBeMade tells whether the server will make the master key: in dev mode, where the file is not there yet.
func (c *Config) devKeyToBeMade() bool {
	if !c.Dev {
		return false
	}
	_, err := os.Stat(c.MasterKeyFile)
	return errors.Is(err, fs.ErrNotExist)
}

// readSecret reads a file that holds one line; the newline at its end is no part of the secret.
func readSecret(path, where string, src source, ps *Problems) Secret {
	return Secret(bytes.TrimRight(readFilled(path, where, src, ps), "\r\n"))
}

// readFilled reads a file of at most maxFile bytes that must hold more than white space.
func readFilled(path, where string, src source, ps *Problems) []byte {
	before := len(*ps)
	data := readUpTo(maxFile, path, where, src, ps)
	if len(bytes.TrimSpace(data)) > 0 || len(*ps) > before {
		return data
	}
	ps.add(src, where, display(path)+" is empty", emptyRemedy(path, where))
	return nil
}

// readUpTo reads one file and no more of it than the limit.
func readUpTo(limit int64, path, where string, src source, ps *Problems) []byte {
	data, err := readHead(path, limit+1)
	if err != nil {
		text, remedy := fileTrouble(path, where, err)
		ps.add(src, where, text, remedy)
		return nil
	}
	if int64(len(data)) > limit {
		ps.add(src, where, fmt.Sprintf("%s is larger than %d KiB", display(path), limit>>10), "name the right file")
		return nil
	}
	return data
}

func readHead(path string, limit int64) (data []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(io.LimitReader(f, limit))
}

// exposed tells whether others than its owner may read a file.
func exposed(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0
}

func emptyRemedy(path, where string) string {
	switch {
	case where == "master_key_file":
		shown := display(path)
		return "a server that has run before needs the very file it was started with; for a new one: rm " + shown +
			" && countersign key new-master --out " + shown
	case where == "tls.cert_file":
		return "put the certificate into it, with its chain, as PEM"
	case where == "mtls.ca_file":
		return "put the certificates of the authorities into it, as PEM"
	case where == "tls.key_file":
		return "put the private key of the certificate into it, as PEM"
	case strings.HasSuffix(where, ".private_key_file"):
		return appleKeyRemedy
	case strings.HasSuffix(where, ".client_secret_file"):
		return clientSecretRemedy
	}
	return "put the value into it"
}

const (
	appleKeyRemedy     = "download the key from Apple's developer pages (Keys) and put it there"
	clientSecretRemedy = "put the secret there that the provider gave you with the client_id"
)

func fileTrouble(path, where string, err error) (text, remedy string) {
	shown := display(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "the server may not read " + shown, "give its user the right to: chown or chmod the file"
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("%s cannot be read: %v", shown, errors.Unwrap(err)), "name a readable file"
	}
	text = "there is no file " + shown
	switch {
	case where == "master_key_file":
		return text, "make one: countersign key new-master --out " + shown
	case strings.HasSuffix(where, ".secret_file"):
		return text, "make one: (umask 077; openssl rand -hex 32 > " + shown + ")"
	case strings.HasSuffix(where, ".private_key_file"):
		return text, appleKeyRemedy
	case strings.HasSuffix(where, ".client_secret_file"):
		return text, clientSecretRemedy
	}
	return text, "put it there, or correct the path"
}

// at spells the key of a list entry.
func at(list string, i int, key string) string { return fmt.Sprintf("%s[%d].%s", list, i, key) }

// display shortens a path to what a person in the working directory would type.
func display(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	rel, err := filepath.Rel(wd, abs)
	if err != nil || strings.HasPrefix(rel, "..") {
		return path
	}
	return rel
}
