package domain

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Why a subject cannot be registered.
var (
	errNoSubject   = errors.New("it names no subject: exactly one of tls_client_auth_subject_dn, _san_dns, _san_uri, _san_ip and _san_email")
	errTwoSubjects = errors.New("it names more than one subject: exactly one of tls_client_auth_subject_dn, _san_dns, _san_uri, _san_ip and _san_email")
)

// IsZero tells whether no subject is named; it also leaves the member out of JSON.
func (s TLSSubject) IsZero() bool { return s == TLSSubject{} }

// Check tells why the subject cannot be one: RFC 8705 §2.1.2 wants exactly one, and each has a form of its own.
func (s TLSSubject) Check() error {
	named := 0
	for _, value := range []string{s.DN, s.DNS, s.URI, s.IP, s.Email} {
		if value != "" {
			named++
		}
	}
	switch {
	case named == 0:
		return errNoSubject
	case named > 1:
		return errTwoSubjects
	case s.DN != "":
		_, err := parseDN(s.DN)
		return err
	case s.URI != "":
		if u, err := url.Parse(s.URI); err != nil || u.Scheme == "" {
			return fmt.Errorf("%q is no URI with a scheme", s.URI)
		}
	case s.IP != "":
		if a, err := netip.ParseAddr(s.IP); err != nil || a.Zone() != "" {
			return fmt.Errorf("%q is no address", s.IP)
		}
	case s.Email != "":
		if at := strings.IndexByte(s.Email, '@'); at < 1 || at == len(s.Email)-1 || strings.ContainsAny(s.Email, " \t\r\n") {
			return fmt.Errorf("%q is no e-mail address", s.Email)
		}
	case strings.ContainsAny(s.DNS, " :/@*"):
		return fmt.Errorf("%q is no host name", s.DNS)
	}
	return nil
}

// Fits tells whether a certificate is of the subject. Who signed it is not looked at here. A subject that Check refuses
// fits nothing.
func (s TLSSubject) Fits(cert *x509.Certificate) bool {
	if s.Check() != nil {
		return false
	}
	if s.DN != "" {
		want, err := parseDN(s.DN)
		if err != nil {
			return false
		}
		got, err := readName(cert.RawSubject)
		return err == nil && sameName(want, got)
	}
	tag, want := s.alternative()
	return slices.Contains(alternatives(cert, tag), want)
}

// The tags of RFC 5280 §4.2.1.6, GeneralName.
const (
	sanEmail = 1
	sanDNS   = 2
	sanURI   = 6
	sanIP    = 7
)

// alternative is the subject as a certificate's alternative name holds it.
func (s TLSSubject) alternative() (tag int, value string) {
	switch {
	case s.DNS != "":
		return sanDNS, s.DNS
	case s.URI != "":
		return sanURI, s.URI
	case s.Email != "":
		return sanEmail, s.Email
	}
	addr, _ := netip.ParseAddr(s.IP) // Check has
	return sanIP, string(addr.AsSlice())
}

var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// alternatives are the alternative names of one kind, byte by byte as they stand in the certificate: crypto/x509 has the
// URIs only in the form net/url gives them, and two of them could look the same.
func alternatives(cert *x509.Certificate, tag int) (list []string) {
	for _, e := range cert.Extensions {
		if !e.Id.Equal(subjectAltName) {
			continue
		}
		var names []asn1.RawValue
		if rest, err := asn1.Unmarshal(e.Value, &names); err != nil || len(rest) > 0 {
			return nil
		}
		for _, n := range names {
			if n.Class == asn1.ClassContextSpecific && n.Tag == tag {
				list = append(list, string(n.Bytes))
			}
		}
	}
	return list
}
