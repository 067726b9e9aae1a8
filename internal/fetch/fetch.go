// Package fetch is the only outbound HTTP of the server: size and time caps, no redirects, no proxies from the
// environment, an SSRF guard at dial time on the resolved address, one flight per URL.
package fetch

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"
)

var (
	// ErrURL is the refusal of an address before a name is even resolved.
	ErrURL = errors.New("not a URL this server fetches from")
	// ErrAddress is the refusal to connect to an address that is not on the public Internet.
	ErrAddress = errors.New("the address is not a public one")
	// ErrTooLarge is the refusal of a body over MaxBytes.
	ErrTooLarge = errors.New("the answer is too large")
)

const (
	defaultTimeout  = 5 * time.Second
	defaultMaxBytes = 512 << 10
	maxHeaderBytes  = 32 << 10
	userAgent       = "countersign"
)

// Options of a Client.
type Options struct {
	AllowLoopback bool           // dev mode and tests only: stand-in providers live there
	Allow         []netip.Prefix // networks beside the public Internet, reached by http as well; only ever on this machine
	Timeout       time.Duration  // zero: 5 s, whole exchange
	MaxBytes      int64          // zero: 512 KiB
	Roots         *x509.CertPool // whose certificates to trust; nil: the system's. For tests: no configuration sets it
}

// Client fetches. Safe for concurrent use.
type Client struct {
	o       Options
	allowed networks
	http    *http.Client
	flights singleflight.Group
}

// New makes a Client.
func New(o Options) *Client {
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	allowed := networks(o.Allow)
	if o.AllowLoopback {
		allowed = append(slices.Clone(allowed), loopback...)
	}
	dialer := &net.Dialer{Timeout: o.Timeout, Control: guard(allowed)}
	return &Client{o: o, allowed: allowed, http: &http.Client{
		// A redirect is an answer like any other: following it would let the far side choose where we connect.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  nil, // the guard would see the proxy's address, not the target's
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.Roots},
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: maxHeaderBytes,
			MaxIdleConnsPerHost:    2,
			IdleConnTimeout:        time.Minute,
		},
	}}
}

// Response is a completed answer of any status. Its readers share it.
type Response struct {
	Status int
	Body   []byte
	MaxAge time.Duration // from Cache-Control, less Age; zero if none

	MediaType string // in lower case, without parameters; empty if none
}

// Get fetches a document. http URLs are refused unless loopback is allowed and the host is loopback. Callers that ask
// for one URL at a time share one request; it goes on when one of them gives up.
func (c *Client) Get(ctx context.Context, url string) (*Response, error) {
	return c.share(ctx, request{method: http.MethodGet, url: url})
}

func (c *Client) share(ctx context.Context, q request) (*Response, error) {
	flight := c.flights.DoChan(q.accept+" "+q.url, func() (any, error) {
		return c.exchange(context.WithoutCancel(ctx), q)
	})
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("fetch: %w", ctx.Err())
	case landed := <-flight:
		if landed.Err != nil {
			return nil, landed.Err
		}
		return landed.Val.(*Response), nil
	}
}

// GetAs fetches a document as somebody: with this Authorization header. No two callers share one answer.
func (c *Client) GetAs(ctx context.Context, url, authorization string) (*Response, error) {
	return c.exchange(ctx, request{method: http.MethodGet, url: url, authorization: authorization})
}

// PostForm posts a form, with optional basic auth left to the caller's form fields.
func (c *Client) PostForm(ctx context.Context, url string, form url.Values) (*Response, error) {
	return c.exchange(ctx, request{method: http.MethodPost, url: url, form: form.Encode()})
}

// PostFormAs posts a form with this Authorization header.
func (c *Client) PostFormAs(ctx context.Context, url, authorization string, form url.Values) (*Response, error) {
	return c.exchange(ctx, request{method: http.MethodPost, url: url, form: form.Encode(), authorization: authorization})
}

type request struct {
	method, url, form, authorization string
	accept                           string // empty: application/json
	max                              int64  // of the body; zero: as the Client's
}

func (c *Client) exchange(ctx context.Context, q request) (*Response, error) {
	u, err := c.checkURL(q.url)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, q.method, u.String(), strings.NewReader(q.form))
	if err != nil {
		return nil, fmt.Errorf("fetch from %s: %w", u.Host, err)
	}
	q.head(r.Header)
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("fetch from %s: %w", u.Host, withoutURL(err))
	}
	defer func() { _ = answer.Body.Close() }()
	most := cmp.Or(q.max, c.o.MaxBytes)
	body, err := io.ReadAll(io.LimitReader(answer.Body, most+1))
	if err != nil {
		return nil, fmt.Errorf("fetch from %s: read: %w", u.Host, err)
	}
	if int64(len(body)) > most {
		return nil, fmt.Errorf("fetch from %s: %w: over %d bytes", u.Host, ErrTooLarge, most)
	}
	mediaType, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	return &Response{Status: answer.StatusCode, Body: body, MaxAge: maxAge(answer.Header), MediaType: mediaType}, nil
}

func (q *request) head(h http.Header) {
	h.Set("Accept", cmp.Or(q.accept, "application/json"))
	h.Set("User-Agent", userAgent)
	if q.method == http.MethodPost {
		h.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if q.authorization != "" {
		h.Set("Authorization", q.authorization)
	}
}

// withoutURL keeps paths and queries, which may be secret, out of logs.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// checkURL wants https, and http for a host in a network that is allowed.
func (c *Client) checkURL(target string) (*url.URL, error) {
	u, err := url.Parse(target)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return nil, fmt.Errorf("%w: it is not absolute, or has user information", ErrURL)
	}
	if u.Scheme == "https" || u.Scheme == "http" && c.allowed.host(u.Hostname()) {
		return u, nil
	}
	return nil, fmt.Errorf("%w: %s is not https", ErrURL, u.Hostname())
}
