package domain

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"
)

// shown makes a certificate with this subject and these alternative names.
func shown(t *testing.T, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func named(t *testing.T, sets ...pkix.RelativeDistinguishedNameSET) *x509.Certificate {
	t.Helper()
	raw, err := asn1.Marshal(pkix.RDNSequence(sets))
	if err != nil {
		t.Fatal(err)
	}
	return shown(t, func(c *x509.Certificate) { c.RawSubject = raw })
}

func rdn(pairs ...any) (s pkix.RelativeDistinguishedNameSET) {
	for i := 0; i < len(pairs); i += 2 {
		s = append(s, pkix.AttributeTypeAndValue{Type: pairs[i].(asn1.ObjectIdentifier), Value: pairs[i+1]})
	}
	return s
}

var (
	oidC     = asn1.ObjectIdentifier{2, 5, 4, 6}
	oidO     = asn1.ObjectIdentifier{2, 5, 4, 10}
	oidOU    = asn1.ObjectIdentifier{2, 5, 4, 11}
	oidCN    = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidOther = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}
)

// rfc8705-2.1.2-02
func TestADistinguishedNameIsComparedPartByPart(t *testing.T) {
	plain := named(t, rdn(oidC, "DE"), rdn(oidO, "Bank, Ltd."), rdn(oidCN, "payments"))
	multi := named(t, rdn(oidO, "Bank"), rdn(oidOU, "A", oidCN, "x"))
	other := named(t, rdn(oidO, "Bank"), rdn(oidOther, asn1.RawValue{FullBytes: []byte{0x0c, 1, 0x37}}))
	letters := named(t, rdn(oidO, "Müller & Söhne"), rdn(oidCN, ` #"edges" `))
	for _, c := range []struct {
		name, dn string
		cert     *x509.Certificate
		fits     bool
	}{
		{"as openssl writes it", `CN=payments,O=Bank\, Ltd.,C=DE`, plain, true},
		{"hexadecimal escapes", `CN=payments,O=Bank\2C Ltd.,C=DE`, plain, true},
		{"small names of attributes", `cn=payments,o=Bank\, Ltd.,c=DE`, plain, true},
		{"names in digits", `2.5.4.3=payments,2.5.4.10=Bank\, Ltd.,2.5.4.6=DE`, plain, true},
		{"in the order of the certificate", `C=DE,O=Bank\, Ltd.,CN=payments`, plain, false},
		{"a part is missing", `CN=payments,O=Bank\, Ltd.`, plain, false},
		{"a part too many", `CN=payments,OU=IT,O=Bank\, Ltd.,C=DE`, plain, false},
		{"the one part that counts", `CN=payments`, plain, false},
		{"other letters", `CN=Payments,O=Bank\, Ltd.,C=DE`, plain, false},
		{"a prefix", `CN=payment,O=Bank\, Ltd.,C=DE`, plain, false},
		{"two parts for one that looks like both", `CN=payments,O=Bank,O=Ltd.,C=DE`, plain, false},
		{"a set of two", `OU=A+CN=x,O=Bank`, multi, true},
		{"the set the other way round", `CN=x+OU=A,O=Bank`, multi, true},
		{"the set taken apart", `CN=x,OU=A,O=Bank`, multi, false},
		{"half of the set twice", `CN=x+CN=x,O=Bank`, multi, false},
		{"a value byte by byte", `1.3.6.1.4.1.99999.1=#0c0137,O=Bank`, other, true},
		{"the same text of another kind", `1.3.6.1.4.1.99999.1=#130137,O=Bank`, other, false},
		{"the text, of whatever kind", `1.3.6.1.4.1.99999.1=7,O=Bank`, other, true},
		{"letters as they are", `CN=\ #\"edges\"\ ,O=Müller & Söhne`, letters, true},
		{"letters byte by byte", `CN=\20\23\22edges\22\20,O=M\C3\BCller & S\C3\B6hne`, letters, true},
	} {
		s := TLSSubject{DN: c.dn}
		if err := s.Check(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if s.Fits(c.cert) != c.fits {
			t.Errorf("%s: %v, want %v", c.name, !c.fits, c.fits)
		}
	}
}

func TestWhatIsNoDistinguishedNameCannotBeRegistered(t *testing.T) {
	for _, dn := range []string{
		"payments", "CN", "CN=", "=x", "CN=a,", ",CN=a", "CN=a, O=b", "CN = a", "CN= a", "CN=a ", "CN=a;O=b", `CN="a"`, `CN=a\`, `CN=a\z`,
		`CN=a\C3`, "CN=a\x00", "FOO=a", "2.5.4=#", "2.5.4.3=#0", "2.5.4.3=#zz", "02.5=a", "2=a", "CN=a+", "CN=a<b",
	} {
		if err := (TLSSubject{DN: dn}).Check(); err == nil {
			t.Errorf("%q is taken", dn)
		}
	}
}

// rfc8705-2.1.2-01, rfc8705-2.1.2-03
func TestAnAlternativeNameIsComparedAsItStands(t *testing.T) {
	parse := func(s string) *url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	cert := shown(t, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "client.bank.example"}
		c.DNSNames = []string{"other.bank.example", "api.bank.example", "*.wild.example", "urn:bank:host"}
		c.URIs = []*url.URL{parse("https://bank.example/app"), parse("urn:bank:payments")}
		c.IPAddresses = []net.IP{net.ParseIP("192.0.2.7"), net.ParseIP("2001:db8::7")}
		c.EmailAddresses = []string{"ops@bank.example"}
	})
	for _, c := range []struct {
		name    string
		subject TLSSubject
		fits    bool
	}{
		{"a host name", TLSSubject{DNS: "api.bank.example"}, true},
		{"another host name", TLSSubject{DNS: "bank.example"}, false},
		{"a host name below", TLSSubject{DNS: "x.api.bank.example"}, false},
		{"what only a wildcard covers", TLSSubject{DNS: "a.wild.example"}, false},
		{"what only the common name says", TLSSubject{DNS: "client.bank.example"}, false},
		{"a URI", TLSSubject{URI: "urn:bank:payments"}, true},
		{"a URI with a slash more", TLSSubject{URI: "https://bank.example/app/"}, false},
		{"a host name as a URI", TLSSubject{URI: "dns:api.bank.example"}, false},
		{"a URI that is there as a host name", TLSSubject{URI: "urn:bank:host"}, false},
		{"an address", TLSSubject{IP: "192.0.2.7"}, true},
		{"an address of six", TLSSubject{IP: "2001:0db8:0::7"}, true},
		{"another address", TLSSubject{IP: "192.0.2.8"}, false},
		{"the same four bytes inside sixteen", TLSSubject{IP: "::ffff:192.0.2.7"}, false},
		{"an e-mail address", TLSSubject{Email: "ops@bank.example"}, true},
		{"another e-mail address", TLSSubject{Email: "Ops@bank.example"}, false},
		{"nothing registered", TLSSubject{}, false},
		{"two registered that both fit", TLSSubject{DNS: "api.bank.example", Email: "ops@bank.example"}, false},
	} {
		if c.subject.Fits(cert) != c.fits {
			t.Errorf("%s: %v, want %v", c.name, !c.fits, c.fits)
		}
	}
	for _, bad := range []TLSSubject{
		{}, {DN: "CN=a", DNS: "a"}, {DNS: "https://a.example"}, {DNS: "*.a.example"}, {URI: "bank"}, {IP: "192.0.2"}, {IP: "fe80::1%eth0"},
		{Email: "ops"}, {Email: "@a"}, {Email: "a b@c"},
	} {
		if bad.Check() == nil {
			t.Errorf("%+v can be registered", bad)
		}
	}
}

// FuzzSubjectDN: no text makes the reader fall over, and what is no name fits no certificate.
func FuzzSubjectDN(f *testing.F) {
	for _, seed := range []string{`CN=a,O=b`, `CN=a\,b+OU=c`, `2.5.4.3=#0c0161`, `CN=\C3\BC`, `\`, `CN=a\`} {
		f.Add(seed)
	}
	raw, err := asn1.Marshal(pkix.RDNSequence{rdn(oidO, "b"), rdn(oidCN, "a")})
	if err != nil {
		f.Fatal(err)
	}
	cert := &x509.Certificate{RawSubject: raw}
	f.Fuzz(func(t *testing.T, dn string) {
		s := TLSSubject{DN: dn}
		if s.Fits(cert) && s.Check() != nil {
			t.Errorf("%q is no name and fits", dn)
		}
	})
}
