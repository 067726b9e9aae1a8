// Package registration lets clients in that no operator declared: over HTTP (RFC 7591, RFC 7592, OIDC Dynamic Client
// Registration 1.0) and by a document at the address that is the client's id (draft-ietf-oauth-client-id-metadata-document).
// What metadata may say is judged by clientmeta; here is decided who may register, what is fetched for it, and what is
// stored. It gives nobody more than the operator's terms.
package registration

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/apikey"
	"github.com/countersign/countersign/internal/clientmeta"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
)

// Mode says who may register over HTTP. The zero value is nobody.
type Mode string

// The modes.
const (
	Off   Mode = ""
	Token Mode = "token" // who has an initial access token of the operator's
	Open  Mode = "open"  // anybody
)

// Path is that of the registration endpoint; a client's own is below it.
const Path = "/register"

// What is said where no token came and one is needed: to who registers, and to who manages what was registered.
var (
	ErrNoInitialToken = oauth.E(oauth.InvalidToken, "Registering needs an initial access token of this server's operator: send it as Authorization: Bearer cs_irt_...")
	ErrNoAccessToken  = oauth.E(oauth.InvalidToken, "Send the registration_access_token that came with the registration: Authorization: Bearer cs_rat_...")
)

// Service does it. Its fields are set by app.
type Service struct {
	DB        *store.DB
	Issuer    string
	Mode      Mode
	Documents bool // a client id may be the address of its metadata
	Terms     clientmeta.Terms
	Fetch     *fetch.Client
	Limit     *httpd.Limiter // of registrations from one address; nil lifts it
	Total     *httpd.Limiter // of those by anybody, from all addresses together; nil lifts it

	documents documents
	fetching  httpd.Room // what a registration points at
	unused    unused
}

// The limits on strangers. What one address leaves behind is gone in a day, unless it is used.
const (
	registrationsPerMinute = 20
	registrationsAtOnce    = 600 // from all addresses together, in a minute
)

// NewLimit makes the limit on registrations from one address.
func NewLimit() *httpd.Limiter { return httpd.NewLimiter(registrationsPerMinute, 1<<14) }

// NewTotal makes the limit on registrations by anybody, from all addresses together.
func NewTotal() *httpd.Limiter { return httpd.NewLimiter(registrationsAtOnce, 1) }

// Answer is RFC 7591 §3.2.1 and RFC 7592 §3.
type Answer struct {
	ClientID string `json:"client_id"`
	IssuedAt int64  `json:"client_id_issued_at"`
	Secret   string `json:"client_secret,omitempty"`
	// SecretExpiresAt accompanies every secret, and nothing else: ours do not expire.
	SecretExpiresAt *int64 `json:"client_secret_expires_at,omitempty"`
	Token           string `json:"registration_access_token"`
	URI             string `json:"registration_client_uri"`
	clientmeta.Metadata
}

// Register lets a client in (RFC 7591 §3.1). presented is the Bearer token of the request; empty: none. Errors:
// ErrNoInitialToken, invalid_token, slow_down, and those of clientmeta.
func (s *Service) Register(ctx context.Context, body []byte, presented, ip string) (*Answer, error) {
	// 1. Who asks?
	by, initial, err := s.admit(ctx, presented, ip)
	if err != nil {
		return nil, err
	}
	// 2. What for, and may it have that?
	doc, err := clientmeta.Parse(body)
	if err != nil {
		return nil, err
	}
	now := s.DB.Now()
	c, m, err := s.judge(ctx, &doc.Metadata, by, now)
	if err != nil {
		return nil, err
	}
	// 3. Its name here, and what it proves itself with.
	c.ID, c.RegisteredAt = newID(), now
	secret := giveSecret(c)
	token := newSecret(tokenPrefix)
	// 4. One use of the initial token and the client come to be together.
	r := store.NewRegistration{Token: sha256.Sum256([]byte(token)), Initial: initial, Event: told(ctx, now)}
	if r.Registration, err = row(c, m); err != nil {
		return nil, err
	}
	ok, err := s.DB.AddRegistration(ctx, r)
	switch {
	case err != nil:
		return nil, oauth.Unavailable(err)
	case !ok:
		return nil, errInitial
	}
	event.Add(ctx, "client", c.ID)
	return s.answer(c, m, secret, token), nil
}

