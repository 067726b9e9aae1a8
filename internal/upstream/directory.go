package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/keyset"
)

const (
	rediscoverAfter = 24 * time.Hour
	discoverRetry   = 5 * time.Second // at least, while the provider is down
)

// endpoints are where a trip by redirect goes, and what is said there.
type endpoints struct {
	authorize, token, userInfo, emails string

	basic       bool // the token endpoint takes our secret in the header only
	namesItself bool // every answer carries iss (RFC 9207 §3)
}

// directory knows a provider's endpoints: pinned, or found at the configured issuer when the first trip needs them.
type directory struct {
	fetch      *fetch.Client
	now        func() time.Time
	pinned     endpoints
	discoverAt string // empty: all that is needed is pinned

	mu    sync.Mutex
	found endpoints
	since time.Time // when found was asked for; zero: never
	tried time.Time // when last asked in vain
	fault error
	asked bool // anew, at this moment
}

// known tells whether the endpoints can be told without asking anybody, fresh or not.
func (d *directory) known() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.discoverAt == "" || !d.since.IsZero()
}

// look returns the endpoints. A provider that answered once stays usable while its document cannot be had, and while it is
// asked for it anew: one visitor waits for that, and not all.
func (d *directory) look(ctx context.Context) (endpoints, error) {
	if d.discoverAt == "" {
		return d.pinned, nil
	}
	now := d.now()
	d.mu.Lock()
	found, known := d.found, !d.since.IsZero()
	fresh := known && keyset.Remainder(now, d.since, rediscoverAfter) > 0
	fault, throttled := d.fault, keyset.Remainder(now, d.tried, discoverRetry) > 0
	will := fresh || known && (throttled || d.asked)
	d.asked = d.asked || !will && !throttled
	d.mu.Unlock()
	switch {
	case will:
		return found, nil
	case throttled:
		return endpoints{}, fmt.Errorf("%w: %w", ErrUnavailable, fault)
	}
	asked, err := d.discover(ctx) // those who ask at once share one fetch
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = false
	switch {
	case err == nil:
		d.found, d.since, d.tried = asked, now, time.Time{}
	case ctx.Err() == nil: // one visitor who left says nothing about the provider
		d.fault, d.tried = err, now
	}
	if err != nil && !known {
		return endpoints{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return d.found, nil
}

func (d *directory) discover(ctx context.Context) (endpoints, error) {
	document, err := discover(ctx, d.fetch, d.discoverAt)
	if err != nil {
		return endpoints{}, err
	}
	at := d.pinned
	for _, m := range []struct {
		name     string
		at       *string
		required bool
	}{
		{"authorization_endpoint", &at.authorize, true}, {"token_endpoint", &at.token, true}, {"userinfo_endpoint", &at.userInfo, false},
	} {
		if *m.at != "" {
			continue // configured
		}
		if *m.at, err = endpointOf(document, m.name, d.discoverAt); err != nil {
			return endpoints{}, err
		}
		if *m.at == "" && m.required {
			return endpoints{}, fmt.Errorf("discovery: %s is missing", m.name)
		}
	}
	methods, listed, err := document.Strings("token_endpoint_auth_methods_supported")
	if err != nil {
		return endpoints{}, fmt.Errorf("discovery: %w", err)
	}
	// An absent list means basic alone (OIDC Discovery §3).
	at.basic = !listed || slices.Contains(methods, "client_secret_basic") && !slices.Contains(methods, "client_secret_post")
	if at.namesItself, _, err = document.Bool("authorization_response_iss_parameter_supported"); err != nil {
		return endpoints{}, fmt.Errorf("discovery: %w", err)
	}
	return at, nil
}

// endpointOf reads an address from a document. It is as safe as the issuer's own: no https issuer leads to plain http.
func endpointOf(document jose.Claims, name, issuer string) (string, error) {
	address, _, err := document.String(name)
	if err != nil {
		return "", fmt.Errorf("discovery: %w", err)
	}
	if address == "" {
		return "", nil
	}
	u, err := url.Parse(address)
	if err != nil || !absolute(address) || u.Fragment != "" || u.Scheme != "https" && !strings.HasPrefix(issuer, "http:") {
		return "", fmt.Errorf("discovery: %s is not an https URL", name)
	}
	return address, nil
}

// discover asks the configured issuer, and nobody else, for its document (OIDC Discovery §4).
func discover(ctx context.Context, f *fetch.Client, issuer string) (jose.Claims, error) {
	answer, err := f.Get(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration")
	if err == nil && answer.Status != http.StatusOK {
		err = fmt.Errorf("status %d", answer.Status)
	}
	if err != nil {
		return jose.Claims{}, fmt.Errorf("discovery: %w", err)
	}
	document, err := jose.ParseObject(answer.Body)
	if err != nil {
		return jose.Claims{}, fmt.Errorf("discovery: %w", err)
	}
	if named, _, err := document.String("issuer"); err != nil || named != issuer { // §4.3
		return jose.Claims{}, errors.New("discovery: the document's issuer is not the configured one")
	}
	return document, nil
}
