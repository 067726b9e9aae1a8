package config

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/countersign/countersign/internal/domain"
)

const mtlsExample = "https://mtls.login.example.com"

// mutual: the listener that asks for client certificates is whole, or not there.
func (v check) mutual() {
	m := v.MTLS
	if !m.On() {
		for _, f := range []struct{ key, value string }{{"url", m.URL}, {"ca_file", m.CAFile}} {
			if f.value != "" {
				v.add("mtls."+f.key, "there is no listener that asks for certificates", "set mtls.listen, for example 0.0.0.0:8444, or remove the line")
			}
		}
		return
	}
	v.listenAddress("mtls.listen", m.Listen)
	for _, other := range []struct{ key, address string }{{"listen", v.Listen}, {"admin.listen", v.Admin.Listen}} {
		if m.Listen == other.address && !strings.HasSuffix(m.Listen, ":0") {
			v.add("mtls.listen", "it is the address of "+other.key, "give it a port of its own, for example 0.0.0.0:8444")
		}
	}
	if !v.TLS.On() {
		v.add("mtls.listen", "only a server that speaks TLS itself sees the certificates of clients", "set tls.cert_file and tls.key_file: this listener uses the same pair")
	}
	v.mutualURL()
	if m.CAFile != "" && len(m.CA) > 0 { // else it could not be read, which was told
		if err := authorities(m.CA); err != nil {
			v.add("mtls.ca_file", err.Error(), "put the certificates of the authorities that issue to your clients into it, as PEM, and nothing else")
		}
	}
}

// mutualURL: an origin beside the issuer's. At the issuer's own, browsers would be asked for certificates, or nobody.
func (v check) mutualURL() {
	text := v.MTLS.URL
	if text == "" {
		v.add("mtls.url", "it is missing", "write where clients reach mtls.listen: "+mtlsExample+", or the issuer with another port")
		return
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "" || u.User != nil || u.Scheme != "https":
		v.add("mtls.url", fmt.Sprintf("%q is no https address", text), "write it like "+mtlsExample)
	case text != "https://"+u.Host || text != strings.ToLower(text):
		v.add("mtls.url", "it has more than scheme, host and port, or capital letters", "write https://"+strings.TrimSuffix(strings.ToLower(u.Host), ":443"))
	case u.Port() == "443":
		v.add("mtls.url", "it names the port https has anyway", "write https://"+u.Hostname())
	case text == v.Issuer:
		v.add("mtls.url", "it is the issuer", "give the listener another host name or another port: browsers come to the issuer, and would be asked for a certificate there")
	}
}

// authorities tells whether a file holds certificates of authorities and nothing else.
func authorities(data []byte) error {
	for n := 1; ; n++ {
		block, rest := pem.Decode(data)
		switch {
		case block == nil && n == 1:
			return errors.New("there is no PEM in it")
		case block == nil && strings.TrimSpace(string(data)) != "":
			return errors.New("there is something in it that is no PEM")
		case block == nil:
			return nil
		case block.Type != "CERTIFICATE":
			return fmt.Errorf("part %d is no certificate but %q", n, block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		switch {
		case err != nil:
			return fmt.Errorf("certificate %d cannot be read: %w", n, err)
		case !cert.IsCA || !cert.BasicConstraintsValid:
			return fmt.Errorf("certificate %d (%s) is not that of an authority", n, cert.Subject)
		}
		data = rest
	}
}

// byCertificate tells whether the client authenticates in the TLS handshake.
func (c *Client) byCertificate() bool { return domain.AuthMethod(c.AuthMethod).ByCertificate() }

// certified is the client of mutual TLS: no secret, and either one subject of an authority's or keys of its own.
func (v check) certified(i int) {
	c := &v.Clients[i]
	v.noSecrets(i, "a client that authenticates by its certificate has no secret", "remove the line, or choose another auth_method")
	if c.AssertionAud != "" {
		v.add(at("clients", i, "assertion_audience"), "it belongs to auth_method: private_key_jwt", "set that, or remove the line")
	}
	where := at("clients", i, "auth_method")
	switch {
	case !v.MTLS.On():
		v.add(where, "no listener asks for client certificates", "set mtls.listen and mtls.url")
	case c.AuthMethod == string(domain.AuthTLS) && v.MTLS.CAFile == "":
		v.add(where, "nobody is named whose certificates are taken", "set mtls.ca_file, or choose self_signed_tls_client_auth")
	}
	if c.AuthMethod == string(domain.AuthSelfSigned) && c.JWKSFile == "" && len(c.JWKS) == 0 && c.JWKSURI == "" {
		v.add(at("clients", i, "jwks_file"), "the key of its certificate must be among its public keys", "name a file with a JWK Set by jwks_file, or its address by jwks_uri; docs/mutual-tls.md has the commands that make one")
	}
}

// tlsSubjects are the keys of RFC 8705 §2.1.2.
func (c *Client) tlsSubjects() []address {
	return []address{
		{"tls_client_auth_subject_dn", c.TLSSubjectDN}, {"tls_client_auth_san_dns", c.TLSDNS}, {"tls_client_auth_san_uri", c.TLSURI},
		{"tls_client_auth_san_ip", c.TLSIP}, {"tls_client_auth_san_email", c.TLSEmail},
	}
}

type tlsSubject struct{ domain.TLSSubject }

// remedy says where the right name is found.
func (s tlsSubject) remedy() string {
	if s.DN != "" && s.TLSSubject == (domain.TLSSubject{DN: s.DN}) {
		return "write what `openssl x509 -noout -subject -nameopt RFC2253 -in client.pem` prints after \"subject=\", in quotes"
	}
	return "write one of the names in the client's certificate; `openssl x509 -noout -subject -ext subjectAltName -nameopt RFC2253 -in client.pem` prints them"
}

// clientCertificate: a subject for tls_client_auth and for nothing else, and tokens bound to certificates only where one
// can be shown and the client is more than an app that everybody has.
func (v check) clientCertificate(i int) {
	c := &v.Clients[i]
	if c.AuthMethod == string(domain.AuthTLS) && c.confidential() {
		subject := tlsSubject{domain.TLSSubject{DN: c.TLSSubjectDN, DNS: c.TLSDNS, URI: c.TLSURI, IP: c.TLSIP, Email: c.TLSEmail}}
		if err := subject.Check(); err != nil {
			v.add(v.writtenSubject(i), "tls_client_auth: "+err.Error(), subject.remedy())
		}
	} else {
		for _, f := range c.tlsSubjects() {
			if f.value != "" {
				v.add(at("clients", i, f.key), "it belongs to auth_method: tls_client_auth", "set that, or remove the line")
			}
		}
	}
	if !c.CertificateBound {
		return
	}
	where := at("clients", i, "tls_client_certificate_bound_access_tokens")
	switch {
	case !c.confidential():
		v.add(where, fmt.Sprintf("a %s client has no certificate of its own", c.Type), "remove the line; dpop: required binds its tokens to a key it makes itself")
	case !v.MTLS.On():
		v.add(where, "no listener asks for client certificates", "set mtls.listen and mtls.url, or remove the line; dpop: required binds tokens to a key instead")
	}
}

// writtenSubject is where the client's subject stands; auth_method where none does.
func (v check) writtenSubject(i int) string {
	for _, f := range v.Clients[i].tlsSubjects() {
		if f.value != "" {
			return at("clients", i, f.key)
		}
	}
	return at("clients", i, "auth_method")
}
