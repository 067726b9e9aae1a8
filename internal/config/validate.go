package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/oauth"
)

// Validate tells all that is wrong at once; the error is a Problems. Load has done it already.
func (c *Config) Validate() error {
	var ps Problems
	c.validate(&ps)
	return ps.asError()
}

// check gathers problems while it walks a Config.
type check struct {
	*Config
	problems *Problems
}

func (v check) add(where, text, remedy string) { v.problems.add(v.src, where, text, remedy) }

// oneOf checks a word against those known; empty is left to the caller's default.
func (v check) oneOf(where, word string, known ...string) bool {
	for _, k := range known {
		if word == k {
			return true
		}
	}
	v.add(where, fmt.Sprintf("%q is not known", word), "write one of: "+strings.Join(known, ", "))
	return false
}

func (c *Config) validate(ps *Problems) {
	v := check{Config: c, problems: ps}
	v.issuer()
	v.listeners()
	v.tls()
	v.mutual()
	v.proxies()
	v.database()
	v.masterKey()
	v.oneOf("log.format", c.Log.Format, "text", "json")
	v.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	v.revision()
	v.mail()
	v.pages()
	v.fetchAllow()
	v.providers()
	v.resources()
	v.registration()
	v.clients()
}

const issuerExample = "https://login.example.com"

// issuer: an origin and nothing more (RFC 8414 §2, without the path it would allow): every URL is built from it.
func (v check) issuer() {
	if v.Issuer == "" {
		v.add("issuer", "it is missing", "write the address apps reach this server at: issuer: "+issuerExample)
		return
	}
	u, err := url.Parse(v.Issuer)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "" || u.User != nil {
		v.add("issuer", fmt.Sprintf("%q is not an address", v.Issuer), "write it like "+issuerExample)
		return
	}
	if want := u.Scheme + "://" + u.Host; v.Issuer != want {
		v.add("issuer", "it has more than scheme, host and port", "write "+want+", with no path, query, fragment or slash at the end")
	}
	if plain := strings.ToLower(u.Host); u.Host != plain {
		v.add("issuer", "it has capital letters", "write "+u.Scheme+"://"+plain+": clients compare it letter by letter")
	}
	if u.Scheme == "https" && u.Port() == "443" {
		v.add("issuer", "it names the port https has anyway", "write https://"+u.Hostname())
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme != "http":
		v.add("issuer", fmt.Sprintf("the scheme %q is not known", u.Scheme), "write "+issuerExample)
	case !loopbackHost(u.Hostname()):
		v.add("issuer", "it is plain http, and not on this machine", "write https://"+u.Host+"; http is accepted for localhost and 127.0.0.1 only")
	case v.TLS.On():
		v.add("issuer", "it says http, but tls has a certificate", "write https://"+u.Host+", or empty tls")
	}
	if v.Dev && !loopbackHost(u.Hostname()) {
		v.add("issuer", "dev mode is for this machine alone", "write a configuration file and start with --config FILE")
	}
}

// listeners: both parse, differ, and stay on loopback where the issuer is plain http and in dev mode (KL04).
func (v check) listeners() {
	v.listenAddress("listen", v.Listen)
	v.listenAddress("admin.listen", v.Admin.Listen)
	if v.Listen == v.Admin.Listen && !strings.HasSuffix(v.Listen, ":0") {
		v.add("admin.listen", "it is the public listener's address", "give the admin API its own, for example 127.0.0.1:8081")
	}
}

func (v check) listenAddress(where, address string) {
	_, port, err := net.SplitHostPort(address)
	if n, convErr := strconv.Atoi(port); err != nil || convErr != nil || n < 0 || n > 65535 {
		v.add(where, fmt.Sprintf("%q is not an address to listen on", address), "write host:port, for example 127.0.0.1:8080")
		return
	}
	switch {
	case loopbackListener(address):
	case strings.HasPrefix(v.Issuer, "http://"):
		v.add(where, "other machines can reach it, but the issuer is plain http", "listen on 127.0.0.1, or give the issuer https")
	case v.Dev:
		v.add(where, "other machines can reach it, but dev mode is for this machine alone", "listen on 127.0.0.1, or write a configuration file and start with --config FILE")
	}
}

// tls: a whole pair that fits together, or none and somebody else in front.
func (v check) tls() {
	switch {
	case v.TLS.CertFile != "" && v.TLS.KeyFile == "":
		v.add("tls.key_file", "cert_file is there, key_file is missing", "name the private key of the certificate")
	case v.TLS.CertFile == "" && v.TLS.KeyFile != "":
		v.add("tls.cert_file", "key_file is there, cert_file is missing", "name the certificate, with its chain")
	case v.TLS.On():
		v.pair()
	case v.Listen != "" && !loopbackListener(v.Listen) && len(v.TrustedProxies) == 0 && !strings.HasPrefix(v.Issuer, "http://"):
		v.add("listen", "other machines can reach it without TLS",
			"set tls.cert_file and tls.key_file, or name the proxy that speaks TLS for it: trusted_proxies: [10.0.0.7]")
	}
}

