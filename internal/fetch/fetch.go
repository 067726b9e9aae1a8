// Package fetch is the only outbound HTTP of the server: size and time caps, no redirects, no proxies from the
// environment, an SSRF guard at dial time on the resolved address, one flight per URL.
package fetch

import (
	"context"
	"net/url"
	"time"
)

// Options of a Client.
type Options struct {
	AllowLoopback bool          // dev mode and tests only: stand-in providers live there
	Timeout       time.Duration // zero: 5 s, whole exchange
	MaxBytes      int64         // zero: 512 KiB
}

// Client fetches.
type Client struct{ o Options }

// New makes a Client.
func New(o Options) *Client { return &Client{o: o} }

// Response is a completed answer of any status.
type Response struct {
	Status int
	Body   []byte
	MaxAge time.Duration // from Cache-Control; zero if none
}

// Get fetches a document. http URLs are refused unless loopback is allowed and the host is loopback.
func (c *Client) Get(ctx context.Context, url string) (*Response, error) { panic("unbuilt") }

// PostForm posts a form, with optional basic auth left to the caller's form fields.
func (c *Client) PostForm(ctx context.Context, url string, form url.Values) (*Response, error) {
	panic("unbuilt")
}
