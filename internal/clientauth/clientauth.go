// Package clientauth decides who is calling: one pinned method per client, no second road. It knows no HTTP; the
// door hands it the Authorization headers and form fields as they came. It judges no liveness: that is decided in
// the statement that uses the client.
package clientauth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
)

// Credentials is what came.
type Credentials struct {
	Authorization []string          // every Authorization header
	ClientID      string            // form
	ClientSecret  string            // form
	HasSecret     bool              // client_secret was in the form
	Assertion     string            // form: client_assertion
	AssertionType string            // form: client_assertion_type
	Certificate   *x509.Certificate // of the TLS connection; nil: none came. What a proxy says in a header is never one (CA12)
	IP            string            // for the failure limit

	Intermediates []*x509.Certificate // that came with the certificate

	Begins bool // the request begins something, so that the client's document may be read for it
}

// asserts tells whether the caller means to authenticate by an assertion (RFC 7521 §4.2).
func (c Credentials) asserts() bool { return c.Assertion != "" || c.AssertionType != "" }

// Service does it. Its fields are set by app.
type Service struct {
	Catalog  func() *domain.Catalog // current, seen by every node within 2 s; liveness is the database's
	Failures *Limiter               // nil lifts the limit
	Now      func() time.Time       // for the failure limit and for assertions; nil: time.Now

	// For private_key_jwt: whom an assertion must be for, and the memory of those that were used.
	Issuer   string
	TokenURL string // the audience that a client may be registered to send instead

	CA *x509.CertPool // who may issue the certificates of tls_client_auth; nil: nobody
	DB *store.DB

	// Registration tells whether there may be clients beside the declared ones.
	Registration bool
	// Discover reads the document of a client that is named by one; nil: no client is.
	Discover func(ctx context.Context, id, ip string) error

	Fetch *fetch.Client // of the keys that clients publish

	index     index
	published published
}

// loggedID is how much of an id that is no client's goes into the log.
const loggedID = 64

// Client authenticates a client. Errors: invalid_client (one body for all reasons), invalid_request for two methods
// at once, slow_down over the limit. Liveness is judged later, in the statement that uses it.
func (s *Service) Client(ctx context.Context, c Credentials) (*domain.Client, error) {
	claim, err := read(c)
	if err != nil {
		return nil, err
	}
	client, err := s.caller(ctx, c, claim.id)
	if err != nil {
		return nil, err
	}
	if client != nil && !client.Confidential() && claim.method == domain.AuthNone {
		event.Add(ctx, "client", client.ID)
		return client, nil // nothing to guess: no limit
	}
	failures := s.Failures
	certified := client != nil && client.AuthMethod.ByCertificate() && claim.method == domain.AuthNone
	if certified {
		// Nobody guesses a certificate, and a limit would let strangers who share its address hold the client up: what stands
		// before that listener hides the addresses of all.
		failures = nil
	}
	if err := failures.check(claim.id, c.IP, s.now()); err != nil {
		return nil, err
	}
	switch {
	case certified:
		err = s.judgeCertificate(ctx, client, c) // it says who it is by client_id alone (RFC 8705 §2)
	case claim.method == domain.AuthPrivateKey:
		err = s.judgeAssertion(ctx, client, claim)
	default:
		err = judge(client, claim)
	}
	var fault *oauth.Error
	switch {
	case errors.As(err, &fault):
		return nil, fault
	case err != nil:
		failures.count(claim.id, c.IP, s.now())
		if client != nil {
			event.Add(ctx, "client", client.ID) // whose secret it was not
		} else {
			event.Add(ctx, "unknown_client", event.Cut(claim.id, loggedID))
		}
		return nil, oauth.UnknownClient(err)
	}
	event.Add(ctx, "client", client.ID)
	return client, nil
}

// caller is the client that somebody says it is.
func (s *Service) caller(ctx context.Context, c Credentials, id string) (*domain.Client, error) {
	if c.Begins {
		return s.Introduced(ctx, id, c.IP)
	}
	return s.Named(ctx, id)
}

// errNoResource: nobody tried to authenticate, so there is nothing to guess and nothing to hide.
var errNoResource = oauth.E(oauth.InvalidClient,
	"The request does not say which app server sends it: authenticate with HTTP Basic, the id and the secret of a resource.")

// Resource authenticates an app server (client_secret_basic with its resource id) for introspection.
func (s *Service) Resource(ctx context.Context, c Credentials) (*domain.Resource, error) {
	if len(c.Authorization) == 0 && !c.HasSecret && !c.asserts() {
		return nil, errNoResource
	}
	claim, err := read(c)
	if err != nil {
		return nil, err
	}
	// A client and a resource of one name have a limit each.
	key := "resource " + claim.id
	if err := s.Failures.check(key, c.IP, s.now()); err != nil {
		return nil, err
	}
	resource := s.index.of(s.Catalog()).resources[claim.id]
	if err := judgeResource(resource, claim); err != nil {
		s.Failures.count(key, c.IP, s.now())
		return nil, oauth.UnknownClient(err)
	}
	event.Add(ctx, "resource", resource.ID)
	return resource, nil
}

// KnowsOrigin tells whether a browser client registered this origin: who may read our answers across origins. Where clients
// register themselves any site may be one of theirs. That gives a page nothing: no answer of ours depends on what a browser
// adds by itself.
func (s *Service) KnowsOrigin(origin string) bool {
	return s.index.of(s.Catalog()).origins[origin] || (s.Registration && strings.HasPrefix(origin, "https://"))
}

func (s *Service) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// The reasons, for the request event.
var (
	errUnknown     = errors.New("unknown client")
	errWrongMethod = errors.New("not the registered method")
	errWrongSecret = errors.New("wrong secret")
	errNoSecret    = errors.New("the resource has no secret")
)

// judge does the same work whoever is asked for, known or not, and whichever of two secrets is right.
func judge(c *domain.Client, claim claim) error {
	var stored, old []byte
	if c != nil {
		stored, old = c.SecretHash, c.OldSecret
	}
	fitsNew, fitsOld := secretFits(stored, claim.secret), secretFits(old, claim.secret)
	right := fitsNew || fitsOld
	switch {
	case c == nil:
		return errUnknown
	case c.AuthMethod != claim.method, !c.Confidential():
		return errWrongMethod
	case !right:
		return errWrongSecret
	}
	return nil
}

func judgeResource(r *domain.Resource, claim claim) error {
	var stored []byte
	if r != nil {
		stored = r.SecretHash
	}
	right := secretFits(stored, claim.secret)
	switch {
	case r == nil:
		return errUnknown
	case claim.method != domain.AuthSecretBasic:
		return errWrongMethod
	case len(stored) == 0:
		return errNoSecret
	case !right:
		return errWrongSecret
	}
	return nil
}

// nobody is compared with where there is no secret, to take the same time. No secret has this hash.
var nobody [sha256.Size]byte

func secretFits(stored []byte, secret string) bool {
	if len(stored) != sha256.Size {
		stored = nobody[:]
	}
	hash := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(stored, hash[:]) == 1
}
