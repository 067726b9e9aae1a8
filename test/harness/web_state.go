package harness

import (
	"html"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
)

// Via makes the browser's requests reach a given node; addresses and Host stay the issuer's.
func (b *Web) Via(n *Node) *Web {
	b.client.Transport = b.world.watching(via{strings.TrimPrefix(n.Public, "http://")})
	return b
}

type via struct{ host string }

func (v via) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	r.URL.Host = v.host
	return http.DefaultTransport.RoundTrip(r)
}

// Cookie is the value of the server's cookie of this name; empty: the browser has none.
func (b *Web) Cookie(name string) string {
	for _, c := range b.client.Jar.Cookies(b.home()) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// Copy is another browser with the same cookies: a thief's, a second tab, or this one as it was before.
func (b *Web) Copy() *Web {
	b.T.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.T.Fatal(err)
	}
	jar.SetCookies(b.home(), b.client.Jar.Cookies(b.home()))
	other := *b
	client := *b.client
	client.Jar, other.client = jar, &client
	return &other
}

// PutCookie sets a cookie of the server; an empty value takes it away.
func (b *Web) PutCookie(name, value string) *Web {
	c := &http.Cookie{Name: name, Value: value, Path: "/"}
	if value == "" {
		c.MaxAge = -1
	}
	b.client.Jar.SetCookies(b.home(), []*http.Cookie{c})
	return b
}

func (b *Web) home() *url.URL {
	u, err := url.Parse(b.world.Issuer)
	if err != nil {
		b.T.Fatal(err)
	}
	return u
}

var optionsAttribute = regexp.MustCompile(`data-options="([^"]*)"`)

// PasskeyOptions are what the page would hand to navigator.credentials.
func (b *Web) PasskeyOptions() []byte {
	b.T.Helper()
	m := optionsAttribute.FindStringSubmatch(b.Page)
	if m == nil {
		b.T.Fatalf("no passkey options on the page at %s (%d):\n%s", b.At, b.Status, b.Page)
	}
	return []byte(html.UnescapeString(m[1]))
}
