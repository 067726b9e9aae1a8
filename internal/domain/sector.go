package domain

import (
	"net/netip"
	"net/url"
	"strings"
)

// PairwisePrefix begins every pairwise subject, and neither an account's id nor a client's: a `sub` is never mistaken for
// another (RFC 9700 §4.15).
const PairwisePrefix = "pw_"

// SectorID names the sector of a client: all clients of one sector know an account under one pairwise subject (OIDC Core
// §8.1). It is the one said, or the one host of the client's redirect URIs; ok is false where those have several hosts or
// none. This machine is no host: what runs there has nothing in common.
func (c *Client) SectorID() (sector string, ok bool) {
	if c.Sector != "" {
		return strings.ToLower(c.Sector), true
	}
	for _, uri := range c.RedirectURIs {
		host := publicHost(uri)
		if host == "" || (sector != "" && host != sector) {
			return "", false
		}
		sector = host
	}
	return sector, sector != ""
}

// publicHost is the host of an https or http address that is not this machine; "" for any other.
func publicHost(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") {
		return ""
	}
	host := strings.ToLower(u.Hostname())
	addr, err := netip.ParseAddr(host)
	if host == "localhost" || (err == nil && addr.IsLoopback()) {
		return ""
	}
	return host
}