// pair reads both files. A file that is missing or empty is told at its own line.
func (v check) pair() {
	before := len(*v.problems)
	cert := readFilled(v.TLS.CertFile, "tls.cert_file", v.src, v.problems)
	key := readFilled(v.TLS.KeyFile, "tls.key_file", v.src, v.problems)
	if len(*v.problems) > before {
		return
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		v.add("tls", "the pair cannot be used: "+err.Error(), "name a PEM certificate and the private key that belongs to it")
	}
}

// proxies: addresses whose X-Forwarded-For is believed. All the world is none.
func (v check) proxies() {
	for i, p := range v.TrustedProxies {
		where := fmt.Sprintf("trusted_proxies[%d]", i)
		network, err := netip.ParsePrefix(p)
		if _, addrErr := netip.ParseAddr(p); err != nil && addrErr != nil {
			v.add(where, fmt.Sprintf("%q is neither an address nor a network", p), "write 10.0.0.7 or 10.0.0.0/24")
			continue
		}
		if err == nil && network.Bits() == 0 {
			v.add(where, "it trusts every address, so anybody could pretend to be anybody", "name the network of the proxy")
		}
	}
}

func (v check) database() {
	file, sqlite := strings.CutPrefix(v.Database, sqliteScheme)
	switch {
	case v.Database == "" && v.src.variables["database"] == EnvDatabaseFile: // told when the file was read
	case v.Database == "":
		v.add("database", "it is missing", "write sqlite:./countersign.db, or postgres://user@host/name")
	case sqlite && (file == "" || strings.HasPrefix(file, ":memory:")):
		v.add("database", "it names no file", "write sqlite:./countersign.db: sessions must outlive the process")
	case sqlite:
		v.sqliteFile(file)
	case !strings.HasPrefix(v.Database, "postgres://") && !strings.HasPrefix(v.Database, "postgresql://"):
		v.add("database", "it starts with neither sqlite: nor postgres://", "write sqlite:./countersign.db, or postgres://user@host/name")
	default:
		if _, err := url.Parse(v.Database); err != nil {
			v.add("database", "it is not a URL", "write postgres://user:password@host:5432/name, with special characters percent-encoded")
		}
	}
	if v.DatabaseMaxConns < 0 || v.DatabaseMaxConns > 1000 {
		v.add("database_max_connections", "it is not between 1 and 1000", "leave it out for 16")
	}
}

// sqliteFile: the file is made where it is not there, its folder is not.
func (v check) sqliteFile(file string) {
	folder := filepath.Dir(file)
	shown := display(folder)
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v.add("database", "there is no folder "+shown, "make it, for the server's user alone: (umask 077; mkdir -p "+shown+")")
		return
	case err != nil:
		v.add("database", fmt.Sprintf("the folder %s cannot be used: %v", shown, errors.Unwrap(err)), "name a file in a folder that the server may write to")
		return
	case !info.IsDir():
		v.add("database", shown+" is no folder", "name a file in a folder that the server may write to")
		return
	}
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		v.add("database", display(file)+" is a folder", "name a file in it, for example countersign.db")
	}
}

// databaseURL asks those who know the driver. They are asked about what looks like a URL: all else has been told.
func (v check) databaseURL(checks []DatabaseCheck) {
	if !strings.HasPrefix(v.Database, "postgres://") && !strings.HasPrefix(v.Database, "postgresql://") {
		return
	}
	if _, err := url.Parse(v.Database); err != nil {
		return
	}
	for _, ask := range checks {
		if err := ask(v.Database); err != nil {
			v.add("database", err.Error(), "correct the parameter or leave it out; write postgres://user:password@host:5432/name, with special characters percent-encoded")
		}
	}
}

func (v check) revision() {
	if v.Revision < 0 {
		v.add("revision", "it is below zero", "count upwards from 1, or leave it out where one node runs")
	}
}

func (v check) masterKey() {
	switch {
	case v.MasterKey != "":
		if _, err := keyring.ParseMaster([]byte(v.MasterKey)); err != nil {
			v.add("master_key_file", err.Error(), "a server that has run before needs the very file it was started with")
		}
	case v.MasterKeyFile == "":
		v.add("master_key_file", "there is no master key",
			"make one with `countersign key new-master --out ./master.key` and write master_key_file: ./master.key, or set "+EnvMasterKey)
	}
}

// loopbackOnly tells whether nothing of this server can be reached from another machine.
func (c *Config) loopbackOnly() bool {
	u, err := url.Parse(c.Issuer)
	return err == nil && loopbackHost(u.Hostname()) && loopbackListener(c.Listen) && loopbackListener(c.Admin.Listen) &&
		(!c.MTLS.On() || loopbackListener(c.MTLS.Listen))
}

func loopbackListener(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && loopbackHost(host)
}

func loopbackHost(host string) bool { return oauth.LoopbackHost(host) }

var errAddress = errors.New("not an address")

// httpAddress parses an http or https address with a host and no userinfo or fragment.
func httpAddress(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Contains(s, "#") {
		return nil, errAddress
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return nil, errAddress
	}
	return u, nil
}
