package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxFile bounds every file the configuration names.
const maxFile = 1 << 20

// readFiles reads what the configuration keeps out of itself: secrets and private keys.
func (c *Config) readFiles(ps *Problems) {
	if c.MasterKeyFile != "" && !c.devKeyToBeMade() {
		c.MasterKey = Secret(readFile(c.MasterKeyFile, "master_key_file", c.src, ps))
	}
	for i := range c.Providers {
		if p := &c.Providers[i]; p.PrivateKeyFile != "" {
			p.PrivateKeyPEM = Secret(readFile(p.PrivateKeyFile, at("providers", i, "private_key_file"), c.src, ps))
		}
	}
	for i := range c.Resources {
		if r := &c.Resources[i]; r.SecretFile != "" {
			r.Secret = readSecret(r.SecretFile, at("resources", i, "secret_file"), c.src, ps)
		}
	}
	for i := range c.Clients {
		if cl := &c.Clients[i]; cl.SecretFile != "" {
			cl.Secret = readSecret(cl.SecretFile, at("clients", i, "secret_file"), c.src, ps)
		}
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
	before := len(*ps)
	data := bytes.TrimRight(readFile(path, where, src, ps), "\r\n")
	if len(data) == 0 && len(*ps) == before {
		ps.add(src, where, display(path)+" is empty", "put the value into it")
	}
	return Secret(data)
}

// readFile reads one file of at most maxFile bytes.
func readFile(path, where string, src source, ps *Problems) []byte {
	data, err := os.ReadFile(path)
	if err != nil {
		text, remedy := fileTrouble(path, where, err)
		ps.add(src, where, text, remedy)
		return nil
	}
	if len(data) > maxFile {
		ps.add(src, where, display(path)+" is larger than 1 MiB", "name the right file")
		return nil
	}
	return data
}

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
		return text, "download the key from Apple's developer pages (Keys) and put it there"
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