var errInitial = oauth.E(oauth.InvalidToken, "The initial access token is not good: it is not known, expired, or used up. Ask the operator for another one.")

// admit decides who may register. Whoever shows a token is held to it, also where anybody may: it makes the client one that
// somebody answers for.
func (s *Service) admit(ctx context.Context, presented, ip string) (by domain.RegisteredBy, initial [32]byte, err error) {
	now := s.DB.Now()
	if err := limited(s.Limit.Take(ip, now)); err != nil {
		return "", initial, err
	}
	if presented == "" {
		if s.Mode != Open {
			return "", initial, ErrNoInitialToken
		}
		if err := limited(s.Total.Take("", now)); err != nil {
			return "", initial, err
		}
		return domain.RegisteredByAnybody, initial, s.roomFor(ctx, domain.RegisteredByAnybody, now)
	}
	initial, ok := apikey.RegistrationHash(presented)
	if !ok {
		return "", initial, errInitial
	}
	// Nothing is fetched for a token that somebody made up. Its use is taken with the client, in one transaction.
	good, err := s.DB.RegistrationTokenGood(ctx, initial, now)
	switch {
	case err != nil:
		return "", initial, oauth.Unavailable(err)
	case !good:
		return "", initial, errInitial
	}
	return domain.RegisteredByToken, initial, nil
}

func limited(wait time.Duration) error {
	if wait == 0 {
		return nil
	}
	e := oauth.E(oauth.TooManyRequests, "Too many registrations came in a short time. Wait a moment and try again.")
	e.RetryAfter = wait
	return e
}

// judge makes a client of metadata: by the word of whoever vouches for the software, by our terms, and by what the
// documents it points at hold.
func (s *Service) judge(ctx context.Context, m *clientmeta.Metadata, by domain.RegisteredBy, now time.Time) (*domain.Client, *clientmeta.Metadata, error) {
	if err := s.Terms.Endorse(ctx, m, now); err != nil {
		return nil, nil, err
	}
	c, err := s.Terms.Judge(m, by)
	if err != nil {
		return nil, nil, err
	}
	if err := s.checkSector(ctx, m); err != nil {
		return nil, nil, err
	}
	if err := s.fetchLogo(ctx, m, c); err != nil && by != domain.RegisteredByDocument {
		return nil, nil, err
	} else if err != nil {
		event.Add(ctx, "logo", err.Error()) // nobody is kept from signing in by a missing picture
	}
	return c, m, nil
}

// row leaves the keys to the client: they are not kept twice.
func row(c *domain.Client, m *clientmeta.Metadata) (store.Registration, error) {
	kept := *m
	kept.JWKS = nil
	text, err := json.Marshal(kept)
	if err != nil {
		return store.Registration{}, fmt.Errorf("write client metadata: %w", err)
	}
	return store.Registration{Client: *c, Metadata: string(text)}, nil
}

func (s *Service) answer(c *domain.Client, m *clientmeta.Metadata, secret, token string) *Answer {
	a := &Answer{
		ClientID: c.ID, IssuedAt: c.RegisteredAt.Unix(), Secret: secret, Token: token,
		URI: s.Issuer + Path + "/" + c.ID, Metadata: *m,
	}
	if secret != "" {
		a.SecretExpiresAt = new(int64)
	}
	return a
}

func told(ctx context.Context, now time.Time) domain.Event {
	e := event.From(ctx)
	return domain.Event{At: now, Actor: "client", RequestID: e.ID, IP: e.IP}
}

// newID names a client: 130 random bits.
func newID() string { return "dyn_" + rand.Text() }
