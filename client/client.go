// Package client is the Go client of Countersign's admin API (/admin/v1 on the private listener). App servers use it to
// look an account up by its id or by a provider's subject, to see and end its sessions and to disable it; operators use
// it to rotate keys and to read the audit trail.
//
// Every call needs an API key with the scope named at the method; `countersign api-key new` makes one. Ids are the text
// forms that tokens carry too: an account's id is the `sub` of its tokens, a session's id their `sid`.
//
// A Client retries nothing. All calls but RotateKeys may be repeated safely, so on an error with Temporary true wait for
// its RetryAfter and call again.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client calls one server. It is safe for concurrent use.
type Client struct {
	base   string
	apiKey string
	http   *http.Client
}

// Option changes how a Client works.
type Option func(*Client)

// WithHTTPClient sets what carries the requests, for example one with its own TLS configuration. Its redirect policy is
// replaced: the API never redirects, and an API key must not follow one.
func WithHTTPClient(h *http.Client) Option {
	return func(c *Client) {
		own := *h
		c.http = &own
	}
}

const (
	defaultTimeout  = 15 * time.Second
	maxResponseSize = 16 << 20
)

// New makes a Client of the server whose private listener is at baseURL, for example "http://127.0.0.1:8081". Send the
// API key over plain http only inside a network you trust.
func New(baseURL, apiKey string, options ...Option) (*Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil {
		return nil, fmt.Errorf("countersign: base URL: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, errors.New("countersign: base URL must look like http://127.0.0.1:8081")
	}
	if apiKey == "" || strings.ContainsAny(apiKey, " \r\n\t") {
		return nil, errors.New("countersign: API key must look like cs_sk_...; make one with: countersign api-key new")
	}
	c := &Client{
		base: strings.TrimSuffix(baseURL, "/"), apiKey: apiKey,
		http: &http.Client{Timeout: defaultTimeout},
	}
	for _, o := range options {
		o(c)
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// path joins segments, each escaped.
func path(segments ...string) string {
	var b strings.Builder
	b.WriteString("/admin/v1")
	for _, s := range segments {
		b.WriteString("/" + url.PathEscape(s))
	}
	return b.String()
}

// call sends a request and decodes the answer into out, unless that is nil.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	target := c.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("countersign: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return fmt.Errorf("countersign: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.apiKey)
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("countersign: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxResponseSize))
	if err != nil {
		return fmt.Errorf("countersign: read the answer of %s %s: %w", method, path, err)
	}
	if res.StatusCode/100 != 2 {
		return newError(res, answer)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("countersign: the answer of %s %s is not what this client knows: %w", method, path, err)
	}
	return nil
}
