package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// ErrStatus is an answer that is no document: any status but 200, a redirect among them.
var ErrStatus = errors.New("the answer is no document")

// ErrDown is an ErrStatus that says something about the server and nothing about the document.
var ErrDown = errors.New("the server fails")

// Kind of a document that a client's owner serves: what is asked for, and how large it may be.
type Kind struct {
	Accept   string
	MaxBytes int64
}

// The kinds.
var (
	KeySet        = Kind{"application/jwk-set+json, application/json", 64 << 10}       // RFC 7517 §8.5
	RequestObject = Kind{"application/oauth-authz-req+jwt, application/jwt", 64 << 10} // RFC 9101 §10.1
	JSON          = Kind{"application/json", 64 << 10}
)

// GetDocument fetches what somebody else than the operator chose the address of. It wants CheckPublic of the address
// and a plain 200 of the answer. Callers that ask for one document at a time share one request.
func (c *Client) GetDocument(ctx context.Context, url string, kind Kind) (*Response, error) {
	if err := c.CheckPublic(url); err != nil {
		return nil, err
	}
	answer, err := c.share(ctx, request{method: http.MethodGet, url: url, accept: kind.Accept, max: kind.MaxBytes})
	if err != nil {
		return nil, err
	}
	if answer.Status >= http.StatusInternalServerError {
		return nil, fmt.Errorf("%w: %w: status %d", ErrStatus, ErrDown, answer.Status)
	}
	if answer.Status != http.StatusOK {
		return nil, fmt.Errorf("%w: status %d", ErrStatus, answer.Status)
	}
	return answer, nil
}

// CheckPublic judges a URL by how it is written, and resolves nothing: whether it is https and names a host of the
// public Internet, or lies in a network that is allowed. It is for registration, where a refusal opens no socket (RG01);
// what a name resolves to is judged when a connection is made (RG02).
func (c *Client) CheckPublic(target string) error {
	u, err := c.checkURL(target)
	if err != nil {
		return err
	}
	host := u.Hostname()
	if c.allowed.host(host) {
		return nil
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if public(addr.Unmap()) {
			return nil
		}
		return ErrAddress
	}
	return checkName(strings.ToLower(strings.TrimSuffix(host, ".")))
}

// The names that mean a machine or a network of one's own (RFC 6761, RFC 6762, RFC 8375, and what ICANN reserved).
var ownNames = []string{"localhost", "local", "internal", "home.arpa", "lan", "intranet", "corp", "home", "localdomain"}

// checkName wants a name as the public DNS has them. What ends in a number is an IPv4 address to many resolvers, in
// decimal, octal or hexadecimal, whole or in parts (WHATWG URL §3.5).
func checkName(name string) error {
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if !isLabel(label) {
			return fmt.Errorf("%w: %q is no host name", ErrURL, name)
		}
	}
	last := labels[len(labels)-1]
	if len(labels) < 2 || len(name) > 253 || strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return fmt.Errorf("%w: %q", ErrAddress, name)
	}
	for _, own := range ownNames {
		if strings.HasSuffix("."+name, "."+own) {
			return fmt.Errorf("%w: %q", ErrAddress, name)
		}
	}
	return nil
}

func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}
