package clientmeta

import (
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
)

// keys: public ones, in the metadata or behind an address, never both (RFC 7591 §2).
func (t *Terms) keys(m *Metadata, c *domain.Client) error {
	if len(m.JWKS) > 0 && m.JWKSURI != "" {
		return invalid("jwks and jwks_uri are never both there: choose one.")
	}
	if err := t.address("jwks_uri", m.JWKSURI); err != nil {
		return err
	}
	c.JWKSURI = m.JWKSURI
	if len(m.JWKS) > 0 {
		set, err := publicKeys(m.JWKS)
		if err != nil {
			return err
		}
		c.JWKS, m.JWKS = set, set
	}
	signs := c.AuthMethod == domain.AuthPrivateKey || c.AuthMethod == domain.AuthSelfSigned || m.RequireSigned
	if signs && len(c.JWKS) == 0 && c.JWKSURI == "" {
		return invalid("The client needs public keys for what it registers: give jwks or jwks_uri.")
	}
	return nil
}

// publicKeys takes from a JWK Set what is used of it. One key that is not public alone refuses all of it: what was sent here
// is no secret any more (ATTACKS RG05).
func publicKeys(data []byte) (json.RawMessage, error) {
	keys, err := ReadKeys(data)
	if err != nil || len(keys) == 0 || len(keys) > MaxKeys {
		return nil, invalid("jwks must be a JWK Set of 1 to 10 keys.").Because(err)
	}
	for _, k := range keys {
		switch {
		case errors.Is(k.Fault, jose.ErrPrivateKey):
			return nil, invalid("jwks holds a private or symmetric key. It is no secret any more: make a new one, and send its public part alone.")
		case errors.Is(k.Fault, ErrSameKid):
			return nil, invalid("Two keys of jwks have one kid.")
		}
	}
	set, err := MarshalKeys(keys)
	switch {
	case err != nil:
		return nil, invalid("jwks cannot be read.").Because(err)
	case set == nil:
		return nil, invalid("No key of jwks is for signing with ES256, PS256, RS256 or EdDSA.")
	}
	return set, nil
}

// certificate: whom a certificate must be of (RFC 8705 §2.1.2).
func (t *Terms) certificate(m *Metadata, c *domain.Client) error {
	given := 0
	for _, subject := range []string{m.TLSDN, m.TLSDNS, m.TLSURI, m.TLSIP, m.TLSEmail} {
		if subject != "" {
			given++
		}
		if len(subject) > maxText || strings.ContainsFunc(subject, func(r rune) bool { return !domain.Printable(r) }) {
			return invalid("A member tls_client_auth_* is longer than 512 bytes, or has characters that cannot be shown.")
		}
	}
	if _, err := netip.ParseAddr(m.TLSIP); err != nil && m.TLSIP != "" {
		return invalid("tls_client_auth_san_ip is no IP address.")
	}
	switch want := c.AuthMethod == domain.AuthTLS; {
	case want && given != 1:
		return invalid("tls_client_auth needs exactly one of the members tls_client_auth_subject_dn, _san_dns, _san_uri, _san_ip and _san_email.")
	case !want && given > 0:
		return invalid("The members tls_client_auth_* belong to the method tls_client_auth.")
	case m.CertificateBound && !t.TLS:
		return invalid("This server takes no client certificates: tls_client_certificate_bound_access_tokens cannot be true.")
	}
	if m.CertificateBound && !c.Confidential() { // nothing would tie its refresh tokens to the certificate (RFC 8705 §4)
		return invalid("A client that authenticates with nothing binds its tokens to a DPoP key, not to a certificate.")
	}
	c.Certificate = domain.TLSSubject{DN: m.TLSDN, DNS: m.TLSDNS, URI: m.TLSURI, IP: m.TLSIP, Email: m.TLSEmail}
	if err := c.Certificate.Check(); err != nil && given > 0 {
		return invalid("The member tls_client_auth_* cannot be used: " + err.Error() + ".")
	}
	c.CertificateBound = m.CertificateBound
	return nil
}

// clientAlgs are what a client may sign with, serverAlgs what we do.
var (
	clientAlgs = []domain.SigningAlg{domain.ES256, domain.PS256, domain.RS256, domain.EdDSA}
	serverAlgs = []domain.SigningAlg{domain.ES256, domain.RS256}
)

// algorithms: what is left out of the ID token's is RS256 (OIDC Registration §2), and so is JARM's (JARM §3).
func (t *Terms) algorithms(m *Metadata, c *domain.Client) error {
	if m.IDTokenAlg == "" && !m.forItself() {
		m.IDTokenAlg = domain.RS256
	}
	for _, a := range []struct {
		name string
		alg  domain.SigningAlg
		of   []domain.SigningAlg
	}{
		{"id_token_signed_response_alg", m.IDTokenAlg, serverAlgs},
		{"userinfo_signed_response_alg", m.UserInfoAlg, serverAlgs},
		{"authorization_signed_response_alg", m.ResponseAlg, serverAlgs},
		{"request_object_signing_alg", m.RequestAlg, clientAlgs},
	} {
		if a.alg != "" && !slices.Contains(a.of, a.alg) {
			return invalid(a.name + " is none of those in the server's metadata.")
		}
	}
	c.IDTokenAlg, c.UserInfoAlg, c.RequestAlg, c.ResponseAlg = m.IDTokenAlg, m.UserInfoAlg, m.RequestAlg, m.ResponseAlg
	return nil
}
